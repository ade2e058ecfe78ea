"""A contact sheet: many images on one, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from fetaledge_runtimes.frames.frame import Image

_GAP, _CAPTION = 4, 18


def _tile(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> Image:
    """``image`` at the largest size that fits ``size`` (rows, columns), centred on black, as BGR."""
    colour = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image
    scale = min(size[0] / colour.shape[0], size[1] / colour.shape[1])
    width, height = max(1, round(colour.shape[1] * scale)), max(1, round(colour.shape[0] * scale))
    small = cv2.resize(colour, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    tile = np.zeros((*size, 3), np.uint8)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    tile[top : top + height, left : left + width] = small
    return tile


def contact_sheet(
    images: Sequence[npt.NDArray[np.uint8]],
    columns: int,
    tile: tuple[int, int] = (270, 400),
    captions: Sequence[str] | None = None,
) -> Image:
    """``images`` in rows of ``columns``, each fitted into a tile with its proportions kept.

    Args:
        images: ``uint8 (H, W)`` grey or ``(H, W, 3)`` BGR, of any sizes, at least one.
        columns: tiles a row; fewer where there are fewer images.
        tile: rows and columns of a tile, in pixels.
        captions: a line under each image (ASCII; OpenCV's font has nothing else), or None.

    Returns:
        ``uint8``: grey ``(H, W)`` where every image is grey, else BGR ``(H, W, 3)``.
    """
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    below = _CAPTION if captions is not None else 0
    step = (tile[0] + below + _GAP, tile[1] + _GAP)
    sheet = np.full((rows * step[0] + _GAP, columns * step[1] + _GAP, 3), 40, np.uint8)
    for index, image in enumerate(images):
        top, left = _GAP + index // columns * step[0], _GAP + index % columns * step[1]
        sheet[top : top + tile[0], left : left + tile[1]] = _tile(image, tile)
        if captions is not None:
            origin = (left + 2, top + tile[0] + _CAPTION - 5)
            cv2.putText(sheet, captions[index], origin, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (220,) * 3, 1, cv2.LINE_AA)
    return np.ascontiguousarray(sheet[..., 0]) if all(image.ndim == 2 for image in images) else sheet
