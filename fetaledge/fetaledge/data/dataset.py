"""A folder of labelled frames, read by its layout."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from fetaledge.data.label_check import check_label
from fetaledge.data.note import read_note
from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.frames.depth import Depth, Stored
from fetaledge_runtimes.frames.frame import Frame, Image, LabelledFrame
from fetaledge_runtimes.frames.images import read_stored
from fetaledge_runtimes.records import Part
from fetaledge_runtimes.tasks.registry import task_named, task_names
from fetaledge_runtimes.tasks.task import Task

FIRST_STATED = "hc_mm"
"""Stands in every fingerprint, stated or not, since the first version wrote it so."""


@dataclass(frozen=True)
class Item:
    """One labelled frame on disk.

    Attributes:
        name: unique within its data set: the file's stem.
        subject: whose frame it is.
        image: the file of the frame.
        label: the file of its mask or outline.
        pixel_mm: (row, column) spacing in mm, or None.
        stated: measures that the data set states, by key.
    """

    name: str
    subject: str
    image: Path
    label: Path
    pixel_mm: tuple[float, float] | None
    stated: Mapping[str, float] = field(default_factory=dict)

    def content_hash(self) -> str:
        """16 hex digits of the SHA-256 of the image file: the same for a renamed copy. It is computed once."""
        return self._hash

    @cached_property
    def _hash(self) -> str:
        return _short_hash(_content(self.image))

    def read(self) -> bytes:
        """The content of the image file; its hash is kept. Raises InputError."""
        content = _content(self.image)
        self.__dict__["_hash"] = _short_hash(content)
        return content


class Problem(Part, kw_only=False, frozen=True):
    """Something unusable: the file, and what is wrong with it."""

    file: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.message}"


class Dataset(ABC):
    """Labelled frames of one folder, each read when it is asked for. A subclass is a layout.

    A layout is registered in the entry-point group ``fetaledge.layouts``. It gives :meth:`recognises`, :meth:`scan`,
    :meth:`read_mask` and the constants below; for images that :func:`read_stored` cannot read also :meth:`read_stored`,
    and where the labels alone tell the task :meth:`infer_task`.

    Attributes:
        PRECEDENCE: layouts are asked in this order whether they recognise a folder, the lowest number first.
        EXPECTS: what a folder of this layout holds, for the message about a folder that none recognises.
        TASK: what the labels mark; None where that is inferred or chosen.
        ATTRIBUTION: how to cite the published data that this layout belongs to, or None.
        LICENCE: of these data, or None.
        name: the folder's name, or what ``dataset.json`` says.
        scanned: what is usable as far as names and tables tell.
        items: of these, what is used; :meth:`leave_out` takes some away.
        problems: what is not; :func:`open_dataset` raises on the first.
        synthetic: True for phantoms.
        attribution: how to cite these frames; None where it is unknown, and for phantoms.
        licence: of these frames, or None.
        images_optional: an absent image is no problem; black pixels of the label's size stand in for it.
    """

    PRECEDENCE: ClassVar[int] = 100
    EXPECTS: ClassVar[str]
    TASK: ClassVar[Task | None] = None
    ATTRIBUTION: ClassVar[str | None] = None
    LICENCE: ClassVar[str | None] = None

    def __init__(self, folder: Path, images_optional: bool = False, task: str | None = None) -> None:
        """List a folder of this layout.

        Args:
            folder: of the data set.
            images_optional: see the attribute.
            task: what the labels mark; None to take the layout's task, or infer it.

        Raises:
            UsageError: there is no such task, or the layout is of another.
            InputError: a table or note in the folder cannot be used.
        """
        if task is not None and task not in task_names():
            raise UsageError(f"there is no task {task!r}", f"choose {' or '.join(task_names())}")
        if task is not None and self.TASK is not None and task != self.TASK.name:
            raise UsageError(f"{folder} is labelled for the task {self.TASK.name}, not {task}", "leave --task out")
        self.folder = folder
        self.images_optional = images_optional
        self.chosen_task = None if task is None else task_named(task)
        note = read_note(folder)
        self.name = note.name or folder.resolve().name
        self.synthetic = (folder / "phantom.json").is_file()
        known = self.synthetic or note.attribution or note.licence
        self.attribution = note.attribution if known else self.ATTRIBUTION
        self.licence = note.licence if known else self.LICENCE
        self.problems: list[Problem] = []
        self.scanned = self.scan()
        self.items = self.scanned

    @classmethod
    @abstractmethod
    def recognises(cls, folder: Path) -> bool:
        """Whether the folder has this layout."""

    @abstractmethod
    def scan(self) -> tuple[Item, ...]:
        """List the items in order of name; append to ``problems`` what is unusable."""

    @abstractmethod
    def read_mask(self, item: Item) -> Image:
        """Mask ``uint8 (H, W)`` of the task's classes. Raises InputError where the label is unusable."""

    def read_stored(self, path: Path) -> Stored:
        """An image as its file stores it, grey ``(H, W)``. Raises InputError where it is unusable."""
        return read_stored(path)

    def infer_task(self) -> tuple[Task, str]:
        """The task that the labels show, and a sentence that says why; only of a layout without a fixed ``TASK``."""
        raise NotImplementedError

    @cached_property
    def _inferred(self) -> tuple[Task, str]:
        return self.infer_task()

    @property
    def task(self) -> Task:
        """What the labels mark."""
        return self.chosen_task or self.TASK or self._inferred[0]

    @property
    def assumption(self) -> str | None:
        """A sentence that says how the task was inferred; None where it was chosen or is the layout's."""
        return None if self.chosen_task or self.TASK else self._inferred[1]

    @cached_property
    def depth(self) -> Depth:
        """The depth that images of more than 8 bits share."""
        return Depth([item.image for item in self.items], self.read_stored)

    def read_image(self, item: Item) -> Image:
        """Pixels ``uint8 (H, W)``. Raises InputError where the image is unusable."""
        return self._read(item)[0]

    def _read(self, item: Item) -> tuple[Image, int]:
        return self.depth.scale(self.read_stored(item.image), item.image)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> LabelledFrame:
        return self.load(self.items[index])

    def __iter__(self) -> Iterator[LabelledFrame]:
        return (self.load(item) for item in self.items)

    def load(self, item: Item) -> LabelledFrame:
        """Read an item's image and label.

        Whether a label without any structure is data, the task says: sweeps such as JNU-IFM's are labelled frame by
        frame, and a model must learn to find nothing there.

        Raises:
            InputError: either cannot be read, their sizes differ, the mask is empty and must not be, or
                :func:`check_label` refuses it.
        """
        mask = self.load_mask(item)
        stand_in = self.images_optional and not item.image.is_file()
        pixels, bits = (np.zeros_like(mask), 8) if stand_in else self._read(item)
        if mask.shape != pixels.shape:
            raise InputError(
                f"{item.label} is {mask.shape[1]}×{mask.shape[0]}, "
                f"and {item.image.name} is {pixels.shape[1]}×{pixels.shape[0]}",
                "a label must have its image's size",
            )
        frame = Frame(pixels, item.pixel_mm, str(item.image), bits=bits)
        return LabelledFrame(frame, mask, item.name, item.subject, self.synthetic, item.stated)

    def load_mask(self, item: Item) -> Image:
        """Read an item's label and check it, as :meth:`load`."""
        mask = self.read_mask(item)
        if not self.task.may_be_empty and not mask.any():
            raise InputError(f"{item.label} marks no pixel", "draw the structure, or leave the frame out")
        mask, wrong = check_label(mask, self.task, item.pixel_mm, item.stated)
        if wrong:
            raise InputError(f"{item.label} {wrong}", "correct the label, or leave the frame out")
        return mask

    def leave_out(self, names: Iterable[str]) -> None:
        """Use these items no more. The fingerprint still covers them."""
        left_out = set(names)
        self.items = tuple(item for item in self.items if item.name not in left_out)

    def only(self, names: Iterable[str]) -> Subset:
        """The items of these names that are not left out, in this data set's order.

        Raises:
            InputError: a name that is not here, or all are left out.
        """
        wanted = set(names)
        missing = sorted(wanted - {item.name for item in self.scanned})
        if missing:
            raise InputError(
                f"{self.folder} lacks {missing[0]}, which the run's split names",
                "pass the data that the run was trained on",
            )
        found = tuple(item for item in self.items if item.name in wanted)
        if wanted and not found:
            raise InputError(
                f"none of the {len(wanted)} frames of {self.folder} that were asked for has a usable label",
                f"run: fetaledge data check {self.folder}",
            )
        return Subset(self, found)

    def fingerprint(self) -> str:
        """Hex SHA-256 over everything that is known of every item: names, numbers, and what image and label contain.

        Every file is read once, when this is first asked for; the items' content hashes come of the same reading.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for item in self.scanned:
            others = (value for key, value in item.stated.items() if key != FIRST_STATED)
            stated = (item.stated.get(FIRST_STATED), *others)
            digest.update(repr((item.name, item.subject, item.pixel_mm, *stated)).encode())
            digest.update(item.read())
            digest.update(self.label_content(item))
        return digest.hexdigest()

    def label_content(self, item: Item) -> bytes:
        """What the fingerprint covers of an item's label. Raises InputError."""
        return _content(item.label)

    def check_task(self, task: Task, model: Path) -> None:
        """Raise UsageError where ``model``, which is of ``task``, cannot be scored on these labels."""
        if task is not self.task:
            raise UsageError(
                f"{model} is a model of the task {task.name}, and {self.folder} is labelled for {self.task.name}",
                f"score it on frames labelled for {task.name}",
            )

    def facts(self) -> dict[str, Any]:
        """What a run keeps of its data, as JSON's types."""
        return {
            "name": self.name,
            "frames": len(self),
            "fingerprint": self.fingerprint(),
            "synthetic": self.synthetic,
            "attribution": self.attribution,
            "licence": self.licence,
        }


@dataclass(frozen=True)
class Subset:
    """Some items of a data set; itself a data set to read from."""

    dataset: Dataset
    items: tuple[Item, ...]

    @property
    def name(self) -> str:
        return self.dataset.name

    @property
    def task(self) -> Task:
        return self.dataset.task

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> LabelledFrame:
        return self.dataset.load(self.items[index])

    def __iter__(self) -> Iterator[LabelledFrame]:
        return (self.dataset.load(item) for item in self.items)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "check its permissions") from error


def _short_hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
