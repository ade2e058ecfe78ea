"""Shapes that annotation tools draw, and what their names stand for."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.tasks.head import HEAD
from fetaledge_runtimes.tasks.labels import FH, PS
from fetaledge_runtimes.tasks.ps_fh import PS_FH
from fetaledge_runtimes.tasks.task import Task

POLYGON, ELLIPSE, COLUMN_RUNS, BOX_RUNS = "polygon", "ellipse", "run lengths", "mask"
_HEAD = re.compile(r"\b((fo?etal|fetus|baby) ?)?(heads?|skulls?|cranium)\b|\b(fh|hc)\b")
_BESIDE = {
    "area",
    "border",
    "boundary",
    "circumference",
    "contour",
    "ellipse",
    "mask",
    "of",
    "outline",
    "region",
    "size",
}
"""Words that may stand beside: any other one, such as "femoral" or "no", makes it another thing."""
_SYMPHYSIS = re.compile(r"\bsymphysis ?pubi[cs]\b|\b(pubic ?)?symphysis\b|\b(ps|sp)\b")


@dataclass(frozen=True)
class Shape:
    """One shape of an annotation file.

    Attributes:
        name: of what it marks, as the annotator wrote it.
        kind: one of the kinds above, or another word of the file, of a shape that has no area.
        values: numbers by kind, in pixels from the frame's upper left corner. ``polygon``: x, y of each point;
            ``ellipse``: x, y, semi-axis along, semi-axis across, degrees clockwise; ``run lengths``: of 0 and 1 in
            turn, column by column over the frame; ``mask``: left, top, width, height and run lengths, row by row.
    """

    name: str
    kind: str
    values: tuple[float, ...]

    def area(self, shape: tuple[int, int]) -> Image | None:
        """A mask ``uint8`` of ``shape`` = (H, W): 1 where a pixel's centre lies inside; None of a shape without area.

        Raises:
            ValueError: the numbers do not describe such a shape.
        """
        if self.kind == POLYGON:
            points = np.array(self.values, np.float64)
            if points.size < 6 or points.size % 2:
                raise ValueError("a polygon of fewer than three points")
            if not np.abs(points).max() <= 3 * max(shape):  # NaN neither
                raise ValueError("a polygon that reaches far beyond the frame")
            return fill_polygon(points.reshape(-1, 2) - 0.5, shape)
        if self.kind == ELLIPSE:
            x, y, along, across, angle = self.values
            if min(along, across) <= 0:
                raise ValueError("an ellipse without area")
            turned = (along, across, angle) if along >= across else (across, along, angle + 90)
            return Ellipse(x - 0.5, y - 0.5, *turned).rasterise(shape)
        if self.kind == COLUMN_RUNS:
            return np.ascontiguousarray(_runs(self.values, (shape[1], shape[0])).T)
        if self.kind == BOX_RUNS:
            left, top, width, height = map(int, self.values[:4])
            if left < 0 or top < 0 or left + width > shape[1] or top + height > shape[0]:
                raise ValueError("a mask that reaches beyond the frame")
            mask = np.zeros(shape, np.uint8)
            mask[top : top + height, left : left + width] = _runs(self.values[4:], (height, width))
            return mask
        return None


def fill_polygon(points: np.ndarray, shape: tuple[int, int]) -> Image:
    """Mask ``uint8`` of ``shape`` = (H, W): 1 where a pixel's centre lies inside, by the even-odd rule.

    OpenCV's and Pillow's polygons hold their border's pixels too, and so are half a pixel too large on every side.

    Args:
        points: ``float64 (N, 2)`` (x, y), where pixel centres are whole numbers.
        shape: of the mask.
    """
    height, width = shape
    crossed = np.zeros((height, width + 1), np.uint8)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        low, high = sorted((y0, y1))
        rows = np.arange(max(0, int(np.ceil(low))), min(height, int(np.ceil(high))))
        if rows.size:
            columns = np.ceil(x0 + (rows - y0) * ((x1 - x0) / (y1 - y0)))
            crossed[rows, np.clip(columns, 0, width).astype(np.int64)] ^= 1
    inside: Image = np.bitwise_xor.accumulate(crossed[:, :width], axis=1)
    return inside


def _runs(counts: tuple[float, ...], shape: tuple[int, int]) -> Image:
    lengths = np.array(counts, np.int64)
    if lengths.min(initial=0) < 0 or lengths.sum() != shape[0] * shape[1]:
        raise ValueError(f"run lengths of {lengths.sum()} pixels for {shape[0] * shape[1]}")
    values: Image = np.repeat(np.arange(len(lengths)) % 2, lengths).astype(np.uint8).reshape(shape)
    return values


def task_of(names: set[str]) -> Task | None:
    """The task that shapes of these names are for; None where a name says nothing."""
    labels = {_structure(name) for name in names}
    if None in labels or not labels:
        return None
    return PS_FH if PS in labels else HEAD


def label_of(name: str, task: Task) -> int | None:
    """The label that a shape's name stands for; None where it says nothing, or names nothing of the task."""
    if task is PS_FH:
        return _structure(name)
    if task is HEAD:
        return 1 if _structure(name) == FH else None
    return {plain(known): label for label, known in enumerate(task.classes)}.get(plain(name)) or None


def plain(name: str) -> str:
    """Words in lower case: ``Fetal_Head2`` becomes ``fetal head``."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return " ".join(re.findall(r"[a-z]+", apart.lower()))


def _structure(name: str) -> int | None:
    words = plain(name)
    head, symphysis = bool(_HEAD.search(words)), bool(_SYMPHYSIS.search(words))
    if head == symphysis or set((_HEAD if head else _SYMPHYSIS).sub(" ", words).split()) - _BESIDE:
        return None
    return FH if head else PS
