"""The run: the folder that training writes, and everything needed to use its network again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import UNSET, UnsetType
from torch import nn

from fetaledge.data.dataset import Dataset, Subset
from fetaledge.data.split import choose_frames
from fetaledge_runtimes.records import Document, Part, to_json
from fetaledge_runtimes.tasks.registry import task_named
from fetaledge_runtimes.tasks.task import Task
from fetaledge_runtimes.view.check import FILE

DOCUMENT, WEIGHTS, LOG, CURVE = "run.json", "model.safetensors", "log.csv", "curve.png"
RESUME = "resume.ckpt"


class Intensity(Part, kw_only=True, frozen=True):
    """The network sees ``grey (0–255) * scale + offset``."""

    scale: float
    offset: float


class RunData(Part, kw_only=True, frozen=True):
    """The data set that a run was trained on.

    Attribution and licence are as the data state them; runs of version 0.1 hold neither.
    """

    name: str
    frames: int
    fingerprint: str
    synthetic: bool
    attribution: str | None | UnsetType = UNSET
    licence: str | None | UnsetType = UNSET


class Split(Part, kw_only=True, frozen=True):
    """Names of the frames on each side."""

    train: tuple[str, ...]
    validation: tuple[str, ...]


class Epoch(Part, kw_only=True, frozen=True):
    """One epoch: its number from 0, mean losses, validation Dice, last learning rate, and seconds that it took."""

    epoch: int
    loss: float
    validation_loss: float
    dice: float
    learning_rate: float
    seconds: float


class RunDocument(Document, kw_only=True, frozen=True):
    """The part of ``run.json`` that all runs share. ``multiply_adds`` is missing from runs of early versions."""

    schema: str = "fetaledge/run/1"
    task: str
    classes: tuple[str, ...]
    size: tuple[int, int]
    intensity: Intensity
    multiply_adds: int | None = None


class TrainedRunDocument(RunDocument, kw_only=True, frozen=True):
    """The part of ``run.json`` that trained runs of every architecture share.

    ``validation`` is the evaluation record of the validation frames without its single cases; an unfinished run has
    none.
    """

    data: RunData
    trained_parameters: int
    validation: dict[str, Any] | None = None

    def fixed(self) -> dict[str, Any]:
        """The values that a resumed run must share with the interrupted one, by the word for each."""
        data = self.data
        return {"data": (data.name, data.frames, data.fingerprint, data.synthetic)}


class Run(ABC):
    """An opened run folder.

    Attributes:
        folder: where it is.
        document: its ``run.json``.
    """

    folder: Path
    document: RunDocument

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.resolve().name

    @property
    def task(self) -> Task:
        """The task. Raises InputError where it is not installed."""
        return task_named(self.document.task)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the network's input, pixels."""
        return self.document.size

    @property
    def scale(self) -> float:
        """The network sees ``grey (0–255) * scale + offset``."""
        return self.document.intensity.scale

    @property
    def offset(self) -> float:
        """See :attr:`scale`."""
        return self.document.intensity.offset

    @property
    def nearest(self) -> bool:
        """Whether masks are brought to the frame's grid by the nearest pixel rather than by interpolated logits."""
        return False

    @property
    def view(self) -> Path | None:
        """The file of its view check; None where none was trained."""
        path = self.folder / FILE
        return path if path.is_file() else None

    @property
    @abstractmethod
    def seed(self) -> int:
        """The seed that frames are drawn with."""

    @abstractmethod
    def network(self) -> nn.Module:
        """The network in fp32 and evaluation mode.

        Raises:
            InputError: the weights are missing, damaged, not finite, or of another architecture.
        """

    @abstractmethod
    def source(self) -> dict[str, Any]:
        """Facts for a bundle or student of this run: its name, weights and architecture, and :meth:`seen`."""

    @abstractmethod
    def seen(self) -> Mapping[str, Any]:
        """``data``, ``split`` and ``trained_on`` as JSON; each None where nothing is known of them."""

    def frames(self, dataset: Dataset, split: str | None) -> Dataset | Subset:
        """The frames of ``dataset`` to score this run on; see :func:`fetaledge.data.split.choose_frames`."""
        return choose_frames(dataset, split, self.seen())


class TrainedRun(Run):
    """An opened run that training wrote."""

    document: TrainedRunDocument

    @property
    @abstractmethod
    def split(self) -> Split:
        """Names of the frames that this network was trained on, and of those held out."""

    @property
    @abstractmethod
    def trained_on(self) -> tuple[str, ...]:
        """Content hashes of every frame that the network has seen in training."""

    def seen(self) -> Mapping[str, Any]:
        """As :meth:`Run.seen`."""
        return {
            "data": to_json(self.document.data),
            "split": {side: list(names) for side, names in to_json(self.split).items()},
            "trained_on": list(self.trained_on),
        }
