"""What export found out about each variant, and how it is shown and written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from fetaledge_export.gate import NO_HC, Limits, judged_hc
from fetaledge_runtimes.bundle import Manifest
from fetaledge_runtimes.evaluation import SYNTHETIC_NOTE, CaseScore, PairedChange, evaluation_record

SCHEMA = "fetaledge/gate/1"
HEADER = ("variant", "MB", "Dice", "ΔDice", "mean |ΔHC| mm", "bias ΔHC mm", "p95 |ΔHC| mm", "verdict")


@dataclass(frozen=True)
class VariantResult:
    """One variant before the gate, passed or not.

    Attributes:
        bytes: of its files together; None where the conversion failed.
        scores: of its masks against the truth, one a validation frame; empty where it could not be run.
        change: against the fp32 PyTorch model on the same frames; None where it could not be run.
        reasons: why it is not in the bundle; empty where it is.
    """

    name: str
    engine: str
    engine_version: str | None
    bytes: int | None
    scores: tuple[CaseScore, ...]
    change: PairedChange | None
    reasons: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.reasons

    @property
    def notes(self) -> tuple[str, ...]:
        """What the gate could not judge."""
        return () if self.change is None or judged_hc(self.change) else (NO_HC,)


@dataclass(frozen=True)
class ExportResult:
    """What :func:`fetaledge_export.exporter.export_bundle` wrote to ``folder``.

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

    def rows(self) -> list[tuple[str, ...]]:
        """A table under :data:`HEADER`, the PyTorch model first."""
        return table(self.reference, self.variants)


def table(reference: Sequence[CaseScore], variants: Sequence[VariantResult]) -> list[tuple[str, ...]]:
    """Rows of text under :data:`HEADER`; "–" where a value is unknown."""
    rows: list[tuple[str, ...]] = [("torch-fp32", "–", _dice(reference), "–", "–", "–", "–", "reference")]
    for variant in variants:
        change = variant.change
        size = "–" if variant.bytes is None else f"{variant.bytes / 1e6:.1f}"
        verdict = "; ".join(variant.reasons or variant.notes) or "passed"
        if variant.passed and variant.notes:
            verdict = f"passed; {verdict}"
        rows.append(
            (
                variant.name,
                size,
                _dice(variant.scores),
                "–" if change is None else signed(change.dice_drop, 4),
                "–" if change is None else _mm(change.hc_abs_mean_mm),
                "–" if change is None or change.hc_bias_mm is None else signed(change.hc_bias_mm, 3),
                "–" if change is None else _mm(change.hc_p95_mm),
                verdict,
            )
        )
    return rows


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
        "limits": asdict(limits),
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
                "evaluation": record(variant.name, variant.engine, variant.scores),
            }
            for variant in variants
        ],
    }
    if synthetic:
        document["note"] = SYNTHETIC_NOTE
    return document


def _dice(scores: Sequence[CaseScore]) -> str:
    return f"{fmean(score.dice for score in scores):.4f}" if scores else "–"


def _mm(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def signed(value: float, digits: int) -> str:
    """A number with its sign, and no minus before a zero."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"
