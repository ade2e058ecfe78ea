"""The layout of PSFHS and of the challenge FH-PS-AOP: MetaImage files of frames and of label maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from fetaledge.data.dataset import Item
from fetaledge.data.layouts.paired_folders import PairedFolders, structure_labels
from fetaledge.data.meta_image import read_meta_image
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.depth import Stored, to_uint8
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.frames.images import check_size
from fetaledge_runtimes.frames.spacing import SPACING_COLUMNS, spacing_of
from fetaledge_runtimes.frames.tables import Row, Table, read_table
from fetaledge_runtimes.tasks.ps_fh import AOP_RANGE_DEG, PS_FH

ENDING = ".mha"
PLANES = 3


class Psfhs(PairedFolders):
    """``image_mha/STEM.mha`` (3, H, W) or (H, W), and ``label_mha/STEM.mha`` (H, W): 0, 1 symphysis, 2 head.

    The published frames are 256×256 without millimetres, and each counts as a subject of its own. An optional
    ``truth.csv`` (column ``filename``; phantoms write one) may state ``subject``, ``aop_deg`` and ``pixel_mm``; an
    empty cell is unknown.
    """

    IMAGES, LABELS, TABLE, ENDINGS = "image_mha", "label_mha", "truth.csv", (ENDING,)

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
        values = _grey_levels(path)
        if values.ndim == PLANES:
            values = cv2.cvtColor(np.ascontiguousarray(values.transpose(1, 2, 0)), cv2.COLOR_RGB2GRAY)
        return Stored(values)

    def read_mask(self, item: Item) -> Image:
        return read_label_map(item.label)


def read_label_map(path: Path) -> Image:
    """A label map ``.mha`` of the task ``ps-fh`` as ``uint8 (H, W)`` of 0, 1 and 2.

    Raises:
        InputError: it cannot be read, or is no such map.
    """
    return structure_labels(_read(path, (2,)), path)


def read_mha(path: Path) -> Image:
    """An image ``.mha`` as ``uint8``, (H, W) or (3, H, W); more than 8 bits are scaled.

    Raises:
        InputError: it cannot be read, or is no such image.
    """
    return to_uint8(_grey_levels(path))


def _grey_levels(path: Path) -> npt.NDArray[Any]:
    """``uint8`` or ``uint16``, (H, W) or (3, H, W)."""
    values = _read(path, (2, 3))
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() >= 1 << 16:
        raise InputError(
            f"{path} holds {values.dtype} values, where grey levels of 8 or 16 bits were expected", "write it as uint8"
        )
    return values if values.dtype == np.uint8 else values.astype(np.uint16)


def _read(path: Path, dimensions: tuple[int, ...]) -> npt.NDArray[Any]:
    return read_meta_image(path, lambda header: _check_shape(header.shape, header.channels, dimensions, path))


def _check_shape(shape: tuple[int, ...], components: int, dimensions: tuple[int, ...], path: Path) -> None:
    known = len(shape) in dimensions and components == 1 and (len(shape) == 2 or shape[0] == PLANES)
    if not known:
        stands = "×".join(map(str, shape)) + (f" of {components} channels" if components > 1 else "")
        wanted = "H×W" if dimensions == (2,) else f"{PLANES}×H×W or H×W"
        raise InputError(f"{path} is {stands}, where {wanted} was expected", "write it in the layout of PSFHS")
    check_size(shape[-2], shape[-1], str(path))
