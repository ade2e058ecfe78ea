"""``fetaledge train``: labelled frames to a run."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from fetaledge.cli.options import DATA, OUTPUT, DataOption, ForceOption, LayoutOption, TaskOption
from fetaledge.cli.output import say
from fetaledge.cli.train_options import (
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
from fetaledge.models.strategies import StrategyName
from fetaledge.runs.unet_recipe import FoldBy, IntensityScale, Recipe
from fetaledge_runtimes.errors import UsageError

app = typer.Typer(help="Train a model on labelled frames.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def unet(
    data: DataOption,
    out: OutOption,
    task: TaskOption = None,
    layout: LayoutOption = None,
    train_count: TrainCountOption = None,
    validation: float = typer.Option(0.2, help="Share of the subjects held out.", rich_help_panel=DATA),
    fold: str | None = typer.Option(
        None,
        metavar="K/N",
        help="Hold out the Kth of N parts of the subjects instead, in the data's order.",
        rich_help_panel=DATA,
    ),
    fold_by: FoldBy = typer.Option(
        FoldBy.SUBJECT,
        help="Parts of --fold: subjects, or N looks of scanners, the most frequent first.",
        rich_help_panel=DATA,
    ),
    phantoms: int = typer.Option(
        0, help="Number of synthetic frames of the data's task to mix into the training.", rich_help_panel=DATA
    ),
    unlabelled: Path | None = typer.Option(
        None,
        metavar="DIR",
        help="Frames to learn from the teachers' answers alone: pictures, cines, or a data set.",
        rich_help_panel=DATA,
    ),
    init: Path | None = typer.Option(
        None,
        metavar="RUN",
        help="Start from this run's network, size and split; of a run of another task all but the segmentation head "
        "is taken.",
        rich_help_panel=NETWORK,
    ),
    encoder: str = typer.Option(
        "mobilenet_v2", help="An encoder of segmentation_models_pytorch.", rich_help_panel=NETWORK
    ),
    encoder_weights: str = typer.Option(
        "imagenet",
        metavar="imagenet|none|FILE",
        help="First weights of the encoder: ImageNet's (fetched), random ones, or a .safetensors file.",
        rich_help_panel=NETWORK,
    ),
    decoder_channels: str = typer.Option(
        "256,128,64,32,16", help="Widths of the decoder's blocks, the deepest first.", rich_help_panel=NETWORK
    ),
    intensity: IntensityScale = typer.Option(
        IntensityScale.UNIT,
        help="Range of the grey values: unit is 0 to 1, symmetric is -1 to 1.",
        rich_help_panel=NETWORK,
    ),
    size: int | None = typer.Option(
        None,
        help="Side of the network's input in pixels, a multiple of 32 (default: that of --init, or 256).",
        rich_help_panel=NETWORK,
    ),
    strategy: StrategyName = typer.Option(
        StrategyName.DECODER,
        help="Part of the network to train; baseline is a plain U-Net from random weights.",
        rich_help_panel=RECIPE,
    ),
    teacher: list[Path] = typer.Option(
        [],
        metavar="RUN",
        help="Learn from this run's answers too; the logits of several are averaged.",
        rich_help_panel=RECIPE,
    ),
    soft_weight: float | None = typer.Option(
        None,
        help="Weight (0 to 1) of the teachers in the loss of a labelled frame (default: 0.5).",
        rich_help_panel=RECIPE,
    ),
    epochs: EpochsOption = 12,
    batch: BatchOption = 10,
    learning_rate: float = typer.Option(
        1e-3, help="Peak of the one-cycle schedule; 5e-4 suits --strategy all.", rich_help_panel=RECIPE
    ),
    artefacts: float = typer.Option(
        0.0,
        help="Share (0 to 1) of the training frames that get a shadow, marks, a dark side or another artefact.",
        rich_help_panel=RECIPE,
    ),
    frozen_batchnorm: bool = typer.Option(
        True,
        "--frozen-batchnorm/--moving-batchnorm",
        help="Whether the batch-norm statistics of a frozen encoder stay as they are.",
        rich_help_panel=RECIPE,
    ),
    seed: SeedOption = 0,
    precision: PrecisionOption = Precision.AUTO,
    accelerator: AcceleratorOption = Accelerator.AUTO,
    devices: DevicesOption = 1,
    num_nodes: NodesOption = 1,
    workers: WorkersOption = None,
    half: bool = typer.Option(False, "--half", help="Store the weights in fp16.", rich_help_panel=OUTPUT),
    resume: ResumeOption = False,
    force: ForceOption = False,
) -> None:
    """Train a U-Net; keep the best epoch by validation Dice."""
    from fetaledge.data.layouts.open import open_usable
    from fetaledge.runs.open import open_run
    from fetaledge.training.options import lightning_precision
    from fetaledge.training.trainer import TrainerHardware
    from fetaledge.training.unet.train import train_unet

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
        fold=_part(fold) if fold else None,
        fold_by=fold_by,
        train_count=train_count,
        phantoms=phantoms,
        artefacts=artefacts,
        frozen_batchnorm=frozen_batchnorm,
        precision=lightning_precision(precision),
        half=half,
        soft_weight=soft_weight,
    )
    run = train_unet(
        open_usable(data, task=task, layout=layout, progress=say),
        out,
        recipe,
        init=open_run(init) if init else None,
        teachers=[open_run(folder) for folder in teacher],
        unlabelled=unlabelled,
        resume=resume,
        force=force,
        hardware=TrainerHardware(accelerator, devices, num_nodes, workers),
        progress=say,
        bar=sys.stderr.isatty(),
    )
    if run is None:  # one of several processes; the first one reports
        return
    measured, best = run.document.validation, run.document.best
    assert measured is not None and best is not None
    print(
        f"{out}: best epoch {best.epoch + 1}, Dice {measured['dice']['mean']:.4f} "
        f"(n = {measured['cases']}){measures_text(measured, run.task)}{misses_text(measured)}"
    )


def _part(text: str) -> tuple[int, int]:
    """(2, 5) of ``2/5``."""
    part, slash, parts = text.partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal()):
        raise UsageError(f"--fold {text!r} is not K/N", "such as 2/5, the second of five")
    return int(part), int(parts)
