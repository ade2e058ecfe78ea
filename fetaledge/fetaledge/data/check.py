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
from fetaledge_runtimes.records import Document, Part
from fetaledge_runtimes.tasks.registry import task_named
from fetaledge_runtimes.tasks.task import Task

SHEET_FRAMES = 24
COLOURS = ((80, 220, 255), (255, 160, 60), (120, 255, 120), (255, 120, 255))
"""BGR of the structures, the last one first."""


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
        pixel_mm: rows' spacing in mm.
        measures: of the labels or as the data set states them, by key, such as ``hc_mm``.
        hc_mm, aop_deg: the same two once more, as earlier versions wrote them.
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
    measures: dict[str, Range | None] = {}
    hc_mm: Range | None = None
    aop_deg: Range | None = None
    statuses: dict[str, int]
    problems: tuple[Problem, ...]
    names: tuple[str, ...]


def check_dataset(dataset: Dataset) -> DataCheck:
    """Read every item, and say what is unusable: what cannot be read, and what :func:`check_label` refuses."""
    problems = list(dataset.problems)
    sizes: Counter[str] = Counter()
    depths: Counter[str] = Counter()
    spacings: list[float] = []
    task = dataset.task
    values: dict[str, list[float]] = {measure.key: [] for measure in task.measures}
    statuses: Counter[str] = Counter()
    structures: Counter[str] = Counter(dict.fromkeys(task.classes[1:], 0))
    usable = []
    for item in dataset.items:
        try:
            labelled = dataset.load(item)
        except InputError as error:
            problems.append(Problem(item.image.name, error.message))
            continue
        measured = task.measure(labelled.mask, item.pixel_mm)
        height, width = labelled.mask.shape
        sizes[f"{width}×{height}"] += 1
        depths[str(labelled.frame.bits)] += 1
        if item.pixel_mm:
            spacings.append(item.pixel_mm[0])
        statuses[measured.status] += 1
        for key, known in values.items():
            value = labelled.stated.get(key, measured.values.get(key))
            known += [] if value is None else [value]
        structures.update(name for label, name in _foreground(task) if (labelled.mask == label).any())
        usable.append(item.name)
    measures = {key: _range(known) for key, known in values.items()}
    return DataCheck(
        folder=dataset.name,
        task=task.name,
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
        measures=measures,
        hc_mm=measures.get("hc_mm"),
        aop_deg=measures.get("aop_deg"),
        statuses=dict(statuses.most_common()),
        problems=tuple(problems),
        names=tuple(usable),
    )


def _foreground(task: Task) -> list[tuple[int, str]]:
    return list(enumerate(task.classes))[1:]


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
    task = task_named(report.task)
    measures = [(report.measures.get(measure.key), measure.title, 1, measure.unit_name) for measure in task.measures]
    for values, name, digits, unit in ((report.pixel_mm, "spacing", 3, "mm"), *measures):
        if values:
            low, middle, high = (f"{value:.{digits}f}" for value in (values.min, values.median, values.max))
            lines.append(f"{name}: {low} to {high} {unit}, median {middle} (n = {values.n})")
    if task.structures:
        lines.insert(1, "frames with: " + ", ".join(f"{name} {n}" for name, n in report.structures.items()))
    if report.statuses:
        name = task.measure_of_tables.name
        lines.append(f"{name} of the labels by status: " + ", ".join(f"{w} {n}" for w, n in report.statuses.items()))
    if report.without_spacing and not task.structures:
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
        for place, label in enumerate(reversed(dataset.task.labels)):
            inside = (labelled.mask == label).astype(np.uint8)
            contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(picture, contours, -1, COLOURS[place % len(COLOURS)], max(2, picture.shape[1] // 300))
        images.append(picture.astype(np.uint8, copy=False))
    sheet = contact_sheet(
        images, columns=4 if len(images) > 3 else len(images), captions=[item.name for item in picked]
    )
    with atomic_path(path) as partial:
        partial.write_bytes(cv2.imencode(".png", sheet)[1].tobytes())
