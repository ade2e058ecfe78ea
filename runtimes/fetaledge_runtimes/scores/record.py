"""Records of many cases' scores, and of one model's scores against another's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.scores.case import CaseScore as CaseScore
from fetaledge_runtimes.scores.case import StructureScore
from fetaledge_runtimes.scores.case import score_case as score_case
from fetaledge_runtimes.scores.metrics import Overlap
from fetaledge_runtimes.scores.summaries import Known, error_summary, summary

SCHEMA = "fetaledge/evaluation/1"
POOL = 10
SYNTHETIC_NOTE = "scores on synthetic frames: they say nothing about clinical accuracy"


def evaluation_record(
    scores: Sequence[CaseScore], *, task: str, variant: str, engine: str, data: str, synthetic: bool
) -> dict[str, Any]:
    """The document ``fetaledge/evaluation/1``, ready for JSON: no NaN, null where a value is unknown.

    Every summary is ``{"n", "mean", "median", "min", "p95", "max", "ci95"}``; ``ci95`` is the bootstrap interval of the
    mean over subjects (1000 seeded resamples; two frames of one subject are not independent), null below two subjects.
    ``hc_mm`` summarises predicted minus true: ``{"n", "mae", "bias", "p95", "max", "ci95"}``, the last three of the
    absolute error. ``dice_pooled10`` is the mean over batches of ten, in the given order, of the Dice of all a batch's
    pixels together. ``aop_deg`` is None for ``head``; its ``missed`` counts the cases without an angle though the
    true mask has one (they are in no mean), ``unfounded`` those with one though the true mask forbids it.
    ``structures`` has ``dice``, ``iou``, ``hd95_px``, ``assd_px`` and ``failures`` of each structure; empty for
    ``head``.

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
        "dice": summary(_known(scores, "dice")),
        "dice_pooled10": dice_pooled(scores),
        "dice_pooled10_batches": -(-len(scores) // POOL),
        "iou": summary(_known(scores, "iou")),
        "pixel_accuracy": summary(_known(scores, "pixel_accuracy")),
        "hd95_px": summary(_known(scores, "hd95_px")),
        "hd95_mm": summary(_known(scores, "hd95_mm")),
        "assd_mm": summary(_known(scores, "assd_mm")),
        "hc_mm": error_summary(_known(scores, "hc_error_mm")),
        "aop_deg": _aop_summary(scores) if scores[0].structures else None,
        "structures": {
            name: {
                "failures": sum(s.structures[name].failed for s in scores),
                **{
                    key: summary([(s.subject, getattr(s.structures[name], key)) for s in scores])
                    for key in ("dice", "iou", "hd95_px", "assd_px")
                },
            }
            for name in scores[0].structures
        },
        "per_case": [
            {**asdict(s), "hc_error_mm": s.hc_error_mm, "aop_error_deg": s.aop_error_deg, "aop_status": s.aop_status}
            for s in scores
        ],
    }
    if synthetic:
        record["note"] = SYNTHETIC_NOTE
    return record


def case_scores(record: Mapping[str, Any]) -> tuple[CaseScore, ...]:
    """The scores that :func:`evaluation_record` wrote down under ``per_case``.

    Raises:
        InputError: they are not of this version.
    """
    names = {field.name for field in fields(CaseScore)}
    try:
        return tuple(
            CaseScore(
                **{
                    **{key: value for key, value in case.items() if key in names},
                    "counts": Overlap(**case["counts"]),
                    "structures": {name: StructureScore(**score) for name, score in case.get("structures", {}).items()},
                }
            )
            for case in record["per_case"]
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"the record's cases cannot be read: {error}", "make it again with this version") from None


def dice_pooled(scores: Sequence[CaseScore]) -> float:
    """Mean over batches of :data:`POOL` cases, in the given order, of the Dice of a batch's pixels taken together."""
    batches = [scores[start : start + POOL] for start in range(0, len(scores), POOL)]
    return float(np.mean([sum((s.counts for s in batch), Overlap(0, 0, 0, 0)).dice for batch in batches]))


def _known(scores: Sequence[CaseScore], name: str) -> list[Known]:
    return [(s.subject, float(getattr(s, name))) for s in scores if getattr(s, name) is not None]


def _aop_summary(scores: Sequence[CaseScore]) -> dict[str, Any]:
    return {
        **error_summary(_known(scores, "aop_error_deg")),
        "missed": sum(s.aop_deg is None and s.aop_true_status == "ok" for s in scores),
        "unfounded": sum(s.aop_deg is not None and s.aop_true_status != "ok" for s in scores),
    }


@dataclass(frozen=True)
class PairedChange:
    """What a variant changed against the reference on the same cases.

    Attributes:
        n: cases.
        dice_drop: mean Dice of the reference minus that of the variant.
        hc_n: cases where both have a circumference; the four values below are over these, None where there is none.
        hc_bias_mm: mean of variant minus reference.
        hc_abs_mean_mm, hc_p95_mm, hc_max_mm: of the absolute differences.
        new_failures: names of cases that the variant alone misses totally, or where it alone has no angle of
            progression.
        aop_n: cases where both have an angle of progression; the four values below are over these, as for ``hc_n``.
        aop_bias_deg, aop_abs_mean_deg, aop_p95_deg, aop_max_deg: as for the circumference.
    """

    n: int
    dice_drop: float
    hc_n: int
    hc_bias_mm: float | None
    hc_abs_mean_mm: float | None
    hc_p95_mm: float | None
    hc_max_mm: float | None
    new_failures: tuple[str, ...]
    aop_n: int = 0
    aop_bias_deg: float | None = None
    aop_abs_mean_deg: float | None = None
    aop_p95_deg: float | None = None
    aop_max_deg: float | None = None


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
    hc = _change([(r.hc_mm, v.hc_mm) for r, v in pairs])
    aop = _change([(r.aop_deg, v.aop_deg) for r, v in pairs])
    return PairedChange(
        n=len(pairs),
        dice_drop=float(np.mean([r.dice - v.dice for r, v in pairs])),
        hc_n=hc["n"],
        hc_bias_mm=hc["bias"],
        hc_abs_mean_mm=hc["mae"],
        hc_p95_mm=hc["p95"],
        hc_max_mm=hc["max"],
        new_failures=tuple(
            v.name for r, v in pairs if (v.failed and not r.failed) or (v.aop_deg is None and r.aop_deg is not None)
        ),
        aop_n=aop["n"],
        aop_bias_deg=aop["bias"],
        aop_abs_mean_deg=aop["mae"],
        aop_p95_deg=aop["p95"],
        aop_max_deg=aop["max"],
    )


def _change(pairs: Sequence[tuple[float | None, float | None]]) -> dict[str, Any]:
    return error_summary([("", after - before) for before, after in pairs if before is not None and after is not None])
