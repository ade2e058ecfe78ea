"""``fetaledge train sam``: a SAM and labelled frames to a run."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from fetaledge.cli.options import TASK
from fetaledge.cli.output import say
from fetaledge.cli.train import app


@app.command()
def sam(
    data: Path = typer.Option(..., help="A data set: PSFHS's layout, HC18's, or images/ + masks/."),
    out: Path = typer.Option(..., metavar="RUN", help="The run folder to write, one sub-folder a fold."),
    task: str | None = TASK,
    base: str = typer.Option(
        ...,
        metavar="FILE|DIR",
        help="sam_vit_b, _l or _h of segment-anything (.pth, .safetensors), a folder of transformers' SamModel, or "
        "random:tiny, random:small, random:vit_b, … for tests.",
    ),
    tune: str = typer.Option(
        "lora", help="What is trained: lora (adapters, prompt encoder, mask decoder), decoder (the last two) or all."
    ),
    adapter: Path | None = typer.Option(None, metavar="FILE", help="Start from this LoRA file of SAMed."),
    rank: int = typer.Option(4, help="Of the adapters on q and v of every encoder block."),
    size: int = typer.Option(512, help="Side of the network's input; the base's positions are resized to it."),
    folds: int = typer.Option(5, help="Contiguous folds by subject; 1 holds out --validation of the subjects."),
    validation: float = typer.Option(0.2, help="Share of the subjects held out with --folds 1."),
    train_count: int | None = typer.Option(None, help="Train on this many of the training frames only."),
    epochs: int = typer.Option(400),
    batch: int = typer.Option(16),
    learning_rate: float = typer.Option(1e-3, help="AdamW's peak, after the warm-up."),
    warmup: int = typer.Option(500, help="Iterations of the learning rate's rise; at most a quarter of all."),
    decay_power: float = typer.Option(7.0, help="Of the polynomial decay after the warm-up."),
    weight_decay: float = typer.Option(0.1),
    dice_weight: float = typer.Option(0.8, help="Of Dice in the loss; the rest is cross-entropy."),
    flip: bool = typer.Option(True, "--flip/--no-flip", help="Whether the run averages in the mirrored frame."),
    restore: str = typer.Option("nearest", help="Masks to the frame's grid: nearest (as published) or bilinear."),
    seed: int = typer.Option(0),
    checkpointing: bool = typer.Option(
        False, "--checkpointing", help="Compute activations twice to save memory: what ViT-H needs."
    ),
    precision: str = typer.Option("auto", help="auto (bf16 where the processor has it), fp32 or bf16."),
    accelerator: str = typer.Option("auto", help="Lightning's: auto, cpu, gpu, …"),
    devices: int = typer.Option(1, help="Lightning's: processes or GPUs on each machine."),
    num_nodes: int = typer.Option(1, help="Lightning's: machines."),
    resume: bool = typer.Option(False, "--resume", help="Go on with an interrupted run."),
    force: bool = typer.Option(False, "--force", help="Replace an earlier run."),
) -> None:
    """Tune a SAM; keep each fold's best epoch by validation Dice."""
    from fetaledge.data.layouts.open import open_dataset
    from fetaledge.training.options import lightning_precision
    from fetaledge.training.sam.recipe import SamRecipe
    from fetaledge.training.sam.train import train_sam
    from fetaledge.training.trainer import Machines
    from fetaledge_runtimes.errors import UsageError

    if resume and force:
        raise UsageError("--resume goes on with a run and --force replaces it", "give one of them")
    if adapter is not None and tune != "lora":
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
        open_dataset(data, task=task, progress=say),
        out,
        recipe,
        base=base,
        adapter=adapter,
        resume=resume,
        force=force,
        machines=Machines(accelerator, devices, num_nodes),
        progress=say,
        bar=sys.stderr.isatty(),
    )
    if run is None:  # one of several processes; the first one reports
        return
    measured = run.document["validation"]
    aop = measured["aop_deg"]
    angle = f", AoP MAE {aop['mae']:.2f} degrees (n = {aop['n']})" if aop and aop["n"] else ""
    synthetic = " (synthetic frames: this says nothing about clinical accuracy)" if measured["synthetic"] else ""
    counted = "1 fold" if run.folds == 1 else f"{run.folds} folds"
    print(
        f"{out}: {counted}, Dice {measured['dice']['mean']:.4f} (n = {measured['cases']}, each frame "
        f"by the fold that has not seen it){angle}, {measured['failures']} total misses{synthetic}"
    )
