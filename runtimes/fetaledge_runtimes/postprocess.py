"""The one post-processing of the project: from the network's logits to a mask on the frame's own grid."""

from __future__ import annotations

import cv2
import numpy as np

from fetaledge_runtimes.frame import Image, Logits


def largest_component(mask: Image) -> Image:
    """The largest 8-connected region of a mask ``uint8 (H, W)`` (non-zero = inside), holes filled, as 0 and 1."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    kept = np.zeros_like(mask)
    if contours:
        largest = max(contours, key=lambda contour: (cv2.contourArea(contour), len(contour)))
        cv2.drawContours(kept, [largest], 0, 1, cv2.FILLED)
    return kept


def mask_from_logits(logits: Logits, shape: tuple[int, int]) -> Image:
    """Mask ``uint8`` of ``shape`` = (H, W), the frame's own, from logits ``float32 (C, h, w)``.

    One channel: head where the logit is above 0 (probability above one half). More channels: the largest wins.
    The logits, not the mask, are interpolated to the frame's grid, so the border keeps its sub-pixel place; then each
    class keeps its largest component.
    """
    height, width = shape
    planes = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in logits]
    if len(planes) == 1:
        return largest_component((planes[0] > 0).astype(np.uint8))
    winner = np.argmax(np.stack(planes), axis=0)
    mask = np.zeros(shape, np.uint8)
    for label in range(1, len(planes)):
        mask[largest_component((winner == label).astype(np.uint8)) > 0] = label
    return mask
