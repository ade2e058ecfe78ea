"""The typed structs of ``fetaledge/evaluation/1``."""

from __future__ import annotations

from functools import cache
from types import GenericAlias
from typing import Any

import msgspec

from fetaledge_runtimes.records import Document, Part
from fetaledge_runtimes.tasks.registry import all_measures
from fetaledge_runtimes.tasks.task import Task


class OverlapRecord(Part, kw_only=True, frozen=True):
    """Pixel counts of a prediction against the truth."""

    both: int
    predicted: int
    true: int
    pixels: int


class StructureRecord(Part, kw_only=True, frozen=True):
    """One structure of one case."""

    dice: float
    iou: float
    hd95_px: float
    assd_px: float
    failed: bool


class MeasureRecord(Part, kw_only=True, frozen=True):
    """One measure of one case, gathered from its keys."""

    value: float | None
    true: float | None
    measurable: bool


class CaseFields(Part, kw_only=True, frozen=True):
    """What every task's case has."""

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
    counts: OverlapRecord
    structures: dict[str, StructureRecord]


class CaseRecord(CaseFields, kw_only=True, frozen=True):
    """A case with its measures gathered."""

    measures: dict[str, MeasureRecord]


class Summary(Part, kw_only=True, frozen=True):
    """Of values over cases; null where there is none. ``ci95``: of the mean, over subjects."""

    n: int
    mean: float | None
    median: float | None
    min: float | None
    p95: float | None
    max: float | None
    ci95: tuple[float, float] | None


class ErrorSummary(Part, kw_only=True, frozen=True):
    """Of predicted minus true: ``p95`` and ``max`` are of the absolute error, as ``ci95`` is of ``mae``."""

    n: int
    mae: float | None
    bias: float | None
    p95: float | None
    max: float | None
    ci95: tuple[float, float] | None
    missed: int = 0
    unfounded: int = 0


class StructureSummary(Part, kw_only=True, frozen=True):
    """Of one structure over cases."""

    failures: int
    dice: Summary
    iou: Summary
    hd95_px: Summary
    assd_px: Summary


class Evaluation(Document, kw_only=True, frozen=True):
    """What every task's evaluation has. A task's own document also has a key a measure, here and in each case."""

    schema: str = "fetaledge/evaluation/1"
    task: str
    variant: str
    engine: str
    data: str
    synthetic: bool
    cases: int
    subjects: int
    failures: int
    failed: list[str]
    statuses: dict[str, int]
    dice: Summary
    dice_pooled10: float
    dice_pooled10_batches: int
    iou: Summary
    pixel_accuracy: Summary
    hd95_px: Summary
    hd95_mm: Summary
    assd_mm: Summary
    structures: dict[str, StructureSummary]
    note: str | None = None
    challenge: dict[str, Any] | None = None


@cache
def case_type(task: Task) -> type[Part]:
    """The struct of one case of a task: ``hc_mm``, ``hc_true_mm``, ``hc_error_mm``, ``hc_measurable``, …"""
    fields: list[tuple[str, Any]] = []
    for measure in task.measures:
        fields += [(measure.key, float | None), (measure.named("true"), float | None)]
        fields += [(measure.named("error"), float | None), (measure.named("measurable"), bool)]
    kind: Any = msgspec.defstruct(
        f"Case_{task.name}", fields, bases=(CaseFields,), kw_only=True, frozen=True, forbid_unknown_fields=True
    )
    checked: type[Part] = kind
    return checked


@cache
def evaluation_type(task: Task) -> type[Document]:
    """The document of a task's evaluation: the fields of :class:`Evaluation`, a summary a measure, and the cases."""
    own = {measure.key for measure in task.measures}
    fields: list[Any] = [(key, ErrorSummary) for key in sorted(own)]
    fields += [(m.key, ErrorSummary | None, None) for m in all_measures() if m.key not in own]
    fields.append(("per_case", GenericAlias(list, case_type(task))))
    kind: Any = msgspec.defstruct(
        f"Evaluation_{task.name}", fields, bases=(Evaluation,), kw_only=True, frozen=True, forbid_unknown_fields=True
    )
    checked: type[Document] = kind
    return checked
