"""The task ``head``: circumference, diameters, gestational age and centile, in the units of a growth chart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from fetaledge_runtimes.draw.head import draw_head
from fetaledge_runtimes.ellipse import Ellipse, ellipse_dice, from_mask, solidity, touches_border
from fetaledge_runtimes.errors import UsageError
from fetaledge_runtimes.frames.frame import Frame, Image
from fetaledge_runtimes.tasks.task import Measure, Measured, Task

HC_RANGE_MM = (40.0, 450.0)
MIN_ELLIPSE_DICE = 0.95
MIN_AXIS_RATIO = 0.55
MIN_LABEL_SOLIDITY = 0.9
MIN_LABEL_DICE = 0.92  # people draw less evenly than networks do; a box has 0.91
CHART_WEEKS = (14, 40)
MAX_AGE_SD = 6.0
MAX_BLACK_SHARE = 0.1


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


def head_status(mask: Image, ellipse: Ellipse | None, pixel_mm: tuple[float, float] | None) -> str:
    """``ok``, or the one word that says why no millimetre should be read off this mask.

    ``no-head``: nothing segmented. ``head-touches-border``: part of the head may lie outside the frame.
    ``not-elliptic``: mask and ellipse overlap with a Dice below 0.95, or the axes' ratio (in mm where known) is below
    0.55.
    ``no-spacing``: millimetres per pixel unknown. ``implausible-size``: HC outside 40–450 mm, so the spacing is wrong.
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
    if not CHART_WEEKS[0] <= ga_weeks <= CHART_WEEKS[1]:
        raise ValueError(f"gestational age {ga_weeks} weeks is outside 14 to 40")
    g, log_g = ga_weeks, math.log(ga_weeks)
    mean = -28.2849 + 1.69267 * g**2 - 0.397485 * g**2 * log_g
    sd = 1.98735 + 0.0136772 * g**3 - 0.00726264 * g**3 * log_g + 0.000976253 * g**3 * log_g**2
    return mean, sd


def hc_centile(hc_mm: float, ga_weeks: float) -> float:
    """Centile (0–100) of an HC at a gestational age of 14–40 weeks, on INTERGROWTH-21st's normal distribution."""
    mean, sd = hc_for_age(ga_weeks)
    return 50 * (1 + math.erf((hc_mm - mean) / sd / math.sqrt(2)))


HC = Measure(
    key="hc_mm",
    name="HC",
    title="head circumference",
    sign=" mm",
    unit_name="mm",
    # INTERGROWTH-21st: HC repeats within and between observers to about 2.26 mm.
    limits={"abs_mean": 0.5, "bias": 0.2, "p95": 2.26},
    golden_tolerance=0.5,
    label_tolerance=2.0,
    cine_spread=14.45,  # INTERGROWTH-21st: 95 % limits of agreement between observers
    unmeasured="no frame has a spacing and a head in both masks",
)


class Head(Task):
    """One fetal head in a standard plane: its ellipse, and what follows from it."""

    name: ClassVar[str] = "head"
    classes: ClassVar[tuple[str, ...]] = ("background", "head")
    measures: ClassVar[tuple[Measure, ...]] = (HC,)
    keys: ClassVar[tuple[str, ...]] = ("hc_mm", "bpd_mm", "ofd_mm", "ga_weeks", "hc_centile")
    note: ClassVar[str] = "Millimetres are only as good as the frame's spacing; a frame without one gets none."
    clipped: ClassVar[frozenset[str]] = frozenset({"head-touches-border"})
    uses_age: ClassVar[bool] = True
    single: ClassVar[Mapping[int, str]] = {1: "several-heads"}
    planes: ClassVar[frozenset[str]] = frozenset({"brain"})
    max_black_share = MAX_BLACK_SHARE
    other_view: ClassVar[str | None] = "not-a-head"

    def measure(self, mask: Image, pixel_mm: tuple[float, float] | None) -> Measured:
        """Status, values in mm whatever the status, and the second-moment ellipse in pixels of the frame."""
        ellipse = from_mask(mask)
        measures = None if ellipse is None or pixel_mm is None else measure_ellipse(ellipse, pixel_mm)
        values = {
            "hc_mm": measures.hc_mm if measures else None,
            "bpd_mm": measures.bpd_mm if measures else None,
            "ofd_mm": measures.ofd_mm if measures else None,
            "ga_weeks_hadlock": measures.ga_weeks_hadlock if measures else None,
            "ga_weeks_intergrowth": measures.ga_weeks_intergrowth if measures else None,
        }
        return Measured(head_status(mask, ellipse, pixel_mm), values, ellipse)

    def implausible(self, mask: Image, measured: Measured) -> str | None:
        """A whole head is an ellipse to a Dice of 0.92, and its HC, where it is known in mm, lies within 40 to 450.

        A head that the frame's edge cuts fills at least 0.9 of its convex hull.
        """
        ellipse, hc_mm = measured.construction, measured.values.get("hc_mm")
        if ellipse is None:
            return None
        if measured.status in self.clipped:
            covered = solidity(mask)
            return None if covered >= MIN_LABEL_SOLIDITY else f"marks no part of an ellipse: {covered:.0%} of its hull"
        likeness = ellipse_dice(mask, ellipse)
        if likeness < MIN_LABEL_DICE:
            return f"marks no ellipse, as a head is one: its Dice with its own ellipse is {likeness:.2f}"
        if hc_mm is not None and not HC_RANGE_MM[0] <= hc_mm <= HC_RANGE_MM[1]:
            low, high = HC_RANGE_MM
            return f"measures an HC of {hc_mm:.0f} mm, and a head has {low:.0f} to {high:.0f} mm: is the spacing right?"
        return None

    def entry(self, measured: Measured | None, ga_weeks: float | None = None) -> dict[str, Any]:
        """``hc_mm``, ``bpd_mm``, ``ofd_mm``, ``ga_weeks`` by two formulas, ``hc_centile`` at the age by dates."""
        values = measured.values if measured is not None and measured.status == "ok" else {}
        hc_mm = values.get("hc_mm")
        return {
            "hc_mm": hc_mm,
            "bpd_mm": values.get("bpd_mm"),
            "ofd_mm": values.get("ofd_mm"),
            "ga_weeks": {
                "hadlock": values.get("ga_weeks_hadlock"),
                "intergrowth": values.get("ga_weeks_intergrowth"),
            },
            "hc_centile": None if hc_mm is None or ga_weeks is None else hc_centile(hc_mm, ga_weeks),
        }

    def contradicts_age(self, measured: Measured, ga_weeks: float) -> str | None:
        """``implausible-for-age`` where the HC lies more than 6 SD from the chart's mean, further than microcephaly
        and hydrocephalus commonly reach: a wrong spacing or a wrong date is more likely."""
        hc_mm = measured.values.get("hc_mm")
        if hc_mm is None:
            return None
        mean, sd = hc_for_age(ga_weeks)
        return "implausible-for-age" if abs(hc_mm - mean) > MAX_AGE_SD * sd else None

    def check_age(self, ga_weeks: float | None) -> None:
        """Raise :class:`UsageError` for an age outside the growth chart."""
        if ga_weeks is not None and not CHART_WEEKS[0] <= ga_weeks <= CHART_WEEKS[1]:
            raise UsageError(f"a gestational age of {ga_weeks} weeks was given", "give 14 to 40 weeks, or leave it out")

    def draw(self, frame: Frame, mask: Image, measured: Measured, lines: Sequence[str]) -> Image:
        return draw_head(frame, mask, measured.construction, lines, measured.status == "ok")

    def lines(self, entry: Mapping[str, Any]) -> list[str]:
        ages, centile = entry["ga_weeks"], entry["hc_centile"]
        lines = [HC.text(entry["hc_mm"]), f"BPD {entry['bpd_mm']:.1f} mm  OFD {entry['ofd_mm']:.1f} mm"]
        known = [
            f"{weeks:.1f} wk {name}"
            for name, weeks in (("Hadlock", ages["hadlock"]), ("INTERGROWTH-21st", ages["intergrowth"]))
            if weeks is not None
        ]
        if known:
            lines.append("GA " + ", ".join(known))
        if centile is not None:
            lines.append(f"HC centile {'<1' if centile < 1 else '>99' if centile > 99 else f'{centile:.0f}'}")
        return lines


HEAD = Head()
