"""The fit behind a view check: ridge regression, and a threshold by folds over subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PENALTY = 10.0
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """One linear score.

    Attributes:
        weights: ``float64 (D,)``; offset: so that the score is 0 at the threshold.
        held_out: ``float64 (N,)``: each frame's score by the fold that had not seen its subject.
    """

    weights: Floats
    offset: float
    held_out: Floats


def fit_score(
    described: Sequence[Floats], own: npt.NDArray[np.bool_], groups: Sequence[str], folds: npt.NDArray[np.int64],
    judged: npt.NDArray[np.bool_], withheld: float, penalty: float = PENALTY,
) -> Fit:  # fmt: skip
    """Fit a score that is positive where ``own``; always, where every frame is.

    Args:
        described: versions of the frames, each ``float64 (N, D)``: as they are, then altered; the first is judged.
        own: ``bool (N,)``.
        groups: of each frame; the groups of either side weigh the same together.
        folds: ``int64 (N,)``.
        judged: ``bool (N,)``: the frames of which the share ``withheld`` may fall below the threshold.
        withheld: see ``judged``.
        penalty: of the ridge regression.
    """
    if own.all():
        return Fit(np.zeros(described[0].shape[1]), 1.0, np.ones(len(own)))
    weights = _weights(own, groups)
    held_out = np.zeros(len(own))
    for fold in np.unique(folds):
        train, test = folds != fold, folds == fold
        found, offset = _ridge(described, own, weights, train, penalty)
        held_out[test] = described[0][test] @ found + offset
    found, offset = _ridge(described, own, weights, np.ones(len(own), bool), penalty)
    threshold = float(np.quantile(held_out[judged], withheld))
    return Fit(found, offset - threshold, held_out - threshold)


def _weights(own: npt.NDArray[np.bool_], groups: Sequence[str]) -> Floats:
    """Each side weighs one half, and its groups by the root of their size."""
    named = np.array(groups)
    weights = np.zeros(len(own))
    for side in (own, ~own):
        sizes = {group: float(np.count_nonzero(side & (named == group))) for group in np.unique(named[side])}
        total = sum(np.sqrt(list(sizes.values())))
        for group, size in sizes.items():
            weights[side & (named == group)] = np.sqrt(size) / total / size / 2
    return weights * len(own)


def _ridge(
    described: Sequence[Floats],
    own: npt.NDArray[np.bool_],
    weights: Floats,
    train: npt.NDArray[np.bool_],
    penalty: float,
) -> tuple[Floats, float]:
    stacked = np.concatenate([version[train] for version in described])
    wanted = np.tile(np.where(own[train], 1.0, -1.0), len(described))
    weight = np.tile(weights[train], len(described)) / len(described)
    mean, aim = weight @ stacked / weight.sum(), float(weight @ wanted / weight.sum())
    rooted = np.sqrt(weight)[:, None] * (stacked - mean)
    found = np.linalg.solve(
        rooted.T @ rooted + penalty * np.eye(stacked.shape[1]), rooted.T @ (np.sqrt(weight) * (wanted - aim))
    )
    return found, aim - float(mean @ found)
