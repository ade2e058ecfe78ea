"""Predictions of whole files, and the document and pictures that come of them."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import Any

import cv2

from fetaledge_runtimes.draw.head import draw_head
from fetaledge_runtimes.draw.ps_fh import draw_progression
from fetaledge_runtimes.errors import BundleError, InputError, UsageError
from fetaledge_runtimes.files import atomic_folder, write_json
from fetaledge_runtimes.frames.frame import Frame, Image
from fetaledge_runtimes.frames.read import depth_of, list_files, read_frames
from fetaledge_runtimes.frames.spacing import check_pixel_mm
from fetaledge_runtimes.notice import NOTICE
from fetaledge_runtimes.predictor import Prediction, Predictor
from fetaledge_runtimes.tasks.head import hc_centile
from fetaledge_runtimes.tasks.ps_fh import HSD_DEFINITION

SCHEMA = "fetaledge/prediction/1"
DOCUMENT = "prediction.json"
UNREADABLE = "unreadable"


def predict_files(
    predictor: Predictor,
    inputs: Sequence[Path],
    out: Path | None = None,
    *,
    pixel_mm: float | None = None,
    ga_weeks: float | None = None,
    bits: int | None = None,
    force: bool = False,
    report: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Predict pictures, videos, DICOM files and folders of them; the document ``fetaledge/prediction/1``.

    Each frame gives one entry of ``frames``. Measures and ages are null unless its status is ``ok``. A file that turns
    out damaged gives an entry of status ``unreadable`` with its message, and the others go on. ``summary`` has one
    entry a file: the counts by status, and the median circumference, or angle of progression, of its ``ok`` frames.

    Args:
        out: a folder for ``<stem>_mask.png`` (frame size; 0 and 255, for ``ps-fh`` the labels 0, 1 and 2),
            ``<stem>_overlay.png`` and ``prediction.json``; a cine's frames are numbered, ``<stem>_0007_mask.png``. It
            appears when all is done, or not at all.
        pixel_mm: spacing in mm that takes the place of what the files say.
        ga_weeks: age by dates, for the centile.
        bits: depth of pictures stored in 16 bits; see :func:`read_frames`. Without it the pictures of each input share
            one.
        force: replace ``out`` where it holds a ``prediction.json``.
        report: called with each entry as it comes.

    Raises:
        UsageError: ``pixel_mm``, ``ga_weeks`` or ``bits`` make no sense.
        InputError: an input is missing or of no readable kind; or there is one file only, and it is damaged.
        BundleError: the model takes frames of another size than the manifest says.
        OutputError: ``out`` exists, or cannot be written.
    """
    if pixel_mm is not None:
        check_pixel_mm(pixel_mm)
    if ga_weeks is not None and not 14 <= ga_weeks <= 40:
        raise UsageError(f"a gestational age of {ga_weeks} weeks was given", "give 14 to 40 weeks, or leave it out")
    if ga_weeks is not None and predictor.task != "head":
        raise UsageError(f"a gestational age was given to a model for the task {predictor.task}", "leave it out")
    groups = [(group, depth_of(group, bits)) for group in map(list_files, inputs)]
    files = [file for group, _ in groups for file in group]
    with atomic_folder(out, force=force, marker=DOCUMENT) if out is not None else nullcontext() as folder:
        stems = _Stems()
        entries: list[dict[str, Any]] = []
        for file, depth in [(file, depth) for group, depth in groups for file in group]:
            stem = stems.unique(file.stem)
            frames = read_frames(file, pixel_mm, depth)
            try:
                for frame, name in _named(frames, stem):
                    entries.append(_entry(predictor(frame), name, folder, ga_weeks))
                    if report:
                        report(entries[-1])
            except InputError as error:
                if len(files) == 1 or isinstance(error, BundleError):
                    raise
                entries.append(_unreadable(file, error))
                if report:
                    report(entries[-1])
        document = {
            "schema": SCHEMA,
            "notice": NOTICE,
            "task": predictor.task,
            "variant": predictor.variant_name,
            "engine": predictor.engine.name,
            "engine_version": predictor.engine.version,
            "hsd_definition": HSD_DEFINITION if predictor.task == "ps-fh" else None,
            "frames": entries,
            "summary": [_summary(str(file), entries) for file in dict.fromkeys(files)],
        }
        if folder is not None:
            write_json(folder / DOCUMENT, document)
    return document


def one_line(entry: dict[str, Any]) -> str:
    """An entry of ``frames`` as a line for people."""
    name = entry["source"] if not entry["index"] else f"{entry['source']} [{entry['index']}]"
    if entry["status"] == UNREADABLE:
        return f"{name}  {UNREADABLE}: {entry['message']}"
    if entry["status"] != "ok":
        return f"{name}  {entry['status']}"
    return f"{name}  " + "  ".join(_lines(entry))


def summary_line(source: dict[str, Any]) -> str | None:
    """An entry of ``summary`` as a line for people; None where the frames' own lines say it all."""
    if source["frames"] < 2:
        return None
    if not source["n"]:
        return f"{source['source']}  no good frame of {source['frames']}"
    hc_mm, aop_deg = source["hc_mm_median"], source["aop_deg_median"]
    median = f"HC {hc_mm:.1f} mm" if aop_deg is None else f"AoP {aop_deg:.0f} deg"
    return f"{source['source']}  median {median} of {source['n']} good frames of {source['frames']}"


def exit_code(document: dict[str, Any]) -> int:
    """0, or 3 where a file was unreadable."""
    return 3 if any(entry["status"] == UNREADABLE for entry in document["frames"]) else 0


def _lines(entry: dict[str, Any]) -> list[str]:
    if entry["status"] != "ok":
        return ["no measure", entry["status"]]
    if entry["aop_deg"] is not None:
        hsd = f"{entry['hsd_px']:.0f} px" if entry["hsd_mm"] is None else f"{entry['hsd_mm']:.0f} mm"
        return [f"AoP {entry['aop_deg']:.0f} deg", f"HSD {hsd}"]
    ages = entry["ga_weeks"]
    lines = [f"HC {entry['hc_mm']:.1f} mm", f"BPD {entry['bpd_mm']:.1f} mm  OFD {entry['ofd_mm']:.1f} mm"]
    known = [
        f"{weeks:.1f} wk {name}"
        for name, weeks in (("Hadlock", ages["hadlock"]), ("INTERGROWTH-21st", ages["intergrowth"]))
        if weeks is not None
    ]
    if known:
        lines.append("GA " + ", ".join(known))
    if entry["hc_centile"] is not None:
        centile = entry["hc_centile"]
        lines.append(f"HC centile {'<1' if centile < 1 else '>99' if centile > 99 else f'{centile:.0f}'}")
    return lines


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


def _named(frames: Iterator[Frame], stem: str) -> Iterator[tuple[Frame, str]]:
    """Each frame with its stem: numbered where there is more than one."""
    first = next(frames, None)
    if first is None:
        return
    try:
        second = next(frames, None)
    except InputError:
        yield first, f"{stem}_{first.index:04d}"
        raise
    if second is None:
        yield first, stem
        return
    for frame in chain((first, second), frames):
        yield frame, f"{stem}_{frame.index:04d}"


def _entry(prediction: Prediction, name: str, folder: Path | None, ga_weeks: float | None) -> dict[str, Any]:
    frame = prediction.frame
    measures = prediction.measures if prediction.status == "ok" else None
    progression = prediction.progression
    entry: dict[str, Any] = {
        "source": frame.source,
        "index": frame.index,
        "status": prediction.status,
        "pixel_mm": None if frame.pixel_mm is None else list(frame.pixel_mm),
        "bits": frame.bits,
        "hc_mm": measures.hc_mm if measures else None,
        "bpd_mm": measures.bpd_mm if measures else None,
        "ofd_mm": measures.ofd_mm if measures else None,
        "ga_weeks": {
            "hadlock": measures.ga_weeks_hadlock if measures else None,
            "intergrowth": measures.ga_weeks_intergrowth if measures else None,
        },
        "hc_centile": hc_centile(measures.hc_mm, ga_weeks) if measures and ga_weeks is not None else None,
        "aop_deg": progression.aop_deg if progression else None,
        "hsd_px": progression.hsd_px if progression else None,
        "hsd_mm": progression.hsd_mm if progression else None,
        "mask": None if folder is None else f"{name}_mask.png",
        "overlay": None if folder is None else f"{name}_overlay.png",
        "latency_ms": prediction.latency_ms,
    }
    if folder is not None:
        lines, mask = _lines(entry), prediction.mask
        if progression is not None:
            picture = draw_progression(frame, mask, progression, lines)
        else:
            picture = draw_head(frame, mask, prediction.ellipse, lines, prediction.status == "ok")
            mask = mask * 255
        _write_png(folder / entry["mask"], mask)
        _write_png(folder / entry["overlay"], picture)
    return entry


def _unreadable(file: Path, error: InputError) -> dict[str, Any]:
    keys = (
        "pixel_mm",
        "bits",
        "hc_mm",
        "bpd_mm",
        "ofd_mm",
        "hc_centile",
        "aop_deg",
        "hsd_px",
        "hsd_mm",
        "mask",
        "overlay",
    )
    ages = {"hadlock": None, "intergrowth": None}
    return {
        "source": str(file),
        "index": 0,
        "status": UNREADABLE,
        **dict.fromkeys(keys),
        "ga_weeks": ages,
        "latency_ms": None,
        "message": str(error),
    }


def _summary(source: str, entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    own = [entry for entry in entries if entry["source"] == source]
    good = [entry for entry in own if entry["status"] == "ok"]

    def median(key: str) -> float | None:
        values = [entry[key] for entry in good if entry[key] is not None]
        return statistics.median(values) if values else None

    return {
        "source": source,
        "frames": len(own),
        "statuses": dict(sorted(Counter(entry["status"] for entry in own).items())),
        "n": len(good),
        "hc_mm_median": median("hc_mm"),
        "aop_deg_median": median("aop_deg"),
    }


def _write_png(path: Path, pixels: Image) -> None:
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
