"""The phantom of a task: synthetic labelled frames whose geometry is known exactly."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from fetaledge_runtimes.frames.frame import LabelledFrame


class Phantom(ABC):
    """Synthetic frames of one task. One object is registered in the entry point group ``fetaledge.phantoms``.

    Attributes:
        task: the task's name, under which the object is registered.
    """

    task: ClassVar[str]

    @abstractmethod
    def labelled(self, seed: int) -> LabelledFrame:
        """One frame in memory; ``seed`` is 0 or more, and the same seed gives the same frame."""

    @abstractmethod
    def write(self, folder: Path, count: int, seed: int, *, force: bool = False) -> None:
        """Write a new folder of frames, in a layout that the task's data come in.

        The note of :func:`fetaledge.phantoms.phantom_set.write_note` stands beside the frames.

        Args:
            folder: made.
            count: number of frames.
            seed: of the set; each frame has its own, drawn from it.
            force: replace an earlier folder of phantoms.

        Raises:
            UsageError: ``count`` is below 1 or ``seed`` negative.
            OutputError: the folder exists and ``force`` is not set, or it cannot be written.
        """
