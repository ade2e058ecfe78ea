"""``fetaledge predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fetaledge.cli.options import (
    DATA,
    MODEL,
    OUTPUT,
    Bits,
    BundleArgument,
    ForceOption,
    JsonOption,
    Orientation,
    ThreadsOption,
)
from fetaledge.cli.output import deliver, say
from fetaledge_runtimes.errors import UsageError
from fetaledge_runtimes.frames.spacing import Given, parse_pixel_mm


def _spacing(text: str) -> Given:
    try:
        return parse_pixel_mm(text)
    except ValueError:
        raise UsageError(f"--pixel-mm is {text!r}", "give a number or two, such as 0.15 or 0.15,0.2") from None


def predict(
    bundle: BundleArgument,
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="Pictures, videos, DICOM files, or folders of them.")
    ],
    pixel_mm: Annotated[
        str | None,
        typer.Option(
            metavar="MM|ROW,COLUMN",
            help="Millimetres per pixel, in place of those that a file states.",
            rich_help_panel=DATA,
        ),
    ] = None,
    region: Annotated[
        int | None,
        typer.Option(metavar="N", help="B-mode region of DICOM files (default: all of them).", rich_help_panel=DATA),
    ] = None,
    ga_weeks: Annotated[
        float | None,
        typer.Option(help="Gestational age by dates, for the centile of the HC.", rich_help_panel=DATA),
    ] = None,
    orientation: Annotated[
        Orientation | None,
        typer.Option(
            help="View of transperineal frames (default: standard, the mother's head to the left).",
            rich_help_panel=DATA,
        ),
    ] = None,
    bits: Annotated[
        Bits | None,
        typer.Option(
            help="Bit depth of pictures stored in 16 bits (default: as they state, or as the brightest of them needs).",
            rich_help_panel=DATA,
        ),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(
            help="Name of a variant (default: the bundle's first whose engine is installed).", rich_help_panel=MODEL
        ),
    ] = None,
    threads: ThreadsOption = 1,
    as_json: JsonOption = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write masks, overlays and prediction.json to this folder.", rich_help_panel=OUTPUT
        ),
    ] = None,
    force: ForceOption = False,
) -> None:
    """Segment the head and measure it, frame by frame."""
    from fetaledge_runtimes.bundle import Bundle
    from fetaledge_runtimes.predict_files import exit_code, one_line, predict_files
    from fetaledge_runtimes.predict_summary import summary_line
    from fetaledge_runtimes.predictor import Predictor

    predictor = Predictor(Bundle.open(bundle), variant, threads)
    document = predict_files(
        predictor,
        inputs,
        out,
        pixel_mm=None if pixel_mm is None else _spacing(pixel_mm),
        region=region,
        ga_weeks=ga_weeks,
        orientation=None if orientation is None else orientation.value,
        bits=None if bits is None else int(bits.value),
        force=force,
        report=None if as_json else lambda entry: print(one_line(entry, predictor.task), flush=True),
    )
    for remark in filter(None, (predictor.view_remark, *document["remarks"])):
        say(remark)
    deep = sorted({entry["bits"] for entry in document["frames"]} - {None, 8})
    if deep and bits is None:
        taken = " and ".join(map(str, deep))
        say(f"grey levels were scaled from {taken} bits; set the depth of pictures with --bits if this is wrong")
    if as_json:
        deliver(document, None, as_json)
    else:
        for source in document["summary"]:
            if line := summary_line(source, predictor.task):
                print(line)
    raise typer.Exit(exit_code(document))
