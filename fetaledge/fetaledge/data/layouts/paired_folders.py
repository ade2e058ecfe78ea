"""Layouts of two folders, one of frames and one of masks."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fetaledge.data.dataset import Dataset, Item, Problem
from fetaledge.data.layouts.tables import read_table, spacing_mm
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.tasks.labels import FH


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
    def make_item(self, stem: str, image: Path, label: Path, row: dict[str, str]) -> Item:
        """The item of a pair; ``row`` is its row of the table, or empty. Raises ValueError for a bad cell."""

    def scan(self) -> tuple[Item, ...]:
        images, labels = self._by_stem(self.IMAGES, self.images_optional), self._by_stem(self.LABELS)
        if self.images_optional:
            images = {stem: self.folder / self.IMAGES / label.name for stem, label in labels.items()} | images
        path = self.folder / self.TABLE
        table = {Path(row["filename"]).stem: row for row in read_table(path, ("filename",))} if path.is_file() else {}
        for stem in sorted(set(table) - set(images)):
            self.problems.append(Problem(f"{self.TABLE}: {stem}", "has a row and no image"))
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
            try:
                items.append(self.make_item(stem, image, labels[stem], table.get(stem, {})))
            except ValueError as error:
                self.problems.append(Problem(f"{self.TABLE}: {stem}", str(error)))
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
            if path.suffix.lower() in self.ENDINGS:
                if path.stem in found:
                    self.problems.append(
                        Problem(f"{part}/{path.name}", f"has the same stem as {found[path.stem].name}")
                    )
                found.setdefault(path.stem, path)
        return found


def structure_labels(values: npt.NDArray[Any], path: Path) -> Image:
    """A label map of the task ``ps-fh`` of any number type as ``uint8``.

    Raises:
        InputError: it holds something else than 0, 1 and 2.
    """
    unknown = values[~np.isin(values, (0, 1, FH))]
    if unknown.size:
        raise InputError(
            f"{path} holds the label {unknown[0]:g}",
            "a label map is 0 background, 1 pubic symphysis, 2 fetal head, and nothing else",
        )
    return values.astype(np.uint8)


def spacing_of(row: dict[str, str]) -> tuple[float, float] | None:
    """(row, column) spacing in mm of a row of ``pixels.csv``; None where it states none. Raises ValueError."""
    if row.get("pixel_mm"):
        spacing = spacing_mm(row["pixel_mm"], "pixel_mm")
        return spacing, spacing
    if row.get("row_mm") or row.get("column_mm"):
        return spacing_mm(row.get("row_mm", ""), "row_mm"), spacing_mm(row.get("column_mm", ""), "column_mm")
    return None
