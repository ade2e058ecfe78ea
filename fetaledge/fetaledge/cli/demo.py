"""``fetaledge demo``."""

from __future__ import annotations

from pathlib import Path

import typer

from fetaledge.cli.output import print_table, say


def demo(
    out: Path = typer.Option(Path("demo"), metavar="DIR", help="The folder to write."),
    run: Path | None = typer.Option(None, metavar="RUN", help="Default: the reference model of the repository."),
    force: bool = typer.Option(False, "--force", help="Replace an earlier demo."),
) -> None:
    """Export a trained model in nine variants, gate them, benchmark them on this machine, and measure some heads.

    It runs on synthetic frames: its scores say nothing about clinical accuracy.
    """
    from fetaledge.workflows.demo import demonstrate
    from fetaledge_benchmarks import record_valid, terminal_table
    from fetaledge_export.export import EVALUATION
    from fetaledge_runtimes.errors import GateFailed

    shown = demonstrate(out, run, force=force, progress=say)
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
    if not record_valid(shown.record):
        say("not every row of the benchmark is valid (was something else running?); report.html says why")
    if shown.export.failed:
        names = ", ".join(variant.name for variant in shown.export.failed)
        raise GateFailed(f"not in the bundle: {names}", f"{out / 'bundle' / EVALUATION} says why")
