"""card.md: the model card of a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fetaledge_export.results import HEADER, VariantResult, table
from fetaledge_runtimes.bundle import Manifest
from fetaledge_runtimes.evaluation import CaseScore

HIDDEN_FACTS = ("names", "split", "trained_on")


def card(
    manifest: Manifest,
    record: Mapping[str, Any],
    variants: Sequence[VariantResult],
    reference: Sequence[CaseScore],
    data_note: str,
) -> str:
    """Markdown; ``record``: the document of ``evaluation.json``; ``data_note``: licence and attribution of the data."""
    taken, given = manifest.input, manifest.output
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
        _markdown([HEADER, *table(reference, variants)]),
        "Dice is against the truth, a mean over frames. ΔDice and ΔHC are against the fp32 PyTorch model on the same "
        "frames; each variant ran in its own engine. A variant whose verdict is not `passed` is not in the bundle.",
        _markdown([("limit of the gate", "value"), *((key, f"{value:g}") for key, value in record["limits"].items())]),
        "Every case stands in `evaluation.json`.",
        "## Limits of use",
        _limits_note(record),
    ]
    return "\n\n".join(parts) + "\n"


def _results_note(record: Mapping[str, Any]) -> str:
    scores = record["reference"]
    truth = f"{record['cases']} frames of {record['subjects']} subjects ({record['data']}), none used for calibration."
    hc = scores["hc_mm"]
    if hc["n"]:
        truth += (
            f" The PyTorch model against the truth: Dice {scores['dice']['mean']:.4f}, "
            f"HC mean absolute error {hc['mae']:.2f} mm over {hc['n']} frames, {scores['failures']} total misses."
        )
    return f"**Synthetic frames: {record['note']}.** {truth}" if record["synthetic"] else truth


def _limits_note(record: Mapping[str, Any]) -> str:
    notes = [
        "Frames of other devices, settings, planes or ages than those of the training can give wrong masks, unnoticed.",
        "Millimetres are only as good as the frame's spacing; a frame without one gets none.",
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
