"""The one post-processing of the project: from the network's logits to a mask on the frame's own grid."""

from __future__ import annotations

import cv2
import numpy as np

from fetaledge_runtimes.frames.frame import Image, Logits
from fetaledge_runtimes.frames.scan import Box


def largest_component(mask: Image) -> Image:
    """The largest 8-connected region of a mask ``uint8 (H, W)`` (non-zero = inside), holes filled, as 0 and 1."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    kept = np.zeros_like(mask)
    if contours:
        largest = max(contours, key=lambda contour: (cv2.contourArea(contour), len(contour)))
        cv2.drawContours(kept, [largest], 0, 1, cv2.FILLED)
    return kept


def labels_from_logits(logits: Logits, shape: tuple[int, int], grid: tuple[int, int] | None = None) -> Image:
    """The class of each pixel, ``uint8`` of ``shape`` = (H, W), the frame's own, from logits ``float32 (C, h, w)``.

    One channel: head where the logit is above 0 (probability above one half). More channels: the largest wins.
    The logits, not the mask, are interpolated to the frame's grid, so the border keeps its sub-pixel place.

    With ``grid`` = (height, width), the way that the LoRA-tuned SAM was published: the logits are interpolated to that
    grid, decided there, and the labels taken to the frame by the nearest neighbour.
    """
    height, width = shape if grid is None else grid
    planes = (cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in logits)
    highest = next(planes)
    labels = (highest > 0).astype(np.uint8) if len(logits) == 1 else np.zeros((height, width), np.uint8)
    for label, plane in enumerate(planes, start=1):  # one at a time: a plane takes four times the frame's memory
        labels[plane > highest] = label
        np.maximum(highest, plane, out=highest)
    if labels.shape != shape:
        labels = cv2.resize(labels, shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint8)
    found: Image = labels
    return found


def mask_from_logits(logits: Logits, shape: tuple[int, int], grid: tuple[int, int] | None = None) -> Image:
    """Mask ``uint8`` of ``shape`` = (H, W): :func:`labels_from_logits`, of each class the largest component."""
    return largest_components(labels_from_logits(logits, shape, grid), max(len(logits), 2))


def place(mask: Image, shape: tuple[int, int], crop: Box | None) -> Image:
    """A mask ``uint8`` of a frame's part ``crop`` as one of the whole frame, of ``shape`` = (H, W)."""
    if crop is None:
        return mask
    whole = np.zeros(shape, np.uint8)
    crop.cut(whole)[:] = mask
    return whole


def second_share(mask: Image) -> float:
    """Area of the second largest component of a mask ``uint8 (H, W)`` over that of the largest; 0 without a second."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    areas = sorted((cv2.contourArea(contour) for contour in contours), reverse=True)
    return areas[1] / areas[0] if len(areas) > 1 and areas[0] > 0 else 0.0


def largest_components(labels: Image, classes: int) -> Image:
    """A label map ``uint8 (H, W)`` in which each class above 0 keeps its largest component alone, holes filled.

    A hole that holds another class's largest component keeps it.
    """
    kept = {label: largest_component((labels == label).astype(np.uint8)) > 0 for label in range(1, classes)}
    mask = np.zeros_like(labels)
    for label, inside in kept.items():
        mask[inside] = label
    for label, inside in kept.items():
        mask[inside & (labels == label)] = label
    return mask
