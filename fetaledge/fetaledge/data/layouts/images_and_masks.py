"""Images in one folder and their labels in another, paired by stem: for one's own frames, ``images/`` + ``masks/``."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from fetaledge.data.dataset import Item
from fetaledge.data.layouts.paired_folders import PairedFolders, spacing_of, structure_labels
from fetaledge.data.layouts.tables import positive
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.frames.images import SUFFIXES, read_grey
from fetaledge_runtimes.tasks.head import HEAD
from fetaledge_runtimes.tasks.labels import FH
from fetaledge_runtimes.tasks.ps_fh import PS_FH
from fetaledge_runtimes.tasks.task import Task


class ImagesAndMasks(PairedFolders):
    """``images/STEM.*`` and ``masks/STEM.*``, pictures, paired by stem.

    A mask's non-zero pixels are the head (task ``head``); where a mask's highest value is 2, the set is of the task
    ``ps-fh`` and its masks hold 0 background, 1 pubic symphysis, 2 fetal head.

    An optional ``pixels.csv`` has the columns ``filename`` and either ``pixel_mm`` or ``row_mm`` and ``column_mm``, and
    may have ``subject`` (default: each frame is its own) and ``hc_mm`` (default: measured on the mask).
    """

    IMAGES, LABELS, TABLE, ENDINGS = "images", "masks", "pixels.csv", SUFFIXES

    @cached_property
    def task(self) -> Task:
        """Told by the first mask with a value above 1; the others must agree with it (:meth:`read_mask`)."""
        for item in self.items:
            try:
                highest = int(read_grey(item.label).max())
            except InputError:
                continue  # the frame's own reading says so
            if highest > 1:
                return PS_FH if highest == FH else HEAD
        return HEAD

    def make_item(self, stem: str, image: Path, label: Path, row: dict[str, str]) -> Item:
        stated = {"hc_mm": positive(row["hc_mm"], "hc_mm")} if row.get("hc_mm") else {}
        return Item(stem, row.get("subject") or stem, image, label, spacing_of(row), stated)

    def read_mask(self, item: Item) -> Image:
        values = read_grey(item.label)
        if len(self.task.classes) > 2:
            return structure_labels(values, item.label)
        if values.max() == FH:
            raise InputError(
                f"{item.label} holds the labels of symphysis and head, and another mask of its folder values above 2",
                "write 0, 1 and 2 in all masks, or 0 and 255 in all",
            )
        return (values > 0).astype("uint8")
