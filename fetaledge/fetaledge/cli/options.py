"""Options that several commands share, declared once. A path, a number or a switch gets its default in the command."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fetaledge.cli.choices import choices
from fetaledge_runtimes.plugins import names

DATA, MODEL, DEVICES, OUTPUT = "Data", "Model", "Devices", "Output"
ADDRESS = r"ssh://\[user@]host[:port], adb://SERIAL or local"
"""The kinds of address, as help texts show them: the backslash keeps rich from reading a style."""

if TYPE_CHECKING:
    TaskName = str
    PhantomName = str
    FormatName = str
    LayoutName = str
else:
    TaskName = choices("TaskName", names("fetaledge.tasks"))
    PhantomName = choices("PhantomName", names("fetaledge.phantoms"))
    FormatName = choices("FormatName", names("fetaledge.formats"))
    LayoutName = choices("LayoutName", names("fetaledge.layouts"))


class Bits(StrEnum):
    """Bit depths that pictures stored in 16 bits may have."""

    EIGHT = "8"
    TEN = "10"
    TWELVE = "12"
    SIXTEEN = "16"


class Orientation(StrEnum):
    """Which way round a frame is."""

    STANDARD = "standard"
    MIRRORED = "mirrored"


class SplitName(StrEnum):
    """The frames that a model is scored on: all, or one side of its run's split."""

    ALL = "all"
    TRAIN = "train"
    VALIDATION = "validation"


BundleArgument = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder that fetaledge export wrote.")]
DatasetArgument = Annotated[
    Path,
    typer.Argument(
        metavar="DIR", help="A data set: HC18's layout, PSFHS's, images/ + masks/, or of COCO, LabelMe or CVAT."
    ),
]
DataOption = Annotated[
    Path,
    typer.Option(
        "--data",
        metavar="DIR",
        help="A data set: HC18's layout, PSFHS's, images/ + masks/, or of COCO, LabelMe or CVAT.",
        rich_help_panel=DATA,
    ),
]
TaskOption = Annotated[
    TaskName | None,
    typer.Option(
        "--task",
        help="Task that the labels are for, where the layout leaves it open (default: inferred from values or names).",
        rich_help_panel=DATA,
    ),
]
LayoutOption = Annotated[
    LayoutName | None,
    typer.Option(
        "--layout", help="Layout to read the data set by (default: the one that recognises it).", rich_help_panel=DATA
    ),
]
SplitOption = Annotated[
    SplitName | None,
    typer.Option(
        "--split",
        help="Frames to score, as the run divided its data (default: validation of its own data, all of other data).",
        rich_help_panel=DATA,
    ),
]
VariantsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--variant",
        help="Name of a variant. Repeat it for several (default: all).",
        rich_help_panel=MODEL,
    ),
]
ThreadsOption = Annotated[
    int, typer.Option("--threads", help="Number of threads of the engine.", rich_help_panel=MODEL)
]
FoldOption = Annotated[
    int | None,
    typer.Option(
        "--fold", help="Fold of a SAM run, from 1 (default: the best by validation Dice).", rich_help_panel=MODEL
    ),
]
BaseOption = Annotated[
    Path | None,
    typer.Option("--base", metavar="FILE|DIR", help="Base model of a SAM run, if it was moved.", rich_help_panel=MODEL),
]
EnginesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--engine",
        metavar="PACKAGE==VERSION",
        help="Version of an engine to use on devices, such as onnxruntime==1.22.0. Repeat it for several.",
        rich_help_panel=DEVICES,
    ),
]
IgnoreMemoryOption = Annotated[
    bool,
    typer.Option(
        "--ignore-memory",
        help="Try variants that seem to need more memory than the device has available.",
        rich_help_panel=DEVICES,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print a JSON document instead of text.", rich_help_panel=OUTPUT)
]
OutFileOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Write the JSON document to this file.", rich_help_panel=OUTPUT),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Replace the files of an earlier run of the command.", rich_help_panel=OUTPUT)
]
ForceWithBaseOption = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Replace the files of an earlier run of the command; with --base, accept a base of other weights.",
        rich_help_panel=OUTPUT,
    ),
]
