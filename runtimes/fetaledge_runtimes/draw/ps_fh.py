"""Symphysis, head and the angle of progression on their frame."""

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
    SYMPHYSIS,
    Point,
    Points,
    finish,
    polyline,
    smooth_contours,
    start,
)
from fetaledge_runtimes.frames.frame import Frame, Image


def draw_progression(
    frame: Frame, symphysis: Image, head: Image, points: Sequence[Point] | None, lines: Sequence[str]
) -> Image:
    """Draw an angle of progression over its frame.

    Args:
        frame: ``uint8 (H, W)``.
        symphysis, head: masks ``uint8 (H, W)`` of the frame's size, non-zero = inside; both are outlined.
        points: superior, inferior, tangent and nearest point, (x, y) in pixels of the frame. The symphysis' long axis,
            the tangent to the skull, the arc between them and the head-symphysis distance are drawn. None: left out,
            and the caption, which then says why, is amber.
        lines: caption, ASCII, the first one larger.

    Returns:
        ``uint8 (H, W, 3)``, BGR.

    Raises:
        InputError: a mask and the frame differ in size.
    """
    canvas, thickness = start(frame, symphysis)
    for mask, colour in ((head, OUTLINE), (symphysis, SYMPHYSIS)):
        for contour in smooth_contours(mask):
            polyline(canvas, contour, colour, thickness)
    if points is not None:
        lined = canvas.copy()
        _angle(lined, np.array(points, np.float64), thickness)
        cv2.addWeighted(lined, AXES_OPACITY, canvas, 1 - AXES_OPACITY, 0, dst=canvas)
    return finish(canvas, cv2.bitwise_or(symphysis, head).astype(np.uint8, copy=False), lines, points is not None)


def _angle(canvas: Image, points: Points, thickness: int) -> None:
    """The construction of an angle of progression from its superior, inferior, tangent and nearest point."""
    superior, inferior, tangent, nearest = points
    axis, touching = superior - inferior, tangent - inferior
    past = 0.25 * math.hypot(*touching)
    polyline(canvas, np.array([inferior, nearest]), SYMPHYSIS, max(1, thickness - 1), closed=False)
    for begin, end in ((superior, inferior), (inferior, tangent)):
        along = (end - begin) / max(math.dist(begin, end), 1e-9)
        back = 0.25 * past if begin is superior else 0.0
        polyline(canvas, np.array([begin - back * along, end + past * along]), AXES, thickness, closed=False)
    first, last, within = (math.atan2(y, x) for x, y in (axis, touching, nearest - inferior))
    turn = (last - first) % (2 * math.pi)
    if turn < (within - first) % (2 * math.pi):  # the arc crosses the head, past half a turn too
        turn -= 2 * math.pi
    radius = 0.5 * min(math.hypot(*axis), math.hypot(*touching))
    directions = first + np.linspace(0, turn, 60)
    arc = inferior + radius * np.stack([np.cos(directions), np.sin(directions)], axis=1)
    polyline(canvas, arc, ELLIPSE, thickness, closed=False)
    for point in (inferior, tangent):
        cv2.circle(
            canvas, tuple(np.rint(point * 16).astype(int).tolist()), 16 * (thickness + 1), ELLIPSE, -1, cv2.LINE_AA, 4
        )
