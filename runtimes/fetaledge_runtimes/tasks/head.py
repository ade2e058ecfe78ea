"""Head biometry: circumference, diameters, gestational age and centile, in the units of a growth chart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from fetaledge_runtimes.ellipse import Ellipse, from_mask
from fetaledge_runtimes.frames.frame import Image

HC_RANGE_MM = (30.0, 450.0)
MIN_ELLIPSE_DICE = 0.95
MIN_AXIS_RATIO = 0.55


@dataclass(frozen=True)
class HeadMeasures:
    """Measures of one head, outer to outer.

    Attributes:
        hc_mm: circumference of the second-moment ellipse.
        bpd_mm, ofd_mm: its short and long diameter.
        ga_weeks_hadlock, ga_weeks_intergrowth: gestational age from ``hc_mm``; None outside a formula's range.
    """

    hc_mm: float
    bpd_mm: float
    ofd_mm: float
    ga_weeks_hadlock: float | None
    ga_weeks_intergrowth: float | None


def measure_ellipse(ellipse: Ellipse, pixel_mm: tuple[float, float]) -> HeadMeasures:
    """Measures of an ellipse given in pixels of a frame with ``pixel_mm`` = (row, column) spacing."""
    in_mm = ellipse.scaled(pixel_mm[1], pixel_mm[0])
    hc_mm = in_mm.circumference
    return HeadMeasures(hc_mm, 2 * in_mm.b, 2 * in_mm.a, ga_weeks_hadlock(hc_mm), ga_weeks_intergrowth(hc_mm))


def measure_head(mask: Image, pixel_mm: tuple[float, float]) -> HeadMeasures | None:
    """Measures of a head mask ``uint8 (H, W)`` on the frame's own grid; None where the mask is empty."""
    ellipse = from_mask(mask)
    return None if ellipse is None else measure_ellipse(ellipse, pixel_mm)


def touches_border(mask: Image) -> bool:
    """Whether a mask ``uint8 (H, W)`` reaches the frame's edge."""
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def head_status(mask: Image, ellipse: Ellipse | None, pixel_mm: tuple[float, float] | None) -> str:
    """``ok``, or the one word that says why no millimetre should be read off this mask.

    ``no-head``: nothing segmented. ``head-touches-border``: part of the head may lie outside the frame.
    ``not-elliptic``: mask and ellipse overlap with a Dice below 0.95, or the axes' ratio (in mm where known) is below
    0.55.
    ``no-spacing``: millimetres per pixel unknown. ``implausible-size``: HC outside 30–450 mm, so the spacing is wrong.
    """
    if ellipse is None:
        return "no-head"
    if touches_border(mask):
        return "head-touches-border"
    in_mm = ellipse if pixel_mm is None else ellipse.scaled(pixel_mm[1], pixel_mm[0])
    if in_mm.b < MIN_AXIS_RATIO * in_mm.a or ellipse_dice(mask, ellipse) < MIN_ELLIPSE_DICE:
        return "not-elliptic"
    if pixel_mm is None:
        return "no-spacing"
    hc_mm = in_mm.circumference
    return "ok" if HC_RANGE_MM[0] <= hc_mm <= HC_RANGE_MM[1] else "implausible-size"


def ellipse_dice(mask: Image, ellipse: Ellipse) -> float:
    """Dice of a mask ``uint8 (H, W)`` of 0 and 1 with its ellipse, in pixels: how elliptic it is."""
    drawn = np.zeros_like(mask)
    cv2.fillPoly(drawn, [np.rint(ellipse.points(120) * 16).astype(np.int32)], 1, shift=4)
    both = cv2.countNonZero(cv2.bitwise_and(drawn, mask))
    return 2 * both / max(cv2.countNonZero(drawn) + cv2.countNonZero(mask), 1)


def ga_weeks_hadlock(hc_mm: float) -> float | None:
    """Gestational age in weeks (Hadlock 1984, HC alone); None outside 12–42 weeks."""
    hc_cm = hc_mm / 10
    weeks = 8.96 + 0.540 * hc_cm + 0.0003 * hc_cm**3
    return weeks if 12 <= weeks <= 42 else None


def ga_weeks_intergrowth(hc_mm: float) -> float | None:
    """Gestational age in weeks (INTERGROWTH-21st, Papageorghiou 2016, HC alone); None outside 14–40 weeks."""
    if not 0 < hc_mm < 1000:
        return None
    weeks = math.exp(0.05970 * math.log(hc_mm) ** 2 + 6.409e-9 * hc_mm**3 + 3.3258) / 7
    return weeks if 14 <= weeks <= 40 else None


def hc_for_age(ga_weeks: float) -> tuple[float, float]:
    """Mean and SD of HC in mm at a gestational age of 14–40 weeks (INTERGROWTH-21st, Papageorghiou 2014).

    Raises:
        ValueError: the age is outside 14–40 weeks.
    """
    if not 14 <= ga_weeks <= 40:
        raise ValueError(f"gestational age {ga_weeks} weeks is outside 14 to 40")
    g, log_g = ga_weeks, math.log(ga_weeks)
    mean = -28.2849 + 1.69267 * g**2 - 0.397485 * g**2 * log_g
    sd = 1.98735 + 0.0136772 * g**3 - 0.00726264 * g**3 * log_g + 0.000976253 * g**3 * log_g**2
    return mean, sd


def hc_centile(hc_mm: float, ga_weeks: float) -> float:
    """Centile (0–100) of an HC at a gestational age of 14–40 weeks, on INTERGROWTH-21st's normal distribution."""
    mean, sd = hc_for_age(ga_weeks)
    return 50 * (1 + math.erf((hc_mm - mean) / sd / math.sqrt(2)))
