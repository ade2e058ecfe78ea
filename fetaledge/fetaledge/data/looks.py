"""Frames that look alike: the same scanner, told by the scan's shape and by the marks beside it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from fetaledge.data.dataset import Dataset, Item
from fetaledge_runtimes.errors import UsageError
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.postprocess import largest_component

SIDE, GRID = 256, 32
DARK, BRIGHT = 8, 60


def describe_look(pixels: Image) -> npt.NDArray[np.float32]:
    """``float32 (2048,)`` of a frame ``uint8 (H, W)``: where its scan lies, and where marks lie beside it, in 32×32."""
    grey = np.asarray(cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    scan = largest_component((cv2.GaussianBlur(grey, (0, 0), 2) > DARK).astype(np.uint8))
    shape = np.zeros_like(grey)
    found = cv2.findNonZero(scan)
    if found is not None:
        cv2.fillConvexPoly(shape, cv2.convexHull(found), 1)
    beside = (grey > BRIGHT) & (cv2.dilate(shape, np.ones((7, 7), np.uint8)) == 0)
    marks = np.minimum(_coarse(beside) * 8, 1)
    return np.concatenate([_coarse(shape), 2 * marks]).astype(np.float32)


def group_by_look(dataset: Dataset, looks: int) -> dict[str, int]:
    """The look of each frame, by name: 0 for the most frequent of ``looks``. All frames of a subject share one.

    k-means of the subjects' mean descriptions; the same data give the same looks.

    Raises:
        UsageError: fewer subjects than looks.
    """
    described: dict[str, list[npt.NDArray[np.float32]]] = {}
    for item in dataset.items:
        described.setdefault(item.subject, []).append(describe_look(dataset.read_image(item)))
    if not 2 <= looks <= len(described):
        raise UsageError(f"{looks} looks of {len(described)} subjects", "give 2 looks or more, and as many as subjects")
    means = np.stack([np.mean(frames, axis=0) for frames in described.values()]).astype(np.float32)
    cv2.setRNGSeed(0)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 200, 1e-5)
    found = cv2.kmeans(means, looks, None, criteria, 20, cv2.KMEANS_PP_CENTERS)[1].ravel()  # type: ignore[call-overload]
    of_subject = dict(zip(described, found.tolist(), strict=True))
    frames = np.bincount([of_subject[item.subject] for item in dataset.items], minlength=looks)
    rank = {int(look): place for place, look in enumerate(np.argsort(-frames, kind="stable"))}
    return {item.name: rank[of_subject[item.subject]] for item in dataset.items}


def split_by_look(items: Sequence[Item], look_of: dict[str, int], look: int) -> tuple[list[str], list[str]]:
    """Names for (training, validation): the frames of other looks, and those of ``look``."""
    train = [item.name for item in items if look_of[item.name] != look]
    return train, [item.name for item in items if look_of[item.name] == look]


def _coarse(plane: np.ndarray) -> npt.NDArray[np.float32]:
    small = cv2.resize(plane.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).ravel()
