"""The task ``disc``: one bright disc, and its diameter in mm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import cv2
import numpy as np

from fetaledge_runtimes.draw.canvas import OUTLINE, finish, polyline, smooth_contours, start
from fetaledge_runtimes.frames.frame import Frame, Image
from fetaledge_runtimes.tasks.task import Measure, Measured, Task

DIAMETER = Measure(
    key="disc_mm",
    name="disc",
    title="disc's diameter",
    sign=" mm",
    unit_name="mm",
    limits={"abs_mean": 2.0, "p95": 4.0},
    golden_tolerance=1.0,
    label_tolerance=1.0,
    unmeasured="no frame has a spacing and a disc in both masks",
)


class Disc(Task):
    """One bright disc."""

    name: ClassVar[str] = "disc"
    classes: ClassVar[tuple[str, ...]] = ("background", "disc")
    measures: ClassVar[tuple[Measure, ...]] = (DIAMETER,)
    keys: ClassVar[tuple[str, ...]] = ("disc_mm",)
    note: ClassVar[str] = "The diameter is that of a circle of the mask's area."

    def measure(self, mask: Image, pixel_mm: tuple[float, float] | None) -> Measured:
        """The diameter of the circle of the mask's area; its centre and radius in pixels as the construction."""
        pixels = cv2.countNonZero(mask)
        if not pixels:
            return Measured("no-disc", {"disc_mm": None})
        moments, radius = cv2.moments(mask, binaryImage=True), math.sqrt(pixels / math.pi)
        circle = (moments["m10"] / moments["m00"], moments["m01"] / moments["m00"], radius)
        if pixel_mm is None:
            return Measured("no-spacing", {"disc_mm": None}, circle)
        return Measured("ok", {"disc_mm": 2 * radius * math.sqrt(pixel_mm[0] * pixel_mm[1])}, circle)

    def draw(self, frame: Frame, mask: Image, measured: Measured, lines: Sequence[str]) -> Image:
        """The disc's outline, and a horizontal line as long as its diameter."""
        canvas, thickness = start(frame, mask)
        for contour in smooth_contours(mask):
            polyline(canvas, contour, OUTLINE, thickness)
        if measured.construction is not None:
            x, y, radius = measured.construction
            polyline(canvas, np.array([[x - radius, y], [x + radius, y]]), (255, 255, 255), thickness, closed=False)
        return finish(canvas, mask, lines, measured.status == "ok")

    def lines(self, entry: Mapping[str, Any]) -> list[str]:
        return [DIAMETER.text(entry["disc_mm"])]


DISC = Disc()
