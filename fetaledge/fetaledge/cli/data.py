"""``fetaledge data``: make and check labelled frames."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fetaledge.cli.options import (
    OUTPUT,
    DatasetArgument,
    ForceOption,
    JsonOption,
    LayoutOption,
    OutFileOption,
    PhantomName,
    TaskOption,
)
from fetaledge.cli.output import check_out, deliver, say

app = typer.Typer(help="Make and check labelled frames.", no_args_is_help=True)


@app.command()
def phantom(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder to write, in HC18's layout or PSFHS's, as the task asks.")
    ],
    count: Annotated[int, typer.Option(help="Number of frames.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the frames: the same one gives the same frames.")] = 0,
    task: Annotated[PhantomName, typer.Option(help="Task that the frames are labelled for.")] = "head",
    force: ForceOption = False,
) -> None:
    """Write synthetic labelled frames whose head circumference, or angle of progression, is known exactly."""
    from fetaledge.phantoms.registry import phantom_of

    phantom_of(task).write(folder, count, seed, force=force)
    say(f"wrote {count} synthetic frames to {folder}; a score on them says nothing about clinical accuracy")


@app.command()
def check(
    folder: DatasetArgument,
    task: TaskOption = None,
    layout: LayoutOption = None,
    as_json: JsonOption = False,
    out: OutFileOption = None,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Write a contact sheet to this file.", rich_help_panel=OUTPUT),
    ] = None,
    force: ForceOption = False,
) -> None:
    """Read every frame and label; say what is unusable and why, and what there is."""
    from fetaledge.data.check import check_dataset, summary_lines, write_sheet
    from fetaledge.data.layouts.open import open_dataset
    from fetaledge_runtimes.files import refuse_existing

    check_out(out, force)
    if sheet is not None:
        refuse_existing(sheet, force)
    dataset = open_dataset(folder, strict=False, task=task, layout=layout, progress=say)
    report = check_dataset(dataset)
    if not as_json:
        for problem in report.problems:
            print(problem)
        print("\n".join(summary_lines(report)))
    deliver(report, out, as_json)
    if sheet is not None and report.usable:
        write_sheet(dataset, report, sheet)
        say(f"wrote {sheet}")
    if report.problems or not report.usable:
        raise typer.Exit(3)


@app.command()
def heatmap(
    folder: DatasetArgument,
    out: Annotated[Path, typer.Option(metavar="FILE.png", help="Picture to write.", rich_help_panel=OUTPUT)],
    task: TaskOption = None,
    layout: LayoutOption = None,
    force: ForceOption = False,
) -> None:
    """Draw where each structure lies: the share of frames that mark it at each place."""
    from fetaledge.data.heatmap import class_frequencies, draw_frequencies
    from fetaledge.data.layouts.open import open_usable
    from fetaledge_runtimes.files import refuse_existing

    refuse_existing(out, force)
    draw_frequencies(class_frequencies(open_usable(folder, task=task, layout=layout, progress=say)), out)
    say(f"wrote {out}")
