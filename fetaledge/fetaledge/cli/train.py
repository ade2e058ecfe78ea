"""``fetaledge train``: labelled frames to a run."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from fetaledge.cli.options import TASK
from fetaledge.cli.output import say

app = typer.Typer(help="Train a model on labelled frames.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def unet(
    data: Path = typer.Option(..., help="A data set: HC18's layout, PSFHS's, or images/ + masks/."),
    out: Path = typer.Option(..., metavar="RUN", help="The run folder to write."),
    task: str | None = TASK,
    strategy: str = typer.Option(
        "decoder",
        help="What is trained: decoder, encoder, decoder-1, decoder-1-2, decoder-1-3, decoder-3-5, decoder-5, "
        "decoder-random-encoder, encoder-random, baseline (a plain U-Net), or all.",
    ),
    init: Path | None = typer.Option(
        None,
        metavar="RUN",
        help="Start from this run's network, size and split; of a run of another task all but the head is taken.",
    ),
    teacher: list[Path] = typer.Option(
        [], metavar="RUN", help="Learn from this run's answers too; several are averaged (their logits)."
    ),
    unlabelled: Path | None = typer.Option(
        None, metavar="DIR", help="Frames to learn from the teachers' answers alone: pictures, cines, or a data set."
    ),
    soft_weight: float | None = typer.Option(
        None, help="Share (0 to 1) of the teachers in the loss of a labelled frame; 0.5 if not given."
    ),
    encoder: str = typer.Option("mobilenet_v2", help="An encoder of segmentation_models_pytorch."),
    encoder_weights: str = typer.Option("imagenet", help="imagenet (fetched), none, or a .safetensors file."),
    decoder_channels: str = typer.Option("256,128,64,32,16", help="Widths of the decoder's blocks, the deepest first."),
    intensity: str = typer.Option("unit", help="unit: grey in 0 to 1; symmetric: -1 to 1."),
    size: int | None = typer.Option(
        None, help="Side of the network's input, a multiple of 32; without it that of --init, or 256."
    ),
    train_count: int | None = typer.Option(None, help="Train on this many of the training frames only."),
    validation: float = typer.Option(0.2, help="Share of the subjects held out."),
    phantoms: int = typer.Option(0, help="Synthetic frames of the data's task mixed into the training."),
    epochs: int = typer.Option(12),
    batch: int = typer.Option(10),
    learning_rate: float = typer.Option(1e-3, help="Peak of the one-cycle schedule; 5e-4 suits --strategy all."),
    seed: int = typer.Option(0),
    frozen_batchnorm: bool = typer.Option(
        True,
        "--frozen-batchnorm/--moving-batchnorm",
        help="Whether a frozen part's batch-norm statistics stay as they are.",
    ),
    precision: str = typer.Option("auto", help="auto (bf16 where the processor has it), fp32 or bf16."),
    half: bool = typer.Option(False, "--half", help="Store the weights in fp16."),
    accelerator: str = typer.Option("auto", help="Lightning's: auto, cpu, gpu, …"),
    devices: int = typer.Option(1, help="Lightning's: processes or GPUs on each machine."),
    num_nodes: int = typer.Option(1, help="Lightning's: machines."),
    resume: bool = typer.Option(False, "--resume", help="Go on with an interrupted run from its last whole epoch."),
    force: bool = typer.Option(False, "--force", help="Replace an earlier run."),
) -> None:
    """Train a U-Net; keep the best epoch by validation Dice."""
    from fetaledge.data.layouts.open import open_dataset
    from fetaledge.runs.open import open_run
    from fetaledge.training.options import lightning_precision
    from fetaledge.training.trainer import Machines
    from fetaledge.training.unet.recipe import Recipe
    from fetaledge.training.unet.train import train_unet
    from fetaledge_runtimes.errors import UsageError

    if resume and force:
        raise UsageError("--resume goes on with a run and --force replaces it", "give one of them")
    try:
        widths = tuple(int(width) for width in decoder_channels.split(","))
    except ValueError:
        raise UsageError(
            f"--decoder-channels {decoder_channels!r} is not a list of whole numbers", "such as 256,128,64,32,16"
        ) from None
    recipe = Recipe(
        strategy=strategy,
        encoder=encoder,
        encoder_weights=encoder_weights,
        decoder_channels=widths,
        intensity=intensity,
        size=size,
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        seed=seed,
        validation=validation,
        train_count=train_count,
        phantoms=phantoms,
        frozen_batchnorm=frozen_batchnorm,
        precision=lightning_precision(precision),
        half=half,
        soft_weight=soft_weight,
    )
    run = train_unet(
        open_dataset(data, task=task, progress=say),
        out,
        recipe,
        init=open_run(init) if init else None,
        teachers=[open_run(folder) for folder in teacher],
        unlabelled=unlabelled,
        resume=resume,
        force=force,
        machines=Machines(accelerator, devices, num_nodes),
        progress=say,
        bar=sys.stderr.isatty(),
    )
    if run is None:  # one of several processes; the first one reports
        return
    measured = run.document["validation"]
    hc, aop = measured["hc_mm"], measured["aop_deg"]
    measure = f", HC MAE {hc['mae']:.2f} mm (n = {hc['n']})" if hc and hc["n"] else ""
    measure += f", AoP MAE {aop['mae']:.2f} degrees (n = {aop['n']})" if aop and aop["n"] else ""
    synthetic = " (synthetic frames: this says nothing about clinical accuracy)" if measured["synthetic"] else ""
    print(
        f"{out}: best epoch {run.document['best']['epoch'] + 1}, Dice {measured['dice']['mean']:.4f} "
        f"(n = {measured['cases']}){measure}, {measured['failures']} total misses{synthetic}"
    )
