"""Options that ``train unet`` and ``train sam`` share, declared once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

DATA, NETWORK, RECIPE, HARDWARE, OUTPUT = "Data", "Network", "Recipe", "Hardware", "Output"


class Precision(StrEnum):
    """The arithmetic of training; ``auto`` is bf16 where the processor has it."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"


class Accelerator(StrEnum):
    """The kinds of hardware that Lightning trains on; ``gpu`` is any kind of GPU."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"
    CUDA = "cuda"
    MPS = "mps"
    TPU = "tpu"


DataOption = Annotated[
    Path,
    typer.Option(metavar="DIR", help="A data set: HC18's layout, PSFHS's, or images/ + masks/.", rich_help_panel=DATA),
]
OutOption = Annotated[Path, typer.Option(metavar="RUN", help="The run folder to write.", rich_help_panel=OUTPUT)]
TrainCountOption = Annotated[
    int | None, typer.Option(help="Use only this many of the training frames.", rich_help_panel=DATA)
]
EpochsOption = Annotated[int, typer.Option(help="Passes over the training frames.", rich_help_panel=RECIPE)]
BatchOption = Annotated[int, typer.Option(help="Frames in a step.", rich_help_panel=RECIPE)]
SeedOption = Annotated[
    int, typer.Option(help="The same seed gives the same split, order and augmentation.", rich_help_panel=RECIPE)
]
PrecisionOption = Annotated[
    Precision,
    typer.Option(help="Arithmetic of training; auto is bf16 where the processor has it.", rich_help_panel=HARDWARE),
]
AcceleratorOption = Annotated[
    Accelerator, typer.Option(help="Kind of hardware to train on, as Lightning names it.", rich_help_panel=HARDWARE)
]
DevicesOption = Annotated[
    int, typer.Option(help="Number of processes or GPUs on each machine.", rich_help_panel=HARDWARE)
]
NodesOption = Annotated[int, typer.Option(help="Number of machines.", rich_help_panel=HARDWARE)]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        help="Processes for each device that read and augment frames ahead of time (default: up to 8 where a GPU "
        "trains, none on a CPU). The result is the same for any number.",
        rich_help_panel=HARDWARE,
    ),
]
ResumeOption = Annotated[
    bool,
    typer.Option("--resume", help="Go on with an interrupted run from its last whole epoch.", rich_help_panel=OUTPUT),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace an earlier run.", rich_help_panel=OUTPUT)]
