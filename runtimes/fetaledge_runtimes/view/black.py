"""Parts of a structure that lie where the frame shows nothing: what was segmented there is a guess."""

from __future__ import annotations

import cv2
import numpy as np

from fetaledge_runtimes.frames.frame import Image

SIDE = 256
NEIGHBOURHOOD, BLACK = 9, 1


def black_share(pixels: Image, mask: Image) -> float:
    """The share (0 to 1) of a mask in which the frame is black all round; 0 where the mask is empty.

    Tissue scatters: of 799 real heads (HC18) 0.081 is black in one and at most 0.025 in the others. Of heads whose top,
    bottom or side quarter was blackened it is 0.12 or more.

    Args:
        pixels: ``uint8 (H, W)``.
        mask: ``uint8 (h, w)``, of the same part of the frame on any grid.
    """
    size = (SIDE, SIDE)
    grey = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    inside = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST) > 0
    black = cv2.dilate(grey, np.ones((NEIGHBOURHOOD, NEIGHBOURHOOD), np.uint8)) <= BLACK
    return int(np.count_nonzero(black & inside)) / max(1, int(np.count_nonzero(inside)))
