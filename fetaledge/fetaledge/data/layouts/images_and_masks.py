"""Images in one folder and their labels in another, paired by stem: for one's own frames, ``images/`` + ``masks/``."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from fetaledge.data.dataset import Item
from fetaledge.data.layouts.paired_folders import PairedFolders, structure_labels
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.frames.images import SUFFIXES, read_grey
from fetaledge_runtimes.frames.spacing import SPACING_FILE, read_pixels, spacing_of
from fetaledge_runtimes.frames.tables import Row, Table
from fetaledge_runtimes.tasks.task import FH


class ImagesAndMasks(PairedFolders):
    """``images/STEM.*`` and ``masks/STEM.*``, pictures, paired by stem.

    A mask's non-zero pixels are the head (task ``head``); where a mask's highest value is 2, the set is of the task
    ``ps-fh`` and its masks hold 0 background, 1 pubic symphysis, 2 fetal head.

    An optional ``pixels.csv`` has the columns ``filename`` and either ``pixel_mm`` or ``row_mm`` and ``column_mm``, and
    may have ``subject`` (default: each frame is its own) and ``hc_mm`` (default: measured on the mask).
    """

    IMAGES, LABELS, TABLE, ENDINGS = "images", "masks", SPACING_FILE, SUFFIXES

    @cached_property
    def task(self) -> str:
        """Told by the first mask with a value above 1; the others must agree with it (:meth:`read_mask`)."""
        for item in self.items:
            try:
                highest = int(read_grey(item.label).max())
            except InputError:
                continue  # the frame's own reading says so
            if highest > 1:
                return "ps-fh" if highest == FH else "head"
        return "head"

    def read_table(self, path: Path) -> Table:
        return read_pixels(path)

    def make_item(self, stem: str, image: Path, label: Path, row: Row | None) -> Item:
        if row is None:
            return Item(stem, stem, image, label, None, None)
        return Item(stem, row.cells["subject"] or stem, image, label, spacing_of(row), row.number("hc_mm"))

    def read_mask(self, item: Item) -> Image:
        values = read_grey(item.label)
        if self.task == "ps-fh":
            return structure_labels(values, item.label)
        if values.max() == FH:
            raise InputError(
                f"{item.label} holds the labels of symphysis and head, and another mask of its folder values above 2",
                "write 0, 1 and 2 in all masks, or 0 and 255 in all",
            )
        return (values > 0).astype("uint8")
