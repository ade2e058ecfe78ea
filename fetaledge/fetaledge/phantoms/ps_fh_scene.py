"""Where symphysis, fetal head and probe of a synthetic transperineal frame lie: exact geometry, nothing drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fetaledge.phantoms.psfhs_shapes import draw_shapes
from fetaledge.phantoms.transducer import ConvexProbe
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.errors import UsageError

CASES = ("plain", "mirrored", "near-vertical", "truncated", "missing-ps")
_VERTICAL_TILT_DEG, _VERTICAL_AOP_DEG = (82.0, 98.0), (70.0, 105.0)
_CUT = (0.12, 0.45)  # of the skull's outline, outside of the frame where it is truncated
_HEIGHT_MM = (140.0, 195.0)  # of the frame: 0.55 to 0.76 mm a pixel at 256 rows; the real maps have no millimetres
_MARGIN = 0.015  # of the frame's height, round the symphysis and the head
_GAP = 0.01  # between them, at least
_TISSUE_MM = 3.0  # between the probe's face and both, at least
_SCENES, _PLACES, _PROBES = 2000, 40, 60  # tries: of scenes, of where one lies, of probes that show it


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


def _pair(near_vertical: bool, rng: np.random.Generator) -> tuple[Ellipse, Ellipse, tuple[float, float]] | None:
    """Symphysis and head as in real frames of height 1, the symphysis' tilt and the angle of progression; or None.

    The head lies where the tangent of the angle drawn touches it at the distance drawn.
    """
    drawn = draw_shapes(rng)
    tilt, aop_deg = drawn["tilt"], drawn["aop"]
    if near_vertical:
        tilt, aop_deg = float(rng.uniform(*_VERTICAL_TILT_DEG)), float(rng.uniform(*_VERTICAL_AOP_DEG))
    other_end = _direction(tilt)
    stretch = math.sqrt(drawn["ratio"])
    symphysis = Ellipse(drawn["x"], drawn["y"], drawn["size"] / stretch, drawn["size"] * stretch, -tilt % 180)
    apex = np.array([symphysis.x, symphysis.y]) - symphysis.a * other_end

    size, stretch = drawn["head_size"], math.sqrt(drawn["head_ratio"])
    head = Ellipse(0, 0, size / stretch, size * stretch, drawn["head_angle"])
    ray, inward = _direction(tilt + aop_deg), _direction(tilt + aop_deg - 90)
    reach = head.covariance() @ inward  # points from where the ray touches to the centre
    centre = apex + drawn["tangent"] * size * ray + 2 * reach / math.sqrt(float(inward @ reach))
    head = replace(head, x=float(centre[0]), y=float(centre[1]))

    skull, bone = head.points(180), symphysis.points(24)
    gap = np.linalg.norm(skull[:, None] - bone, axis=2).min()
    if gap < _GAP or head.contains(bone).any():
        return None
    # Where the head reaches behind the symphysis, its other tangent must stay the smaller angle.
    if _sweeps(skull - apex, other_end).min() <= -0.5 * min(aop_deg, 360 - aop_deg):
        return None
    return symphysis, head, (tilt, aop_deg)


def _sweeps(points: np.ndarray, other_end: np.ndarray) -> np.ndarray:
    """Degrees from the symphysis' other end over the underside to each point, as seen from 0, 0; -90 to 270."""
    across = other_end[1] * points[:, 0] - other_end[0] * points[:, 1]
    sweeps: np.ndarray = (np.degrees(np.arctan2(across, points @ other_end)) + 90) % 360 - 90
    return sweeps


def _placed(
    symphysis: Ellipse, head: Ellipse, aspect: float, case: str, rng: np.random.Generator
) -> tuple[Ellipse, Ellipse] | None:
    """Both in a frame of height 1: where real frames have them, or for a case that none has, where it fits; or None."""
    bones, skull = symphysis.points(24), head.points(72)
    moved = case in ("near-vertical", "truncated")
    for _ in range(_PLACES if moved else 1):
        shift = [(aspect - 1) / 2, 0.0]
        if moved:
            shift = [shift[0] + float(rng.uniform(-0.3, 0.5)), float(rng.uniform(-0.1, 0.5))]
        cut = float(_outside(skull + shift, aspect).mean())
        cut_right = _CUT[0] <= cut <= _CUT[1] if case == "truncated" else cut == 0
        if cut_right and not _outside(bones + shift, aspect).any():
            symphysis, head = (replace(one, x=one.x + shift[0], y=one.y + shift[1]) for one in (symphysis, head))
            return symphysis, head
    return None


def _outside(points: np.ndarray, aspect: float) -> np.ndarray:
    """Which points lie beyond a frame of height 1, or within its margin."""
    beyond = (points < _MARGIN) | (points > np.array([aspect, 1.0]) - _MARGIN)
    return np.asarray(beyond.any(axis=1))


def _probe(
    symphysis: Ellipse, head: Ellipse, aspect: float, height: float, rng: np.random.Generator
) -> ConvexProbe | None:
    """A probe whose sector shows all of the symphysis and nearly all of the head, in mm; or None."""
    bones, skull = symphysis.points(24), head.points(72)
    seen = height * np.concatenate([bones, skull[~_outside(skull, aspect)]])
    x, y = (np.ascontiguousarray(axis, np.float32) for axis in seen.T)
    for _ in range(_PROBES):
        radius, top = float(rng.uniform(25, 65)), float(rng.uniform(-0.01, 0.05)) * height
        middle = float(rng.uniform(0.38, 0.62)) * height * aspect
        probe = ConvexProbe(middle, top - radius, radius, math.radians(float(rng.uniform(32, 56))), height)
        distance, angle = probe.polar(x, y)
        covered = np.abs(angle).ravel() <= probe.half_angle
        if distance.min() < radius + _TISSUE_MM or covered.mean() < 0.85:
            continue
        if np.abs(angle.ravel()[: len(bones)]).max() <= probe.half_angle - 0.03:
            return replace(probe, depth_mm=float(distance.max()) - radius + float(rng.uniform(2, 50)))
    return None


def draw_scene(rng: np.random.Generator, aspect: float = 1.0, case: str = "plain") -> Scene:
    """Draw a scene whose geometry is that of real label maps (:mod:`fetaledge.phantoms.psfhs_shapes`).

    Args:
        rng: for the geometry alone.
        aspect: width of the frame over its height; real ones are square, and a wider one gets more to either side.
        case: one of ``CASES``.

    Raises:
        UsageError: there is no such case, or no scene fits a frame of this aspect.
    """
    if case not in CASES:
        raise UsageError(f"there is no phantom of the case {case!r}", f"give one of {', '.join(CASES)}")
    for _ in range(_SCENES):
        pair = _pair(case == "near-vertical", rng)
        placed = pair and _placed(pair[0], pair[1], aspect, case, rng)
        if pair is None or placed is None:
            continue
        height = float(rng.uniform(*_HEIGHT_MM))
        probe = _probe(*placed, aspect, height, rng)
        if probe is not None:
            return _scene(*placed, *pair[2], probe, height, height * aspect, case)
    raise UsageError(f"no transperineal scene fits a frame of aspect {aspect:g}", "ask for a frame nearer to a square")


def _scene(
    symphysis: Ellipse, head: Ellipse, tilt_deg: float, aop_deg: float, probe: ConvexProbe, height: float, width: float,
    case: str,
) -> Scene:  # fmt: skip
    """The scene in mm, turned round where the case is ``mirrored``."""
    symphysis, head = (
        Ellipse(one.x * height, one.y * height, one.a * height, one.b * height, one.angle_deg)
        for one in (symphysis, head)
    )
    if case == "missing-ps":
        return Scene(None, head, None, None, None, probe, height)
    apex = np.array([symphysis.x, symphysis.y]) - symphysis.a * _direction(tilt_deg)
    hsd_mm = math.dist(apex, head.nearest(apex))
    x, y = (float(value) for value in apex)
    if case == "mirrored":
        symphysis, head = (replace(one, x=width - one.x, angle_deg=-one.angle_deg % 180) for one in (symphysis, head))
        x, probe = width - x, replace(probe, x_mm=width - probe.x_mm)
    return Scene(symphysis, head, (x, y), aop_deg, hsd_mm, probe, height)
