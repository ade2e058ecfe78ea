"""The one pre-processing of the project: the scan in the frame, resized to the network's grid."""

from __future__ import annotations

import cv2

from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.frames.scan import Box, find_scan

RESIZE_RULE = "area where both sides shrink, else bilinear; half-pixel centres; aspect ratio not kept"


def resize(pixels: Image, size: tuple[int, int]) -> Image:
    """Frame ``uint8 (H, W)`` to the network's grid ``size`` = (height, width), by :data:`RESIZE_RULE`."""
    height, width = size
    if pixels.shape == (height, width):
        return pixels
    shrinks = height <= pixels.shape[0] and width <= pixels.shape[1]
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)  # type: ignore[return-value]


def network_input(pixels: Image, size: tuple[int, int]) -> tuple[Image, Box | None]:
    """What the network sees of a frame ``uint8 (H, W)``, at ``size`` = (height, width); and which part it is.

    The part is None where it is the whole frame: :func:`fetaledge_runtimes.frames.scan.find_scan`.
    """
    crop = find_scan(pixels)
    return resize(pixels if crop is None else crop.cut(pixels), size), crop
