"""A folder of labelled frames, read by its layout."""

from __future__ import annotations

import csv
import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fetaledge_runtimes.biometry import measure_head
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frame import Frame, Image, LabelledFrame
from fetaledge_runtimes.images import read_grey
from fetaledge_runtimes.spacing import PLAUSIBLE_MM


@dataclass(frozen=True)
class Item:
    """One labelled frame on disk. ``pixel_mm`` is (row, column) in mm or None, ``hc_mm`` what the data set states."""

    name: str
    subject: str
    image: Path
    label: Path
    pixel_mm: tuple[float, float] | None
    hc_mm: float | None

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
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
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
        """Mask ``uint8 (H, W)`` of 0 and 1. Raises InputError where the label is unusable."""

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> LabelledFrame:
        return self.load(self.items[index])

    def __iter__(self) -> Iterator[LabelledFrame]:
        return (self.load(item) for item in self.items)

    def load(self, item: Item) -> LabelledFrame:
        """Read an item's image and label.

        Raises:
            InputError: either cannot be read, their sizes differ, or the mask is empty.
        """
        pixels = read_grey(item.image)
        mask = self.read_mask(item)
        if mask.shape != pixels.shape:
            raise InputError(
                f"{item.label} is {mask.shape[1]}×{mask.shape[0]}, "
                f"and {item.image.name} is {pixels.shape[1]}×{pixels.shape[0]}",
                "a label must have its image's size",
            )
        if not mask.any():
            raise InputError(f"{item.label} marks no pixel", "draw the head, or leave the frame out")
        hc_mm = item.hc_mm
        if hc_mm is None and item.pixel_mm is not None:
            measures = measure_head(mask, item.pixel_mm)
            hc_mm = measures.hc_mm if measures else None
        frame = Frame(pixels, item.pixel_mm, str(item.image))
        return LabelledFrame(frame, mask, item.name, item.subject, hc_mm, self.synthetic)

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
            digest.update(repr((item.name, item.subject, item.pixel_mm, item.hc_mm)).encode())
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


def open_dataset(folder: Path | str, *, strict: bool = True) -> Dataset:
    """Open a folder by its layout: HC18, or ``images/`` + ``masks/``.

    Raises:
        InputError: no such folder, no known layout, no usable frame, or (``strict``) any problem at all.
    """
    from fetaledge.data.folders import ImagesAndMasks
    from fetaledge.data.hc18 import Hc18

    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", "pass the data set's folder with --data")
    for layout in (Hc18, ImagesAndMasks):
        if layout.recognises(folder):
            dataset = layout(folder)
            break
    else:
        raise InputError(
            f"{folder} has no layout known here",
            "expected HC18 (training_set/ and its CSV), or images/ and masks/ with an optional pixels.csv",
        )
    if strict and dataset.problems:
        others = len(dataset.problems) - 1
        more = f" (and {others} more)" if others else ""
        raise InputError(f"{dataset.problems[0]}{more}", f"run: fetaledge data check {folder}")
    if strict and not dataset.items:
        raise InputError(f"{folder} holds no labelled frame", f"run: fetaledge data check {folder}")
    return dataset


def read_table(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Rows of a CSV file with at least these columns; surrounding blanks are dropped.

    Raises:
        InputError: it cannot be read, or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, skipinitialspace=True)
            names = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = names
            missing = [column for column in columns if column not in names]
            if missing:
                raise InputError(
                    f"{path} lacks the column {missing[0]!r}", f"its header must hold: {', '.join(columns)}"
                )
            return [{key: (value or "").strip() for key, value in row.items() if key} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path} cannot be read as a CSV table ({error})", "save it as comma-separated UTF-8 text"
        ) from error


def positive(text: str, what: str) -> float:
    """A finite number above zero. Raises ValueError with a message for people."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{what} is {text!r}, not a number") from None
    if not math.isfinite(value) or value <= 0:
        raise ValueError(f"{what} is {text}, which must be above zero")
    return value


def spacing_mm(text: str, what: str) -> float:
    """A plausible spacing in mm. Raises ValueError with a message for people."""
    value = positive(text, what)
    low, high = PLAUSIBLE_MM
    if not low <= value <= high:
        raise ValueError(f"{what} is {text}, which is not within {low} to {high} mm")
    return value
