"""``fetaledge cost``."""

from __future__ import annotations

from pathlib import Path

import typer

from fetaledge.cli.output import print_json, print_table, say


def cost(
    bundle: Path = typer.Argument(..., metavar="BUNDLE"),
    cpu: list[str] = typer.Option(
        ["cortex-a72", "cortex-a76"],
        help="cortex-a72 (Raspberry Pi 4) or cortex-a76 (Pi 5); more than once for several.",
    ),
    variant: list[str] = typer.Option([], help="More than once for several (default: all)."),
    json_file: Path | None = typer.Option(
        None, "--json", metavar="FILE", help="Write the document here (- for stdout)."
    ),
    plot: Path | None = typer.Option(None, metavar="FILE.png", help="Draw the roofline here."),
    force: bool = typer.Option(False, "--force", help="Replace earlier files."),
) -> None:
    """Count an inference's instructions in an emulator, and bound its time on one core: no board is needed or timed."""
    from fetaledge_benchmarks.cost import draw_roofline, measure_cost, table_header, table_rows
    from fetaledge_benchmarks.cost.roofline import drawable
    from fetaledge_runtimes.errors import UsageError
    from fetaledge_runtimes.files import atomic_path, refuse_existing, write_json

    to_stdout = str(json_file) == "-"
    if json_file is not None and not to_stdout:
        refuse_existing(json_file, force)
    if plot is not None:
        if plot.suffix.lower() != ".png":
            raise UsageError(f"the plot's file is called {plot.name}", "give it the ending .png")
        refuse_existing(plot, force)
    document = measure_cost(bundle, cpus=cpu, variants=variant or None, progress=say)
    if to_stdout:
        print_json(document)
    else:
        print_table(table_header(), table_rows(document))
        say(document["note"])
    if json_file is not None and not to_stdout:
        write_json(json_file, document)
        say(f"wrote {json_file}")
    if plot is not None:
        if drawable(document):
            with atomic_path(plot) as partial:
                draw_roofline(document, partial)
            say(f"wrote {plot}")
        else:
            say(f"{plot} was not drawn: the number of multiply-adds could not be read from the bundle's files")
    for result in document["results"]:
        if result["failure"] is not None:
            say(f"not counted: {result['variant']} on {result['cpu']}: {result['failure']}")
        for note in result["notes"]:
            say(f"note: {result['variant']} on {result['cpu']}: {note}")
