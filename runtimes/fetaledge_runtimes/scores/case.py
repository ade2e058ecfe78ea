"""Scores of one case: a predicted mask against the truth, structure by structure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from fetaledge_runtimes.ellipse import from_mask
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.frame import Image, LabelledFrame
from fetaledge_runtimes.scores.metrics import Overlap, SurfaceDistances, overlap, surface_distances
from fetaledge_runtimes.tasks.head import head_status, measure_head
from fetaledge_runtimes.tasks.ps_fh import measure_progression
from fetaledge_runtimes.tasks.task import STRUCTURES

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
class CaseScore:
    """One predicted mask against the truth.

    For ``ps-fh`` the six values from ``dice`` to ``assd_mm`` are means over the two structures.

    Attributes:
        status: of the predicted mask, as :func:`fetaledge_runtimes.tasks.head.head_status` says it, for ``ps-fh``
            :func:`fetaledge_runtimes.tasks.ps_fh.measure_progression`.
        hd95_px, hd95_mm: the larger of the two directed 95th percentiles of border distance; mm where spacing is known.
        assd_mm: average symmetric surface distance, both directions pooled.
        hc_mm: predicted head circumference, whatever the status; None without a spacing or a mask, and for ``ps-fh``.
        hc_true_mm: the data set's own value, else measured from the true mask; None for ``ps-fh``.
        failed: a total miss: exactly one of the two masks is empty, or Dice is below 0.5; of either structure.
        counts: pixel counts, for pooled metrics; those of the structures added up.
        structures: ``ps`` and ``fh`` each on its own; empty for ``head``.
        aop_deg: predicted angle of progression; None unless ``status`` is ``ok``, and for ``head``.
        aop_true_deg: the data set's own value, else measured from the true mask; None where neither gives one.
        aop_true_status: of the true mask: a data set may state an angle that nobody should measure in its frame.
    """

    name: str
    subject: str
    status: str
    dice: float
    iou: float
    pixel_accuracy: float
    hd95_px: float
    hd95_mm: float | None
    assd_mm: float | None
    hc_mm: float | None
    hc_true_mm: float | None
    failed: bool
    counts: Overlap
    structures: dict[str, StructureScore] = field(default_factory=dict)
    aop_deg: float | None = None
    aop_true_deg: float | None = None
    aop_true_status: str | None = None

    @property
    def hc_error_mm(self) -> float | None:
        """Predicted minus true circumference."""
        return None if self.hc_mm is None or self.hc_true_mm is None else self.hc_mm - self.hc_true_mm

    @property
    def aop_error_deg(self) -> float | None:
        """Predicted minus true angle of progression."""
        return None if self.aop_deg is None or self.aop_true_deg is None else self.aop_deg - self.aop_true_deg

    @property
    def aop_status(self) -> str | None:
        """Why there is an angle of progression or none; None for ``head``."""
        return self.status if self.structures else None


def score_case(case: LabelledFrame, mask: Image, task: str = "head") -> CaseScore:
    """Score a predicted mask ``uint8 (H, W)`` of the frame's own size, whose values are the classes of ``task``.

    Raises:
        InputError: the mask has another size than the frame.
    """
    if mask.shape != case.mask.shape:
        raise InputError(
            f"the mask of {case.name} has {_size(mask)} pixels where its frame has {_size(case.mask)}",
            "write masks at the frame's own size",
        )
    if STRUCTURES[task]:
        return _score_structures(case, mask, STRUCTURES[task])
    spacing = case.frame.pixel_mm
    scored = _score(mask, case.mask, spacing)
    measures = None if spacing is None else measure_head(mask, spacing)
    true_measures = None if spacing is None else measure_head(case.mask, spacing)
    hc_true_mm = case.hc_mm if case.hc_mm is not None else (true_measures.hc_mm if true_measures else None)
    return CaseScore(
        name=case.name,
        subject=case.subject,
        status=head_status(mask, from_mask(mask), spacing),
        dice=scored.counts.dice,
        iou=scored.counts.iou,
        pixel_accuracy=scored.counts.pixel_accuracy,
        hd95_px=scored.in_px.hd95,
        hd95_mm=scored.in_mm.hd95 if scored.in_mm else None,
        assd_mm=scored.in_mm.assd if scored.in_mm else None,
        hc_mm=measures.hc_mm if measures else None,
        hc_true_mm=hc_true_mm,
        failed=scored.failed,
        counts=scored.counts,
    )


def _score_structures(case: LabelledFrame, mask: Image, labels: dict[str, int]) -> CaseScore:
    """Task ``ps-fh``: each structure on its own, their means, and the angle of progression."""
    spacing = case.frame.pixel_mm
    scored = {
        name: _score((mask == label).astype(np.uint8), (case.mask == label).astype(np.uint8), spacing)
        for name, label in labels.items()
    }
    measured = measure_progression(mask, spacing)
    truth = measure_progression(case.mask, spacing)
    in_mm = [s.in_mm for s in scored.values() if s.in_mm is not None]
    return CaseScore(
        name=case.name,
        subject=case.subject,
        status=measured.status,
        dice=_mean(s.counts.dice for s in scored.values()),
        iou=_mean(s.counts.iou for s in scored.values()),
        pixel_accuracy=_mean(s.counts.pixel_accuracy for s in scored.values()),
        hd95_px=_mean(s.in_px.hd95 for s in scored.values()),
        hd95_mm=_mean(distances.hd95 for distances in in_mm) if in_mm else None,
        assd_mm=_mean(distances.assd for distances in in_mm) if in_mm else None,
        hc_mm=None,
        hc_true_mm=None,
        failed=any(s.failed for s in scored.values()),
        counts=sum((s.counts for s in scored.values()), Overlap(0, 0, 0, 0)),
        structures={
            name: StructureScore(s.counts.dice, s.counts.iou, s.in_px.hd95, s.in_px.assd, s.failed)
            for name, s in scored.items()
        },
        aop_deg=measured.aop_deg,
        aop_true_deg=case.aop_deg if case.aop_deg is not None else truth.aop_deg,
        aop_true_status=truth.status,
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
