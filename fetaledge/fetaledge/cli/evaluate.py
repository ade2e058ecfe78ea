"""``fetaledge evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from fetaledge.cli.tables import print_json, print_table, say

HEADER = (
    *("variant", "n", "Dice", "95 % CI", "pooled", "IoU", "HD95 mm"),
    *("HC MAE mm", "bias mm", "n of HC", "misses", "engine"),
)


def evaluate(
    model: Path | None = typer.Argument(None, metavar="RUN|BUNDLE", help="What to score; left out with --masks."),
    data: Path = typer.Option(..., help="Labelled frames."),
    masks: Path | None = typer.Option(
        None, metavar="DIR", help="Score the mask PNGs of this folder, named like the frames."
    ),
    variant: list[str] = typer.Option([], help="A bundle's variant; more than once for several (default: all)."),
    split: str | None = typer.Option(
        None,
        help="all, train or validation, as the run wrote it down (default: validation of its own data, all of other).",
    ),
    threads: int = typer.Option(1, help="Threads of the engine."),
    as_json: bool = typer.Option(False, "--json", help="Print the records as one document."),
) -> None:
    """Score a run, a bundle, or another system's masks: Dice, IoU, HD95, ASSD, head circumference."""
    from fetaledge.data.dataset import open_dataset
    from fetaledge_runtimes.errors import UsageError

    if (model is None) == (masks is None):
        raise UsageError("evaluate scores either a run or bundle, or --masks", "give one of them")
    dataset = open_dataset(data)
    if masks is not None:
        from fetaledge.evaluation import evaluate_masks

        if split not in (None, "all") or variant:
            raise UsageError("--masks are scored on all frames of --data", "leave --split and --variant out")
        records = [evaluate_masks(masks, dataset)]
    else:
        assert model is not None
        records = _records(model, dataset, variant, split, threads)
    if as_json:
        print_json(records[0] if len(records) == 1 else {"schema": "fetaledge/evaluations/1", "records": records})
        return
    print_table(HEADER, [_row(record) for record in records])
    if records[0]["synthetic"]:
        say("synthetic frames: these scores say nothing about clinical accuracy")


def _records(model: Path, dataset: Any, variants: list[str], split: str | None, threads: int) -> list[dict[str, Any]]:
    from fetaledge.data.split import choose_frames
    from fetaledge.evaluation import evaluate_run, evaluate_variant
    from fetaledge.training.run import DOCUMENT, Run
    from fetaledge_runtimes.bundle import Bundle
    from fetaledge_runtimes.errors import UsageError

    if (model / DOCUMENT).is_file():
        if variants:
            raise UsageError(f"{model} is a run, which has no variants", "leave --variant out")
        run = Run.open(model)
        return [evaluate_run(run, run.frames(dataset, split), threads)]
    bundle = Bundle.open(model)
    frames = choose_frames(dataset, split, bundle.manifest.source)
    if not bundle.manifest.variants:
        bundle.variant()
    names = [bundle.variant(name).name for name in variants] or [variant.name for variant in bundle.manifest.variants]
    records = []
    for name in names:
        say(f"{name}: {len(frames)} frames")
        records.append(evaluate_variant(bundle, name, frames, threads))
    return records


def _row(record: dict[str, Any]) -> tuple[str, ...]:
    dice, hc, interval = record["dice"], record["hc_mm"], record["dice"]["ci95"]
    return (
        record["variant"],
        str(record["cases"]),
        f"{dice['mean']:.4f}",
        f"{interval[0]:.4f}–{interval[1]:.4f}" if interval else "–",
        f"{record['dice_pooled10']:.4f}",
        f"{record['iou']['mean']:.4f}",
        f"{record['hd95_mm']['mean']:.2f}" if record["hd95_mm"]["n"] else "–",
        f"{hc['mae']:.2f}" if hc["n"] else "–",
        f"{hc['bias']:+.2f}" if hc["n"] else "–",
        str(hc["n"]),
        str(record["failures"]),
        record["engine"],
    )
