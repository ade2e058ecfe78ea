"""A task: what the classes of a mask stand for, what is measured of them, and how that is shown.

A new task is one file beside this one (or in a package of its own) with one object, registered under the entry point
group ``fetaledge.tasks``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from fetaledge_runtimes.errors import UsageError
from fetaledge_runtimes.frames.frame import Frame, Image

STANDARD = "standard"
MIRRORED = "mirrored"
UNSURE = "unsure"
ORIENTATIONS = (STANDARD, MIRRORED)


@dataclass(frozen=True)
class Measure:
    """One number that a task is for: its name in records, its words for people, and how far it may be off.

    Attributes:
        key: its name in documents, which ends in its unit: ``hc_mm``.
        name: for people, short: ``HC``; ``title``: in full.
        sign: the unit right behind a number: `` mm``, ``°``; ``unit_name``: the unit in words.
        limits: the gate's defaults by statistic: ``abs_mean`` (of the absolute differences to fp32), ``bias`` (absolute
            value of their mean), ``p95`` (of the absolute differences). A statistic that is missing is not judged.
        golden_tolerance: the most that a golden frame's value may move on another processor.
        label_tolerance: the most that a data set's stated value and its own label may differ.
        unmeasured: why no case may have had a value, as the rest of a sentence.
        digits: after the point, in what people read.
        cine_spread: the interquartile range of a cine's frames above which they are said to disagree.
    """

    key: str
    name: str
    title: str
    sign: str
    unit_name: str
    limits: Mapping[str, float]
    golden_tolerance: float
    label_tolerance: float
    unmeasured: str
    digits: int = 1
    cine_spread: float = math.inf

    def text(self, value: float) -> str:
        """A value for people, in ASCII: ``HC 301.2 mm``."""
        return f"{self.name} {value:.{self.digits}f} {self.key.rpartition('_')[2]}"

    def named(self, statistic: str) -> str:
        """The key of a statistic of this measure in documents: ``hc_abs_mean_mm``; without a unit ``hc_n``."""
        stem, _, unit = self.key.rpartition("_")
        return f"{stem}_{statistic}" if statistic in ("n", "cases", "measurable") else f"{stem}_{statistic}_{unit}"


@dataclass(frozen=True)
class Measured:
    """What a task read off one mask.

    Attributes:
        status: ``ok``, or the one word that says why nothing should be read off.
        values: numbers by key, None where there is none. They need not be None where the status is not ``ok``.
        construction: how it was measured, for the task's own drawing.
    """

    status: str
    values: Mapping[str, float | None] = field(default_factory=dict)
    construction: Any = None


class Task(ABC):
    """What is segmented and measured.

    Attributes:
        name: in manifests, records and on the command line.
        classes: of a mask's pixel values, the background first.
        measures: what it is for; the first is the one that tables show.
        structures: labels that are scored each on its own, by short name; empty where all of a mask is one thing.
        keys: of :meth:`entry`.
        definitions: key and text of what a prediction document explains.
        note: for a model card: what the measures suppose.
        clipped: statuses of a mask that the frame's edge cuts, so that its measure says nothing against a stated one.
        may_be_empty: whether a label without any structure is data, or a mistake.
        uses_age: whether :meth:`entry` makes something of a gestational age.
        planes: names of standard planes that show what is measured.
        single: status of a frame that shows a second structure of this label, where one alone is measured, by label.
        max_black_share: of what is segmented (0 to 1); where more of it is black the frame is unsure.
        other_view: the status of a frame that shows something else; None where no view check can be trained.
        has_orientation: whether a frame and its mirror image measure differently, so that it matters which one it is.
        challenge: the challenge whose scores can be computed too, for comparison; None without one.
    """

    name: ClassVar[str]
    classes: ClassVar[tuple[str, ...]]
    measures: ClassVar[tuple[Measure, ...]]
    structures: ClassVar[Mapping[str, int]] = {}
    keys: ClassVar[tuple[str, ...]]
    definitions: ClassVar[Mapping[str, str]] = {}
    note: ClassVar[str]
    clipped: ClassVar[frozenset[str]] = frozenset()
    may_be_empty: ClassVar[bool] = False
    uses_age: ClassVar[bool] = False
    single: ClassVar[Mapping[int, str]] = {}
    planes: ClassVar[frozenset[str]] = frozenset()
    max_black_share: ClassVar[float] = 1.0
    other_view: ClassVar[str | None] = None
    has_orientation: ClassVar[bool] = False
    challenge: ClassVar[str | None] = None

    @property
    def measure_of_tables(self) -> Measure:
        return self.measures[0]

    @property
    def labels(self) -> tuple[int, ...]:
        """Pixel values of the structures."""
        return tuple(range(1, len(self.classes)))

    @abstractmethod
    def measure(self, mask: Image, pixel_mm: tuple[float, float] | None) -> Measured:
        """Measure a mask ``uint8 (H, W)`` of the task's classes; ``pixel_mm`` = (row, column) spacing or None."""

    def implausible(self, mask: Image, measured: Measured) -> str | None:
        """Why a label ``uint8 (H, W)``, and what :meth:`measure` made of it, cannot be right, as the rest of a sentence
        that starts with its file; None where it can. Each structure is one filled region, or missing.
        """
        return None

    def mirror(self, measured: Measured, width: int) -> Measured:
        """What was measured in the mirror image of a frame of this width, with its construction in the frame itself.

        A task that has an orientation defines it.
        """
        raise NotImplementedError(f"the task {self.name} has no orientation")

    @abstractmethod
    def draw(self, frame: Frame, mask: Image, measured: Measured, lines: Sequence[str]) -> Image:
        """The frame with what was found in it, ``uint8 (H, W, 3)`` BGR; ``lines`` are its caption."""

    @abstractmethod
    def lines(self, entry: Mapping[str, Any]) -> list[str]:
        """What people read of an :meth:`entry` whose status is ``ok``."""

    def entry(self, measured: Measured | None, ga_weeks: float | None = None) -> dict[str, Any]:
        """A frame's values in a prediction document: null unless the status is ``ok``.

        Raises:
            UsageError: a gestational age that this task makes nothing of.
        """
        self.check_age(ga_weeks)
        good = measured is not None and measured.status == "ok"
        return {key: measured.values.get(key) if measured is not None and good else None for key in self.keys}

    def contradicts_age(self, measured: Measured, ga_weeks: float) -> str | None:
        """The status of good values that cannot belong to a fetus of this age by dates; None where they can."""
        return None

    def check_age(self, ga_weeks: float | None) -> None:
        """Raise :class:`UsageError` for a gestational age that this task makes nothing of."""
        if ga_weeks is not None and not self.uses_age:
            raise UsageError(f"a gestational age was given to a model for the task {self.name}", "leave it out")

    def check_orientation(self, orientation: str | None) -> None:
        """Raise :class:`UsageError` for an orientation that there is not, or that this task makes nothing of."""
        if orientation is not None and not self.has_orientation:
            raise UsageError(f"an orientation was given to a model for the task {self.name}", "leave it out")
        if orientation not in (None, *ORIENTATIONS):
            raise UsageError(f"there is no orientation {orientation!r}", f"give one of {', '.join(ORIENTATIONS)}")

    def picture(self, mask: Image) -> Image:
        """The mask as it is written to a PNG: 0 and 255, or the labels where there are several."""
        return mask * 255 if len(self.classes) == 2 else mask
