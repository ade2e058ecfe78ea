"""Scores of one case: a predicted mask against the truth, structure by structure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.frame import Image, LabelledFrame
from fetaledge_runtimes.scores.metrics import Overlap, SurfaceDistances, overlap, surface_distances
from fetaledge_runtimes.tasks.task import Task

MISS_DICE = 0.5


@dataclass(frozen=True)
class StructureScore:
    """One structure of a mask against the truth, in the terms of :class:`CaseScore`."""

    dice: float
    iou: float
    hd95_px: float
    assd_px: float
    failed: bool


@dataclass(frozen=True)
class MeasureScore:
    """One measure of a predicted mask against the truth, in the measure's own unit.

    Attributes:
        value: of the predicted mask; None where it gives none.
        true: the data set's own value, else that of the true mask; None where neither gives one.
        measurable: whether the true mask gives a value. A data set may state one that nobody should read off its frame.
    """

    value: float | None
    true: float | None
    measurable: bool

    @property
    def error(self) -> float | None:
        """Predicted minus true."""
        return None if self.value is None or self.true is None else self.value - self.true


@dataclass(frozen=True)
class CaseScore:
    """One predicted mask against the truth.

    In a task with structures the six values from ``dice`` to ``assd_mm`` are means over them.

    Attributes:
        status: of the predicted mask, as its task says it; ``true_status`` of the true mask.
        hd95_px, hd95_mm: the larger of the two directed 95th percentiles of border distance; mm where spacing is known.
        assd_mm: average symmetric surface distance, both directions pooled.
        failed: a total miss: exactly one of the two masks is empty, or Dice is below 0.5; of any structure.
        counts: pixel counts, for pooled metrics; those of the structures added up.
        structures: each structure on its own; empty for a task without.
        measures: the task's measures, by key.
    """

    name: str
    subject: str
    status: str
    true_status: str
    dice: float
    iou: float
    pixel_accuracy: float
    hd95_px: float
    hd95_mm: float | None
    assd_mm: float | None
    failed: bool
    counts: Overlap
    structures: Mapping[str, StructureScore] = field(default_factory=dict)
    measures: Mapping[str, MeasureScore] = field(default_factory=dict)


def score_case(case: LabelledFrame, mask: Image, task: Task) -> CaseScore:
    """Score a predicted mask ``uint8 (H, W)`` of the frame's own size, whose values are the classes of ``task``.

    Raises:
        InputError: the mask has another size than the frame.
    """
    if mask.shape != case.mask.shape:
        raise InputError(
            f"the mask of {case.name} has {_size(mask)} pixels where its frame has {_size(case.mask)}",
            "write masks at the frame's own size",
        )
    spacing = case.frame.pixel_mm
    named = {name: _score(*_planes((mask, case.mask), label), spacing) for name, label in task.structures.items()}
    scored = list(named.values()) or [_score(mask, case.mask, spacing)]
    in_mm = [s.in_mm for s in scored if s.in_mm is not None]
    found, truth = task.measure(mask, spacing), task.measure(case.mask, spacing)
    measures = {}
    for measure in task.measures:
        true = truth.values.get(measure.key)
        stated = case.stated.get(measure.key)
        value = found.values.get(measure.key)
        measures[measure.key] = MeasureScore(value, true if stated is None else stated, true is not None)
    return CaseScore(
        name=case.name,
        subject=case.subject,
        status=found.status,
        true_status=truth.status,
        dice=_mean(s.counts.dice for s in scored),
        iou=_mean(s.counts.iou for s in scored),
        pixel_accuracy=_mean(s.counts.pixel_accuracy for s in scored),
        hd95_px=_mean(s.in_px.hd95 for s in scored),
        hd95_mm=_mean(distances.hd95 for distances in in_mm) if in_mm else None,
        assd_mm=_mean(distances.assd for distances in in_mm) if in_mm else None,
        failed=any(s.failed for s in scored),
        counts=sum((s.counts for s in scored), Overlap(0, 0, 0, 0)),
        structures={
            name: StructureScore(s.counts.dice, s.counts.iou, s.in_px.hd95, s.in_px.assd, s.failed)
            for name, s in named.items()
        },
        measures=measures,
    )


@dataclass(frozen=True)
class _Scored:
    """A binary mask against the truth."""

    counts: Overlap
    in_px: SurfaceDistances
    in_mm: SurfaceDistances | None

    @property
    def failed(self) -> bool:
        return (self.counts.predicted == 0) != (self.counts.true == 0) or self.counts.dice < MISS_DICE


def _planes(masks: tuple[Image, Image], label: int) -> tuple[Image, Image]:
    """One label of two masks, as masks of 0 and 1."""
    predicted, truth = ((mask == label).astype(np.uint8) for mask in masks)
    return predicted, truth


def _score(mask: Image, truth: Image, spacing: tuple[float, float] | None) -> _Scored:
    in_px = surface_distances(mask, truth)
    in_mm = None if spacing is None else _in_mm(in_px, mask, truth, spacing)
    return _Scored(overlap(mask, truth), in_px, in_mm)


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _in_mm(in_px: SurfaceDistances, mask: Image, truth: Image, spacing: tuple[float, float]) -> SurfaceDistances:
    """Distances in mm: scaled where the pixels are square, which is nearly always, else searched again."""
    if spacing[0] == spacing[1]:
        return SurfaceDistances(in_px.to_truth * spacing[0], in_px.to_predicted * spacing[0])
    return surface_distances(mask, truth, spacing)


def _size(mask: Image) -> str:
    return f"{mask.shape[0]}x{mask.shape[1]}"
