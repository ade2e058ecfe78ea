"""What export found out about each variant, and how it is shown and written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from fetaledge_export.gate import Limits
from fetaledge_export.parity import Parity
from fetaledge_runtimes.bundle import Manifest
from fetaledge_runtimes.scores.record import SYNTHETIC_NOTE, CaseScore, PairedChange, evaluation_record
from fetaledge_runtimes.tasks.task import MEASURES

SCHEMA = "fetaledge/gate/1"
NOTHING = "–"


@dataclass(frozen=True)
class VariantResult:
    """One variant before the gate, passed or not.

    Attributes:
        bytes: of its files together; None where the conversion failed.
        scores: of its masks against the truth, one a validation frame; empty where it could not be run.
        change: against the fp32 PyTorch model on the same frames; None where it could not be run.
        reasons: why it is not in the bundle; empty where it is.
        notes: what the gate could not judge, and what must be known of the variant.
        parity: its numbers against PyTorch's; None where it could not be run.
    """

    name: str
    engine: str
    engine_version: str | None
    bytes: int | None
    scores: tuple[CaseScore, ...]
    change: PairedChange | None
    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()
    parity: Parity | None = None

    @property
    def passed(self) -> bool:
        return not self.reasons


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
    reference: tuple[CaseScore, ...]
    variants: tuple[VariantResult, ...]
    synthetic: bool

    @property
    def failed(self) -> tuple[VariantResult, ...]:
        """The variants that are not in the bundle."""
        return tuple(variant for variant in self.variants if not variant.passed)

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Header and rows, the PyTorch model first."""
        return table(self.reference, self.variants, self.manifest.task)


def table(
    reference: Sequence[CaseScore], variants: Sequence[VariantResult], task: str
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows of text; "–" where a value is unknown."""
    header = ("variant", "MB", "Dice", *change_header(task), "verdict")
    rows = [("torch-fp32", NOTHING, _dice(reference), *(NOTHING for _ in change_header(task)), "reference")]
    for variant in variants:
        change = None if variant.change is None else asdict(variant.change)
        verdict = "; ".join(variant.reasons or ("passed", *variant.notes))
        rows.append(
            (variant.name, megabytes(variant.bytes), _dice(variant.scores), *change_cells(change, task), verdict)
        )
    return header, rows


def change_header(task: str) -> tuple[str, ...]:
    """Names of the columns that :func:`change_cells` fills."""
    _, _, name, sign = MEASURES[task]
    unit = sign.strip()
    return ("ΔDice (n)", f"mean |Δ{name}| {unit} (n)", f"bias Δ{name} {unit} (n)", f"p95 |Δ{name}| {unit}")


def change_cells(change: Mapping[str, Any] | None, task: str) -> tuple[str, ...]:
    """``change``: a :class:`PairedChange` as a dictionary, or None; a mean never without its count."""
    if change is None:
        return (NOTHING,) * len(change_header(task))
    key, unit, _, _ = MEASURES[task]
    mean, bias, p95 = (change[f"{key}_{what}_{unit}"] for what in ("abs_mean", "bias", "p95"))
    count = change[f"{key}_n"]
    return (
        f"{signed(change['dice_drop'], 4)} ({change['n']})",
        NOTHING if mean is None else f"{mean:.3f} ({count})",
        NOTHING if bias is None else f"{signed(bias, 3)} ({count})",
        NOTHING if p95 is None else f"{p95:.3f}",
    )


def gate_record(
    reference: Sequence[CaseScore],
    variants: Sequence[VariantResult],
    *,
    limits: Limits,
    task: str,
    data: str,
    synthetic: bool,
    reference_engine: str,
) -> dict[str, Any]:
    """``evaluation.json``: the limits, and every case of the reference and of each variant; null if it did not run."""

    def record(name: str, engine: str, scores: Sequence[CaseScore]) -> dict[str, Any] | None:
        if not scores:
            return None
        return evaluation_record(scores, task=task, variant=name, engine=engine, data=data, synthetic=synthetic)

    document: dict[str, Any] = {
        "schema": SCHEMA,
        "task": task,
        "data": data,
        "cases": len(reference),
        "subjects": len({score.subject for score in reference}),
        "synthetic": synthetic,
        "limits": limits.of(task),
        "reference": record("torch-fp32", reference_engine, reference),
        "variants": [
            {
                "variant": variant.name,
                "passed": variant.passed,
                "reasons": list(variant.reasons),
                "notes": list(variant.notes),
                "engine": variant.engine,
                "engine_version": variant.engine_version,
                "bytes": variant.bytes,
                "against_fp32": None if variant.change is None else asdict(variant.change),
                "parity": None if variant.parity is None else variant.parity.to_json(),
                "parts_ms": None if variant.parity is None else variant.parity.parts_ms,
                "evaluation": record(variant.name, variant.engine, variant.scores),
            }
            for variant in variants
        ],
    }
    if synthetic:
        document["note"] = SYNTHETIC_NOTE
    return document


def megabytes(count: int | None) -> str:
    return f"{count / 1e6:.1f}" if count else NOTHING


def _dice(scores: Sequence[CaseScore]) -> str:
    return f"{fmean(score.dice for score in scores):.4f}" if scores else NOTHING


def signed(value: float, digits: int) -> str:
    """A number with its sign, and no minus before a zero."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"
