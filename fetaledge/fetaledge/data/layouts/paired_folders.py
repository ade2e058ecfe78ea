"""Layouts of two folders, one of frames and one of masks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fetaledge.data.dataset import Dataset, Item, Problem
from fetaledge.data.mask_picture import shown, structure_values
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.frames.tables import Row, Table


class PairedFolders(Dataset):
    """``IMAGES/STEM.*`` and ``LABELS/STEM.*``, with an optional table ``TABLE`` of the column ``filename`` and more."""

    IMAGES: ClassVar[str]
    LABELS: ClassVar[str]
    TABLE: ClassVar[str]
    ENDINGS: ClassVar[tuple[str, ...]]

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        return (folder / cls.IMAGES).is_dir() or (folder / cls.LABELS).is_dir()

    @abstractmethod
    def read_table(self, path: Path) -> Table:
        """The table beside the folders; one without rows where there is none. Raises InputError."""

    @abstractmethod
    def make_item(self, stem: str, image: Path, label: Path, row: Row | None) -> Item:
        """The item of a pair, and its row in the table, if it has one. Raises ValueError for a bad cell."""

    def scan(self) -> tuple[Item, ...]:
        images, labels = self._by_stem(self.IMAGES, self.images_optional), self._by_stem(self.LABELS)
        if self.images_optional:
            images = {stem: self.folder / self.IMAGES / label.name for stem, label in labels.items()} | images
        table = self.read_table(self.folder / self.TABLE)
        for name in sorted(table.unmatched(images.values())):
            self.problems.append(Problem(f"{self.TABLE}: {Path(name).stem}", "has a row and no image"))
        for stem in sorted(set(labels) - set(images)):
            self.problems.append(
                Problem(f"{self.LABELS}/{labels[stem].name}", f"has no image {self.IMAGES}/{stem}{self._ending()}")
            )
        items = []
        for stem, image in sorted(images.items()):
            if stem not in labels:
                self.problems.append(
                    Problem(f"{self.IMAGES}/{image.name}", f"has no mask {self.LABELS}/{stem}{self._ending()}")
                )
                continue
            row = table.row_of(image)
            try:
                items.append(self.make_item(stem, image, labels[stem], row))
            except ValueError as error:
                line = f" line {row.line}" if row else ""
                self.problems.append(Problem(f"{self.TABLE}{line}: {stem}", str(error)))
        return tuple(items)

    def _ending(self) -> str:
        return self.ENDINGS[0] if len(self.ENDINGS) == 1 else ".*"

    def _by_stem(self, part: str, optional: bool = False) -> dict[str, Path]:
        folder = self.folder / part
        if not folder.is_dir():
            if optional:
                return {}
            raise InputError(
                f"{self.folder} has no {part}/ folder", f"expected {self.IMAGES}/ and {self.LABELS}/ side by side"
            )
        found: dict[str, Path] = {}
        for path in sorted(folder.iterdir()):
            stem = stem_of(path, self.ENDINGS)
            if stem is not None:
                if stem in found:
                    self.problems.append(Problem(f"{part}/{path.name}", f"has the same stem as {found[stem].name}"))
                found.setdefault(stem, path)

        return found


def stem_of(path: Path, endings: Sequence[str]) -> str | None:
    """A file's name without the ending that it has of ``endings``, which may be of two parts; None without one."""
    ending = max((ending for ending in endings if path.name.lower().endswith(ending)), key=len, default=None)
    return None if ending is None else path.name[: -len(ending)]


def label_map(values: npt.NDArray[Any], path: Path, classes: int) -> Image:
    """A label map of any number type as ``uint8``.

    Args:
        values: the map, (H, W).
        path: of its file, for the message.
        classes: of the task, with the background; labels are 0 to ``classes`` - 1.

    Raises:
        InputError: it holds another value.
    """
    unknown = values[~np.isin(values, range(classes))]
    if unknown.size:
        raise InputError(
            f"{path} holds the label {unknown[0]:g}", f"a label map of this task holds 0 to {classes - 1} alone"
        )
    return values.astype(np.uint8)


def structure_labels(values: npt.NDArray[Any], path: Path) -> Image:
    """A label map of the task ``ps-fh`` of any number type as ``uint8`` of 0, 1 symphysis and 2 head.

    Raises:
        InputError: it holds something else than 0, 1 and 2, or 0, 7 and 8.
    """
    labels = structure_values(values)
    if labels is None:
        raise InputError(
            f"{path} holds {shown(np.unique(values).tolist())}, where 0, 1 and 2 or 0, 7 and 8 were expected",
            "write 0 background, 1 symphysis and 2 head",
        )
    return labels
