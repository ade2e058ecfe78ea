"""MetaImage files (``.mha``): a text header, then the values, plain or zlib-compressed.

SimpleITK reads them too, but its MetaIO writes about a damaged file to the process's standard error, and hiding that
means redirecting a file descriptor that all threads share.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.images import read_bytes

DATA_KEY = "ElementDataFile"
LONGEST_HEADER = 1 << 16
TYPES = {
    **{"MET_UCHAR": "u1", "MET_CHAR": "i1", "MET_USHORT": "u2", "MET_SHORT": "i2", "MET_UINT": "u4", "MET_INT": "i4"},
    **{"MET_ULONG": "u4", "MET_LONG": "i4", "MET_ULONG_LONG": "u8", "MET_LONG_LONG": "i8"},
    **{"MET_FLOAT": "f4", "MET_DOUBLE": "f8"},
}


@dataclass(frozen=True)
class Header:
    """What the header of a MetaImage states.

    Attributes:
        shape: rows last but one, columns last.
        channels: values a pixel.
        dtype: of a value, with its byte order.
        compressed: whether the values are.
        data_file: ``LOCAL``, or the name of the file beside it that holds the values.
        data_start: where the values begin in their file, in bytes from its start; -1 if they are its last.
    """

    shape: tuple[int, ...]
    channels: int
    dtype: np.dtype[Any]
    compressed: bool
    data_file: str
    data_start: int


def read_meta_image(path: Path, check: Callable[[Header], None]) -> npt.NDArray[Any]:
    """The values of a MetaImage of one channel, of the header's shape and type in the machine's byte order.

    Args:
        path: of the file.
        check: is given the header, and raises where the image is not wanted, before the values are read.

    Raises:
        InputError: the file is missing, damaged or cut short.
    """
    content = read_bytes(path)
    try:
        header = _header(content)
    except (KeyError, ValueError):
        raise _damaged(path) from None
    check(header)
    if header.data_file != "LOCAL":
        content = read_bytes(path.with_name(Path(header.data_file).name))
    size = math.prod(header.shape) * header.dtype.itemsize
    start = len(content) - size if header.data_start < 0 else header.data_start
    data = content[max(start, 0) :]
    if header.compressed:
        try:
            data = zlib.decompressobj(wbits=47).decompress(data, size)
        except zlib.error:
            raise _damaged(path) from None
    if len(data) < size:
        raise _damaged(path)
    values = np.frombuffer(data, header.dtype, math.prod(header.shape)).reshape(header.shape)
    return values.astype(header.dtype.newbyteorder("="))


def _header(content: bytes) -> Header:
    """Raises KeyError or ValueError where the bytes are no header."""
    fields: dict[str, str] = {}
    end = 0
    while DATA_KEY not in fields:
        stop = content.index(b"\n", end, LONGEST_HEADER)
        key, separator, value = content[end:stop].decode("latin-1").partition("=")
        if not separator:
            raise ValueError
        fields[key.strip()] = value.strip()
        end = stop + 1
    if fields.get("ObjectType", "Image") != "Image" or fields.get("BinaryData", "True") != "True":
        raise ValueError
    sizes = [int(number) for number in fields["DimSize"].split()]
    if len(sizes) != int(fields["NDims"]) or min(sizes) < 1:
        raise ValueError
    big = "True" in (fields.get("BinaryDataByteOrderMSB"), fields.get("ElementByteOrderMSB"))
    local = fields[DATA_KEY].upper() == "LOCAL"
    return Header(
        tuple(reversed(sizes)),
        int(fields.get("ElementNumberOfChannels", "1")),
        np.dtype((">" if big else "<") + TYPES[fields["ElementType"]]),
        fields.get("CompressedData", "False") == "True",
        "LOCAL" if local else fields[DATA_KEY],
        int(fields.get("HeaderSize", "0")) or (end if local else 0),
    )


def _damaged(path: Path) -> InputError:
    return InputError(f"{path} is no MetaImage, or is damaged or cut short", "copy or export it again")
