"""Images in one folder and their labels in another, paired by stem: for one's own frames, ``images/`` + ``masks/``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fetaledge.data.dataset import Item
from fetaledge.data.layouts.paired_folders import PairedFolders, label_map, structure_labels
from fetaledge.data.mask_picture import (
    HEAD_OR_STRUCTURES,
    STRUCTURE_COLOURS,
    STRUCTURE_VALUES,
    MaskPicture,
    fill_outline,
    is_outline,
    read_mask_picture,
    shown,
)
from fetaledge.data.medical_image import ENDINGS, check_same_axes, is_medical, read_grey_levels
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.depth import Stored
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.frames.images import SUFFIXES
from fetaledge_runtimes.frames.spacing import SPACING_FILE, read_pixels, spacing_of
from fetaledge_runtimes.frames.tables import Row, Table
from fetaledge_runtimes.tasks.head import HEAD
from fetaledge_runtimes.tasks.ps_fh import PS_FH
from fetaledge_runtimes.tasks.task import Task

SAMPLE = 32


class ImagesAndMasks(PairedFolders):
    """``images/STEM.*`` and ``masks/STEM.*``, pictures, MetaImage or NIfTI files, paired by stem.

    The task is chosen or inferred. In the task ``head`` a mask is one area, or the outline of one; in ``ps-fh`` its
    masks hold 0 background, 1 pubic symphysis, 2 fetal head, or 0, 7 and 8, or are drawn in red and green
    (:mod:`fetaledge.data.mask_picture`); in others the classes of the task in their order.

    An optional ``pixels.csv`` has the columns ``filename`` and either ``pixel_mm`` or ``row_mm`` and ``column_mm``, and
    may have ``subject`` (default: each frame is its own) and ``hc_mm`` (default: measured on the mask).
    """

    IMAGES, LABELS, TABLE, ENDINGS = "images", "masks", SPACING_FILE, (*SUFFIXES, *ENDINGS)

    PRECEDENCE = 30
    EXPECTS = "images/ and masks/ with an optional pixels.csv"

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        """By ``masks/``, or by ``images/`` without an annotation file that may belong to it."""
        others = ("*.json", "*.xml", "annotations/*", "labels/*")
        alone = not any(next(folder.glob(pattern), None) for pattern in others)
        return (folder / cls.LABELS).is_dir() or ((folder / cls.IMAGES).is_dir() and alone)

    def infer_task(self) -> tuple[Task, str]:
        """By the values and colours of up to 32 masks, evenly picked, each for what it shows; more masks win.

        A mask of values above 1 of :data:`STRUCTURE_VALUES`, or of red and green, shows symphysis and head; another one
        of one value or colour a head; one of 1 alone, or of nothing, tells nothing. The other masks must agree
        (:meth:`read_mask`). Where no mask tells anything it is a head.

        Raises:
            InputError: no mask can be understood, or each is red, or each is green, which may stand for either.
        """
        values: set[int] = set()
        colours: set[str] = set()
        votes: list[Task] = []
        refused: list[InputError] = []
        outlines = False
        for item in _sample(self.items):
            try:
                picture = read_mask_picture(item.label)
                vote = _shows(picture)
            except InputError as error:  # the frame's own reading says so again
                refused.append(error)
                continue
            votes += [] if vote is None else [vote]
            colours |= set(picture.colours)
            values |= set() if picture.colours else set(picture.levels())
            outlines = outlines or (vote is HEAD and is_outline(picture.one_structure()))
        if refused and not values and not colours:
            raise refused[0]
        if not values and len(colours) == 1 and colours <= set(STRUCTURE_COLOURS):
            raise InputError(
                f"{self.folder / self.LABELS} is drawn in {min(colours)} alone, which may stand for a head, or for one "
                "structure of two",
                f"pass --task {HEAD.name} or --task {PS_FH.name}",
            )
        if not values and colours == set(STRUCTURE_COLOURS):
            votes = [PS_FH]
        task = max((HEAD, PS_FH), key=votes.count) if votes.count(HEAD) != votes.count(PS_FH) else [*votes, HEAD][0]
        held = [f"holds {shown([*values])}"] if values or not colours else []
        held += [f"is drawn in {' and '.join(sorted(colours))}"] if colours else []
        held += ["holds outlines, to which ellipses are fitted"] if outlines else []
        return task, f"{self.LABELS}/ {', '.join(held)}: taken as the task {task.name} (--task chooses another)"

    def read_table(self, path: Path) -> Table:
        return read_pixels(path)

    def make_item(self, stem: str, image: Path, label: Path, row: Row | None) -> Item:
        return item_of_row(stem, image, label, row)

    def read_stored(self, path: Path) -> Stored:
        return Stored(read_grey_levels(path)) if is_medical(path) else super().read_stored(path)

    def read_mask(self, item: Item) -> Image:
        check_same_axes(item.label, item.image)
        picture = read_mask_picture(item.label)
        if self.task is PS_FH:
            return structure_labels(picture.structures(), item.label)
        classes = len(self.task.classes)
        if classes > 2:
            return label_map(picture.values, item.label, classes)
        if self.task is HEAD and _shows(picture) is PS_FH:
            raise InputError(
                f"{item.label} holds the label {picture.levels()[-1]} of symphysis and head, "
                f"and its data set is of the task {HEAD.name}",
                "write 0, 1 and 2 in all masks and leave --task out, or 0 and 255 in all",
            )
        return fill_outline(picture.one_structure())


def item_of_row(stem: str, image: Path, label: Path, row: Row | None) -> Item:
    """The item of a frame and its row in ``pixels.csv``. Raises ValueError for a bad cell."""
    if row is None:
        return Item(stem, stem, image, label, None)
    hc_mm = row.number("hc_mm")
    stated = {} if hc_mm is None else {"hc_mm": hc_mm}
    return Item(stem, row.cells["subject"] or stem, image, label, spacing_of(row), stated)


def _sample(items: tuple[Item, ...]) -> list[Item]:
    picked = np.linspace(0, len(items) - 1, min(SAMPLE, len(items))).round().astype(int)
    return [items[place] for place in picked]


def _shows(picture: MaskPicture) -> Task | None:
    """The task whose label a mask looks like; None where it may be of either. Raises InputError where it is of none."""
    levels = set(picture.levels())
    if len(picture.colours) == 1:
        return None if picture.colours[0] in STRUCTURE_COLOURS else HEAD
    if levels <= {1}:
        return None
    if any(levels <= set(known) for known in STRUCTURE_VALUES):
        return PS_FH
    if len(levels) > 1:
        raise InputError(
            f"{picture.path} holds {shown(sorted(levels))}, which are no published labels", HEAD_OR_STRUCTURES
        )
    return HEAD
