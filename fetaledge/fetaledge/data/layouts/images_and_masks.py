"""Images in one folder and their labels in another, paired by stem: for one's own frames, ``images/`` + ``masks/``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fetaledge.data.dataset import Item
from fetaledge.data.layouts.paired_folders import PairedFolders, label_map
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.frames.images import SUFFIXES, read_grey
from fetaledge_runtimes.frames.spacing import SPACING_FILE, read_pixels, spacing_of
from fetaledge_runtimes.frames.tables import Row, Table
from fetaledge_runtimes.tasks.head import HEAD
from fetaledge_runtimes.tasks.labels import FH
from fetaledge_runtimes.tasks.ps_fh import PS_FH
from fetaledge_runtimes.tasks.task import Task


class ImagesAndMasks(PairedFolders):
    """``images/STEM.*`` and ``masks/STEM.*``, pictures, paired by stem.

    The task is chosen or inferred. In the task ``head`` a mask's non-zero pixels are the head; in ``ps-fh`` its masks
    hold 0 background, 1 pubic symphysis, 2 fetal head; in others the classes of the task in their order.

    An optional ``pixels.csv`` has the columns ``filename`` and either ``pixel_mm`` or ``row_mm`` and ``column_mm``, and
    may have ``subject`` (default: each frame is its own) and ``hc_mm`` (default: measured on the mask).
    """

    IMAGES, LABELS, TABLE, ENDINGS = "images", "masks", SPACING_FILE, SUFFIXES

    PRECEDENCE = 30
    EXPECTS = "images/ and masks/ with an optional pixels.csv"

    def infer_task(self) -> tuple[Task, str]:
        """By the first mask with a value above 1: highest value 2 means symphysis and head, another a head.

        The other masks must agree with it (:meth:`read_mask`). Where none has a value above 1 it is a head.
        """
        values: set[int] = set()
        for item in self.items:
            try:
                values |= set(map(int, np.unique(read_grey(item.label))))
            except InputError:
                continue  # the frame's own reading says so
            if max(values) > 1:
                break
        task = PS_FH if max(values, default=0) == FH else HEAD
        shown = " and ".join(map(str, sorted(values))) if len(values) < 4 else f"{min(values)} to {max(values)}"
        return task, f"{self.LABELS}/ holds the values {shown}: taken as the task {task.name} (--task chooses another)"

    def read_table(self, path: Path) -> Table:
        return read_pixels(path)

    def make_item(self, stem: str, image: Path, label: Path, row: Row | None) -> Item:
        if row is None:
            return Item(stem, stem, image, label, None)
        hc_mm = row.number("hc_mm")
        stated = {} if hc_mm is None else {"hc_mm": hc_mm}
        return Item(stem, row.cells["subject"] or stem, image, label, spacing_of(row), stated)

    def read_mask(self, item: Item) -> Image:
        values = read_grey(item.label)
        classes = len(self.task.classes)
        if classes > 2:
            return label_map(values, item.label, classes)
        if self.task is HEAD and values.max() == FH:
            raise InputError(
                f"{item.label} holds the label 2 of symphysis and head, and its data set is of the task {HEAD.name}",
                "write 0, 1 and 2 in all masks and leave --task out, or 0 and 255 in all",
            )
        return (values > 0).astype("uint8")
