"""``fetaledge predict``."""

from __future__ import annotations

from pathlib import Path

import typer

from fetaledge.cli.options import Bits
from fetaledge.cli.output import print_json, say


def predict(
    bundle: Path = typer.Argument(..., metavar="BUNDLE"),
    inputs: list[Path] = typer.Argument(
        ..., metavar="INPUT...", help="Pictures, videos, DICOM files, or folders of them."
    ),
    variant: str | None = typer.Option(None, help="Default: the bundle's first whose engine is installed."),
    out: Path | None = typer.Option(None, metavar="DIR", help="Write masks, overlays and prediction.json here."),
    pixel_mm: float | None = typer.Option(None, help="Millimetres per pixel, over what a file says."),
    ga_weeks: float | None = typer.Option(None, help="Gestational age by dates, for the HC's centile."),
    bits: Bits | None = typer.Option(
        None, help="Bit depth of pictures stored in 16 bits. Default: as they state, or as the brightest of them needs."
    ),
    threads: int = typer.Option(1, help="Threads of the engine."),
    as_json: bool = typer.Option(False, "--json", help="Print one document."),
    force: bool = typer.Option(False, "--force", help="Replace an earlier DIR."),
) -> None:
    """Segment the head and measure it, frame by frame."""
    from fetaledge_runtimes.bundle import Bundle
    from fetaledge_runtimes.predict_files import exit_code, one_line, predict_files, summary_line
    from fetaledge_runtimes.predictor import Predictor

    predictor = Predictor(Bundle.open(bundle), variant, threads)
    document = predict_files(
        predictor,
        inputs,
        out,
        pixel_mm=pixel_mm,
        ga_weeks=ga_weeks,
        bits=None if bits is None else int(bits.value),
        force=force,
        report=None if as_json else lambda entry: print(one_line(entry, predictor.task), flush=True),
    )
    deep = sorted({entry["bits"] for entry in document["frames"]} - {None, 8})
    if deep and bits is None:
        taken = " and ".join(map(str, deep))
        say(f"grey levels were scaled from {taken} bits; set the depth of pictures with --bits if this is wrong")
    if as_json:
        print_json(document)
    else:
        for source in document["summary"]:
            if line := summary_line(source, predictor.task):
                print(line)
    raise typer.Exit(exit_code(document))
