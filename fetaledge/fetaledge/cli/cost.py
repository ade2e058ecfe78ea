"""``fetaledge cost``."""

from __future__ import annotations

from pathlib import Path

import typer

from fetaledge.cli.output import check_out, deliver, print_table, say


def cost(
    bundle: Path = typer.Argument(..., metavar="BUNDLE", help="Folder that fetaledge export wrote."),
    cpu: list[str] = typer.Option(
        ["cortex-a72", "cortex-a76"],
        help="cortex-a72 (Raspberry Pi 4) or cortex-a76 (Pi 5); repeat it for several.",
    ),
    variant: list[str] = typer.Option([], help="A variant's name; repeat it for several (default: all)."),
    as_json: bool = typer.Option(False, "--json", help="Print the document as JSON."),
    out: Path | None = typer.Option(None, metavar="FILE", help="Write the document here as JSON."),
    plot: Path | None = typer.Option(None, metavar="FILE.png", help="Draw the roofline here."),
    force: bool = typer.Option(False, "--force", help="Replace earlier files."),
) -> None:
    """Count the instructions of an inference in an emulator, and bound its time on one core; no board is needed."""
    from fetaledge_benchmarks.cost import draw_roofline, measure_cost, table_header, table_rows
    from fetaledge_benchmarks.cost.roofline import drawable
    from fetaledge_runtimes.errors import UsageError
    from fetaledge_runtimes.files import atomic_path, refuse_existing

    check_out(out, force)
    if plot is not None:
        if plot.suffix.lower() != ".png":
            raise UsageError(f"the plot's file is called {plot.name}", "give it the ending .png")
        refuse_existing(plot, force)
    record = measure_cost(bundle, cpus=cpu, variants=variant or None, progress=say)
    if not as_json:
        print_table(table_header(), table_rows(record))
        say(record.note)
    deliver(record, out, as_json)
    if plot is not None:
        if drawable(record):
            with atomic_path(plot) as partial:
                draw_roofline(record, partial)
            say(f"wrote {plot}")
        else:
            say(f"{plot} was not drawn: the number of multiply-adds could not be read from the bundle's files")
    for result in record.results:
        if result.failure is not None:
            say(f"not counted: {result.variant} on {result.cpu}: {result.failure}")
        for note in result.notes:
            say(f"note: {result.variant} on {result.cpu}: {note}")
