"""Scores of masks against the truth, case by case, and of one model's masks against another's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fetaledge_runtimes.biometry import head_status, measure_head
from fetaledge_runtimes.ellipse import from_mask
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frame import Image, LabelledFrame
from fetaledge_runtimes.metrics import Overlap, SurfaceDistances, overlap, surface_distances

SCHEMA = "fetaledge/evaluation/1"
MISS_DICE = 0.5
POOL = 10
RESAMPLES = 1000
SYNTHETIC_NOTE = "scores on synthetic frames: they say nothing about clinical accuracy"


@dataclass(frozen=True)
class CaseScore:
    """One predicted head mask against the truth.

    Attributes:
        status: of the predicted mask, as :func:`fetaledge_runtimes.biometry.head_status` says it.
        hd95_px, hd95_mm: the larger of the two directed 95th percentiles of border distance; mm where spacing is known.
        assd_mm: average symmetric surface distance, both directions pooled.
        hc_mm: predicted head circumference, whatever the status; None without a spacing or a mask.
        hc_true_mm: the data set's own value, else measured from the true mask.
        failed: a total miss: exactly one of the two masks is empty, or Dice is below 0.5.
        counts: pixel counts, for pooled metrics.
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

    @property
    def hc_error_mm(self) -> float | None:
        """Predicted minus true circumference."""
        return None if self.hc_mm is None or self.hc_true_mm is None else self.hc_mm - self.hc_true_mm


def score_case(case: LabelledFrame, mask: Image) -> CaseScore:
    """Score a predicted mask ``uint8 (H, W)`` of the frame's own size (task ``head``).

    Raises:
        InputError: the mask has another size than the frame.
    """
    if mask.shape != case.mask.shape:
        raise InputError(
            f"the mask of {case.name} has {_size(mask)} pixels where its frame has {_size(case.mask)}",
            "write masks at the frame's own size",
        )
    spacing = case.frame.pixel_mm
    counts = overlap(mask, case.mask)
    in_px = surface_distances(mask, case.mask)
    in_mm = None if spacing is None else _in_mm(in_px, mask, case.mask, spacing)
    measures = None if spacing is None else measure_head(mask, spacing)
    true_measures = None if spacing is None else measure_head(case.mask, spacing)
    hc_true_mm = case.hc_mm if case.hc_mm is not None else (true_measures.hc_mm if true_measures else None)
    return CaseScore(
        name=case.name,
        subject=case.subject,
        status=head_status(mask, from_mask(mask), spacing),
        dice=counts.dice,
        iou=counts.iou,
        pixel_accuracy=counts.pixel_accuracy,
        hd95_px=in_px.hd95,
        hd95_mm=in_mm.hd95 if in_mm else None,
        assd_mm=in_mm.assd if in_mm else None,
        hc_mm=measures.hc_mm if measures else None,
        hc_true_mm=hc_true_mm,
        failed=(counts.predicted == 0) != (counts.true == 0) or counts.dice < MISS_DICE,
        counts=counts,
    )


def evaluation_record(
    scores: Sequence[CaseScore], *, task: str, variant: str, engine: str, data: str, synthetic: bool
) -> dict[str, Any]:
    """The document ``fetaledge/evaluation/1``, ready for JSON: no NaN, null where a value is unknown.

    Every summary is ``{"n", "mean", "median", "min", "p95", "max", "ci95"}``; ``ci95`` is the bootstrap interval of the
    mean over subjects (1000 seeded resamples; two frames of one subject are not independent), null below two subjects.
    ``hc_mm`` summarises predicted minus true: ``{"n", "mae", "bias", "p95", "max", "ci95"}``, the last three of the
    absolute error. ``dice_pooled10`` is the mean over batches of ten, in the given order, of the Dice of all a batch's
    pixels together.

    Raises:
        InputError: there are no scores.
    """
    if not scores:
        raise InputError(f"{data} gave no case to score", "name a folder with labelled frames")
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "task": task,
        "variant": variant,
        "engine": engine,
        "data": data,
        "synthetic": synthetic,
        "cases": len(scores),
        "subjects": len({s.subject for s in scores}),
        "failures": sum(s.failed for s in scores),
        "failed": [s.name for s in scores if s.failed],
        "statuses": {word: sum(s.status == word for s in scores) for word in sorted({s.status for s in scores})},
        "dice": _summary(scores, "dice"),
        "dice_pooled10": dice_pooled(scores),
        "dice_pooled10_batches": -(-len(scores) // POOL),
        "iou": _summary(scores, "iou"),
        "pixel_accuracy": _summary(scores, "pixel_accuracy"),
        "hd95_px": _summary(scores, "hd95_px"),
        "hd95_mm": _summary(scores, "hd95_mm"),
        "assd_mm": _summary(scores, "assd_mm"),
        "hc_mm": _hc_summary(scores),
        "aop_deg": None,
        "per_case": [{**asdict(s), "hc_error_mm": s.hc_error_mm} for s in scores],
    }
    if synthetic:
        record["note"] = SYNTHETIC_NOTE
    return record


def dice_pooled(scores: Sequence[CaseScore], size: int = POOL) -> float:
    """Mean over batches of ``size`` cases, in the given order, of the Dice of a batch's pixels taken together."""
    batches = [scores[start : start + size] for start in range(0, len(scores), size)]
    return float(np.mean([sum((s.counts for s in batch), Overlap(0, 0, 0, 0)).dice for batch in batches]))


@dataclass(frozen=True)
class PairedChange:
    """What a variant changed against the reference on the same cases.

    Attributes:
        n: cases.
        dice_drop: mean Dice of the reference minus that of the variant.
        hc_n: cases where both have a circumference; the four values below are over these, None where there is none.
        hc_bias_mm: mean of variant minus reference.
        hc_abs_mean_mm, hc_p95_mm, hc_max_mm: of the absolute differences.
        new_failures: names of total misses of the variant that the reference does not miss.
    """

    n: int
    dice_drop: float
    hc_n: int
    hc_bias_mm: float | None
    hc_abs_mean_mm: float | None
    hc_p95_mm: float | None
    hc_max_mm: float | None
    new_failures: tuple[str, ...]


def paired_change(reference: Sequence[CaseScore], variant: Sequence[CaseScore]) -> PairedChange:
    """Compare two models' scores of the same cases, paired by name; the order may differ.

    Raises:
        ValueError: the names differ, repeat, or there are none.
    """
    before = {s.name: s for s in reference}
    after = {s.name: s for s in variant}
    if not before or before.keys() != after.keys() or len(before) != len(reference) or len(after) != len(variant):
        raise ValueError("the two models were not scored on the same cases")
    pairs = [(before[name], after[name]) for name in before]
    change = np.array([v.hc_mm - r.hc_mm for r, v in pairs if r.hc_mm is not None and v.hc_mm is not None])
    size = np.abs(change)
    return PairedChange(
        n=len(pairs),
        dice_drop=float(np.mean([r.dice - v.dice for r, v in pairs])),
        hc_n=len(change),
        hc_bias_mm=float(change.mean()) if len(change) else None,
        hc_abs_mean_mm=float(size.mean()) if len(change) else None,
        hc_p95_mm=float(np.percentile(size, 95)) if len(change) else None,
        hc_max_mm=float(size.max()) if len(change) else None,
        new_failures=tuple(v.name for r, v in pairs if v.failed and not r.failed),
    )


def _summary(scores: Sequence[CaseScore], field: str) -> dict[str, Any]:
    known = [(s.subject, float(getattr(s, field))) for s in scores if getattr(s, field) is not None]
    if not known:
        return {"n": 0, "mean": None, "median": None, "min": None, "p95": None, "max": None, "ci95": None}
    values = np.array([value for _, value in known])
    return {
        "n": len(values),
        "mean": float(values.mean()),
        "median": float(np.median(values)),
        "min": float(values.min()),
        "p95": float(np.percentile(values, 95)),
        "max": float(values.max()),
        "ci95": _interval([subject for subject, _ in known], values),
    }


def _hc_summary(scores: Sequence[CaseScore]) -> dict[str, Any]:
    known = [(s.subject, s.hc_error_mm) for s in scores if s.hc_error_mm is not None]
    if not known:
        return {"n": 0, "mae": None, "bias": None, "p95": None, "max": None, "ci95": None}
    errors = np.array([error for _, error in known])
    size = np.abs(errors)
    return {
        "n": len(errors),
        "mae": float(size.mean()),
        "bias": float(errors.mean()),
        "p95": float(np.percentile(size, 95)),
        "max": float(size.max()),
        "ci95": _interval([subject for subject, _ in known], size),
    }


def _interval(subjects: Sequence[str], values: np.ndarray) -> list[float] | None:
    """Percentile bootstrap of the mean, resampling whole subjects."""
    names, owner = np.unique(np.array(subjects), return_inverse=True)
    if len(names) < 2:
        return None
    sums = np.bincount(owner, weights=values, minlength=len(names))
    counts = np.bincount(owner, minlength=len(names))
    drawn = np.random.default_rng(0).integers(0, len(names), size=(RESAMPLES, len(names)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    return [float(bound) for bound in np.percentile(means, [2.5, 97.5])]


def _in_mm(in_px: SurfaceDistances, mask: Image, truth: Image, spacing: tuple[float, float]) -> SurfaceDistances:
    """Distances in mm: scaled where the pixels are square, which is nearly always, else searched again."""
    if spacing[0] == spacing[1]:
        return SurfaceDistances(in_px.to_truth * spacing[0], in_px.to_predicted * spacing[0])
    return surface_distances(mask, truth, spacing)


def _size(mask: Image) -> str:
    return f"{mask.shape[0]}x{mask.shape[1]}"
