"""``fetaledge evaluate``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fetaledge.cli.options import TASK
from fetaledge.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from fetaledge.data.dataset import Dataset
    from fetaledge.runs.run import Run
    from fetaledge_runtimes.tasks.task import Task


class SplitName(StrEnum):
    """The frames that a model is scored on: all, or one side of its run's split."""

    ALL = "all"
    TRAIN = "train"
    VALIDATION = "validation"


CHALLENGE_HEADER = (
    *("as the challenge", "n", "Dice FH", "PS", "all", "HD px FH", "PS", "all", "ASD px FH", "PS", "all"),
    *("AoP error deg", "score"),
)


def evaluate(
    model: Path | None = typer.Argument(
        None, metavar="RUN|BUNDLE", help="The run or bundle to score; leave it out with --masks."
    ),
    data: Path = typer.Option(..., help="Labelled frames."),
    task: str | None = TASK,
    masks: Path | None = typer.Option(
        None, metavar="DIR", help="Score the masks of this folder, PNG or .mha, named like the frames."
    ),
    variant: list[str] = typer.Option([], help="A variant of the bundle; repeat it for several (default: all)."),
    split: SplitName | None = typer.Option(
        None,
        help="Frames to score, as the run divided its data (default: validation of its own data, all of other data).",
    ),
    challenge: bool = typer.Option(
        False, "--challenge", help="Score as the challenge PS-FH-AOP does, beside our own metrics (task ps-fh)."
    ),
    fold: int | None = typer.Option(None, help="One fold of a SAM run, from 1 (default: all folds together)."),
    base: Path | None = typer.Option(None, metavar="FILE|DIR", help="A SAM run's base, if it was moved."),
    force: bool = typer.Option(False, "--force", help="Go on with a base of other weights than the run's."),
    threads: int = typer.Option(1, help="Number of threads of the engine."),
    as_json: bool = typer.Option(False, "--json", help="Print the records as one document."),
) -> None:
    """Score a run, a bundle, or another system's masks: Dice, IoU, HD95, ASSD, HC in mm or AoP in degrees."""
    from fetaledge.data.layouts.open import open_dataset
    from fetaledge.runs.open import open_run
    from fetaledge.runs.run import DOCUMENT
    from fetaledge_runtimes.errors import UsageError

    if (model is None) == (masks is None):
        raise UsageError("evaluate scores either a run or bundle, or --masks", "give one of them")
    dataset = open_dataset(data, images_optional=masks is not None, task=task, progress=say)
    if challenge and dataset.task.challenge is None:
        raise UsageError(
            f"--challenge scores symphysis and head, and {data} is labelled for the task {dataset.task.name}",
            "pass frames labelled 0, 1 and 2",
        )
    if masks is not None:
        from fetaledge.runs.evaluate import evaluate_masks

        if split not in (None, SplitName.ALL) or variant:
            raise UsageError("--masks are scored on all frames of --data", "leave --split and --variant out")
        if fold is not None or base is not None or force:
            raise UsageError("--masks need no model", "leave --fold, --base and --force out")
        records = [evaluate_masks(masks, dataset, challenge)]
    else:
        assert model is not None
        if (model / DOCUMENT).is_file():
            records = [_of_run(open_run(model, fold, base, force), dataset, variant, split, threads, challenge)]
        else:
            if fold is not None or base is not None or force:
                raise UsageError(f"{model} is no run", "leave --fold, --base and --force out")
            records = _of_bundle(model, dataset, variant, split, threads, challenge)
    if as_json:
        print_json(records[0] if len(records) == 1 else {"schema": "fetaledge/evaluations/1", "records": records})
        return
    print_table(_header(dataset.task), [_row(record, dataset.task) for record in records])
    if challenge:
        print()
        print_table(CHALLENGE_HEADER, [_challenge_row(record) for record in records])
        if records[0]["challenge"]["resized"]:
            say("the challenge's score is of label maps resampled to its 256×256 grid")
    if records[0]["synthetic"]:
        say("synthetic frames: these scores say nothing about clinical accuracy")


def _of_run(
    run: Run, dataset: Dataset, variants: list[str], split: str | None, threads: int, challenge: bool
) -> dict[str, Any]:
    from fetaledge.runs.evaluate import check_task, evaluate_run
    from fetaledge_runtimes.errors import UsageError

    if variants:
        raise UsageError(f"{run.folder} is a run, which has no variants", "leave --variant out")
    check_task(run.folder, run.task, dataset)
    return evaluate_run(run, run.frames(dataset, split), threads, challenge)


def _of_bundle(
    folder: Path, dataset: Dataset, variants: list[str], split: str | None, threads: int, challenge: bool
) -> list[dict[str, Any]]:
    from fetaledge.data.split import choose_frames
    from fetaledge.runs.evaluate import check_task, evaluate_variant
    from fetaledge_runtimes.bundle import Bundle
    from fetaledge_runtimes.tasks.registry import task_named

    bundle = Bundle.open(folder)
    check_task(folder, task_named(bundle.manifest.task), dataset)
    frames = choose_frames(dataset, split, bundle.manifest.source)
    if not bundle.manifest.variants:
        bundle.variant()
    names = [bundle.variant(name).name for name in variants] or [variant.name for variant in bundle.manifest.variants]
    records = []
    for name in names:
        say(f"{name}: {len(frames)} frames")
        records.append(evaluate_variant(bundle, name, frames, threads, challenge))
    return records


def _header(task: Task) -> tuple[str, ...]:
    """Columns of :func:`_row`: the Dice of each structure, or Dice in detail where there is one; then each measure."""
    dice = [f"Dice {name.upper()}" for name in task.structures] or ["Dice", "95 % CI", "pooled", "IoU"]
    measures = []
    for measure in task.measures:
        unit = measure.key.rpartition("_")[2]
        measures += [f"{measure.name} MAE {unit}", f"bias {unit}", f"n of {measure.name}", f"{measure.name} lost"]
    return ("variant", "n", *dice, "HD95 px", "HD95 mm", *measures, "misses", "engine")


def _row(record: dict[str, Any], task: Task) -> tuple[str, ...]:
    dice, interval = record["dice"], record["dice"]["ci95"]
    cells = [f"{record['structures'][name]['dice']['mean']:.4f}" for name in task.structures] or [
        f"{dice['mean']:.4f}",
        f"{interval[0]:.4f}–{interval[1]:.4f}" if interval else "–",
        f"{record['dice_pooled10']:.4f}",
        f"{record['iou']['mean']:.4f}",
    ]
    cells.append(f"{record['hd95_px']['mean']:.2f}")
    cells.append(f"{record['hd95_mm']['mean']:.2f}" if record["hd95_mm"]["n"] else "–")
    for measure in task.measures:
        errors = record[measure.key]
        cells += [f"{errors['mae']:.2f}", f"{errors['bias']:+.2f}"] if errors["n"] else ["–", "–"]
        cells += [str(errors["n"]), str(errors["missed"])]
    return (record["variant"], str(record["cases"]), *cells, str(record["failures"]), record["engine"])


def _challenge_row(record: dict[str, Any]) -> tuple[str, ...]:
    scored = record["challenge"]
    return (
        record["variant"],
        str(scored["cases"]),
        *(
            f"{scored[key][part]:.{digits}f}"
            for key, digits in (("dice", 4), ("hd_px", 2), ("asd_px", 2))
            for part in ("fh", "ps", "all")
        ),
        f"{scored['aop_error_deg']:.2f}",
        f"{scored['score']:.4f}",
    )
