"""A head's outline, ellipse and axes on its frame."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from fetaledge_runtimes.draw.canvas import (
    AXES,
    AXES_OPACITY,
    ELLIPSE,
    OUTLINE,
    finish,
    polyline,
    smooth_contours,
    start,
)
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.frames.frame import Frame, Image


def draw_head(frame: Frame, mask: Image, ellipse: Ellipse | None, lines: Sequence[str], good: bool = True) -> Image:
    """Draw a measured head over its frame.

    Args:
        frame: ``uint8 (H, W)``.
        mask: ``uint8 (H, W)`` of the frame's size, non-zero = head; its outline is drawn.
        ellipse: in the frame's pixels, drawn with its two axes (the short one BPD, the long one OFD); None: left out.
        lines: caption, ASCII, the first one larger; it stands in the corner where it covers least of the head.
        good: False where nothing was measured: the caption, which then says why, is amber.

    Returns:
        ``uint8 (H, W, 3)``, BGR.

    Raises:
        InputError: mask and frame differ in size.
    """
    canvas, thickness = start(frame, mask)
    for contour in smooth_contours(mask):
        polyline(canvas, contour, OUTLINE, thickness)
    if ellipse is not None:
        polyline(canvas, ellipse.points(), ELLIPSE, thickness)
        lined = canvas.copy()
        _axis(lined, ellipse, ellipse.a, ellipse.angle_deg, thickness)
        _axis(lined, ellipse, ellipse.b, ellipse.angle_deg + 90, thickness)
        cv2.addWeighted(lined, AXES_OPACITY, canvas, 1 - AXES_OPACITY, 0, dst=canvas)
    return finish(canvas, mask, lines, good)


def _axis(canvas: Image, ellipse: Ellipse, semi_axis: float, angle_deg: float, thickness: int) -> None:
    """An axis of the ellipse with a cross at each end, as callipers are shown."""
    along = np.array([math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))])
    across = np.array([-along[1], along[0]])
    arm = max(4.0, 9 * min(canvas.shape[:2]) / 540)
    centre = np.array([ellipse.x, ellipse.y])
    reach = semi_axis + arm
    polyline(canvas, np.array([centre - reach * along, centre + reach * along]), AXES, max(1, thickness - 1), False)
    for end in (centre - semi_axis * along, centre + semi_axis * along):
        polyline(canvas, np.array([end - arm * across, end + arm * across]), AXES, thickness, closed=False)
