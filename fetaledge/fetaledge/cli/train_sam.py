"""``fetaledge train sam``: a SAM and labelled frames to a run."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from fetaledge.cli.options import DATA, DataOption, ForceOption, LayoutOption, TaskOption
from fetaledge.cli.output import say
from fetaledge.cli.train import app
from fetaledge.cli.train_options import (
    HARDWARE,
    NETWORK,
    RECIPE,
    Accelerator,
    AcceleratorOption,
    BatchOption,
    DevicesOption,
    EpochsOption,
    NodesOption,
    OutOption,
    Precision,
    PrecisionOption,
    ResumeOption,
    SeedOption,
    TrainCountOption,
    WorkersOption,
)
from fetaledge.cli.trained import measures_text, misses_text
from fetaledge.runs.sam_recipe import Restore, SamRecipe, Tune
from fetaledge_runtimes.errors import UsageError


@app.command()
def sam(
    data: DataOption,
    out: OutOption,
    task: TaskOption = None,
    layout: LayoutOption = None,
    base: str = typer.Option(
        ...,
        metavar="FILE|DIR",
        help="sam_vit_b, _l or _h of segment-anything (.pth, .safetensors), a folder of transformers' SamModel, or "
        "random:tiny, random:small, random:vit_b, … for tests.",
        rich_help_panel=NETWORK,
    ),
    folds: int = typer.Option(
        5,
        help="Number of contiguous folds by subject; 1 holds out --validation of the subjects.",
        rich_help_panel=DATA,
    ),
    validation: float = typer.Option(0.2, help="Share of the subjects held out with --folds 1.", rich_help_panel=DATA),
    train_count: TrainCountOption = None,
    adapter: Path | None = typer.Option(
        None, metavar="FILE", help="Start from this LoRA file of SAMed.", rich_help_panel=NETWORK
    ),
    rank: int = typer.Option(
        4, help="Rank of the adapters on q and v of every encoder block.", rich_help_panel=NETWORK
    ),
    size: int = typer.Option(
        512,
        help="Side of the network's input in pixels; the base's positions are resized to it.",
        rich_help_panel=NETWORK,
    ),
    tune: Tune = typer.Option(
        Tune.LORA,
        help="Part to train: lora (adapters, prompt encoder, mask decoder), decoder (the last two) or all.",
        rich_help_panel=RECIPE,
    ),
    epochs: EpochsOption = 400,
    batch: BatchOption = 16,
    learning_rate: float = typer.Option(1e-3, help="AdamW's peak, after the warm-up.", rich_help_panel=RECIPE),
    warmup: int = typer.Option(
        500, help="Steps in which the learning rate rises; at most a quarter of all.", rich_help_panel=RECIPE
    ),
    decay_power: float = typer.Option(
        7.0, help="Power of the polynomial decay after the warm-up.", rich_help_panel=RECIPE
    ),
    weight_decay: float = typer.Option(0.1, help="AdamW's weight decay.", rich_help_panel=RECIPE),
    dice_weight: float = typer.Option(
        0.8, help="Weight of Dice in the loss; the rest is cross-entropy.", rich_help_panel=RECIPE
    ),
    flip: bool = typer.Option(
        True, "--flip/--no-flip", help="Whether the run averages in the mirrored frame.", rich_help_panel=RECIPE
    ),
    restore: Restore = typer.Option(
        Restore.NEAREST,
        help="How masks come to the frame's grid: nearest pixel (as published) or interpolated logits.",
        rich_help_panel=RECIPE,
    ),
    seed: SeedOption = 0,
    checkpointing: bool = typer.Option(
        False,
        "--checkpointing",
        help="Compute activations twice to save memory; ViT-H needs it. If memory is short, training stops and "
        "suggests a batch or size that fits.",
        rich_help_panel=HARDWARE,
    ),
    precision: PrecisionOption = Precision.AUTO,
    accelerator: AcceleratorOption = Accelerator.AUTO,
    devices: DevicesOption = 1,
    num_nodes: NodesOption = 1,
    workers: WorkersOption = None,
    resume: ResumeOption = False,
    force: ForceOption = False,
) -> None:
    """Tune a SAM; keep each fold's best epoch by validation Dice."""
    from fetaledge.data.layouts.open import open_usable
    from fetaledge.training.options import lightning_precision
    from fetaledge.training.sam.train import train_sam
    from fetaledge.training.trainer import TrainerHardware

    if resume and force:
        raise UsageError("--resume goes on with a run and --force replaces it", "give one of them")
    if adapter is not None and tune != Tune.LORA:
        raise UsageError("--adapter is for --tune lora", "leave one of them out")
    recipe = SamRecipe(
        tune=tune,
        rank=rank,
        size=size,
        folds=folds,
        validation=validation,
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        warmup=warmup,
        decay_power=decay_power,
        weight_decay=weight_decay,
        dice_weight=dice_weight,
        flip=flip,
        restore=restore,
        train_count=train_count,
        seed=seed,
        checkpointing=checkpointing,
        precision=lightning_precision(precision),
    )
    run = train_sam(
        open_usable(data, task=task, layout=layout, progress=say),
        out,
        recipe,
        base=base,
        adapter=adapter,
        resume=resume,
        force=force,
        hardware=TrainerHardware(accelerator, devices, num_nodes, workers),
        progress=say,
        bar=sys.stderr.isatty(),
    )
    if run is None:  # one of several processes; the first one reports
        return
    measured = run.document.validation
    assert measured is not None
    counted = "1 fold" if run.folds == 1 else f"{run.folds} folds"
    print(
        f"{out}: {counted}, Dice {measured['dice']['mean']:.4f} (n = {measured['cases']}, each frame "
        f"by the fold that has not seen it){measures_text(measured, run.task)}{misses_text(measured)}"
    )
