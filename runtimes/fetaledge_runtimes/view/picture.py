"""What a frame looks like as a whole: which way its edges run, and where."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from fetaledge_runtimes.frames.frame import Image

Description = npt.NDArray[np.float32]

SIDE, CELLS, DIRECTIONS, THUMBNAIL = 128, 8, 12, 16
CLIPPED_AT = 0.5
THUMBNAIL_WEIGHT = 0.1
LENGTH = CELLS * CELLS * DIRECTIONS + THUMBNAIL * THUMBNAIL


def describe_picture(pixels: Image) -> Description:
    """``float32 (1024,)`` of a frame ``uint8 (H, W)``: histograms of signed gradient directions, and a thumbnail.

    The frame is brought to 128×128. Each of 8×8 cells holds the gradients' strength by 12 directions, relative to the
    cells round it, so that gain and depth say little (Dalal and Triggs, Histograms of oriented gradients, 2005). The
    thumbnail of 16×16 is free of mean and contrast.
    """
    shrinks = min(pixels.shape) >= SIDE
    grey = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    grey = grey.astype(np.float32)
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    strength, turn = cv2.cartToPolar(across, down)
    place = turn * np.float32(DIRECTIONS / (2 * np.pi))
    lower = np.floor(place)
    share = place - lower
    planes = np.zeros((DIRECTIONS, SIDE, SIDE), np.float32)
    rows, columns = np.indices((SIDE, SIDE), sparse=True)
    first = lower.astype(np.int64) % DIRECTIONS
    planes[first, rows, columns] = strength * (1 - share)
    planes[(first + 1) % DIRECTIONS, rows, columns] = strength * share
    step = SIDE // CELLS
    histograms = planes.reshape(DIRECTIONS, CELLS, step, CELLS, step).mean(axis=(2, 4))
    squares = cv2.blur(np.sum(histograms**2, axis=0), (3, 3))
    around = np.sqrt(np.maximum(squares, 0)) + 0.05 * histograms.max() + 1e-6
    histograms = np.minimum(histograms / around, CLIPPED_AT)
    small = cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    small = (small - small.mean()) / (small.std() + 5)
    return np.concatenate([histograms.ravel(), THUMBNAIL_WEIGHT * small.ravel()]).astype(np.float32)
