"""``fetaledge train view``: when a run's model should not measure."""

from __future__ import annotations

from pathlib import Path

import typer

from fetaledge.cli.options import DATA, DataOption, ForceOption, LayoutOption, TaskOption
from fetaledge.cli.output import say
from fetaledge.cli.train import app
from fetaledge.cli.train_options import HARDWARE, RECIPE, SeedOption
from fetaledge.runs.unet_recipe import FoldBy


@app.command()
def view(
    run: Path = typer.Argument(metavar="RUN", help="Folder that fetaledge train wrote; the check is written into it."),
    data: DataOption = ...,  # type: ignore[assignment]
    others: list[Path] = typer.Option(
        [],
        "--others",
        metavar="DIR",
        help="Frames of other views: a data set, pictures, or images/ with a planes.csv. Repeat it for several.",
        rich_help_panel=DATA,
    ),
    task: TaskOption = None,
    layout: LayoutOption = None,
    withheld: float = typer.Option(
        0.006,
        help="Share of the own frames that a score may withhold, by folds; half of it for unsure ones.",
        rich_help_panel=RECIPE,
    ),
    folds_by: FoldBy = typer.Option(
        FoldBy.SUBJECT,
        help="Frames that stay together in a fold: those of a subject, or all that look alike.",
        rich_help_panel=RECIPE,
    ),
    seed: SeedOption = 0,
    threads: int = typer.Option(1, help="Threads of the network.", rich_help_panel=HARDWARE),
    force: ForceOption = False,
) -> None:
    """Learn which frames a run's model should not measure, and withhold their numbers."""
    from fetaledge.data.layouts.open import open_usable
    from fetaledge.runs.open import open_run
    from fetaledge.training.view.train import RECORD, train_view

    opened = open_run(run)
    dataset = open_usable(data, task=task, layout=layout, progress=say)
    dataset.check_task(opened.task, run)
    record = train_view(
        opened,
        dataset,
        others,
        withheld=withheld,
        folds_by=folds_by,
        seed=seed,
        threads=threads,
        force=force,
        progress=say,
    )
    for source in record.sources:
        kind = "own" if source.own else "other"
        print(f"{source.source} ({kind}): {source.passed} of {source.frames} pass for the model's view")
    if record.mirrored_found is not None and record.mirrored_wrongly is not None:
        print(f"mirrored: {record.mirrored_found:.1%} found, {record.mirrored_wrongly:.1%} of the others called so")
    spoilt = [count for count in record.corrupted if count.kind != "clean"]
    wrong, passed = (sum(getattr(count, key) for count in spoilt) for key in ("wrong", "wrong_and_passed"))
    total = sum(count.frames for count in spoilt)
    print(f"corrupted: {passed} of {wrong} wrong measures among {total} would not be withheld")
    print(f"{run / RECORD} holds these figures; each frame was scored by a fit that had not seen its {record.folds_by}")
