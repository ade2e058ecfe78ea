"""The score that is negative where a frame was spoilt so that its measure would be wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fetaledge.data.corruptions import CORRUPTIONS
from fetaledge.training.view.described import ALTERED, PLAIN, Described
from fetaledge.training.view.fit import Fit, fit_score
from fetaledge_runtimes.records import Part


class CorruptionCount(Part, kw_only=True, frozen=True):
    """Own frames spoilt in one way: how many, how many measures went wrong, and how many of these passed by folds."""

    kind: str
    frames: int
    withheld: int
    wrong: int
    wrong_and_passed: int


def fit_unsure(
    seen: Sequence[Described],
    described: Sequence[npt.NDArray[np.float32]],
    judged: npt.NDArray[np.bool_],
    folds: npt.NDArray[np.int64],
    withheld: float,
) -> tuple[Fit, tuple[CorruptionCount, ...]]:
    """Fit on the own frames: as they are and altered they are right, and corrupted they are what became of them."""
    rows, right, kinds, fold_of = [], [], [], []
    for found, versions, own, fold in zip(seen, described, judged, folds, strict=True):
        if not own:
            continue
        for place in (PLAIN, ALTERED):
            rows.append(versions[place])
            right.append(True)
            kinds.append("clean" if place == PLAIN else "altered")
            fold_of.append(fold)
        for spoilt in found.spoilt:
            rows.append(versions[spoilt.place])
            right.append(not spoilt.wrong)
            kinds.append(spoilt.kind)
            fold_of.append(fold)
    names, good = np.array(kinds), np.array(right)
    groups = [
        "wrong" if not ok else "spoilt" if kind in CORRUPTIONS else kind for kind, ok in zip(kinds, right, strict=True)
    ]
    fit = fit_score([np.stack(rows)], good, groups, np.array(fold_of), names == "clean", withheld)
    passed = fit.held_out >= 0
    counts = tuple(
        CorruptionCount(
            kind=kind,
            frames=int((names == kind).sum()),
            withheld=int((~passed & (names == kind)).sum()),
            wrong=int((~good & (names == kind)).sum()),
            wrong_and_passed=int((~good & passed & (names == kind)).sum()),
        )
        for kind in ("clean", *CORRUPTIONS)
    )
    return fit, counts
