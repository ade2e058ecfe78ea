"""``fetaledge predict``."""

from __future__ import annotations

from pathlib import Path

import typer

from fetaledge.cli.output import print_json


def predict(
    bundle: Path = typer.Argument(..., metavar="BUNDLE"),
    inputs: list[Path] = typer.Argument(
        ..., metavar="INPUT...", help="Pictures, videos, DICOM files, or folders of them."
    ),
    variant: str | None = typer.Option(None, help="Default: the bundle's first whose engine is installed."),
    out: Path | None = typer.Option(None, metavar="DIR", help="Write masks, overlays and prediction.json here."),
    pixel_mm: float | None = typer.Option(None, help="Millimetres per pixel, over what a file says."),
    ga_weeks: float | None = typer.Option(None, help="Gestational age by dates, for the HC's centile."),
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
        force=force,
        report=None if as_json else lambda entry: print(one_line(entry, predictor.task), flush=True),
    )
    if as_json:
        print_json(document)
    else:
        for source in document["summary"]:
            if line := summary_line(source, predictor.task):
                print(line)
    raise typer.Exit(exit_code(document))
