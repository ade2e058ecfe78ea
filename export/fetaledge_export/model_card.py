"""card.md: the model card of a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fetaledge_export.parity import REPEATS
from fetaledge_export.results import VariantResult, table
from fetaledge_runtimes.bundle import Manifest
from fetaledge_runtimes.scores.record import CaseScore
from fetaledge_runtimes.tasks.task import MEASURES

HIDDEN_FACTS = ("names", "split", "trained_on")
_MEASURE_NOTES = {
    "head": "Millimetres are only as good as the frame's spacing; a frame without one gets none.",
    "ps-fh": "The angle of progression supposes the symphysis to the left of the head, as the frame shows it; a frame "
    "that is mirrored, cut off, or lacks a structure gets a status instead of an angle.",
}
_OVER = {"head": "", "ps-fh": " and over both structures"}


def card(
    manifest: Manifest,
    record: Mapping[str, Any],
    variants: Sequence[VariantResult],
    reference: Sequence[CaseScore],
    data_note: str,
) -> str:
    """Markdown; ``record``: the document of ``evaluation.json``; ``data_note``: licence and attribution of the data."""
    taken, given = manifest.input, manifest.output
    header, rows = table(reference, variants, manifest.task)
    parts = [
        f"# {manifest.name}",
        f"**{manifest.notice.capitalize()}.**",
        "## Intended use",
        f"Research on the segmentation of ultrasound frames (task `{manifest.task}`: {', '.join(manifest.classes)}) "
        "and on measures taken from the masks. Not for diagnosis, treatment, or any decision about a patient.",
        "## Model",
        f"Takes one grey frame, uint8, {taken.height}×{taken.width} after the resize ({taken.resize}); the intensity "
        f"scale (×{taken.scale:g} {taken.offset:+g}) is inside the file. Gives float32 logits, "
        f"{given.channels}×{given.height}×{given.width}.",
        "## Training",
        _facts(manifest.source) or "Nothing is known about the run.",
        "## Data and licence",
        data_note or "Nothing was stated about the data's source and licence.",
        "## Calibration of int8",
        _facts(manifest.calibration) if manifest.calibration else "No int8 variant was asked for.",
        "## Results",
        _results_note(record),
        _markdown([header, *rows]),
        f"Dice is against the truth, a mean over frames{_OVER[manifest.task]}. ΔDice and "
        f"Δ{MEASURES[manifest.task].name} are against the fp32 PyTorch model on the same frames; each variant ran in "
        "its own engine. A variant whose verdict does not start with `passed` is not in the bundle.",
        _markdown([("limit of the gate", "value"), *((key, f"{value:g}") for key, value in record["limits"].items())]),
        "Every case stands in `evaluation.json`.",
        *_parts(variants),
        "## Limits of use",
        _limits_note(record),
    ]
    return "\n\n".join(parts) + "\n"


def _results_note(record: Mapping[str, Any]) -> str:
    scores = record["reference"]
    truth = f"{record['cases']} frames of {record['subjects']} subjects ({record['data']}), none used for calibration."
    measure = MEASURES[record["task"]]
    errors = scores[f"{measure.key}_{measure.unit}"]
    if errors["n"]:
        truth += (
            f" The PyTorch model against the truth: Dice {scores['dice']['mean']:.4f}, "
            f"{measure.name} mean absolute error {errors['mae']:.2f}{measure.sign} over {errors['n']} frames, "
            f"{scores['failures']} total misses."
        )
    return f"**Synthetic frames: {record['note']}.** {truth}" if record["synthetic"] else truth


def _parts(variants: Sequence[VariantResult]) -> list[str]:
    """Of a network in two parts: the time of each, and how far either output is from PyTorch's."""
    rows = []
    for variant in variants:
        found = variant.parity
        if found is not None and found.embedding is not None and found.parts_ms is not None:
            times = (f"{found.parts_ms[part]:.1f}" for part in ("encoder", "decoder", "whole"))
            rows.append((variant.name, *times, f"{found.embedding.max_rel:.1e}", f"{found.logits.max_rel:.1e}"))
            threads, frames = found.parts_ms["threads"], found.frames
    if not rows:
        return []
    return [
        "## Encoder and decoder",
        _markdown([("variant", "encoder ms", "decoder ms", "whole ms", "embedding", "logits"), *rows]),
        f"The fastest of {REPEATS} calls on the machine that exported, {threads:g} threads, either part as a model of "
        f"its own; int8 leaves the decoder in float. The last two: the largest difference from PyTorch on {frames} "
        "frames, over the largest value.",
    ]


def _limits_note(record: Mapping[str, Any]) -> str:
    notes = [
        "Frames of other devices, settings, planes or ages than those of the training can give wrong masks, unnoticed.",
        _MEASURE_NOTES[record["task"]],
        "The gate says that a variant does what the PyTorch model does; it does not say that the model is right.",
    ]
    if record["synthetic"]:
        notes.append(f"The results above are on synthetic frames: {record['note']}.")
    return "\n".join(f"- {note}" for note in notes)


def _facts(facts: Mapping[str, Any]) -> str:
    return "\n".join(
        f"- {key.replace('_', ' ')}: {_plain(value)}" for key, value in facts.items() if key not in HIDDEN_FACTS
    )


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])
