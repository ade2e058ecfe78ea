"""The frames that a view check learns from: whose they are, and whether the model should measure them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from fetaledge.data.dataset import Dataset
from fetaledge.data.layouts.open import layout_of, open_dataset
from fetaledge.phantoms.phantom import Phantom
from fetaledge.phantoms.registry import phantom_of
from fetaledge.training.view.drawings import draw
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.frames.read import list_files, read_frames
from fetaledge_runtimes.frames.tables import read_table
from fetaledge_runtimes.tasks.task import Task

PLANES = "planes.csv"
DRAWN, PHANTOMS = 360, 60


class Reads(Protocol):
    """Gives the pixels ``uint8 (H, W)`` of one frame."""

    def __call__(self) -> Image: ...


@dataclass(frozen=True)
class ViewFrame:
    """One frame to learn from.

    Attributes:
        source: of which set, for the record: ``hc18``, ``african: femur``, ``drawn``.
        subject: whose it is: no subject stands on both sides of a fold.
        own: whether it shows what the model was made for.
        read: gives its pixels.
    """

    source: str
    subject: str
    own: bool
    read: Reads


def own_frames(dataset: Dataset, validation: Collection[str] | None) -> list[ViewFrame]:
    """The frames of the model's own data; those of the names ``validation`` are counted apart, where they are known."""

    def side(name: str) -> str:
        if validation is None:
            return dataset.name
        return f"{dataset.name}: {'validation' if name in validation else 'training'}"

    return [
        ViewFrame(
            side(item.name),
            item.subject,
            True,
            partial(dataset.read_image, item),
        )
        for item in dataset.items
    ]


def other_frames(folder: Path, task: Task) -> list[ViewFrame]:
    """The frames of a folder of other views: a data set, pictures, or standard planes.

    A ``planes.csv`` (columns ``filename``, ``subject``, ``plane``) beside ``images/`` says what each frame shows: those
    of a plane that the task names count as its own. A plain picture counts as a subject of its own.

    Raises:
        InputError: the folder or its table cannot be used.
    """
    table = folder / PLANES
    if table.is_file():
        return list(_planes(folder, table, task))
    if layout_of(folder) is None:
        name = folder.resolve().name
        return [ViewFrame(name, file.stem, False, partial(_first_frame, file)) for file in list_files(folder)]
    dataset = open_dataset(folder)
    return [ViewFrame(dataset.name, item.subject, False, partial(dataset.read_image, item)) for item in dataset.items]


def phantom_frames(task: Task, seed: int, count: int = PHANTOMS) -> list[ViewFrame]:
    """Synthetic frames of the task, its own: self-tests and demonstrations run on them."""
    phantom = phantom_of(task.name)
    return [
        ViewFrame("phantom", f"phantom-{number}", True, partial(_phantom, phantom, seed + number))
        for number in range(count)
    ]


def drawn_frames(seed: int, count: int = DRAWN) -> list[ViewFrame]:
    """Discs, blobs, noise, gradients, stripes and bodies without a skull, drawn with ``seed``."""
    return [ViewFrame("drawn", f"drawn-{number}", False, partial(draw, seed, number)) for number in range(count)]


def _planes(folder: Path, table: Path, task: Task) -> Iterator[ViewFrame]:
    name = folder.resolve().name
    for row in read_table(table, required=("subject", "plane")).rows.values():
        if not all(row.cells.values()):
            raise InputError(f"{table} line {row.line} lacks a value", "give filename, subject and plane of each frame")
        file = folder / "images" / row.filename
        if not file.is_file():
            raise InputError(f"{file} does not exist, though {table.name} names it", "correct the table")
        plane = row.cells["plane"]
        yield ViewFrame(f"{name}: {plane}", row.cells["subject"], plane in task.planes, partial(_first_frame, file))


def _phantom(phantom: Phantom, seed: int) -> Image:
    return phantom.labelled(seed).frame.pixels


def _first_frame(file: Path) -> Image:
    return next(read_frames(file)).pixels


def subjects_in_folds(frames: Sequence[ViewFrame], folds: int, seed: int) -> np.ndarray:
    """``int64 (N,)``: the fold of each frame, drawn by subject."""
    subjects = sorted({frame.subject for frame in frames})
    drawn = dict(zip(subjects, np.random.default_rng(seed).integers(0, folds, len(subjects)), strict=True))
    return np.array([drawn[frame.subject] for frame in frames])
