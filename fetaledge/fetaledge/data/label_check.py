"""The one check of every label: what it refuses is neither trained on nor scored, and ``data check`` names it."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from fetaledge.data.mask_picture import is_ring
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.postprocess import largest_component, largest_components
from fetaledge_runtimes.tasks.task import Measured, Task

MAX_REST = 0.05  # of the largest region's area
MAX_HOLE = 0.05  # of the area inside its border


def check_label(
    mask: Image, task: Task, pixel_mm: tuple[float, float] | None, stated: Mapping[str, float]
) -> tuple[Image, str | None]:
    """A label as it is used, and what is wrong with it, as the rest of a sentence; None where it can be right.

    Each structure must be one filled region; specks beside it are dropped and pinholes filled. It must not mark all
    four sides of the frame, have a shape and size that the task knows (:meth:`Task.implausible`), and not contradict a
    measure that the data set states by more than the measure's tolerance (HC 2 mm, angle of progression 5 degrees),
    unless the frame's edge cuts it. Where a mirrored frame measures differently, either way round will do.

    Args:
        mask: ``uint8 (H, W)`` of the task's classes; without any structure it is for the caller to judge.
        task: of the label.
        pixel_mm: (row, column) spacing in mm, or None.
        stated: measures of the data set, by key.
    """
    for label, name in list(enumerate(task.classes))[1:]:
        wrong = _region((mask == label).astype(np.uint8), mask, name)
        if wrong:
            return mask, wrong
    cleaned = largest_components(mask, len(task.classes))
    measured = task.measure(cleaned, pixel_mm)
    either = [measured, *([task.measure(cleaned[:, ::-1].copy(), pixel_mm)] if stated and task.has_orientation else [])]
    contradictions = [_contradiction(task, found, stated) for found in either]
    return cleaned, task.implausible(cleaned, measured) or (contradictions[0] if all(contradictions) else None)


def _region(part: Image, mask: Image, name: str) -> str | None:
    """What is wrong with a structure's pixels ``part`` as one filled region."""
    if all(side.any() for side in (part[0], part[-1], part[:, 0], part[:, -1])):
        return f"marks the {name} on all four sides of the frame, as an inverted mask does"
    around = largest_component(part)
    area = cv2.countNonZero(part & around)
    if not area:
        return None
    if is_ring(part, around):
        return f"is an outline of the {name}, not a filled mask"
    rest = (cv2.countNonZero(part) - area) / area
    if rest > MAX_REST:
        return f"marks several regions of the {name}: beside the largest there are {rest:.0%} of its area"
    hole = cv2.countNonZero(around & (mask == 0)) / cv2.countNonZero(around)
    return f"leaves {hole:.0%} of the area inside the {name}'s border empty" if hole > MAX_HOLE else None


def _contradiction(task: Task, measured: Measured, stated: Mapping[str, float]) -> str | None:
    """What is wrong where a stated measure and the label disagree."""
    if measured.status in task.clipped:
        return None
    for measure in task.measures:
        given, found = stated.get(measure.key), measured.values.get(measure.key)
        if given is not None and found is not None and abs(found - given) > measure.label_tolerance:
            unit = measure.unit_name
            return f"measures an {measure.name} of {found:.1f} {unit}, and the data set states {given:.1f} {unit}"
    return None
