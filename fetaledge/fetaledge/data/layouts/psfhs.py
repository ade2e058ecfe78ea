"""The layout of PSFHS and of the challenge FH-PS-AOP: MetaImage files of frames and of label maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from fetaledge.data.dataset import Item
from fetaledge.data.layouts.paired_folders import PairedFolders, spacing_of, structure_labels
from fetaledge.data.layouts.tables import positive
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.frames.images import check_size, read_bytes, to_uint8
from fetaledge_runtimes.tasks.ps_fh import PS_FH
from fetaledge_runtimes.tasks.task import Task

ENDING = ".mha"
PLANES = 3


class Psfhs(PairedFolders):
    """``image_mha/STEM.mha`` (3, H, W) or (H, W), and ``label_mha/STEM.mha`` (H, W): 0, 1 symphysis, 2 head.

    The published frames are 256×256 without millimetres, and each counts as a subject of its own. An optional
    ``truth.csv`` (column ``filename``; phantoms write one) may state ``subject``, ``aop_deg`` and ``pixel_mm``; an
    empty cell is unknown.
    """

    IMAGES, LABELS, TABLE, ENDINGS = "image_mha", "label_mha", "truth.csv", (ENDING,)

    @property
    def task(self) -> Task:
        return PS_FH

    def make_item(self, stem: str, image: Path, label: Path, row: dict[str, str]) -> Item:
        aop_deg = positive(row["aop_deg"], "aop_deg") if row.get("aop_deg") else None
        if aop_deg is not None and aop_deg >= 180:
            raise ValueError(f"aop_deg is {aop_deg:g}, and an angle of progression lies below 180 degrees")
        return Item(
            stem,
            row.get("subject") or stem,
            image,
            label,
            spacing_of(row),
            {} if aop_deg is None else {"aop_deg": aop_deg},
        )

    def read_image(self, item: Item) -> Image:
        values = read_mha(item.image)
        if values.ndim == PLANES:
            colour = np.ascontiguousarray(values.transpose(1, 2, 0))
            return cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
        return values

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
    values = _read(path, (2, 3))
    if values.dtype.kind not in "iu" or values.min() < 0:
        raise InputError(
            f"{path} holds {values.dtype} values, where grey levels of 8 or 16 bits were expected", "write it as uint8"
        )
    return to_uint8(values)


def _read(path: Path, dimensions: tuple[int, ...]) -> npt.NDArray[Any]:
    """The values of a MetaImage; ITK's own lines on stderr would tell of a damaged file twice."""
    import SimpleITK

    from fetaledge_runtimes.quiet import silenced

    read_bytes(path, 1)
    reader: Any = SimpleITK.ImageFileReader()  # type: ignore[no-untyped-call]
    reader.SetImageIO("MetaImageIO")
    reader.SetFileName(str(path))
    try:
        with silenced():
            reader.ReadImageInformation()
            shape = tuple(reversed(reader.GetSize()))
            _check_shape(shape, reader.GetNumberOfComponents(), dimensions, path)
            values: npt.NDArray[Any] = SimpleITK.GetArrayFromImage(reader.Execute())
    except RuntimeError:
        raise InputError(f"{path} is no MetaImage, or is damaged or cut short", "copy or export it again") from None
    return values


def _check_shape(shape: tuple[int, ...], components: int, dimensions: tuple[int, ...], path: Path) -> None:
    known = len(shape) in dimensions and components == 1 and (len(shape) == 2 or shape[0] == PLANES)
    if not known:
        stands = "×".join(map(str, shape)) + (f" of {components} channels" if components > 1 else "")
        wanted = "H×W" if dimensions == (2,) else f"{PLANES}×H×W or H×W"
        raise InputError(f"{path} is {stands}, where {wanted} was expected", "write it in the layout of PSFHS")
    check_size(shape[-2], shape[-1], str(path))
