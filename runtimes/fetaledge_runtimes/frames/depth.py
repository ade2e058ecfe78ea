"""Bit depth of grey levels above 8 bits: decided once for all pictures of a source, then scaled to 8 bits.

A 10-bit or 12-bit picture usually stands in a 16-bit file. If each picture's depth were taken from its own brightest
pixel, a sweep's darker frames would come out brighter than they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.frames.frame import Image

STORED_BITS = (8, 10, 12, 16)
ROWS_AT_ONCE = 256
"""Some rows at a time: the arithmetic needs more memory than the picture."""


@dataclass(frozen=True, eq=False)
class Stored:
    """A picture as its file stores it.

    Attributes:
        pixels: unsigned whole numbers, (H, W) grey or of any other shape.
        bits: the depth that the file states, or None.
    """

    pixels: npt.NDArray[Any]
    bits: int | None = None


class Depth:
    """The depth that all pictures of one source share."""

    def __init__(self, files: Sequence[Path], read: Callable[[Path], Stored], bits: int | None = None) -> None:
        """Nothing is read until :meth:`scale` meets a picture of more than 8 bits.

        Args:
            files: all pictures of the source.
            read: reads one of them; may raise InputError, which leaves the file out.
            bits: 8, 10, 12 or 16 to fix the depth, or None to find it out.

        Raises:
            UsageError: ``bits`` is another number.
        """
        if bits is not None and bits not in STORED_BITS:
            raise UsageError(f"a depth of {bits} bits was given", "choose 8, 10, 12 or 16")
        self.files, self.read, self.given = files, read, bits

    @cached_property
    def bits(self) -> int:
        """The depth in bits. Finding it out reads every file once."""
        return common_bits(self._deep()) if self.given is None else self.given

    def _deep(self) -> Iterable[Stored]:
        for path in self.files:
            try:
                stored = self.read(path)
            except InputError:
                continue  # whoever needs the picture is told
            if stored.pixels.dtype != np.uint8:
                yield stored

    def scale(self, stored: Stored, path: Path) -> tuple[Image, int]:
        """``uint8`` pixels of a picture, and the depth in bits that they were scaled from: 8 if they were not.

        Raises:
            InputError: the picture holds a value above the depth.
        """
        if stored.pixels.dtype == np.uint8:
            return stored.pixels, 8
        largest = int(stored.pixels.max())
        if largest >= 1 << self.bits:
            raise InputError(
                f"{path} holds the grey level {largest}, above the {(1 << self.bits) - 1} of {self.bits} bits",
                "give the depth of the deepest picture with --bits",
            )
        return to_uint8(stored.pixels, self.bits), self.bits


def common_bits(pictures: Iterable[Stored]) -> int:
    """The depth that pictures share, in bits.

    A stated depth counts unless a value lies above it: then the file keeps its bits at the top, as PNG's sBIT wants it,
    and the depth is 16. Without a statement it is the smallest of 8, 10, 12 and 16 that holds the largest value.

    Raises:
        InputError: a value above 16 bits.
    """
    largest, stated = 0, 0
    for picture in pictures:
        largest, stated = max(largest, int(picture.pixels.max())), max(stated, picture.bits or 0)
    if largest >= 1 << 16:
        raise InputError(f"grey levels reach {largest}, above the 65535 of 16 bits", "write the pictures as uint8")
    if stated:
        return stated if largest < 1 << stated else 16
    return next(depth for depth in STORED_BITS if largest < 1 << depth)


def to_uint8(pixels: npt.NDArray[Any], bits: int | None = None) -> Image:
    """Scale unsigned whole numbers of any shape linearly to 0-255: 0 stays 0, 2^bits - 1 becomes 255.

    Args:
        pixels: of any shape; values above the depth become 255.
        bits: the depth; of 8 bits values stay as they are. If None it is that of these pixels, :func:`common_bits`.
    """
    depth = common_bits([Stored(pixels)]) if bits is None else bits
    if depth <= 8 and pixels.dtype == np.uint8:
        return pixels
    grey: Image = np.empty(pixels.shape, np.uint8)
    for first in range(0, len(pixels), ROWS_AT_ONCE):
        rows = pixels[first : first + ROWS_AT_ONCE]
        if depth > 8:
            rows = np.rint(rows.astype(np.float32) * np.float32(255 / ((1 << depth) - 1)))
        grey[first : first + ROWS_AT_ONCE] = np.minimum(rows, 255)
    return grey
