"""card.md: the model card of a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from fetaledge_export.parity import REPEATS
from fetaledge_export.results import GateRecord, VariantResult, table
from fetaledge_runtimes.bundle import Manifest
from fetaledge_runtimes.scores.case import CaseScore
from fetaledge_runtimes.tasks.task import Task

TEMPLATE = "model_card.md.j2"
HIDDEN_FACTS = ("names", "split", "trained_on")


def card(
    manifest: Manifest,
    task: Task,
    record: GateRecord,
    variants: Sequence[VariantResult],
    reference: Sequence[CaseScore],
    data_note: str,
    view_statuses: Sequence[str] = (),
) -> str:
    """Markdown.

    Args:
        manifest: of the bundle.
        task: of its model.
        record: the document of ``evaluation.json``.
        variants: the gate's results.
        reference: the scores of the PyTorch model.
        data_note: licence and attribution of the data.
        view_statuses: what the bundle's view check can say of a frame; empty without one.
    """
    header, rows = table(reference, variants, task)
    parts = _parts(variants)
    found = next((v.parity for v in variants if v.parity is not None and v.parity.parts_ms is not None), None)
    environment = Environment(
        loader=PackageLoader("fetaledge_export"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template(TEMPLATE).render(
        manifest=manifest,
        task=task,
        facts=_facts,
        table=_markdown,
        data_note=data_note,
        view_statuses=view_statuses,
        results_note=_results_note(record, task),
        rows=[header, *rows],
        limits=[("limit of the gate", "value"), *((key, f"{value:g}") for key, value in record.limits.items())],
        parts=parts,
        parts_threads=found.parts_ms["threads"] if found is not None and found.parts_ms is not None else 0,
        parts_frames=found.frames if found is not None else 0,
        repeats=REPEATS,
        synthetic_note=record.note,
    )


def _results_note(record: GateRecord, task: Task) -> str:
    scores, measure = record.reference, task.measure_of_tables
    truth = f"{record.cases} frames of {record.subjects} subjects ({record.data}), none used for calibration."
    errors = scores[measure.key]
    if errors["n"]:
        truth += (
            f" The PyTorch model against the truth: Dice {scores['dice']['mean']:.4f}, "
            f"{measure.name} mean absolute error {errors['mae']:.2f}{measure.sign} over {errors['n']} frames, "
            f"{scores['failures']} total misses."
        )
    return f"**Synthetic frames: {record.note}.** {truth}" if record.synthetic else truth


def _parts(variants: Sequence[VariantResult]) -> list[tuple[str, ...]]:
    """Of a network in two parts: the time of each, and how far either output is from PyTorch's; else empty."""
    rows: list[tuple[str, ...]] = []
    for variant in variants:
        found = variant.parity
        if found is not None and found.embedding is not None and found.parts_ms is not None:
            times = (f"{found.parts_ms[part]:.1f}" for part in ("encoder", "decoder", "whole"))
            rows.append((variant.name, *times, f"{found.embedding.max_rel:.1e}", f"{found.logits.max_rel:.1e}"))
    return [("variant", "encoder ms", "decoder ms", "whole ms", "embedding", "logits"), *rows] if rows else []


def _facts(facts: Mapping[str, Any]) -> str:
    return "\n".join(
        f"- {key.replace('_', ' ')}: {_plain(value)}" for key, value in facts.items() if key not in HIDDEN_FACTS
    )


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value))
    if value is None:
        return "unknown"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])
