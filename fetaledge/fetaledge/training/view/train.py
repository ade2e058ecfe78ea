"""Train a run's view check, and say what it withholds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from fetaledge.data.dataset import Dataset
from fetaledge.runs.run import Run
from fetaledge.training.view.fit import Fit, fit_score
from fetaledge.training.view.sources import ViewFrame, drawn_frames, other_frames, own_frames, subjects_in_folds
from fetaledge_export.torch_engine import TorchEngine
from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.files import refuse_existing
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.notice import NOTICE
from fetaledge_runtimes.preprocess import network_input
from fetaledge_runtimes.records import Document, Part, write_document
from fetaledge_runtimes.tasks.task import MIRRORED
from fetaledge_runtimes.view.check import FILE, ViewCheck, joined
from fetaledge_runtimes.view.outline import describe_outline
from fetaledge_runtimes.view.picture import describe_picture

RECORD = "view.json"
FOLDS = 5
Pixels = Callable[[Image], Image]


class SourceCount(Part, kw_only=True, frozen=True):
    """One set of frames: how many, of how many something was segmented, and how many of these passed by folds."""

    source: str
    own: bool
    frames: int
    segmented: int
    passed: int


class ViewRecord(Document, kw_only=True, frozen=True):
    """``view.json``: what a view check withholds, each frame judged by the fold that had not seen its subject.

    ``mirrored_found`` is the share of the own frames' mirror images that the check calls mirrored, and
    ``mirrored_wrongly`` that of the own frames; None where the task has no orientation.
    """

    schema: str = "fetaledge/view/1"
    notice: str = NOTICE
    run: str
    task: str
    seed: int
    withheld: float
    sources: tuple[SourceCount, ...]
    mirrored_found: float | None
    mirrored_wrongly: float | None


def train_view(
    run: Run,
    dataset: Dataset,
    others: Sequence[Path],
    *,
    withheld: float = 0.005,
    seed: int = 0,
    threads: int = 2,
    force: bool = False,
    progress: Callable[[str], None] = lambda step: None,
) -> ViewRecord:
    """Write ``view.npz`` and ``view.json`` into the run's folder.

    Args:
        run: whose network segments the frames.
        dataset: frames of the model's own view.
        others: folders of frames of other views; see :func:`other_frames`.
        withheld: the share of the own frames that each score may call something else.
        seed: of the folds, the alterations, and the drawn frames.
        threads: of the network.
        force: replace an earlier check.

    Raises:
        UsageError: the task has no word for other views, or ``withheld`` is no share.
        InputError: no frame of another view was given, or frames cannot be read.
        OutputError: the run has a check already, and ``force`` is not given.
    """
    task = run.task
    if task.other_view is None:
        raise UsageError(f"the task {task.name} has no status for frames of other views", "leave it without a check")
    if not 0 < withheld < 0.5:
        raise UsageError(f"--withheld {withheld} is no share between 0 and one half", "0.005 is the default")
    refuse_existing(run.folder / FILE, force)
    frames = own_frames(dataset, run.split.validation)
    own_count = len(frames)
    for folder in others:
        frames += other_frames(folder, task)
    if all(frame.own for frame in frames):
        raise InputError("no frame of another view was given", "name a folder of them with --others")
    frames += drawn_frames(seed)
    progress(f"segmenting {len(frames)} frames and their altered versions")
    engine = TorchEngine(run.network(), run.scale, run.offset, threads)
    flipped = [np.fliplr] if task.has_orientation else []
    seen = [_described(frame, number, engine, run.size, seed, flipped) for number, frame in enumerate(frames)]
    kept = [place for place, found in enumerate(seen) if found is not None]
    named = [frames[place] for place in kept]
    pictures, outlines = (
        np.stack([seen[place][part] for place in kept], axis=1)  # type: ignore[index]
        for part in (0, 1)
    )
    own = np.array([frame.own for frame in named])
    centre, spread = outlines[0][own].mean(axis=0), outlines[0][own].std(axis=0) + 1e-3
    described = [joined(picture, drawn, centre, spread) for picture, drawn in zip(pictures, outlines, strict=True)]
    folds = subjects_in_folds(named, FOLDS, seed)
    judged = np.array([place < own_count for place in kept])
    groups = [frame.source for frame in named]
    progress("fitting")
    first = fit_score(described, own, groups, folds, judged, withheld)
    fits, statuses, shares = [first], [task.other_view], (None, None)
    if task.has_orientation:
        second, shares = _fit_mirrored(described, judged, folds, withheld)
        fits, statuses = [first, second], [task.other_view, MIRRORED]
    check = ViewCheck(
        tuple(statuses),
        np.array([fit.weights for fit in fits], np.float32),
        np.array([fit.offset for fit in fits], np.float32),
        centre.astype(np.float32),
        spread.astype(np.float32),
    )
    record = ViewRecord(
        run=run.name,
        task=task.name,
        seed=seed,
        withheld=withheld,
        sources=_counts(frames, named, first.held_out),
        mirrored_found=shares[0],
        mirrored_wrongly=shares[1],
    )
    check.write(run.folder / FILE)
    write_document(run.folder / RECORD, record)
    return record


def _described(
    frame: ViewFrame, number: int, engine: TorchEngine, size: tuple[int, int], seed: int, more: Sequence[Any]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None:
    """Pictures ``(V, 1024)`` and outlines ``(V, 39)`` of a frame as it is, altered, and through ``more``.

    A version in which nothing is segmented takes the place of the frame as it is; None where that is empty.
    """
    plain, _ = network_input(frame.read(), size)
    altered = alter(plain, np.random.default_rng((seed, number)))
    pictures, outlines = [], []
    for version in (plain, altered, *(np.ascontiguousarray(change(plain)) for change in more)):
        drawn = describe_outline(version, engine(version))
        if drawn is None and not outlines:
            return None
        outlines.append(outlines[0] if drawn is None else drawn)
        pictures.append(pictures[0] if drawn is None else describe_picture(version))
    return np.stack(pictures), np.stack(outlines)


def alter(pixels: Image, rng: np.random.Generator) -> Image:
    """A frame as another probe position and other settings might have given it: turned, moved, brighter or darker."""
    height, width = pixels.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.uniform(-15, 15)), float(rng.uniform(0.85, 1.2)))
    turn[:, 2] += rng.uniform(-0.08, 0.08, 2) * (width, height)
    moved = cv2.warpAffine(pixels, turn, (width, height)).astype(np.float32) / 255
    changed: Image = (np.clip(rng.uniform(0.6, 1.5) * moved ** rng.uniform(0.7, 1.4), 0, 1) * 255).astype(np.uint8)
    return changed


def _fit_mirrored(
    described: Sequence[npt.NDArray[np.float32]],
    own: npt.NDArray[np.bool_],
    folds: npt.NDArray[np.int64],
    withheld: float,
) -> tuple[Fit, tuple[float, float]]:
    """The score that is positive where a frame of the own view is the right way round, and what it finds."""
    plain, altered, flipped = (version[own] for version in described)
    count = len(plain)
    standard = np.repeat([True, False], count)
    both = [np.concatenate([plain, flipped]), np.concatenate([altered, flipped])]
    sides = ["standard" if side else "mirrored" for side in standard]
    fit = fit_score(both, standard, sides, np.tile(folds[own], 2), standard, withheld)
    return fit, (float((fit.held_out[count:] < 0).mean()), float((fit.held_out[:count] < 0).mean()))


def _counts(
    frames: Sequence[ViewFrame], named: Sequence[ViewFrame], held_out: npt.NDArray[np.float64]
) -> tuple[SourceCount, ...]:
    total = Counter((frame.source, frame.own) for frame in frames)
    segmented = Counter((frame.source, frame.own) for frame in named)
    passed = Counter((frame.source, frame.own) for frame, score in zip(named, held_out, strict=True) if score >= 0)
    return tuple(
        SourceCount(source=source, own=own, frames=count, segmented=segmented[source, own], passed=passed[source, own])
        for (source, own), count in total.items()
    )
