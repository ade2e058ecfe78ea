"""``fetaledge cost``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fetaledge.cli.options import (
    DEVICES,
    OUTPUT,
    BundleArgument,
    ForceOption,
    JsonOption,
    OutFileOption,
    VariantsOption,
)
from fetaledge.cli.output import check_out, deliver, print_table, say


class Cpu(StrEnum):
    """The processors that can be emulated."""

    A72 = "cortex-a72"
    A76 = "cortex-a76"


def cost(
    bundle: BundleArgument,
    cpu: Annotated[
        list[Cpu] | None,
        typer.Option(
            help="Processor: cortex-a72 is a Raspberry Pi 4's, cortex-a76 a Pi 5's. Repeat it for several "
            "(default: both).",
            rich_help_panel=DEVICES,
        ),
    ] = None,
    variant: VariantsOption = None,
    as_json: JsonOption = False,
    out: OutFileOption = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw the roofline to this file.", rich_help_panel=OUTPUT),
    ] = None,
    force: ForceOption = False,
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
    record = measure_cost(bundle, cpus=cpu or list(Cpu), variants=variant or None, progress=say)
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
            say(f"{plot} was not drawn: the bundle does not state its multiply-adds; export it again")
    for result in record.results:
        if result.failure is not None:
            say(f"not counted: {result.variant} on {result.cpu}: {result.failure}")
        for note in result.notes:
            say(f"note: {result.variant} on {result.cpu}: {note}")
