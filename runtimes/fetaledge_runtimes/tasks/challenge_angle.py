"""The angle of progression as the challenge PS-FH-AOP 2023 computes it."""

from __future__ import annotations

import math

import cv2
import numpy as np

from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.tasks.labels import FH, PS


def challenge_aop(mask: Image) -> float:
    """Angle of progression in degrees of a label map ``uint8 (H, W)``, just as the PS-FH-AOP challenge computes it.

    For comparison with its results only; 0.0 where a structure cannot be fitted. Its faults are kept: the number means
    nothing where the symphysis' end lies in the head or the frame is mirrored, and it jumps where the symphysis' axis
    crosses the vertical. Measure with :func:`measure_progression`.
    """
    points = challenge_points(mask)
    if points is None:
        return 0.0
    left, right, touch = points
    axis, tangent, third = math.dist(left, right), math.dist(right, touch), math.dist(left, touch)
    if axis * tangent == 0:
        return 0.0
    cosine = (axis**2 + tangent**2 - third**2) / (2 * axis * tangent)
    return math.degrees(math.acos(min(1.0, max(-1.0, cosine))))


def challenge_points(mask: Image) -> np.ndarray | None:
    """``float64 (3, 2)``: the symphysis' left and right end and the tangent's point as the challenge has them, (x, y).

    None where a structure cannot be fitted.
    """
    symphysis, head = (challenge_ellipse((mask == label).astype(np.uint8)) for label in (PS, FH))
    if symphysis is None or head is None:
        return None
    reach = symphysis.a * np.array(symphysis.direction)
    left, right = np.array([symphysis.x, symphysis.y]) - reach, np.array([symphysis.x, symphysis.y]) + reach
    x, y = head.own(right)
    a2, b2 = head.a**2, head.b**2
    if x**2 == a2:
        x += 1
    outside = b2 * x**2 + a2 * y**2 - a2 * b2
    slope = (x * y - math.sqrt(outside)) / (x**2 - a2) if outside >= 0 else 0.0
    rise = y - slope * x
    touch_x = -slope * rise * a2 / (b2 + a2 * slope**2)
    return np.array([left, right, head.placed(np.array([touch_x, slope * touch_x + rise]))])


def challenge_ellipse(mask: Image) -> Ellipse | None:
    """The challenge's fit, its long axis turned to -90 to 90 degrees, so that it points to the right."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return None
    simple = cv2.approxPolyDP(max(contours, key=len), 1, True)
    if len(simple) <= 5:
        return None
    (x, y), (short, long), angle = cv2.fitEllipse(simple)
    return Ellipse(x, y, long / 2, short / 2, angle - 90)
