"""``fetaledge evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fetaledge.cli.options import (
    MODEL,
    OUTPUT,
    BaseOption,
    DataOption,
    ForceWithBaseOption,
    JsonOption,
    LayoutOption,
    OutFileOption,
    SplitName,
    SplitOption,
    TaskOption,
    ThreadsOption,
    VariantsOption,
)
from fetaledge.cli.output import check_out, deliver, print_table, say

if TYPE_CHECKING:
    from fetaledge.data.dataset import Dataset
    from fetaledge.runs.run import Run
    from fetaledge_runtimes.tasks.task import Task


SYSTEM = "Other system"
CHALLENGE_HEADER = (
    *("as the challenge", "n", "Dice FH", "PS", "all", "HD px FH", "PS", "all", "ASD px FH", "PS", "all"),
    *("AoP error deg", "score"),
)


def evaluate(
    model: Annotated[
        Path | None,
        typer.Argument(metavar="RUN|BUNDLE", help="Run or bundle to score; leave it out with --masks."),
    ] = None,
    *,
    data: DataOption,
    task: TaskOption = None,
    layout: LayoutOption = None,
    split: SplitOption = None,
    variant: VariantsOption = None,
    fold: Annotated[
        int | None,
        typer.Option(help="One fold of a SAM run, from 1 (default: all folds together).", rich_help_panel=MODEL),
    ] = None,
    base: BaseOption = None,
    threads: ThreadsOption = 1,
    masks: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Score the masks of this folder, PNG or .mha, named like the frames.",
            rich_help_panel=SYSTEM,
        ),
    ] = None,
    challenge: Annotated[
        bool,
        typer.Option(
            "--challenge",
            help="Also score as the challenge PS-FH-AOP does, for frames with symphysis and head.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    as_json: JsonOption = False,
    out: OutFileOption = None,
    force: ForceWithBaseOption = False,
) -> None:
    """Score a run, a bundle, or another system's masks: Dice, IoU, HD95, ASSD, HC in mm or AoP in degrees."""
    from fetaledge.data.layouts.open import open_usable
    from fetaledge.runs.evaluate import Evaluations, evaluate_masks
    from fetaledge.runs.open import open_run
    from fetaledge.runs.run import DOCUMENT
    from fetaledge_runtimes.errors import UsageError

    check_out(out, force)
    variants = variant or []
    if (model is None) == (masks is None):
        raise UsageError("evaluate scores either a run or bundle, or --masks", "give one of them")
    dataset = open_usable(data, images_optional=masks is not None, task=task, layout=layout, progress=say)
    if challenge and dataset.task.challenge is None:
        raise UsageError(
            f"--challenge scores symphysis and head, and {data} is labelled for the task {dataset.task.name}",
            "pass frames labelled 0, 1 and 2",
        )
    if masks is not None:
        if split not in (None, SplitName.ALL) or variants:
            raise UsageError("--masks are scored on all frames of --data", "leave --split and --variant out")
        if fold is not None or base is not None or (force and out is None):
            raise UsageError("--masks need no model", "leave --fold, --base and --force out")
        records = [evaluate_masks(masks, dataset, challenge)]
    else:
        assert model is not None
        if not model.is_dir() or (model / DOCUMENT).is_file():
            records = [_of_run(open_run(model, fold, base, force), dataset, variants, split, threads, challenge)]
        else:
            if fold is not None or base is not None or (force and out is None):
                raise UsageError(f"{model} is no run", "leave --fold, --base and --force out")
            records = _of_bundle(model, dataset, variants, split, threads, challenge)
    deliver(records[0] if len(records) == 1 else Evaluations(records=records), out, as_json)
    if as_json:
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
    from fetaledge.data.split import training_remark
    from fetaledge.runs.evaluate import evaluate_run
    from fetaledge_runtimes.errors import UsageError

    if variants:
        raise UsageError(f"{run.folder} is a run, which has no variants", "leave --variant out")
    dataset.check_task(run.task, run.folder)
    if remark := training_remark(run.seen()):
        say(remark)
    return evaluate_run(run, run.frames(dataset, split), threads, challenge)


def _of_bundle(
    folder: Path, dataset: Dataset, variants: list[str], split: str | None, threads: int, challenge: bool
) -> list[dict[str, Any]]:
    from fetaledge.data.split import choose_frames, training_remark
    from fetaledge.runs.evaluate import evaluate_variant
    from fetaledge_runtimes.bundle import Bundle
    from fetaledge_runtimes.tasks.registry import task_named

    bundle = Bundle.open(folder)
    dataset.check_task(task_named(bundle.manifest.task), folder)
    frames = choose_frames(dataset, split, bundle.manifest.source)
    if remark := training_remark(bundle.manifest.source):
        say(remark)
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
