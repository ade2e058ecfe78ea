"""The document ``fetaledge/evaluation/1``: many cases' scores and their summaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.records import from_json
from fetaledge_runtimes.scores.case import CaseScore, MeasureScore, StructureScore
from fetaledge_runtimes.scores.documents import CaseRecord, evaluation_type
from fetaledge_runtimes.scores.metrics import Overlap
from fetaledge_runtimes.scores.summaries import Known, error_summary, summary
from fetaledge_runtimes.tasks.registry import all_measures
from fetaledge_runtimes.tasks.task import Measure, Task

SCHEMA = "fetaledge/evaluation/1"
POOL = 10
SYNTHETIC_NOTE = "scores on synthetic frames: they say nothing about clinical accuracy"
STRUCTURE_METRICS = ("dice", "iou", "hd95_px", "assd_px")


def evaluation_record(
    scores: Sequence[CaseScore], *, task: Task, variant: str, engine: str, data: str, synthetic: bool
) -> dict[str, Any]:
    """The document ``fetaledge/evaluation/1``, ready for JSON: no NaN, null where a value is unknown.

    Every summary is ``{"n", "mean", "median", "min", "p95", "max", "ci95"}``; ``ci95`` is the bootstrap interval of the
    mean over subjects (1000 seeded resamples; two frames of one subject are not independent), null below two subjects.
    ``dice_pooled10`` is the mean over batches of ten, in the given order, of the Dice of all a batch's pixels together.
    Each measure of the task has a key of its own (``hc_mm``, ``aop_deg``) that summarises predicted minus true: ``{"n",
    "mae", "bias", "p95", "max", "ci95"}``, the last three of the absolute error; ``missed`` counts the cases without a
    value though the true mask has one (they are in no mean), ``unfounded`` those with one though the true mask has
    none. Measures of other tasks are null. ``structures`` has ``dice``, ``iou``, ``hd95_px``, ``assd_px`` and
    ``failures`` of each structure.

    Raises:
        InputError: there are no scores.
    """
    if not scores:
        raise InputError(f"{data} gave no case to score", "name a folder with labelled frames")
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "task": task.name,
        "variant": variant,
        "engine": engine,
        "data": data,
        "synthetic": synthetic,
        "cases": len(scores),
        "subjects": len({s.subject for s in scores}),
        "failures": sum(s.failed for s in scores),
        "failed": [s.name for s in scores if s.failed],
        "statuses": {word: sum(s.status == word for s in scores) for word in sorted({s.status for s in scores})},
        "dice": summary([(s.subject, s.dice) for s in scores]),
        "dice_pooled10": dice_pooled(scores),
        "dice_pooled10_batches": -(-len(scores) // POOL),
        "iou": summary([(s.subject, s.iou) for s in scores]),
        "pixel_accuracy": summary([(s.subject, s.pixel_accuracy) for s in scores]),
        "hd95_px": summary([(s.subject, s.hd95_px) for s in scores]),
        "hd95_mm": summary([(s.subject, s.hd95_mm) for s in scores if s.hd95_mm is not None]),
        "assd_mm": summary([(s.subject, s.assd_mm) for s in scores if s.assd_mm is not None]),
        **{measure.key: None for measure in all_measures()},
        **{measure.key: _measure_summary(scores, measure) for measure in task.measures},
        "structures": {name: _structure_summary(scores, name) for name in scores[0].structures},
        "per_case": [_case_document(s, task) for s in scores],
    }
    if synthetic:
        record["note"] = SYNTHETIC_NOTE
    from_json(record, evaluation_type(task), "the evaluation")
    return record


def read_record(record: Any, task: Task, where: str) -> dict[str, Any]:
    """A record of ``task`` as this version writes it, whichever wrote it; ``where`` names it in messages.

    Raises:
        InputError: it lacks a key, or has an unknown or an ill-typed one.
    """
    cases = [_case_document(score, task) for score in case_scores(record, task, where)]
    today = {**{measure.key: None for measure in all_measures()}, **record, "per_case": cases}
    from_json(today, evaluation_type(task), where)
    return today


def case_scores(record: Mapping[str, Any], task: Task, where: str = "the record") -> tuple[CaseScore, ...]:
    """The scores that :func:`evaluation_record` wrote down under ``per_case``, today or in an earlier version.

    Raises:
        InputError: they cannot be read; ``where`` names the record in the message.
    """
    if not isinstance(record, Mapping) or not isinstance(record.get("per_case"), list):
        raise InputError(f"{where} has no per_case", "make it again with this version")
    return tuple(_case_score(case, task, f"{where}: per_case[{i}]") for i, case in enumerate(record["per_case"]))


def dice_pooled(scores: Sequence[CaseScore]) -> float:
    """Mean over batches of :data:`POOL` cases, in the given order, of the Dice of a batch's pixels taken together."""
    batches = [scores[start : start + POOL] for start in range(0, len(scores), POOL)]
    return float(np.mean([sum((s.counts for s in batch), Overlap(0, 0, 0, 0)).dice for batch in batches]))


def _measure_summary(scores: Sequence[CaseScore], measure: Measure) -> dict[str, Any]:
    found = [(s.subject, s.measures[measure.key]) for s in scores]
    errors: list[Known] = [(subject, m.error) for subject, m in found if m.error is not None]
    return {
        **error_summary(errors),
        "missed": sum(m.value is None and m.measurable for _, m in found),
        "unfounded": sum(m.value is not None and not m.measurable for _, m in found),
    }


def _structure_summary(scores: Sequence[CaseScore], name: str) -> dict[str, Any]:
    found = [(s.subject, s.structures[name]) for s in scores]
    return {
        "failures": sum(structure.failed for _, structure in found),
        "dice": summary([(subject, structure.dice) for subject, structure in found]),
        "iou": summary([(subject, structure.iou) for subject, structure in found]),
        "hd95_px": summary([(subject, structure.hd95_px) for subject, structure in found]),
        "assd_px": summary([(subject, structure.assd_px) for subject, structure in found]),
    }


def _case_document(score: CaseScore, task: Task) -> dict[str, Any]:
    document = asdict(score)
    measures = document.pop("measures")
    for measure in task.measures:
        scored = score.measures[measure.key]
        document[measure.key] = scored.value
        document[measure.named("true")] = scored.true
        document[measure.named("error")] = scored.error
        document[measure.named("measurable")] = measures[measure.key]["measurable"]
    return document


def _case_score(case: Any, task: Task, where: str) -> CaseScore:
    read = from_json({**_of_today(case, task)} if isinstance(case, Mapping) else case, CaseRecord, where)
    return CaseScore(
        name=read.name,
        subject=read.subject,
        status=read.status,
        true_status=read.true_status,
        dice=read.dice,
        iou=read.iou,
        pixel_accuracy=read.pixel_accuracy,
        hd95_px=read.hd95_px,
        hd95_mm=read.hd95_mm,
        assd_mm=read.assd_mm,
        failed=read.failed,
        counts=Overlap(read.counts.both, read.counts.predicted, read.counts.true, read.counts.pixels),
        structures={
            name: StructureScore(s.dice, s.iou, s.hd95_px, s.assd_px, s.failed) for name, s in read.structures.items()
        },
        measures={key: MeasureScore(m.value, m.true, m.measurable) for key, m in read.measures.items()},
    )


def _of_today(case: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """A case with its measures gathered under ``measures``; what version 0.1 wrote beside them is left out."""
    known = dict(case)
    for key in ("hc_mm", "hc_true_mm", "hc_error_mm", "aop_deg", "aop_true_deg", "aop_error_deg", "aop_status"):
        known.pop(key, None)
    true_status = known.pop("aop_true_status", None)
    known.setdefault("true_status", true_status or "")
    known.setdefault("structures", {})
    measures = {}
    for measure in task.measures:
        true = case.get(measure.named("true"))
        measurable = true_status == "ok" if true_status else true is not None
        measures[measure.key] = {
            "value": case.get(measure.key),
            "true": true,
            "measurable": case.get(measure.named("measurable"), measurable),
        }
        for key in (measure.key, *(measure.named(part) for part in ("true", "error", "measurable"))):
            known.pop(key, None)
    return {**known, "measures": measures}
