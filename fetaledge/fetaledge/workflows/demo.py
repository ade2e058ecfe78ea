"""The demo: the whole way from a trained run to measured heads, on synthetic frames."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from fetaledge.data.contact_sheet import contact_sheet
from fetaledge.data.layouts.open import open_dataset
from fetaledge.phantoms.registry import phantom_of
from fetaledge.runs.open import open_run
from fetaledge.workflows.benchmark import benchmark_bundle
from fetaledge.workflows.export import export_run
from fetaledge_benchmarks import BenchmarkOptions, BenchmarkRecord, write_report
from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.errors import GateFailed, InputError
from fetaledge_runtimes.files import atomic_folder, atomic_path
from fetaledge_runtimes.predict_files import DOCUMENT, predict_files
from fetaledge_runtimes.predictor import Predictor
from fetaledge_runtimes.tasks.task import STANDARD

if TYPE_CHECKING:
    from fetaledge_export.results import ExportResult

REFERENCES = Path(__file__).resolve().parents[3] / "reference"
"""One run a task, named ``unet-TASK``."""
FRAMES = 48
CALIBRATION_FRAMES = 24
UNSEEN = 24
SHOWN = 6


@dataclass(frozen=True)
class Shown:
    """What the demo made: the export's result, the benchmark's record, and (file, what it is) to look at."""

    export: ExportResult
    record: BenchmarkRecord
    files: tuple[tuple[Path, str], ...]


def demonstrate(out: Path, run: Path | None, task: str, *, force: bool, progress: Callable[[str], None]) -> Shown:
    """Write the folder ``out``: phantoms, a bundle of nine variants, a benchmark report, predictions with overlays.

    Args:
        run: the run to export; None for the repository's reference model of the task.
        task: see ``run``.

    Raises:
        InputError: there is no such run.
        GateFailed: not one variant passed the gate.
        OutputError: ``out`` exists, or cannot be written.
    """
    from fetaledge_export.gate import Limits

    run = run or REFERENCES / f"unet-{task}"
    if not run.is_dir():
        raise InputError(
            f"{run} does not exist", f"pass a run with --run, or train it in the repository: make reference TASK={task}"
        )
    phantom = phantom_of(open_run(run).task.name)
    with atomic_folder(out, force=force, marker="bundle/manifest.json") as folder:
        progress(f"making {FRAMES + UNSEEN} phantoms")
        phantom.write(folder / "frames", FRAMES, 11)
        phantom.write(folder / "unseen", UNSEEN, 12)
        export = export_run(
            run,
            folder / "bundle",
            folder / "frames",
            precisions=("int8", "fp32", "fp16"),
            calibration_frames=CALIBRATION_FRAMES,
            limits=Limits(),
            force=False,
            progress=progress,
        )
        if not export.manifest.variants:
            first = export.variants[0]
            raise GateFailed(f"no variant of {run} passed the gate; {first.name}: {first.said}")
        record = benchmark_bundle(
            folder / "bundle",
            folder / "unseen",
            BenchmarkOptions(samples=30, rounds=2),
            run_folder=run,
            split="all",
            progress=progress,
        )
        write_report(record, folder / "report")
        progress("measuring the unseen frames")
        predictor = Predictor(Bundle.open(folder / "bundle"))
        names = _write_pictures(folder / "unseen", folder / "heads")
        with contextlib.chdir(folder):  # so that the document names the frames as they stand in the demo's folder
            # Phantoms lie the standard way round, and lack the tissue by which a view check tells it on real frames.
            orientation = STANDARD if predictor.task.has_orientation else None
            predict_files(predictor, [Path("heads")], Path("predictions"), orientation=orientation)
        _write_sheet([folder / "predictions" / f"{name}_overlay.png" for name in names], folder / "heads.png")
    files = (
        (out / "bundle/card.md", "the model card"),
        (out / "heads.png", "six frames, segmented and measured"),
        (out / "report/report.html", "the benchmark as a page"),
        (out / "report/latency_dice.png", "latency against Dice"),
        (out / "predictions" / DOCUMENT, "the measures as JSON"),
    )
    return Shown(export, record, files)


def _write_pictures(dataset_folder: Path, folder: Path) -> list[str]:
    """The first frames of a data set as pictures with their ``pixels.csv``, as a user would have them; their names."""
    folder.mkdir()
    dataset = open_dataset(dataset_folder)
    shown = [dataset[index] for index in range(SHOWN)]
    rows = ["filename,row_mm,column_mm"]
    for labelled in shown:
        (folder / f"{labelled.name}.png").write_bytes(cv2.imencode(".png", labelled.frame.pixels)[1].tobytes())
        if labelled.frame.pixel_mm:
            rows.append(f"{labelled.name}.png,{labelled.frame.pixel_mm[0]},{labelled.frame.pixel_mm[1]}")
    (folder / "pixels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return [labelled.name for labelled in shown]


def _write_sheet(overlays: list[Path], path: Path) -> None:
    sheet = contact_sheet([cv2.imread(str(overlay)) for overlay in overlays], columns=3, tile=(405, 600))  # type: ignore[misc]
    with atomic_path(path) as partial:
        partial.write_bytes(cv2.imencode(".png", sheet)[1].tobytes())
