"""NIfTI files (``.nii``, ``.nii.gz``) of one plane, read by SimpleITK.

SimpleITK reads a file that is cut short without a word, so its length is checked here.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.images import MAX_PIXELS, check_size, read_bytes

ENDINGS = (".nii", ".nii.gz")
HEADER_BYTES, MAGIC = 348, (b"n+1\0", b"n+2\0")
LONGEST_BYTES = 8 * MAX_PIXELS


def read_nifti(path: Path) -> npt.NDArray[Any]:
    """The values of a NIfTI file of one plane, (H, W): its first axis runs along the rows, as SimpleITK writes it.

    Raises:
        InputError: the file is missing, damaged or cut short, or holds more than one plane.
    """
    import SimpleITK

    sizes = _checked(path)
    if math.prod(sizes) != math.prod(sizes[:2]):
        raise InputError(f"{path} is {'×'.join(map(str, sizes))}, where one plane was expected", "write a file a frame")
    check_size(sizes[1], sizes[0], str(path))
    try:
        values = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path), imageIO="NiftiImageIO"))
    except RuntimeError:
        raise _damaged(path) from None
    plane: npt.NDArray[Any] = np.asarray(values)
    if plane.size != sizes[0] * sizes[1]:
        raise InputError(f"{path} holds several values a pixel, where one was expected", "write grey levels or labels")
    return plane.reshape(sizes[1], sizes[0])


def _checked(path: Path) -> tuple[int, ...]:
    """The sizes that the header states, once the file is found to hold that many values."""
    content = read_bytes(path)
    try:
        if path.name.lower().endswith(".gz"):
            with gzip.open(path) as stream:
                content = stream.read(LONGEST_BYTES)
        order = next(order for order in "<>" if struct.unpack_from(f"{order}i", content)[0] == HEADER_BYTES)
        count, *sizes = struct.unpack_from(f"{order}8h", content, 40)
        (bits,) = struct.unpack_from(f"{order}h", content, 72)
        (start,) = struct.unpack_from(f"{order}f", content, 108)
    except (OSError, EOFError, zlib.error, struct.error, StopIteration):
        raise _damaged(path) from None
    known = tuple(sizes[:count])
    whole = 2 <= count <= 7 and min(known) >= 1 and content[344:348] in MAGIC and bits >= 8
    if not whole or not 0 <= start <= len(content) or len(content) < start + math.prod(known) * bits // 8:
        raise _damaged(path)
    return known


def _damaged(path: Path) -> InputError:
    return InputError(f"{path} is no NIfTI file, or is damaged or cut short", "copy or export it again")
