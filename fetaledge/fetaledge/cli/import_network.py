"""``fetaledge import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fetaledge.cli.options import DATA, MODEL, OUTPUT, ForceOption, TaskName
from fetaledge.cli.output import say
from fetaledge.runs.import_intensity import ImportIntensity, InputRange
from fetaledge_runtimes.errors import UsageError

INPUT = "Input"


def import_network(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|DIR",
            help="Weights: .pth, .ckpt or .safetensors, or the folder of save_pretrained.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="RUN", help="The run folder to write.", rich_help_panel=OUTPUT)],
    encoder: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Encoder, as segmentation_models_pytorch names it (default: as config.json says).",
            rich_help_panel=MODEL,
        ),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Class of segmentation_models_pytorch: Unet, FPN, DeepLabV3Plus, MAnet, … (default: as config.json "
            "says, else Unet).",
            rich_help_panel=MODEL,
        ),
    ] = None,
    argument: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Another argument of that class, such as decoder_attention_type=scse. Repeat it for several.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    task: Annotated[
        TaskName | None,
        typer.Option(help="Task of the outputs (default: that with as many classes).", rich_help_panel=DATA),
    ] = None,
    size: Annotated[
        str,
        typer.Option(
            metavar="SIDE|HEIGHTxWIDTH", help="Size of the input that it was trained on, pixels.", rich_help_panel=INPUT
        ),
    ] = "256",
    intensity: Annotated[
        InputRange,
        typer.Option(
            help="Range that it was trained on: 0 to 1, -1 to 1, 0 to 1 by ImageNet's mean and std, or 0 to 255.",
            rich_help_panel=INPUT,
        ),
    ] = InputRange.UNIT,
    mean: Annotated[
        str | None,
        typer.Option(
            metavar="M[,M,M]", help="Mean that was subtracted, of values in that range.", rich_help_panel=INPUT
        ),
    ] = None,
    std: Annotated[
        str | None,
        typer.Option(metavar="S[,S,S]", help="Standard deviation that was then divided by.", rich_help_panel=INPUT),
    ] = None,
    force: ForceOption = False,
) -> None:
    """Make a run of a network of segmentation_models_pytorch that was trained elsewhere."""
    from fetaledge.workflows.import_network import import_network

    run = import_network(
        source,
        out,
        architecture=architecture,
        encoder=encoder,
        arguments=argument or [],
        task=task,
        size=size,
        intensity=ImportIntensity(intensity, _numbers("--mean", mean), _numbers("--std", std)),
        force=force,
    )
    document = run.document
    built, file = document.architecture, document.imported
    if file.left_out:
        names = ", ".join(file.left_out[:5]) + (", …" if len(file.left_out) > 5 else "")
        say(f"left out {len(file.left_out)} tensors that are not the network's: {names}")
    height, width = run.size
    outputs = "one output less the other" if file.outputs > built.classes else _counted(built.classes, "output")
    channels = _counted(built.channels, "channel")
    say(
        f"taken for: task {document.task} ({outputs}), input {height}×{width} in {channels}, "
        f"intensity {intensity}{f' by mean {mean} and std {std}' if mean else ''}"
    )
    say(f"wrote {out}: {built.name} of {built.encoder}; nobody knows which frames it was trained on")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}"


def _numbers(flag: str, text: str | None) -> tuple[float, ...]:
    try:
        return () if text is None else tuple(float(number) for number in text.split(","))
    except ValueError:
        raise UsageError(f"{flag} {text} is no number, or three", "such as 0.5, or 0.485,0.456,0.406") from None
