"""A data set read as a whole: every problem with its file, a summary, a contact sheet."""

from __future__ import annotations

import statistics
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from fetaledge.data.contact_sheet import contact_sheet
from fetaledge.data.dataset import Dataset, Problem
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.files import atomic_path
from fetaledge_runtimes.frames.frame import LabelledFrame
from fetaledge_runtimes.records import Document, Part
from fetaledge_runtimes.tasks.head import measure_head, touches_border
from fetaledge_runtimes.tasks.ps_fh import Progression, measure_progression
from fetaledge_runtimes.tasks.task import CLASSES

HC_TOLERANCE_MM = 2.0
AOP_TOLERANCE_DEG = 5.0
SHEET_FRAMES = 24
COLOURS = {"head": (80, 220, 255), "pubic-symphysis": (255, 160, 60)}


class Range(Part, kw_only=True, frozen=True):
    """The spread of ``n`` values."""

    n: int
    min: float
    median: float
    max: float


class DataCheck(Document, kw_only=True, frozen=True):
    """What ``fetaledge data check`` finds in a data set.

    Attributes:
        folder: the data set's name.
        task: what its labels mark; ``assumption`` says how that was inferred, if it was.
        synthetic: whether they are phantoms.
        attribution, licence: of the data, where they are known.
        usable: frames without a problem; ``names`` are theirs, ``subjects`` counts whose they are.
        without_spacing: usable frames without millimetres.
        bits: usable frames by the depth that their grey levels were scaled from.
        sizes: usable frames by width×height.
        structures: usable frames that mark each structure.
        pixel_mm: rows' spacing in mm. hc_mm: head circumferences in mm. aop_deg: angles of progression in degrees.
        statuses: usable frames by the status of their measure.
        problems: what is unusable and why.
    """

    schema: str = "fetaledge/data/1"
    folder: str
    task: str
    assumption: str | None = None
    synthetic: bool
    attribution: str | None = None
    licence: str | None = None
    usable: int
    subjects: int
    without_spacing: int
    bits: dict[str, int] = {}
    sizes: dict[str, int]
    pixel_mm: Range | None
    structures: dict[str, int]
    hc_mm: Range | None
    aop_deg: Range | None
    statuses: dict[str, int]
    problems: tuple[Problem, ...]
    names: tuple[str, ...]


def check_dataset(dataset: Dataset) -> DataCheck:
    """Read every item, and say what is unusable.

    Besides files that cannot be read, a measure that its own label contradicts is a problem (a wrong spacing, or a
    label of another frame): an HC by more than 2 mm, unless the label reaches the frame's border; an angle of
    progression by more than 5 degrees, where the label gives one.
    """
    problems = list(dataset.problems)
    sizes: Counter[str] = Counter()
    depths: Counter[str] = Counter()
    spacings: list[float] = []
    circumferences: list[float] = []
    angles: list[float] = []
    statuses: Counter[str] = Counter()
    structures: Counter[str] = Counter(dict.fromkeys(CLASSES[dataset.task][1:], 0))
    usable = []
    for item in dataset.items:
        try:
            labelled = dataset.load(item)
        except InputError as error:
            problems.append(Problem(item.image.name, error.message))
            continue
        progression = measure_progression(labelled.mask, item.pixel_mm) if dataset.task == "ps-fh" else None
        contradiction = _contradiction(labelled, progression)
        if contradiction:
            problems.append(Problem(item.image.name, contradiction))
            continue
        height, width = labelled.mask.shape
        sizes[f"{width}×{height}"] += 1
        depths[str(labelled.frame.bits)] += 1
        if item.pixel_mm:
            spacings.append(item.pixel_mm[0])
        if labelled.hc_mm is not None:
            circumferences.append(labelled.hc_mm)
        if progression is not None:
            statuses[progression.status] += 1
            aop_deg = progression.aop_deg if labelled.aop_deg is None else labelled.aop_deg
            angles += [] if aop_deg is None else [aop_deg]
        structures.update(name for label, name in _foreground(dataset.task) if (labelled.mask == label).any())
        usable.append(item.name)
    return DataCheck(
        folder=dataset.name,
        task=dataset.task,
        assumption=dataset.assumption,
        synthetic=dataset.synthetic,
        attribution=dataset.attribution,
        licence=dataset.licence,
        usable=len(usable),
        subjects=len({item.subject for item in dataset.items if item.name in set(usable)}),
        without_spacing=len(usable) - len(spacings),
        bits=dict(depths.most_common()),
        sizes=dict(sizes.most_common()),
        pixel_mm=_range(spacings),
        structures=dict(structures),
        hc_mm=_range(circumferences),
        aop_deg=_range(angles),
        statuses=dict(statuses.most_common()),
        problems=tuple(problems),
        names=tuple(usable),
    )


def _foreground(task: str) -> list[tuple[int, str]]:
    return list(enumerate(CLASSES[task]))[1:]


def _contradiction(labelled: LabelledFrame, progression: Progression | None) -> str | None:
    """What is wrong where the stated HC or angle and the label disagree."""
    if progression is not None:
        stated, measured = labelled.aop_deg, progression.aop_deg
        if stated is None or measured is None or abs(measured - stated) <= AOP_TOLERANCE_DEG:
            return None
        return f"states an AoP of {stated:.1f} degrees and its label measures {measured:.1f} degrees"
    spacing, mask = labelled.frame.pixel_mm, labelled.mask
    measures = measure_head(mask, spacing) if spacing else None
    if measures is None or labelled.hc_mm is None or touches_border(mask):
        return None
    if abs(measures.hc_mm - labelled.hc_mm) <= HC_TOLERANCE_MM:
        return None
    return f"states an HC of {labelled.hc_mm:.1f} mm and its label measures {measures.hc_mm:.1f} mm"


def _range(values: list[float]) -> Range | None:
    if not values:
        return None
    return Range(n=len(values), min=min(values), median=statistics.median(values), max=max(values))


def summary_lines(report: DataCheck) -> list[str]:
    """The summary as lines for people."""
    kind = "synthetic frames" if report.synthetic else "frames"
    lines = [f"{report.usable} usable {kind} of {report.subjects} subjects, {len(report.problems)} problems"]
    if report.sizes:
        shown = list(report.sizes.items())[:4]
        others = len(report.sizes) - len(shown)
        lines.append(
            "sizes: " + ", ".join(f"{size} ({n})" for size, n in shown) + (f", {others} others" if others else "")
        )
    deep = [f"{bits} bits ({n})" for bits, n in report.bits.items() if bits != "8"]
    if deep:
        lines.append(f"grey levels were scaled from {', '.join(deep)}")
    for values, name, digits, unit in (
        (report.pixel_mm, "spacing", 3, "mm"),
        (report.hc_mm, "head circumference", 1, "mm"),
        (report.aop_deg, "angle of progression", 1, "degrees"),
    ):
        if values:
            low, middle, high = (f"{value:.{digits}f}" for value in (values.min, values.median, values.max))
            lines.append(f"{name}: {low} to {high} {unit}, median {middle} (n = {values.n})")
    if report.task == "ps-fh":
        lines.insert(1, "frames with: " + ", ".join(f"{name} {n}" for name, n in report.structures.items()))
        lines.append("angle by status: " + ", ".join(f"{word} {n}" for word, n in report.statuses.items()))
    elif report.without_spacing:
        lines.append(f"{report.without_spacing} frames have no spacing: no millimetres from them")
    return lines


def write_sheet(dataset: Dataset, report: DataCheck, path: Path) -> None:
    """A PNG of up to 24 usable frames, evenly picked, with their labels' borders drawn in."""
    wanted = set(report.names)
    items = [item for item in dataset.items if item.name in wanted]
    picked = [items[i] for i in np.linspace(0, len(items) - 1, min(SHEET_FRAMES, len(items))).round().astype(int)]
    images = []
    for item in picked:
        labelled = dataset.load(item)
        picture = cv2.cvtColor(labelled.frame.pixels, cv2.COLOR_GRAY2BGR)
        for label, name in _foreground(dataset.task):
            inside = (labelled.mask == label).astype(np.uint8)
            contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(picture, contours, -1, COLOURS[name], max(2, picture.shape[1] // 300))
        images.append(picture.astype(np.uint8, copy=False))
    sheet = contact_sheet(
        images, columns=4 if len(images) > 3 else len(images), captions=[item.name for item in picked]
    )
    with atomic_path(path) as partial:
        partial.write_bytes(cv2.imencode(".png", sheet)[1].tobytes())
