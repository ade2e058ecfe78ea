"""``fetaledge data``: make and check labelled frames."""

from __future__ import annotations

from pathlib import Path

import typer

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
    from fetaledge_runtimes.errors import UsageError
    from fetaledge_runtimes.tasks.registry import task_names

    if task not in task_names():
        raise UsageError(f"there are no phantoms of the task {task!r}", f"choose {' or '.join(task_names())}")
    if task == "head":
        from fetaledge.phantoms.head import write_head_phantoms as write
    else:
        from fetaledge.phantoms.ps_fh import write_psfh_phantoms as write
    write(folder, count, seed, force)
    say(f"wrote {count} synthetic frames to {folder}; a score on them says nothing about clinical accuracy")


@app.command()
def check(
    folder: Path = typer.Argument(..., metavar="DIR", help="A data set: HC18's layout, PSFHS's, or images/ + masks/."),
    sheet: Path | None = typer.Option(None, metavar="FILE", help="Write a contact sheet here, a PNG."),
    force: bool = typer.Option(False, "--force", help="Replace an earlier FILE."),
    as_json: bool = typer.Option(False, "--json", help="Print one document."),
) -> None:
    """Read every frame and label; say what is unusable and why, and what there is."""
    from fetaledge.data.check import check_dataset, summary_lines, write_sheet
    from fetaledge.data.layouts.open import open_dataset
    from fetaledge_runtimes.files import refuse_existing

    if sheet is not None:
        refuse_existing(sheet, force)
    dataset = open_dataset(folder, strict=False)
    report = check_dataset(dataset)
    if as_json:
        print_json(report)
    else:
        for problem in report["problems"]:
            print(f"{problem['file']}: {problem['message']}")
        print("\n".join(summary_lines(report)))
    if sheet is not None and report["usable"]:
        write_sheet(dataset, report, sheet)
        say(f"wrote {sheet}")
    if report["problems"] or not report["usable"]:
        raise typer.Exit(3)


@app.command()
def heatmap(
    folder: Path = typer.Argument(..., metavar="DIR", help="A data set: HC18's layout, PSFHS's, or images/ + masks/."),
    out: Path = typer.Option(..., metavar="FILE", help="The picture to write, a PNG."),
    force: bool = typer.Option(False, "--force", help="Replace an earlier FILE."),
) -> None:
    """Draw where each structure lies: the share of frames that mark it at each place."""
    from fetaledge.data.heatmap import class_frequencies, draw_frequencies
    from fetaledge.data.layouts.open import open_dataset
    from fetaledge_runtimes.files import refuse_existing

    refuse_existing(out, force)
    draw_frequencies(class_frequencies(open_dataset(folder)), out)
    say(f"wrote {out}")
