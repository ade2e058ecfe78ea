"""``fetaledge data``: make and check labelled frames."""

from __future__ import annotations

from pathlib import Path

import typer

from fetaledge.cli.options import TASK
from fetaledge.cli.output import print_json, say

app = typer.Typer(help="Make and check labelled frames.", no_args_is_help=True)


@app.command()
def phantom(
    folder: Path = typer.Argument(..., metavar="DIR", help="Where to write them: HC18's layout, or PSFHS's."),
    count: int = typer.Option(20, help="How many frames."),
    seed: int = typer.Option(0, help="The same seed gives the same frames."),
    task: str = typer.Option("head", help="head, or ps-fh: symphysis and head, seen through the perineum."),
    force: bool = typer.Option(False, "--force", help="Replace an earlier folder of phantoms."),
) -> None:
    """Write synthetic labelled frames whose head circumference, or angle of progression, is known exactly."""
    from fetaledge.phantoms.registry import phantom_of

    phantom_of(task).write(folder, count, seed, force=force)
    say(f"wrote {count} synthetic frames to {folder}; a score on them says nothing about clinical accuracy")


@app.command()
def check(
    folder: Path = typer.Argument(..., metavar="DIR", help="A data set: HC18's layout, PSFHS's, or images/ + masks/."),
    sheet: Path | None = typer.Option(None, metavar="FILE", help="Write a contact sheet here, a PNG."),
    task: str | None = TASK,
    force: bool = typer.Option(False, "--force", help="Replace an earlier FILE."),
    as_json: bool = typer.Option(False, "--json", help="Print one document."),
) -> None:
    """Read every frame and label; say what is unusable and why, and what there is."""
    from fetaledge.data.check import check_dataset, summary_lines, write_sheet
    from fetaledge.data.layouts.open import open_dataset
    from fetaledge_runtimes.files import refuse_existing
    from fetaledge_runtimes.records import to_json

    if sheet is not None:
        refuse_existing(sheet, force)
    dataset = open_dataset(folder, strict=False, task=task, progress=say)
    report = check_dataset(dataset)
    if as_json:
        print_json(to_json(report))
    else:
        for problem in report.problems:
            print(problem)
        print("\n".join(summary_lines(report)))
    if sheet is not None and report.usable:
        write_sheet(dataset, report, sheet)
        say(f"wrote {sheet}")
    if report.problems or not report.usable:
        raise typer.Exit(3)


@app.command()
def heatmap(
    folder: Path = typer.Argument(..., metavar="DIR", help="A data set: HC18's layout, PSFHS's, or images/ + masks/."),
    out: Path = typer.Option(..., metavar="FILE", help="The picture to write, a PNG."),
    task: str | None = TASK,
    force: bool = typer.Option(False, "--force", help="Replace an earlier FILE."),
) -> None:
    """Draw where each structure lies: the share of frames that mark it at each place."""
    from fetaledge.data.heatmap import class_frequencies, draw_frequencies
    from fetaledge.data.layouts.open import open_dataset
    from fetaledge_runtimes.files import refuse_existing

    refuse_existing(out, force)
    draw_frequencies(class_frequencies(open_dataset(folder, task=task, progress=say)), out)
    say(f"wrote {out}")
