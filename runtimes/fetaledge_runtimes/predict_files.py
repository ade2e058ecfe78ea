"""Predictions of whole files, and the document and pictures that come of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import cv2

from fetaledge_runtimes.errors import BundleError, InputError
from fetaledge_runtimes.files import atomic_folder, write_json
from fetaledge_runtimes.frames.frame import Frame, Image
from fetaledge_runtimes.frames.read import depth_of, list_files, read_frames
from fetaledge_runtimes.frames.spacing import OPTION, Given, check_pixel_mm, unmatched_rows
from fetaledge_runtimes.notice import NOTICE
from fetaledge_runtimes.predict_documents import prediction_type
from fetaledge_runtimes.predict_summary import summary_of
from fetaledge_runtimes.predictor import Prediction, Predictor
from fetaledge_runtimes.records import from_json
from fetaledge_runtimes.tasks.registry import tasks
from fetaledge_runtimes.tasks.task import MIRRORED, Task

SCHEMA = "fetaledge/prediction/1"
DOCUMENT = "prediction.json"
UNREADABLE = "unreadable"
UNKNOWN = (
    "pixel_mm", "spacing_from", "depth_mm", "bits", "orientation", "region", "crop", "quality", "mask", "overlay",
    "latency_ms",
)  # fmt: skip


def predict_files(
    predictor: Predictor,
    inputs: Sequence[Path],
    out: Path | None = None,
    *,
    pixel_mm: Given | None = None,
    region: int | None = None,
    ga_weeks: float | None = None,
    orientation: str | None = None,
    bits: int | None = None,
    force: bool = False,
    report: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Predict pictures, videos, DICOM files and folders of them; the document ``fetaledge/prediction/1``.

    Each frame gives one entry of ``frames``. Measures and ages are null unless its status is ``ok``. A file that turns
    out damaged gives an entry of status ``unreadable`` with its message, after its whole frames, and the others go on.
    ``summary`` has one entry a file, or a region of a DICOM file: the counts by status, and the median circumference,
    or angle of progression, of its ``ok`` frames; a cine of which fewer than half are ``ok`` gives no median.

    Args:
        out: a folder for ``<stem>_mask.png`` (frame size; 0 and 255, for ``ps-fh`` the labels 0, 1 and 2),
            ``<stem>_overlay.png`` and ``prediction.json``; a cine's frames are numbered, ``<stem>_0007_mask.png``. It
            appears when all is done, or not at all.
        pixel_mm: spacing in mm, one number or (row, column), that takes the place of what the files say; see
            :func:`read_frames`.
        region: which B-mode region of DICOM files to read, from 1; without it each is a frame of its own.
        ga_weeks: age by dates, for the centile.
        orientation: ``standard`` or ``mirrored``: see :meth:`Predictor.__call__`. Masks, overlays and
            points lie on the frame's own grid.
        bits: depth of pictures stored in 16 bits; see :func:`read_frames`. Without it the pictures of each input share
            one.
        force: replace ``out`` where it holds a ``prediction.json``.
        report: called with each entry as it comes.

    Raises:
        UsageError: ``pixel_mm``, ``ga_weeks`` or ``orientation`` make no sense.
        InputError: an input is missing or of no readable kind; or there is one file only, without a readable frame.
        BundleError: the model takes frames of another size than the manifest says.
        OutputError: ``out`` exists, or cannot be written.
    """
    if pixel_mm is not None:
        check_pixel_mm(pixel_mm)
    task = predictor.task
    task.check_age(ga_weeks)
    task.check_orientation(orientation)
    groups = [(group, depth_of(group, bits)) for group in map(list_files, inputs)]
    files = [file for group, _ in groups for file in group]
    with atomic_folder(out, force=force, marker=DOCUMENT) if out is not None else nullcontext() as folder:
        stems = _Stems()
        entries: list[dict[str, Any]] = []
        parts: dict[tuple[str, int | None], list[dict[str, Any]]] = {}
        folders = [] if pixel_mm is not None else _folders(files)
        remarks = dict.fromkeys(remark for parent in folders for remark in _table_remarks(parent))
        for file, depth in [(file, depth) for group, depth in groups for file in group]:

            def add(entry: dict[str, Any], source: str = str(file)) -> None:
                entries.append(entry)
                parts.setdefault((source, entry["region"]), []).append(entry)
                if report:
                    report(entry)

            earlier = len(entries)
            try:
                for frame, name in _named(read_frames(file, pixel_mm, depth, region), file.stem, stems):
                    add(_entry(predictor(frame, orientation), task, name, folder, ga_weeks, orientation))
                    if frame.remark:
                        remarks[frame.remark] = None
            except InputError as error:
                if (len(files) == 1 and len(entries) == earlier) or isinstance(error, BundleError):
                    raise
                add(_unreadable(file, error))
        document = {
            "schema": SCHEMA,
            "notice": NOTICE,
            "task": task.name,
            "variant": predictor.variant_name,
            "engine": predictor.engine.name,
            "engine_version": predictor.engine.version,
            "view_check": predictor.view is not None,
            "remarks": list(remarks),
            **{key: None for other in tasks() for key in other.definitions},
            **task.definitions,
            "frames": entries,
            "summary": [summary_of(source, own, task, part) for (source, part), own in parts.items()],
        }
        from_json(document, prediction_type(), "the prediction")
        if folder is not None:
            write_json(folder / DOCUMENT, document)
    return document


def one_line(entry: Mapping[str, Any], task: Task) -> str:
    """An entry of ``frames`` as a line for people."""
    name = entry["source"] if not entry["index"] else f"{entry['source']} [{entry['index']}]"
    if entry["region"] is not None:
        name += f" region {entry['region']}"
    if entry["status"] == UNREADABLE:
        return f"{name}  {UNREADABLE}: {entry['message']}"
    found = task.lines(entry) if entry["status"] == "ok" else [entry["status"]]
    by = entry["spacing_from"]
    spacing = [f"spacing by {by}"] if by not in (None, OPTION) and entry["status"] == "ok" else []
    return "  ".join([name, *found, *_view_lines(entry), *spacing])


def exit_code(document: Mapping[str, Any]) -> int:
    """0, or 3 where a file was unreadable."""
    return 3 if any(entry["status"] == UNREADABLE for entry in document["frames"]) else 0


def _view_lines(entry: Mapping[str, Any]) -> list[str]:
    """What people read of an entry's orientation, where it is not the standard one."""
    return ["mirrored view, flipped"] if entry["orientation"] == MIRRORED else []


def _depth_lines(entry: Mapping[str, Any]) -> list[str]:
    """The scan's height in mm and what stated the spacing: a stale spacing shows nowhere else."""
    return [] if entry["depth_mm"] is None else [f"depth {entry['depth_mm']:.0f} mm by {entry['spacing_from']}"]


class _Stems:
    """File stems, told apart where two inputs share one."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def unique(self, stem: str) -> str:
        name, number = stem, 1
        while name in self._used:
            number += 1
            name = f"{stem}-{number}"
        self._used.add(name)
        return name


def _table_remarks(folder: Path) -> list[str]:
    """What is to be said of the tables of a folder; of one that cannot be used, each file that needs it says more."""
    try:
        return unmatched_rows(folder)
    except InputError as error:
        return [error.message]


def _folders(files: Sequence[Path]) -> list[Path]:
    return list(dict.fromkeys(file.parent for file in files))


def _named(frames: Iterator[Frame], stem: str, stems: _Stems) -> Iterator[tuple[Frame, str]]:
    """Each frame with a name of its own: numbered in a cine, and with the region where there are several."""
    stem = stems.unique(stem)
    first: list[Frame] = []
    error = None
    try:
        for frame in frames:
            first.append(frame)
            if frame.index:
                break
    except InputError as caught:
        error = caught
    cine = error is not None or (bool(first) and first[-1].index > 0)
    for frame in chain(first, () if error else frames):
        number = f"_{frame.index:04d}" if cine else ""
        name = stem + number + (f"_region{frame.region}" if frame.region else "")
        yield frame, name if name == stem else stems.unique(name)
    if error is not None:
        raise error


def _entry(
    prediction: Prediction, task: Task, name: str, folder: Path | None, ga_weeks: float | None, orientation: str | None
) -> dict[str, Any]:
    frame, measured = prediction.frame, prediction.measured
    if ga_weeks is not None and measured.status == "ok":
        measured = replace(measured, status=task.contradicts_age(measured, ga_weeks) or "ok")
    entry: dict[str, Any] = {
        "source": frame.source,
        "index": frame.index,
        "status": measured.status,
        "pixel_mm": None if frame.pixel_mm is None else list(frame.pixel_mm),
        "spacing_from": frame.spacing_from,
        "depth_mm": None if frame.pixel_mm is None else frame.pixel_mm[0] * _rows(prediction),
        "bits": frame.bits,
        "orientation": orientation,
        "region": frame.region,
        "crop": None if prediction.crop is None else prediction.crop.as_list(),
        "quality": prediction.quality,
        **_no_values(),
        **task.entry(measured, ga_weeks),
        "mask": None if folder is None else f"{name}_mask.png",
        "overlay": None if folder is None else f"{name}_overlay.png",
        "latency_ms": prediction.latency_ms,
    }
    if folder is not None:
        lines = task.lines(entry) if measured.status == "ok" else ["no measure", measured.status]
        lines += [*_view_lines(entry), *_depth_lines(entry)]
        _write_png(folder / entry["mask"], task.picture(prediction.mask))
        _write_png(folder / entry["overlay"], task.draw(frame, prediction.mask, measured, lines))
    return entry


def _rows(prediction: Prediction) -> int:
    """Pixels from top to bottom of the part that was segmented."""
    return len(prediction.frame.pixels) if prediction.crop is None else prediction.crop.height


def _no_values() -> dict[str, Any]:
    """The keys of every installed task, as they stand in an entry without a value."""
    return {key: value for task in tasks() for key, value in task.entry(None).items()}


def _unreadable(file: Path, error: InputError) -> dict[str, Any]:
    return {
        "source": str(file),
        "index": 0,
        "status": UNREADABLE,
        **dict.fromkeys(UNKNOWN),
        **_no_values(),
        "message": str(error),
    }


def _write_png(path: Path, pixels: Image) -> None:
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
