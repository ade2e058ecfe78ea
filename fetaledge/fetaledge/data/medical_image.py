"""Frames and label maps in medical image files: MetaImage (``.mha``) and NIfTI (``.nii``, ``.nii.gz``).

Their spacing is not used: most programs write 1 mm where they know none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from fetaledge.data import nifti
from fetaledge.data.meta_image import read_meta_image
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.images import check_size

MHA = ".mha"
ENDINGS = (MHA, *nifti.ENDINGS)
PLANES = 3


def is_medical(path: Path) -> bool:
    """Whether a file is one of these, by its name."""
    return path.name.lower().endswith(ENDINGS)


def check_same_axes(label: Path, image: Path) -> None:
    """Raise InputError where one file of a pair is NIfTI and the other is not: its rows may be the other's columns."""
    if len({path.name.lower().endswith(nifti.ENDINGS) for path in (label, image)}) > 1:
        raise InputError(
            f"{label} and {image.name} are not both NIfTI, so that rows may be columns of the other",
            "write both in one format",
        )


def read_values(path: Path, dimensions: tuple[int, ...] = (2,)) -> npt.NDArray[Any]:
    """The values as they are stored, (H, W), or (3, H, W) where ``dimensions`` has 3.

    Raises:
        InputError: the file cannot be read, or is of another shape.
    """
    if path.name.lower().endswith(MHA):
        return read_meta_image(path, lambda header: _check_shape(header.shape, header.channels, dimensions, path))
    return nifti.read_nifti(path)


def read_grey_levels(path: Path, dimensions: tuple[int, ...] = (2, 3)) -> npt.NDArray[Any]:
    """``uint8`` or ``uint16 (H, W)``; three planes are red, green and blue, and become grey.

    Raises:
        InputError: as :func:`read_values`, or other values than whole numbers of 16 bits.
    """
    values = read_values(path, dimensions)
    if (
        values.dtype.kind == "f"
        and np.array_equal(values, np.rint(values))
        and path.name.lower().endswith(nifti.ENDINGS)
    ):
        values = values.astype(np.int64)  # NIfTI is often written as float
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() >= 1 << 16:
        raise InputError(
            f"{path} holds {values.dtype} values, where grey levels of 8 or 16 bits were expected", "write it as uint8"
        )
    grey = values if values.dtype == np.uint8 else values.astype(np.uint16)
    if grey.ndim == PLANES:
        grey = cv2.cvtColor(np.ascontiguousarray(grey.transpose(1, 2, 0)), cv2.COLOR_RGB2GRAY)
    return grey


def _check_shape(shape: tuple[int, ...], components: int, dimensions: tuple[int, ...], path: Path) -> None:
    known = len(shape) in dimensions and components == 1 and (len(shape) == 2 or shape[0] == PLANES)
    if not known:
        stands = "×".join(map(str, shape)) + (f" of {components} channels" if components > 1 else "")
        wanted = "H×W" if dimensions == (2,) else f"{PLANES}×H×W or H×W"
        raise InputError(f"{path} is {stands}, where {wanted} was expected", "write it in the layout of PSFHS")
    check_size(shape[-2], shape[-1], str(path))
