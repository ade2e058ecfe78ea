"""What export found out about each variant, and how it is shown and written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from fetaledge_export.gate import FAILED, UNMEASURED, Limits
from fetaledge_runtimes.bundle import Bundle, Manifest
from fetaledge_runtimes.errors import BundleError
from fetaledge_runtimes.files import read_json
from fetaledge_runtimes.records import Document, Part, from_json
from fetaledge_runtimes.scores.case import CaseScore
from fetaledge_runtimes.scores.change import PairedChange
from fetaledge_runtimes.scores.record import SYNTHETIC_NOTE, evaluation_record
from fetaledge_runtimes.tasks.task import Task

if TYPE_CHECKING:
    from fetaledge_export.parity import Parity

NOTHING = "–"


class GatedVariant(Part, kw_only=True, frozen=True):
    """One variant before the gate. ``verdict``: ``passed``, ``failed`` or ``unmeasured``; ``passed``: it was let in."""

    variant: str
    passed: bool
    verdict: str | None = None
    reasons: list[str]
    notes: list[str]
    engine: str
    engine_version: str | None
    bytes: int | None
    against_fp32: dict[str, Any] | None
    parity: dict[str, Any] | None = None
    parts_ms: dict[str, float] | None = None
    evaluation: dict[str, Any] | None


class GateRecord(Document, kw_only=True, frozen=True):
    """``evaluation.json``: the limits, and every case of the reference and of each variant; null if it did not run.

    ``reference`` and ``evaluation`` are documents ``fetaledge/evaluation/1`` of the task.
    """

    schema: str = "fetaledge/gate/1"
    task: str
    data: str
    cases: int
    subjects: int
    synthetic: bool
    limits: dict[str, float]
    reference: dict[str, Any]
    variants: list[GatedVariant]
    note: str | None = None


@dataclass(frozen=True)
class VariantResult:
    """One variant before the gate, passed or not.

    Attributes:
        bytes: of its files together; None where the conversion failed.
        scores: of its masks against the truth, one a validation frame; empty where it could not be run.
        change: against the fp32 PyTorch model on the same frames; None where it could not be run.
        verdict: ``passed``, ``failed`` or ``unmeasured``.
        kept: whether it is in the bundle.
        reasons: why it failed; empty where it did not.
        notes: what the gate could not judge, and what must be known of the variant.
        parity: its numbers against PyTorch's; None where it could not be run.
    """

    name: str
    engine: str
    engine_version: str | None
    bytes: int | None
    scores: tuple[CaseScore, ...]
    change: PairedChange | None
    verdict: str
    kept: bool
    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()
    parity: Parity | None = None

    @classmethod
    def not_run(cls, name: str, engine: str, size: int | None, reasons: tuple[str, ...]) -> VariantResult:
        """Of a variant that could not be converted, or does not run."""
        return cls(name, engine, None, size, (), None, FAILED, False, reasons)

    @property
    def said(self) -> str:
        """The verdict for people, with what goes with it."""
        if self.reasons:
            return "; ".join(self.reasons)
        verdict = f"{self.verdict}, let in" if self.verdict == UNMEASURED and self.kept else self.verdict
        return "; ".join((verdict, *self.notes))


@dataclass(frozen=True)
class ExportResult:
    """What :func:`fetaledge_export.export.export_bundle` wrote to ``folder``.

    Attributes:
        reference: scores of the fp32 PyTorch model, one a validation frame.
        variants: every variant that was asked for, whether it passed the gate or not.
        synthetic: whether the validation frames are synthetic.
    """

    folder: Path
    manifest: Manifest
    task: Task
    reference: tuple[CaseScore, ...]
    variants: tuple[VariantResult, ...]
    synthetic: bool

    @property
    def failed(self) -> tuple[VariantResult, ...]:
        """The variants that are not in the bundle."""
        return tuple(variant for variant in self.variants if not variant.kept)

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Header and rows, the PyTorch model first."""
        return table(self.reference, self.variants, self.task)


def table(
    reference: Sequence[CaseScore], variants: Sequence[VariantResult], task: Task
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows of text; "–" where a value is unknown."""
    header = ("variant", "MB", "Dice", *change_header(task), "verdict")
    rows = [("torch-fp32", NOTHING, _dice(reference), *(NOTHING for _ in change_header(task)), "reference")]
    for variant in variants:
        change = None if variant.change is None else variant.change.document(task)
        rows.append(
            (variant.name, megabytes(variant.bytes), _dice(variant.scores), *change_cells(change, task), variant.said)
        )
    return header, rows


def change_header(task: Task) -> tuple[str, ...]:
    """Names of the columns that :func:`change_cells` fills."""
    columns = ["ΔDice (n)"]
    for measure in task.measures:
        name, unit = measure.name, measure.sign.strip()
        columns += [f"mean |Δ{name}| {unit} (n)", f"bias Δ{name} {unit} (n)", f"p95 |Δ{name}| {unit}"]
    return tuple(columns)


def change_cells(change: Mapping[str, Any] | None, task: Task) -> tuple[str, ...]:
    """``change``: :meth:`PairedChange.document`, or None; a mean never without its count."""
    if change is None:
        return (NOTHING,) * len(change_header(task))
    cells = [f"{signed(change['dice_drop'], 4)} ({change['n']})"]
    for measure in task.measures:
        count, mean, bias, p95 = (change[measure.named(name)] for name in ("n", "abs_mean", "bias", "p95"))
        cells += [
            NOTHING if mean is None else f"{mean:.3f} ({count})",
            NOTHING if bias is None else f"{signed(bias, 3)} ({count})",
            NOTHING if p95 is None else f"{p95:.3f}",
        ]
    return tuple(cells)


def gate_record(
    reference: Sequence[CaseScore],
    variants: Sequence[VariantResult],
    *,
    limits: Limits,
    task: Task,
    data: str,
    synthetic: bool,
    reference_engine: str,
) -> GateRecord:
    """The document of ``evaluation.json``."""

    def record(name: str, engine: str, scores: Sequence[CaseScore]) -> dict[str, Any]:
        return evaluation_record(scores, task=task, variant=name, engine=engine, data=data, synthetic=synthetic)

    return GateRecord(
        task=task.name,
        data=data,
        cases=len(reference),
        subjects=len({score.subject for score in reference}),
        synthetic=synthetic,
        limits=limits.document(task),
        reference=record("torch-fp32", reference_engine, reference),
        variants=[
            GatedVariant(
                variant=variant.name,
                passed=variant.kept,
                verdict=variant.verdict,
                reasons=list(variant.reasons),
                notes=list(variant.notes),
                engine=variant.engine,
                engine_version=variant.engine_version,
                bytes=variant.bytes,
                against_fp32=None if variant.change is None else variant.change.document(task),
                parity=None if variant.parity is None else variant.parity.to_json(),
                parts_ms=None if variant.parity is None else variant.parity.parts_ms,
                evaluation=record(variant.name, variant.engine, variant.scores) if variant.scores else None,
            )
            for variant in variants
        ],
        note=SYNTHETIC_NOTE if synthetic else None,
    )


def read_gate(bundle: Bundle, file: str = "evaluation.json") -> GateRecord:
    """How the variants of a bundle passed the gate, as this version or an earlier one wrote it.

    Raises:
        BundleError: the record cannot be read.
    """
    path = bundle.folder / file
    return from_json(read_json(path, "bundle"), GateRecord, str(path), BundleError, "export the bundle again")


def megabytes(count: int | None) -> str:
    return f"{count / 1e6:.1f}" if count else NOTHING


def _dice(scores: Sequence[CaseScore]) -> str:
    return f"{fmean(score.dice for score in scores):.4f}" if scores else NOTHING


def signed(value: float, digits: int) -> str:
    """A number with its sign, and no minus before a zero."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"
