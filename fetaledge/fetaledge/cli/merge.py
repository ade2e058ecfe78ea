"""``fetaledge merge``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fetaledge.cli.options import MODEL, OUTPUT, FoldOption, ForceWithBaseOption
from fetaledge.cli.output import say


def merge(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="A SAM run, a LoRA file of SAMed, or the folder of a LoRA that peft trained on a SamModel.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", help="Plain SAM to write: .pth or .safetensors.", rich_help_panel=OUTPUT),
    ],
    fold: FoldOption = None,
    base: Annotated[
        str | None,
        typer.Option(metavar="FILE|DIR", help="SAM that was adapted; a run knows its own.", rich_help_panel=MODEL),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            help="Side of the input, in pixels, to resize the base of a LoRA without a run to (default: its own).",
            rich_help_panel=MODEL,
        ),
    ] = None,
    force: ForceWithBaseOption = False,
) -> None:
    """Merge adapters into their SAM: a plain checkpoint under segment-anything's names."""
    from fetaledge.workflows.merge_sam import merge

    say(f"wrote {out}: {merge(source, out, fold=fold, base=base, size=size, force=force)}, merged")
