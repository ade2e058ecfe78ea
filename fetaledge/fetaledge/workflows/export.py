"""A run and its data to a bundle: which frames calibrate, which gate, and which stand for the self-test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fetaledge.data.dataset import Dataset, Subset
from fetaledge.data.layouts.hc18 import Hc18
from fetaledge.data.layouts.open import open_usable
from fetaledge.data.split import draw_frames, split_by_subject, training_remark
from fetaledge.phantoms.registry import phantom_of
from fetaledge.runs.imported_run import ImportedRun
from fetaledge.runs.open import open_run
from fetaledge.runs.run import Run, TrainedRun
from fetaledge.runs.sam_run import SamRun
from fetaledge.runs.unet_run import UnetRun
from fetaledge_runtimes.errors import UsageError
from fetaledge_runtimes.files import refuse_existing
from fetaledge_runtimes.plugins import names
from fetaledge_runtimes.records import to_json

if TYPE_CHECKING:
    from fetaledge_export.gate import Limits
    from fetaledge_export.results import ExportResult

GOLDEN_SEEDS = (901, 902, 903, 904)
FORMATS = "fetaledge.formats"


def export_run(
    run_folder: Path,
    out: Path,
    data: Path,
    *,
    precisions: Sequence[str],
    formats: Sequence[str] = (),
    calibration_frames: int,
    limits: Limits,
    allow_unmeasured: bool = False,
    force: bool,
    progress: Callable[[str], None],
    fold: int | None = None,
    base: Path | None = None,
    task: str | None = None,
    layout: str | None = None,
) -> ExportResult:
    """Export a run; of a SAM run one fold, merged: ``fold``, from 1, or that of the best validation Dice.

    On the run's own data, calibration frames are drawn from its training side and the gate takes its whole validation
    side. Of other data, half of the subjects are for calibration and half for the gate; so it is of an imported
    network, which may have been trained on either: progress, record and card say so.

    Args:
        formats: default: all that are installed.
        allow_unmeasured: let a variant in of which the gate could not judge a measure.
        base: where a SAM run's base is, if not where the run says; with ``force`` one of other weights will do.
        force: replace an earlier bundle.
        task: what the labels mark, if it is not to be inferred.
        layout: the name of the data set's layout, if it is not to be recognised.

    Raises:
        UsageError, InputError, OutputError: as the run, the data and ``export_bundle`` say.
    """
    unknown = [name for name in formats if name not in names(FORMATS)]
    if unknown:
        raise UsageError(f"there is no format {unknown[0]!r}", f"choose from {', '.join(names(FORMATS))}")
    if calibration_frames < 1:
        raise UsageError(f"--calibration-frames {calibration_frames} is below 1", "64 is the default")
    run = _open(run_folder, fold, base, force and base is not None)
    limits.document(run.task)
    refuse_existing(out, force)
    dataset = open_usable(data, task=task, layout=layout, progress=progress)
    dataset.check_task(run.task, run_folder)
    phantom = phantom_of(run.task.name)
    network = run.network()
    if remark := training_remark(run.seen()):
        progress(remark)
    calibration, validation = _sides(run, dataset, calibration_frames)

    from fetaledge_export.export import export_bundle

    return export_bundle(
        network,
        out=out,
        name=out.resolve().name,
        task=run.task,
        size=run.size,
        scale=run.scale,
        offset=run.offset,
        calibration=calibration,
        validation=validation,
        golden=[phantom.labelled(seed).frame for seed in GOLDEN_SEEDS],
        source=run.source(),
        view=run.view,
        data=_data(run, dataset, len(validation)),
        data_note=_data_note(run, dataset),
        formats=tuple(dict.fromkeys(formats)) or None,
        precisions=precisions,
        limits=limits,
        allow_unmeasured=allow_unmeasured,
        force=force,
        progress=progress,
    )


def _open(folder: Path, fold: int | None, base: Path | None, any_base: bool) -> Run:
    run = open_run(folder, fold, base, any_base)
    return open_run(folder, run.best_fold, base, any_base) if fold is None and isinstance(run, SamRun) else run


def _sides(run: Run, dataset: Dataset, count: int) -> tuple[Subset, Subset]:
    """(calibration, validation) frames; their subjects never overlap, and nothing is gated on a training frame."""
    frames = run.frames(dataset, None)
    seed = run.seed
    if frames is dataset or not isinstance(run, TrainedRun):
        calibration_names, validation_names = split_by_subject(dataset.items, 0.5, seed)
        training, validation = dataset.only(calibration_names), dataset.only(validation_names)
    else:
        training, validation = dataset.only(run.split.train), dataset.only(run.split.validation)
    return dataset.only(draw_frames(training.items, min(count, len(training)), seed)), validation


def _data(run: Run, dataset: Dataset, count: int) -> str:
    """The frames of the gate, in words."""
    if isinstance(run, ImportedRun):
        return f"{dataset.name}, {count} frames, among which may be some that the imported network was trained on"
    return f"{dataset.name}, {count} validation frames"


def _data_note(run: Run, dataset: Dataset) -> str:
    """Licence and attribution of the data behind a bundle, for its card."""
    if not isinstance(run, TrainedRun):
        return (
            f"Imported from {run.seen()['imported']}: of the frames that it was trained on nothing is known. "
            f"Calibrated and gated on {source_text(dataset.facts())}."
        )
    remark = training_remark(run.seen())
    trained = f"Trained on {source_text(to_json(run.document.data))}."
    trained += f" {remark[0].upper()}{remark[1:]}." if remark else ""
    phantoms = run.document.recipe.phantoms if isinstance(run, UnetRun) else 0
    mixed = f" {phantoms} synthetic frames were mixed in." if phantoms else ""
    if dataset.fingerprint() == run.document.data.fingerprint:
        return f"{trained}{mixed}"
    return f"{trained}{mixed} Calibrated and gated on other data: {source_text(dataset.facts())}."


def source_text(data: Mapping[str, Any]) -> str:
    """How to name and cite the frames of :meth:`Dataset.facts`.

    Runs of earlier versions kept neither attribution nor licence: HC18 was told by its folder's name.
    """
    if data["synthetic"]:
        return "synthetic frames made by fetaledge"
    attribution, licence = data.get("attribution"), data.get("licence")
    if "attribution" not in data and data["name"].lower().startswith("hc18"):
        attribution, licence = Hc18.ATTRIBUTION, Hc18.LICENCE
    if not attribution and not licence:
        return f"{data['name']}, of whose source and licence nothing was stated"
    return f"{attribution or data['name']}, licence: {licence or 'not stated'}"
