"""The task ``ps-fh``: the angle of progression, how far the fetal head has come down under the pubic symphysis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import cv2
import numpy as np

from fetaledge_runtimes.draw.ps_fh import draw_progression
from fetaledge_runtimes.ellipse import Ellipse, ellipse_dice, from_mask, solidity, touches_border
from fetaledge_runtimes.frames.frame import Frame, Image
from fetaledge_runtimes.postprocess import largest_component
from fetaledge_runtimes.tasks.labels import FH, PS
from fetaledge_runtimes.tasks.task import Measure, Measured, Task

Point = tuple[float, float]
HSD_DEFINITION = "shortest distance from the symphysis' inferior end to the skull"
POINTS = ("superior", "inferior", "tangent", "nearest")
MIN_PS_PX = 60
MIN_HEAD_PX = 500
MIN_PS_DICE = 0.8
# Of 646 real label maps (PSFHS) the least elliptic head has a Dice of 0.942, the least elliptic symphysis 0.883.
MIN_HEAD_DICE = 0.93
MAX_PS_INSIDE = 0.1
# Labels: people draw less evenly than networks do; the largest symphysis of these maps has 0.29 of its head's area.
MIN_LABEL_DICE = {PS: 0.75, FH: 0.92}
MAX_LABEL_AREAS = 0.6
MIN_LABEL_SOLIDITY = 0.9
MAX_PS_AXIS_RATIO = 0.8
MIN_VERTICAL_DEG = 10.0
# The same maps have angles from 65 to 199 degrees; past 180 the head crowns, and the tangent turns up to the probe.
AOP_RANGE_DEG = (30.0, 210.0)


@dataclass(frozen=True)
class Progression:
    """How a fetal head stands to the pubic symphysis in one frame.

    Attributes:
        status: ``ok``, or the one word that says why there is no angle: :func:`measure_progression`.
        aop_deg: angle of progression in degrees; None unless ``status`` is ``ok``, as are the next six.
        hsd_px: head-symphysis distance in pixels of the frame, as :data:`HSD_DEFINITION` says.
        hsd_mm: the same in mm; None without a spacing too.
        superior, inferior: the ends of the symphysis' long axis, (x, y) in pixels of the frame.
        tangent: where the line from the inferior end touches the skull, (x, y) in pixels of the frame.
        nearest: the point of the skull next to the inferior end, (x, y) in pixels of the frame.
        symphysis, head: the second-moment ellipses, in pixels of the frame; None where there is no such structure.
    """

    status: str
    aop_deg: float | None = None
    hsd_px: float | None = None
    hsd_mm: float | None = None
    superior: Point | None = None
    inferior: Point | None = None
    tangent: Point | None = None
    nearest: Point | None = None
    symphysis: Ellipse | None = None
    head: Ellipse | None = None

    @property
    def points(self) -> tuple[Point, ...] | None:
        """The four points of the construction, in the order of :data:`POINTS`; None where there is none."""
        found = (self.superior, self.inferior, self.tangent, self.nearest)
        known = tuple(point for point in found if point is not None)
        return known if len(known) == len(POINTS) else None

    def mirrored(self, width: int) -> Progression:
        """The same construction in the mirror image of a frame of this many columns."""

        def across(point: Point | None) -> Point | None:
            return point and (width - 1 - point[0], point[1])

        return replace(
            self,
            superior=across(self.superior),
            inferior=across(self.inferior),
            tangent=across(self.tangent),
            nearest=across(self.nearest),
            symphysis=self.symphysis and self.symphysis.mirrored(width),
            head=self.head and self.head.mirrored(width),
        )


def measure_progression(mask: Image, pixel_mm: tuple[float, float] | None = None) -> Progression:
    """Angle of progression and head-symphysis distance of a label map ``uint8 (H, W)`` (1 symphysis, 2 head).

    The angle lies at the inferior end of the symphysis, between its long axis and the tangent to the skull on the
    leading side (Barbera 2009; ISUOG guidelines on intrapartum ultrasound 2018). The standard view is assumed: the
    mother's head to the left, so the inferior end is the right one, and the angle opens from the superior end downwards
    over the head. It goes on past 180 degrees where the head crowns. Two shapes cannot tell a mirrored frame, whose
    angle is wrong: flip it first. Each structure keeps its largest component and becomes its second-moment ellipse.
    Where ``pixel_mm`` = (row, column) is known the geometry is done in mm, so pixels need not be square.

    The head-symphysis distance is the shortest one from the inferior end to the skull, in any direction. That of the
    guideline runs along the infrapubic line, perpendicular to the symphysis: it is longer, and there is none where the
    head lies wholly behind that line, as it does below 90 degrees.

    A status other than ``ok`` comes with no number:
    ``missing-ps``, ``missing-fh``: nothing segmented. ``ps-too-small``, ``head-too-small``: below 60 and 500 pixels.
    ``ps-truncated``, ``head-truncated``: it reaches the frame's edge, so part of it may lie outside.
    ``ps-inside-head``: the structures overlap, or the inferior end lies in the head.
    ``ps-not-elliptic``, ``head-not-elliptic``: its Dice with its ellipse is below 0.80 and 0.93.
    ``ps-too-round``: its axes' ratio is above 0.8, so that the long one is unsure.
    ``ps-axis-vertical``: its axis is within 10 degrees of the vertical, so that either end may be the inferior one.
    ``implausible-angle``: outside 30 to 210 degrees.
    """
    parts = {label: largest_component((mask == label).astype(np.uint8)) for label in (PS, FH)}
    symphysis, head = (from_mask(parts[label]) for label in (PS, FH))
    nothing = Progression("ok", symphysis=symphysis, head=head)
    if symphysis is None or head is None:
        return replace(nothing, status="missing-ps" if symphysis is None else "missing-fh")
    status = _mask_status(parts[PS], parts[FH], symphysis, head)
    if status is not None:
        return replace(nothing, status=status)
    scale = np.array((1.0, 1.0) if pixel_mm is None else (pixel_mm[1], pixel_mm[0]))
    status, aop_deg, points = construct(symphysis.scaled(*scale), head.scaled(*scale))
    if status != "ok":
        return replace(nothing, status=status)
    _, inferior, _, nearest = points
    in_px = points / scale
    return Progression(
        status,
        aop_deg=aop_deg,
        hsd_px=math.dist(in_px[1], in_px[3]),
        hsd_mm=None if pixel_mm is None else math.dist(inferior, nearest),
        **{name: (float(x), float(y)) for name, (x, y) in zip(POINTS, in_px, strict=True)},
        symphysis=symphysis,
        head=head,
    )


def _mask_status(ps: Image, fh: Image, symphysis: Ellipse, head: Ellipse) -> str | None:
    """What a look at the two masks and their ellipses rules out."""
    if cv2.countNonZero(ps) < MIN_PS_PX:
        return "ps-too-small"
    if cv2.countNonZero(fh) < MIN_HEAD_PX:
        return "head-too-small"
    if touches_border(ps):
        return "ps-truncated"
    if touches_border(fh):
        return "head-truncated"
    if np.any(ps & fh) or head.contains(np.argwhere(ps)[:, ::-1]).mean() > MAX_PS_INSIDE:
        return "ps-inside-head"
    if ellipse_dice(ps, symphysis) < MIN_PS_DICE:
        return "ps-not-elliptic"
    if ellipse_dice(fh, head) < MIN_HEAD_DICE:
        return "head-not-elliptic"
    return None


def construct(symphysis: Ellipse, head: Ellipse) -> tuple[str, float, np.ndarray]:
    """Status, angle and the four points of :data:`POINTS` ``float64 (4, 2)``, in the ellipses' own unit."""
    reach = symphysis.a * np.array(symphysis.direction)
    centre, middle = np.array([symphysis.x, symphysis.y]), np.array([head.x, head.y])
    superior, inferior = sorted((centre - reach, centre + reach), key=lambda end: float(end[0]))
    points = np.array([superior, inferior, inferior, inferior])
    if head.contains(inferior):
        return "ps-inside-head", math.nan, points
    if symphysis.b > MAX_PS_AXIS_RATIO * symphysis.a:
        return "ps-too-round", math.nan, points
    if abs(symphysis.angle_deg - 90) < MIN_VERTICAL_DEG:
        return "ps-axis-vertical", math.nan, points
    touching = head.tangent_points(inferior)
    to_middle = _turn(superior - inferior, middle - inferior) % 360
    angles = [to_middle + _turn(middle - inferior, end - inferior) for end in touching]
    leading = int(np.argmax(angles))
    points[2:] = touching[leading], head.nearest(inferior)
    plausible = AOP_RANGE_DEG[0] <= angles[leading] <= AOP_RANGE_DEG[1]
    return "ok" if plausible else "implausible-angle", angles[leading], points


def _turn(start: np.ndarray, end: np.ndarray) -> float:
    """Signed angle in degrees from one direction to another, within half a turn; from left to down is positive."""
    return math.degrees(math.atan2(start[1] * end[0] - start[0] * end[1], float(start @ end)))


AOP = Measure(
    key="aop_deg",
    name="AoP",
    title="angle of progression",
    sign="°",
    unit_name="degrees",
    limits={"abs_mean": 1.0, "p95": 3.0},
    golden_tolerance=1.0,
    label_tolerance=5.0,
    cine_spread=10.0,
    unmeasured="no frame has an angle in both masks",
    digits=0,
)


class PsFh(Task):
    """Pubic symphysis and fetal head, seen through the perineum."""

    name: ClassVar[str] = "ps-fh"
    classes: ClassVar[tuple[str, ...]] = ("background", "pubic-symphysis", "head")
    measures: ClassVar[tuple[Measure, ...]] = (AOP,)
    structures: ClassVar[Mapping[str, int]] = {"ps": PS, "fh": FH}
    keys: ClassVar[tuple[str, ...]] = ("aop_deg", "hsd_px", "hsd_mm")
    definitions: ClassVar[Mapping[str, str]] = {"hsd_definition": HSD_DEFINITION}
    note: ClassVar[str] = (
        "The angle of progression supposes the standard view, the mother's head to the left; measure mirrored frames "
        "with --orientation mirrored. A frame that is cut off or lacks a structure gets a status instead of an angle."
    )
    may_be_empty: ClassVar[bool] = True
    single: ClassVar[Mapping[int, str]] = {FH: "several-heads"}
    other_view: ClassVar[str | None] = "not-this-view"
    has_orientation: ClassVar[bool] = True
    challenge: ClassVar[str | None] = "PS-FH-AOP"

    def measure(self, mask: Image, pixel_mm: tuple[float, float] | None) -> Measured:
        """Status, angle and head-symphysis distance, and the :class:`Progression` behind them."""
        found = measure_progression(mask, pixel_mm)
        return Measured(found.status, {key: getattr(found, key) for key in self.keys}, found)

    def implausible(self, mask: Image, measured: Measured) -> str | None:
        """Whole structures are ellipses, to a Dice of 0.75 and 0.92, and the symphysis is the smaller one by far.

        A head that the frame's edge cuts fills at least 0.9 of its convex hull.
        """
        parts = {label: (mask == label).astype(np.uint8) for label in (PS, FH)}
        if touches_border(parts[FH]) and solidity(parts[FH]) < MIN_LABEL_SOLIDITY:
            return f"marks no part of an ellipse as the head: {solidity(parts[FH]):.0%} of its hull"
        whole = {label: part for label, part in parts.items() if part.any() and not touches_border(part)}
        for label, part in whole.items():
            ellipse = from_mask(part)
            likeness = 0.0 if ellipse is None else ellipse_dice(part, ellipse)
            if likeness < MIN_LABEL_DICE[label]:
                return f"marks no ellipse as the {self.classes[label]}: its Dice with its own ellipse is {likeness:.2f}"
        if len(whole) == len(parts):
            share = cv2.countNonZero(parts[PS]) / cv2.countNonZero(parts[FH])
            if share > MAX_LABEL_AREAS:
                return f"marks a symphysis of {share:.1f} times the head's area: are the two labels exchanged?"
        return None

    def mirror(self, measured: Measured, width: int) -> Measured:
        return replace(measured, construction=measured.construction.mirrored(width))

    def draw(self, frame: Frame, mask: Image, measured: Measured, lines: Sequence[str]) -> Image:
        symphysis, head = ((mask == label).astype(np.uint8) for label in (PS, FH))
        points = measured.construction.points if measured.status == "ok" else None
        return draw_progression(frame, symphysis, head, points, lines)

    def lines(self, entry: Mapping[str, Any]) -> list[str]:
        hsd = f"{entry['hsd_px']:.0f} px" if entry["hsd_mm"] is None else f"{entry['hsd_mm']:.0f} mm"
        return [AOP.text(entry["aop_deg"]), f"HSD {hsd}"]


PS_FH = PsFh()
