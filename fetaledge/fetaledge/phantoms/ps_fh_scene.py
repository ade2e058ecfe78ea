"""Where symphysis, fetal head and probe of a synthetic transperineal frame lie: exact geometry, nothing drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fetaledge.phantoms.transducer import ConvexProbe
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.errors import UsageError

CASES = ("plain", "mirrored", "near-vertical", "truncated", "missing-ps")
AOP_DEG = (70.0, 170.0)
_NEAR_VERTICAL_AOP_DEG = (70.0, 105.0)  # beyond, the head would have to lie above the symphysis
_LONG_MM, _SHORT_MM = (25.0, 35.0), (10.0, 15.0)  # outer axes of the symphysis
_HEAD_MM = (90.0, 115.0)
_HEAD_RATIO = (0.72, 0.90)
_HEIGHT_MM = (115.0, 192.0)  # of the frame: 0.45 to 0.75 mm a pixel at 256 rows
_MARGIN = 0.02  # of the frame's height, round the symphysis and the head
_GAP_MM = 3.0  # between them, at least
_FARTHEST_MM = 40.0  # from the symphysis' lower end to the head, at most
_TRIES = 10_000


@dataclass(frozen=True)
class Scene:
    """The geometry of a frame, in mm from its upper left corner.

    Attributes:
        symphysis: the capsule's outer edge, or None where the frame shows none.
        head: the skull's outer edge.
        apex: x, y of the symphysis' inferior end, where the angle of progression is read; None without a symphysis.
        aop_deg: that angle, from the symphysis' other end to the tangent on the head's leading side.
        hsd_mm: the shortest distance from the apex to the skull.
        probe: whose sector the frame shows.
        height_mm: of the frame.
    """

    symphysis: Ellipse | None
    head: Ellipse
    apex: tuple[float, float] | None
    aop_deg: float | None
    hsd_mm: float | None
    probe: ConvexProbe
    height_mm: float


def _direction(angle_deg: float) -> np.ndarray:
    """Unit vector of a frame: 0° is left, 90° down, 180° right."""
    return np.array([-math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))])


def _pair(aop_deg: float, near_vertical: bool, rng: np.random.Generator) -> tuple[Ellipse, Ellipse, float] | None:
    """A symphysis whose apex is 0, 0, a head that gives it this angle of progression, and their distance; or None.

    The head is pushed along the tangent's ray until it touches it at a distance drawn, on the side of the symphysis.
    Small angles need a symphysis whose lower end points up to the right, large ones rather one that points down.
    """
    tilt = float(rng.uniform(82, 98) if near_vertical else rng.normal(0.5 * (120 - aop_deg), 20))
    if not near_vertical and abs(tilt) > 68:
        return None
    half = float(rng.uniform(*_LONG_MM)) / 2
    other_end = _direction(tilt)
    x, y = half * other_end
    symphysis = Ellipse(x, y, half, float(rng.uniform(*_SHORT_MM)) / 2, math.degrees(math.atan2(y, x)) % 180)

    a = float(rng.uniform(*_HEAD_MM)) / 2
    head = Ellipse(0, 0, a, a * float(rng.uniform(*_HEAD_RATIO)), float(rng.uniform(0, 180)))
    ray, inward = _direction(tilt + aop_deg), _direction(tilt + aop_deg - 90)
    reach = head.covariance() @ inward  # points from where the ray touches to the centre
    centre = float(rng.uniform(10, 90)) * ray + 2 * reach / math.sqrt(float(inward @ reach))
    head = replace(head, x=float(centre[0]), y=float(centre[1]))

    if head.x < symphysis.x + 6 or head.y < symphysis.y + 6:
        return None
    skull, bone = head.points(180), symphysis.points(24)
    gap = np.linalg.norm(skull[:, None] - bone, axis=2).min()
    if gap < _GAP_MM or head.contains(bone).any():
        return None
    # Where the head reaches behind the symphysis, its other tangent must stay the smaller angle.
    if _sweeps(skull, other_end).min() <= -0.5 * aop_deg:
        return None
    distance = math.hypot(*head.nearest(np.zeros(2)))
    return (symphysis, head, distance) if distance <= _FARTHEST_MM else None


def _sweeps(points: np.ndarray, other_end: np.ndarray) -> np.ndarray:
    """Degrees from the symphysis' other end over the underside to each point, as seen from 0, 0; ±180."""
    across = other_end[1] * points[:, 0] - other_end[0] * points[:, 1]
    sweeps: np.ndarray = np.degrees(np.arctan2(across, points @ other_end))
    return sweeps


def _placed(
    symphysis: Ellipse, head: Ellipse, aspect: float, truncated: bool, rng: np.random.Generator
) -> tuple[tuple[float, float], ConvexProbe, float] | None:
    """Where 0, 0 of the pair comes to lie in a frame, its probe, and the frame's height in mm; or None."""
    height = float(rng.triangular(_HEIGHT_MM[0], _HEIGHT_MM[0], _HEIGHT_MM[1]))
    width, margin = height * aspect, _MARGIN * height
    bones, skull = symphysis.points(24), head.points(72)
    both = np.concatenate([bones, skull])
    low = both.min(axis=0)
    x = float(rng.uniform(-0.1, 0.6) * width - low[0])
    y = float(rng.uniform(10, 40) - low[1])
    shift = np.array([x, y])

    def outside(points: np.ndarray) -> np.ndarray:
        at = points + shift
        beyond = (at < margin) | (at > np.array([width, height]) - margin)
        return np.asarray(beyond.any(axis=1))

    if outside(bones).any():
        return None
    cut = float(outside(skull).mean())
    if not (0.12 <= cut <= 0.45 if truncated else cut == 0):
        return None

    radius, top = float(rng.uniform(38, 65)), float(rng.uniform(-0.01, 0.05)) * height
    middle = float(rng.uniform(0.38, 0.62)) * width
    probe = ConvexProbe(middle, top - radius, radius, math.radians(float(rng.uniform(32, 56))), height)
    seen = both[~outside(both)] + shift
    distance, angle = probe.polar(seen[:, 0].astype(np.float32), seen[:, 1].astype(np.float32))
    if distance.min() < radius + 6:
        return None
    covered = np.abs(angle) <= probe.half_angle
    if not covered[: len(bones)].all() or np.abs(angle[: len(bones)]).max() > probe.half_angle - 0.03:
        return None
    if covered.mean() < 0.85:
        return None
    depth = float(distance.max()) - radius + float(rng.uniform(2, 50))
    return (x, y), replace(probe, depth_mm=depth), height


def draw_scene(rng: np.random.Generator, aspect: float = 1.0, case: str = "plain") -> Scene:
    """Draw a scene: first its angle, evenly from 70° to 170°, then everything else until it can be shown.

    Args:
        rng: for the geometry alone.
        aspect: width of the frame over its height.
        case: one of ``CASES``.

    Raises:
        UsageError: there is no such case, or no scene fits a frame of this aspect.
    """
    if case not in CASES:
        raise UsageError(f"there is no phantom of the case {case!r}", f"give one of {', '.join(CASES)}")
    near_vertical = case == "near-vertical"
    aop_deg = float(rng.uniform(*(_NEAR_VERTICAL_AOP_DEG if near_vertical else AOP_DEG)))
    for _ in range(_TRIES):
        pair = _pair(aop_deg, near_vertical, rng)
        if pair is None:
            continue
        tries = [_placed(pair[0], pair[1], aspect, case == "truncated", rng) for _ in range(4)]
        placed = min((one for one in tries if one is not None), key=lambda one: one[2], default=None)  # the nearest
        if placed is not None:
            return _scene(pair, placed, aop_deg, aspect, case)
    raise UsageError(f"no transperineal scene fits a frame of aspect {aspect:g}", "ask for a frame nearer to a square")


def _scene(
    pair: tuple[Ellipse, Ellipse, float],
    placed: tuple[tuple[float, float], ConvexProbe, float],
    aop_deg: float,
    aspect: float,
    case: str,
) -> Scene:
    (symphysis, head, hsd_mm), ((x, y), probe, height) = pair, placed
    symphysis, head = (replace(one, x=one.x + x, y=one.y + y) for one in (symphysis, head))
    if case == "missing-ps":
        return Scene(None, head, None, None, None, probe, height)
    if case == "mirrored":
        width = height * aspect
        symphysis, head = (replace(one, x=width - one.x, angle_deg=-one.angle_deg % 180) for one in (symphysis, head))
        x, probe = width - x, replace(probe, x_mm=width - probe.x_mm)
    return Scene(symphysis, head, (x, y), aop_deg, hsd_mm, probe, height)
