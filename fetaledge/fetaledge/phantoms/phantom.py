"""The phantom of a task: synthetic labelled frames whose geometry is known exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fetaledge_runtimes.frames.frame import LabelledFrame


class WritePhantoms(Protocol):
    """Writes a folder of phantoms; see :attr:`Phantom.write`."""

    def __call__(self, folder: Path, count: int, seed: int, *, force: bool = False) -> None: ...


@dataclass(frozen=True)
class Phantom:
    """Synthetic frames of one task, registered in the entry point group ``fetaledge.phantoms`` under the task's name.

    Attributes:
        task: the task's name.
        labelled: makes one frame in memory from a seed of 0 or more; the same seed gives the same frame.
        write: writes ``count`` frames drawn from ``seed`` to a new folder, in a layout that the task's data come in,
            with the note of :func:`fetaledge.phantoms.phantom_set.write_note` beside them. ``force`` replaces an
            earlier folder of phantoms. Raises UsageError for a count below 1 or a negative seed, OutputError where
            the folder exists or cannot be written.
    """

    task: str
    labelled: Callable[[int], LabelledFrame]
    write: WritePhantoms
