"""A folder of labelled frames, read by its layout."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.frame import Frame, Image, LabelledFrame
from fetaledge_runtimes.frames.images import read_grey
from fetaledge_runtimes.tasks.task import Task

FIRST_STATED = "hc_mm"
"""Stands in every fingerprint, stated or not, since the first version wrote it so."""


@dataclass(frozen=True)
class Item:
    """One labelled frame on disk.

    ``pixel_mm`` is (row, column) in mm or None; ``stated``: measures that the data set states, by key.
    """

    name: str
    subject: str
    image: Path
    label: Path
    pixel_mm: tuple[float, float] | None
    stated: Mapping[str, float] = field(default_factory=dict)

    def content_hash(self) -> str:
        """16 hex digits of the SHA-256 of the image file: the same for a renamed copy."""
        return hashlib.sha256(_content(self.image)).hexdigest()[:16]


@dataclass(frozen=True)
class Problem:
    """Something unusable: the file, and what is wrong with it."""

    file: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.message}"


class Dataset(ABC):
    """Labelled frames of one folder, each read when it is asked for.

    Attributes:
        name: the folder's name.
        items: what is usable as far as names and tables tell.
        problems: what is not; :func:`open_dataset` raises on the first.
        synthetic: True for phantoms.
        images_optional: an absent image is no problem; black pixels of the label's size stand in for it.
    """

    def __init__(self, folder: Path, images_optional: bool = False) -> None:
        self.folder = folder
        self.images_optional = images_optional
        self.name = folder.resolve().name
        self.synthetic = (folder / "phantom.json").is_file()
        self.problems: list[Problem] = []
        self.items = self.scan()

    @staticmethod
    @abstractmethod
    def recognises(folder: Path) -> bool:
        """Whether the folder has this layout."""

    @abstractmethod
    def scan(self) -> tuple[Item, ...]:
        """List the items in order of name; append to ``problems`` what is unusable."""

    @abstractmethod
    def read_mask(self, item: Item) -> Image:
        """Mask ``uint8 (H, W)`` of the task's classes. Raises InputError where the label is unusable."""

    @property
    @abstractmethod
    def task(self) -> Task:
        """What the labels mark."""

    def read_image(self, item: Item) -> Image:
        """Pixels ``uint8 (H, W)``. Raises InputError where the image is unusable."""
        return read_grey(item.image)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> LabelledFrame:
        return self.load(self.items[index])

    def __iter__(self) -> Iterator[LabelledFrame]:
        return (self.load(item) for item in self.items)

    def load(self, item: Item) -> LabelledFrame:
        """Read an item's image and label.

        Whether a label without any structure is data, the task says: sweeps such as JNU-IFM's are labelled frame by
        frame, and a model must learn to find nothing there.

        Raises:
            InputError: either cannot be read, their sizes differ, or the mask is empty and must not be.
        """
        mask = self.read_mask(item)
        stand_in = self.images_optional and not item.image.is_file()
        pixels = np.zeros_like(mask) if stand_in else self.read_image(item)
        if mask.shape != pixels.shape:
            raise InputError(
                f"{item.label} is {mask.shape[1]}×{mask.shape[0]}, "
                f"and {item.image.name} is {pixels.shape[1]}×{pixels.shape[0]}",
                "a label must have its image's size",
            )
        if not self.task.may_be_empty and not mask.any():
            raise InputError(f"{item.label} marks no pixel", "draw the structure, or leave the frame out")
        frame = Frame(pixels, item.pixel_mm, str(item.image))
        return LabelledFrame(frame, mask, item.name, item.subject, self.synthetic, item.stated)

    def only(self, names: Iterable[str]) -> Subset:
        """The items of these names, in this data set's order.

        Raises:
            InputError: a name that is not here.
        """
        wanted = set(names)
        missing = sorted(wanted - {item.name for item in self.items})
        if missing:
            raise InputError(
                f"{self.folder} lacks {missing[0]}, which the run's split names",
                "pass the data that the run was trained on",
            )
        return Subset(self, tuple(item for item in self.items if item.name in wanted))

    def fingerprint(self) -> str:
        """Hex SHA-256 over everything that is known of every item: names, numbers, and what image and label contain."""
        digest = hashlib.sha256()
        for item in self.items:
            others = (value for key, value in item.stated.items() if key != FIRST_STATED)
            stated = (item.stated.get(FIRST_STATED), *others)
            digest.update(repr((item.name, item.subject, item.pixel_mm, *stated)).encode())
            digest.update(_content(item.image))
            digest.update(_content(item.label))
        return digest.hexdigest()


@dataclass(frozen=True)
class Subset:
    """Some items of a data set; itself a data set to read from."""

    dataset: Dataset
    items: tuple[Item, ...]

    @property
    def name(self) -> str:
        return self.dataset.name

    @property
    def task(self) -> Task:
        return self.dataset.task

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> LabelledFrame:
        return self.dataset.load(self.items[index])

    def __iter__(self) -> Iterator[LabelledFrame]:
        return (self.dataset.load(item) for item in self.items)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "check its permissions") from error
