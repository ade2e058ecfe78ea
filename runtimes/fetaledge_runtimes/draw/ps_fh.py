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
    Points,
    _finish,
    _polyline,
    _smooth_contours,
    _start,
)
from fetaledge_runtimes.frames.frame import Frame, Image
from fetaledge_runtimes.tasks.ps_fh import Progression
from fetaledge_runtimes.tasks.task import FH, PS


def draw_progression(frame: Frame, mask: Image, progression: Progression, lines: Sequence[str]) -> Image:
    """Draw an angle of progression over its frame.

    Both structures are outlined. Where the angle was measured its construction is drawn too: the symphysis' long axis
    and the tangent to the skull, both carried on past their points, the arc between them, and the head-symphysis
    distance. Else the caption, which then says why, is amber. Arguments, result and errors are those of
    :func:`draw_head`; ``mask`` holds 1 for the symphysis and 2 for the head.
    """
    canvas, thickness = _start(frame, mask)
    for label, colour in ((FH, OUTLINE), (PS, SYMPHYSIS)):
        for contour in _smooth_contours((mask == label).astype(np.uint8)):
            _polyline(canvas, contour, colour, thickness)
    points = (progression.superior, progression.inferior, progression.tangent, progression.nearest)
    if None not in points:
        lined = canvas.copy()
        _angle(lined, np.array(points, np.float64), thickness)
        cv2.addWeighted(lined, AXES_OPACITY, canvas, 1 - AXES_OPACITY, 0, dst=canvas)
    return _finish(canvas, mask, lines, progression.status == "ok")


def _angle(canvas: Image, points: Points, thickness: int) -> None:
    """The construction of an angle of progression from its superior, inferior, tangent and nearest point."""
    superior, inferior, tangent, nearest = points
    axis, touching = superior - inferior, tangent - inferior
    past = 0.25 * math.hypot(*touching)
    _polyline(canvas, np.array([inferior, nearest]), SYMPHYSIS, max(1, thickness - 1), closed=False)
    for start, end in ((superior, inferior), (inferior, tangent)):
        along = (end - start) / max(math.dist(start, end), 1e-9)
        back = 0.25 * past if start is superior else 0.0
        _polyline(canvas, np.array([start - back * along, end + past * along]), AXES, thickness, closed=False)
    first, last = math.atan2(axis[1], axis[0]), math.atan2(touching[1], touching[0])
    turn = (last - first + math.pi) % (2 * math.pi) - math.pi
    radius = 0.5 * min(math.hypot(*axis), math.hypot(*touching))
    directions = first + np.linspace(0, turn, 60)
    arc = inferior + radius * np.stack([np.cos(directions), np.sin(directions)], axis=1)
    _polyline(canvas, arc, ELLIPSE, thickness, closed=False)
    for point in (inferior, tangent):
        cv2.circle(
            canvas, tuple(np.rint(point * 16).astype(int).tolist()), 16 * (thickness + 1), ELLIPSE, -1, cv2.LINE_AA, 4
        )
