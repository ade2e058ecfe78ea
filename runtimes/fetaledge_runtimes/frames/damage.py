"""Damage in a picture file that its decoder passes over: what is read of such a file is not what was stored."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL.TiffImagePlugin import TiffImageFile

PNG_LAST_CHECKSUM = b"\xaeB`\x82"

# A marker of JPEG but those inside the coded pixels: a stuffed 0, a fill byte, a restart.
JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd7]")
JPEG_END = 0xD9
JPEG_DAMAGE = re.compile(r"Corrupt JPEG data|Premature end of JPEG file")
JPEG_PADDING = re.compile(r"(\d+) extraneous bytes before marker")
MAX_PADDING = 8
"""Some writers leave a few bytes between the pixels and the end."""

TIFF_COMPRESSION = 259
TIFF_PARTS = ((273, 279), (324, 325))  # offsets and lengths, of strips or tiles
TIFF_UNCOMPRESSED, TIFF_DEFLATE = 1, (8, 32946)
BMP_HEIGHT, BMP_COMPRESSION = slice(22, 26), slice(30, 34)

LEAST_BLANK_ROWS, LEAST_BREAK_PX, LEAST_DENSE_PX, NEIGHBOURS = 8, 5, 32, 5
MAX_INFLATED_BYTES = 256_000_000
CHUNK_BYTES = 1 << 20


def check_whole(image: Pillow.Image, stream: BytesIO) -> None:
    """Raise, any error, where a file breaks off or a checksum is wrong.

    Args:
        image: the file as Pillow opened it.
        stream: the file's bytes, where Pillow reads them.
    """
    if image.format == "PNG":
        image.verify()
        if stream.read(4) != PNG_LAST_CHECKSUM:  # verify() stops before it
            raise OSError("the PNG ends before its last checksum")
    elif isinstance(image, TiffImageFile):
        _check_deflated(image, stream)  # OpenCV gives no picture where a strip is missing
    else:
        if image.format == "JPEG" and not has_end(stream.getvalue()):
            raise OSError("the JPEG ends before its last marker")
        image.draft("L", (1, 1))  # JPEG: decode an eighth of the size
        image.load()


def damage_said(lines: Iterable[str]) -> str | None:
    """What libjpeg says of lost pixels, among the lines that it printed; None where it says nothing of the kind."""
    for line in lines:
        padding = JPEG_PADDING.search(line)
        if int(padding[1]) > MAX_PADDING if padding else JPEG_DAMAGE.search(line):
            return line
    return None


def raw_order(image: Pillow.Image, data: bytes) -> int:
    """In which order the rows of an uncompressed BMP or TIFF are stored: 1 from the top, -1 from the bottom; else 0."""
    if isinstance(image, TiffImageFile):
        return int(image.tag_v2.get(TIFF_COMPRESSION, TIFF_UNCOMPRESSED) == TIFF_UNCOMPRESSED)
    if image.format != "BMP" or any(data[BMP_COMPRESSION]):
        return 0
    return -1 if int.from_bytes(data[BMP_HEIGHT], "little", signed=True) > 0 else 1


def breaks_off(rows: npt.NDArray[Any]) -> bool:
    """Whether the last part of an uncompressed picture was lost, so that it is zero from the middle of a row on.

    Black rows alone say nothing: they may be the picture's margin, and the last row before them ends where its
    neighbours do.

    Args:
        rows: grey (H, W), in the order in which they are stored.
    """
    filled = np.flatnonzero(rows.any(axis=1))
    if not len(filled) or len(rows) - 1 - filled[-1] < LEAST_BLANK_ROWS or filled[-1] < NEIGHBOURS:
        return False
    inside = rows[filled[-1] - NEIGHBOURS : filled[-1] + 1][::-1] > 0  # the row that may break off, then its neighbours
    if not inside.any(axis=1).all():
        return False
    ends = np.array([np.flatnonzero(row)[[0, -1]] for row in inside])
    step = abs(np.diff(ends[1:], axis=0)).max()
    (left, right), (left_before, right_before) = ends[0], ends[1]
    return bool(
        right_before - right > LEAST_BREAK_PX + 3 * step
        and abs(left - left_before) <= 1 + step
        and right - left >= LEAST_DENSE_PX
        and inside[0, left:right].mean() > 0.9
        and inside[1, right:right_before].mean() > 0.9
    )


def inflate(deflated: Iterable[bytes | memoryview], window_bits: int) -> Iterator[bytes]:
    """The content of deflated bytes, at most a megabyte at a time.

    Raises:
        zlib.error: it is damaged or breaks off.
    """
    inflater = zlib.decompressobj(window_bits)
    for given in deflated:
        while given and not inflater.eof:
            yield inflater.decompress(given, CHUNK_BYTES)
            given = inflater.unconsumed_tail
    while not inflater.eof:
        left = inflater.decompress(b"", CHUNK_BYTES)
        if not left:
            raise zlib.error("the compressed data breaks off")
        yield left


def has_end(data: bytes) -> bool:
    """Whether a JPEG's pixels are followed by its end marker; a thumbnail's does not count."""
    at = 2
    while found := JPEG_MARKER.search(data, at):
        if found[0][1] == JPEG_END:
            return True
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    return False


def _check_deflated(image: TiffImageFile, stream: BytesIO) -> None:
    """Raise where the checksum of a strip or tile is wrong: libtiff stops reading before it."""
    if image.tag_v2.get(TIFF_COMPRESSION) not in TIFF_DEFLATE:
        return
    data = memoryview(stream.getvalue())
    inflated = 0
    for offsets, lengths in TIFF_PARTS:
        for start, length in zip(_numbers(image, offsets), _numbers(image, lengths), strict=False):
            for part in inflate([data[start : start + length]], zlib.MAX_WBITS):
                inflated += len(part)
                if inflated > MAX_INFLATED_BYTES:
                    raise OSError(f"its strips hold more than {MAX_INFLATED_BYTES // 1_000_000} MB")


def _numbers(image: TiffImageFile, tag: int) -> Sequence[int]:
    found = image.tag_v2.get(tag, ())
    return found if isinstance(found, tuple) else (found,)
