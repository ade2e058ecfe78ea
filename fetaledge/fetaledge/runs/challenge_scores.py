"""The score of the challenge PS-FH-AOP (MICCAI 2023), for comparison with its published table.

These are its conventions, not ours: distances are in pixels of a 256×256 grid, Dice is smoothed by one pixel, and a
frame whose angle cannot be computed counts as one of 0 degrees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.records import Part
from fetaledge_runtimes.scores.metrics import nearest_distances
from fetaledge_runtimes.tasks.challenge_angle import challenge_aop
from fetaledge_runtimes.tasks.labels import FH, PS

GRID = (256, 256)
PARTS = {"fh": (FH,), "ps": (PS,), "all": (FH, PS)}
WORST_PX = 100.0


@dataclass(frozen=True)
class ChallengeScores:
    """One frame's scores as the challenge computes them, each of ``fh``, ``ps`` and ``all`` (both as one).

    Attributes:
        dice: (2·|P∩G| + 1)/(|P| + |G| + 1); 0 where nothing is predicted.
        hd_px: Hausdorff distance of the filled structures, all 100 % of it.
        asd_px: mean distance between the borders, both directions pooled; a border pixel is one inside with a neighbour
            outside, out of eight, the grid's edge being no border.
        aop_deg, aop_true_deg: of :func:`fetaledge_runtimes.tasks.challenge_angle.challenge_aop`, 0 where there is none.
        resized: the label maps had another size and were resampled to the grid by nearest neighbour.
    """

    dice: dict[str, float]
    hd_px: dict[str, float]
    asd_px: dict[str, float]
    aop_deg: float
    aop_true_deg: float
    resized: bool

    @property
    def aop_error_deg(self) -> float:
        return abs(self.aop_deg - self.aop_true_deg)


def challenge_scores(predicted: Image, truth: Image) -> ChallengeScores:
    """Score a label map ``uint8 (H, W)`` (1 symphysis, 2 head) against the true one of the same size.

    Nothing predicted gives distances of 100. So does a structure without a border, absent from the truth or filling the
    grid: the challenge's own code stops there, or divides by zero.
    """
    resized = predicted.shape != GRID
    if resized:
        predicted, truth = (_on_grid(mask) for mask in (predicted, truth))
    dice, hd_px, asd_px = {}, {}, {}
    for part, labels in PARTS.items():
        pair = [np.isin(mask, labels).astype(np.uint8) for mask in (predicted, truth)]
        dice[part] = _dice(*pair)
        hd_px[part], asd_px[part] = _distances(*pair)
    return ChallengeScores(dice, hd_px, asd_px, challenge_aop(predicted), challenge_aop(truth), resized)


def _on_grid(mask: Image) -> Image:
    return cv2.resize(mask, GRID[::-1], interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint8, copy=False)


def _dice(predicted: Image, truth: Image) -> float:
    counts = [int(np.count_nonzero(mask)) for mask in (predicted & truth, predicted, truth)]
    return (2 * counts[0] + 1) / (counts[1] + counts[2] + 1) if counts[1] else 0.0


def _distances(predicted: Image, truth: Image) -> tuple[float, float]:
    """(Hausdorff, average surface distance) in pixels."""
    p, t = _border(predicted), _border(truth)
    if not p.any() or not t.any():
        return WORST_PX, WORST_PX
    hd = max(nearest_distances(predicted, truth).max(), nearest_distances(truth, predicted).max())
    return float(hd), float(np.concatenate([nearest_distances(p, t), nearest_distances(t, p)]).mean())


def _border(mask: Image) -> Image:
    """Each inside pixel with one of eight neighbours outside; the grid's edge is no border."""
    return (mask > cv2.erode(mask, np.ones((3, 3), np.uint8))).astype(np.uint8)


class ByPart(Part, kw_only=True, frozen=True):
    """A value of the head, of the symphysis, and of both as one."""

    fh: float
    ps: float
    all: float


class ChallengeCase(Part, kw_only=True, frozen=True):
    """One frame of :class:`ChallengeRecord`."""

    name: str
    dice: ByPart
    hd_px: ByPart
    asd_px: ByPart
    aop_deg: float
    aop_true_deg: float
    aop_error_deg: float


class ChallengeRecord(Part, kw_only=True, frozen=True):
    """The challenge's table, as it stands under ``challenge`` in an evaluation record.

    ``score`` (0 to 1) ranks the challenge's entries, ``without_aop`` counts the frames whose angle cannot be computed,
    ``resized`` those whose label maps were resampled to ``grid``.
    """

    cases: int
    score: float
    dice: ByPart
    hd_px: ByPart
    asd_px: ByPart
    aop_error_deg: float
    without_aop: int
    grid: tuple[int, int]
    resized: int
    per_case: tuple[ChallengeCase, ...]


def challenge_record(scores: Mapping[str, ChallengeScores]) -> ChallengeRecord:
    """The challenge's table of all frames, by name: plain means, and the score of :class:`ChallengeRecord`.

    Raises:
        ValueError: there are no scores.
    """
    if not scores:
        raise ValueError("there is nothing to score")
    every = list(scores.values())
    error_deg = float(np.mean([one.aop_error_deg for one in every]))
    means = {key: _means([getattr(one, key) for one in every]) for key in ("dice", "hd_px", "asd_px")}
    dice, hd_px, asd_px = (float(np.mean(list(of.values()))) for of in means.values())
    return ChallengeRecord(
        cases=len(every),
        score=0.25 * dice
        + 0.125 * (1 - hd_px / WORST_PX)
        + 0.125 * (1 - asd_px / WORST_PX)
        + 0.5 * (1 - error_deg / 180),
        dice=ByPart(**means["dice"]),
        hd_px=ByPart(**means["hd_px"]),
        asd_px=ByPart(**means["asd_px"]),
        aop_error_deg=error_deg,
        without_aop=sum(one.aop_deg == 0 for one in every),
        grid=GRID,
        resized=sum(one.resized for one in every),
        per_case=tuple(
            ChallengeCase(
                name=name,
                dice=ByPart(**one.dice),
                hd_px=ByPart(**one.hd_px),
                asd_px=ByPart(**one.asd_px),
                aop_deg=one.aop_deg,
                aop_true_deg=one.aop_true_deg,
                aop_error_deg=one.aop_error_deg,
            )
            for name, one in scores.items()
        ),
    )


def _means(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {part: float(np.mean([value[part] for value in values])) for part in PARTS}
