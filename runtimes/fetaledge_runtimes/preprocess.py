"""The one pre-processing of the project: the resize from the frame's grid to the network's."""

from __future__ import annotations

import cv2

from fetaledge_runtimes.frames.frame import Image

RESIZE_RULE = "area where both sides shrink, else bilinear; half-pixel centres; aspect ratio not kept"


def resize(pixels: Image, size: tuple[int, int]) -> Image:
    """Frame ``uint8 (H, W)`` to the network's grid ``size`` = (height, width), by :data:`RESIZE_RULE`."""
    height, width = size
    if pixels.shape == (height, width):
        return pixels
    shrinks = height <= pixels.shape[0] and width <= pixels.shape[1]
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)  # type: ignore[return-value]
