"""``fetaledge demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fetaledge.cli.options import MODEL, OUTPUT, ForceOption, TaskName
from fetaledge.cli.output import print_table, raise_if_left_out, say


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write.", rich_help_panel=OUTPUT)] = Path("demo"),
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN", help="Run to show (default: the reference model of the task).", rich_help_panel=MODEL
        ),
    ] = None,
    task: Annotated[
        TaskName, typer.Option(help="Task whose reference model is shown.", rich_help_panel=MODEL)
    ] = "head",
    force: ForceOption = False,
) -> None:
    """Export a trained model in nine variants, gate them, benchmark them on this machine, and measure some frames.

    It runs on synthetic frames: its scores say nothing about clinical accuracy.
    """
    from fetaledge.workflows.demo import demonstrate
    from fetaledge_benchmarks import terminal_table
    from fetaledge_export.export import EVALUATION

    shown = demonstrate(out, run, task, force=force, progress=say)
    print("\nThe gate: each variant against fp32 PyTorch on the same frames\n")
    print_table(*shown.export.table())
    print("\nThe benchmark: this machine, one thread, all rows interleaved\n")
    print_table(*terminal_table(shown.record))
    gated, scored = len(shown.export.reference), (shown.record.results[0].accuracy or {})["cases"]
    print(
        f"\nGate on {gated}, benchmark on {scored} synthetic frames: their scores say nothing about clinical accuracy."
    )
    print("Look at:")
    for path, what in shown.files:
        print(f"  {path}  {what}")
    invalid = [result for result in shown.record.results if not result.valid]
    if invalid:
        say(
            f"{len(invalid)} of {len(shown.record.results)} rows of the benchmark are not valid; {invalid[0].variant}: "
            f"{'; '.join(invalid[0].reasons)}"
        )
    raise_if_left_out(shown.export, out / "bundle" / EVALUATION)
