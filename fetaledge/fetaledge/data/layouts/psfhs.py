"""The layout of PSFHS and of the challenge FH-PS-AOP: MetaImage files of frames and of label maps."""

from __future__ import annotations

from pathlib import Path

from fetaledge.data.dataset import Item
from fetaledge.data.layouts.paired_folders import PairedFolders, structure_labels
from fetaledge.data.medical_image import MHA, read_grey_levels, read_values
from fetaledge_runtimes.frames.depth import Stored
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.frames.spacing import SPACING_COLUMNS, spacing_of
from fetaledge_runtimes.frames.tables import Row, Table, read_table
from fetaledge_runtimes.tasks.ps_fh import AOP_RANGE_DEG, PS_FH


class Psfhs(PairedFolders):
    """``image_mha/STEM.mha`` (3, H, W) or (H, W), and ``label_mha/STEM.mha`` (H, W): 0, 1 symphysis, 2 head.

    The published frames are 256×256 without millimetres, and each counts as a subject of its own. An optional
    ``truth.csv`` (column ``filename``; phantoms write one) may state ``subject``, ``aop_deg`` and ``pixel_mm``; an
    empty cell is unknown.
    """

    IMAGES, LABELS, TABLE, ENDINGS = "image_mha", "label_mha", "truth.csv", (MHA,)

    PRECEDENCE = 20
    EXPECTS = "PSFHS (image_mha/ and label_mha/)"
    TASK = PS_FH
    ATTRIBUTION = "PSFHS (Chen et al. 2024, Zenodo 10969427)"
    LICENCE = "CC BY 4.0"

    def read_table(self, path: Path) -> Table:
        columns = ("subject", "aop_deg", *SPACING_COLUMNS)
        return read_table(path, optional=columns) if path.is_file() else Table(path, (), {})

    def make_item(self, stem: str, image: Path, label: Path, row: Row | None) -> Item:
        if row is None:
            return Item(stem, stem, image, label, None)
        aop_deg = row.number("aop_deg")
        if aop_deg is not None and aop_deg > AOP_RANGE_DEG[1]:
            raise ValueError(
                f"aop_deg is {aop_deg:g}, and an angle of progression lies below {AOP_RANGE_DEG[1]:g} degrees"
            )
        stated = {} if aop_deg is None else {"aop_deg": aop_deg}
        return Item(stem, row.cells["subject"] or stem, image, label, spacing_of(row), stated)

    def read_stored(self, path: Path) -> Stored:
        return Stored(read_grey_levels(path))

    def read_mask(self, item: Item) -> Image:
        return structure_labels(read_values(item.label), item.label)
