"""Where the scan lies in a frame: screenshots and screen recordings hold much else."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from fetaledge_runtimes.frames.frame import Image

BLOCKS = 64
"""The frame is looked at in about so many blocks along its longer side."""
TEXTURE = 0.3
"""Grey levels: a block whose standard deviation is above it is no plain ground. The dark parts of a scan have noise."""
WHOLE = 0.72
WHOLE_ALONE = 0.5
"""Where the scan covers these shares of a side, the side is left whole: the first if the other side is cut too, else
the second. Cutting one side alone changes the proportions that the network knows, and a narrow sector is a scan as it
comes from the scanner: two of 1662 real frames (HC18, PSFHS, five African countries) cover 0.69 of their width."""
PANEL = 0.3
"""A patch of this share of the largest one's area is another panel, and letters are not."""
LEAST_PX = 48
BLOCKS_AT_ONCE = 8
"""Rows of blocks at a time: as float64 a picture takes eight times its memory."""


@dataclass(frozen=True)
class Box:
    """A rectangle of a frame: its first row and column, and its height and width in pixels."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, pixels: Image) -> Image:
        """The part of a picture or mask ``(H, W)``; a view, not a copy."""
        return pixels[self.top : self.top + self.height, self.left : self.left + self.width]

    def flipped(self, width: int) -> Box:
        """The box of the same part in the mirror image of a frame of this width."""
        return Box(self.top, width - self.left - self.width, self.height, self.width)

    def as_list(self) -> list[int]:
        """For documents: ``[top, left, height, width]``."""
        return [self.top, self.left, self.height, self.width]


def cut_scan(pixels: Image, *others: Image) -> tuple[Image, ...]:
    """The scan's part of a frame and of other pictures of its size, such as its mask; views, not copies."""
    box = find_scan(pixels)
    return (pixels, *others) if box is None else tuple(box.cut(plane) for plane in (pixels, *others))


def find_scan(pixels: Image) -> Box | None:
    """The box of the scan in a frame ``uint8 (H, W)``; None where the scan fills the frame, as it does in most.

    The scan is the largest connected patch of texture: what is constant round it (borders, a screen's ground) has none,
    and letters are small patches of their own. Panels side by side belong to it: nobody knows which is meant. A side
    that is nearly covered stays as it is (:data:`WHOLE`), so that a frame from a scanner's own archive is not touched.
    """
    height, width = pixels.shape
    block = max(4, round(max(height, width) / BLOCKS))
    rows, columns = height // block, width // block
    if min(rows, columns) < 4:
        return None
    mean, square = np.empty((rows, columns)), np.empty((rows, columns))
    for first in range(0, rows, BLOCKS_AT_ONCE):
        after = min(first + BLOCKS_AT_ONCE, rows)
        part = pixels[first * block : after * block, : columns * block].astype(np.float64)  # float32 loses the variance
        for plane, values in ((mean, part), (square, part * part)):
            plane[first:after] = cv2.resize(values, (columns, after - first), interpolation=cv2.INTER_AREA)
    textured = (square - mean * mean > TEXTURE**2).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(textured, connectivity=8)
    if count < 2:
        return None
    areas = stats[1:, cv2.CC_STAT_AREA]
    panels = stats[1:][areas >= PANEL * areas.max()]
    left, top = (int(value) for value in panels[:, :2].min(axis=0))
    right, bottom = (int(value) for value in (panels[:, :2] + panels[:, 2:4]).max(axis=0))
    across, down = right - left, bottom - top
    shares = down / rows, across / columns
    least = WHOLE if max(shares) < WHOLE else WHOLE_ALONE
    first_row, after_row = (0, height) if shares[0] >= least else _side(top, top + down, block, height)
    first_column, after_column = (0, width) if shares[1] >= least else _side(left, left + across, block, width)
    box = Box(first_row, first_column, after_row - first_row, after_column - first_column)
    if (box.height, box.width) == (height, width) or min(box.height, box.width) < LEAST_PX:
        return None
    return box


def _side(first: int, after: int, block: int, length: int) -> tuple[int, int]:
    """First pixel and the one after the last, of a side on which the scan covers these blocks; one more on either."""
    return max(first - 1, 0) * block, min((after + 1) * block, length)
