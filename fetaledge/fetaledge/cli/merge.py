"""``fetaledge merge``."""

from __future__ import annotations

from pathlib import Path

import typer

from fetaledge.cli.output import say


def merge(
    source: Path = typer.Argument(..., metavar="RUN", help="A SAM run, or a LoRA file of SAMed."),
    out: Path = typer.Option(..., metavar="FILE", help="The plain SAM to write: .pth or .safetensors."),
    fold: int | None = typer.Option(None, help="Fold of the run, from 1 (default: the best by validation Dice)."),
    base: str | None = typer.Option(None, metavar="FILE|DIR", help="The SAM that was adapted; a run knows its own."),
    size: int | None = typer.Option(
        None, help="Side of the input, in pixels, that a SAMed file's base is resized to (default: its own)."
    ),
    force: bool = typer.Option(
        False, "--force", help="Replace an earlier FILE; with --base, go on with a base of other weights."
    ),
) -> None:
    """Merge adapters into their SAM: a plain checkpoint under segment-anything's names."""
    from fetaledge.workflows.merge_sam import merge

    say(f"wrote {out}: {merge(source, out, fold=fold, base=base, size=size, force=force)}, merged")
