"""The fit behind a view check, and the ways in which frames are spoilt."""

from __future__ import annotations

import numpy as np
import pytest

from fetaledge.data.corruptions import CORRUPTIONS
from fetaledge_runtimes.ellipse import Ellipse


def two_clouds(count: int, far: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    own = np.arange(count) % 2 == 0
    return rng.normal(size=(count, 6)) + np.where(own, far, -far)[:, None] * np.eye(6)[0], own


def test_a_fit_tells_two_clouds_apart_and_withholds_what_it_may() -> None:
    from fetaledge.training.view.fit import fit_score

    described, own = two_clouds(2000, 1.0)
    folds = np.arange(2000) // 2 % 5
    groups = ["own" if mine else f"other {number % 3}" for number, mine in enumerate(own)]
    fit = fit_score([described], own, groups, folds, own, 0.05)
    assert (fit.held_out[own] < 0).mean() == pytest.approx(0.05, abs=0.002)
    assert (fit.held_out[~own] < 0).mean() > 0.5
    whole = described @ fit.weights + fit.offset
    assert np.corrcoef(whole, fit.held_out)[0, 1] > 0.999
    assert np.argmax(np.abs(fit.weights)) == 0 and fit.weights[0] > 0


def test_each_frame_is_judged_by_a_fit_that_had_not_seen_it() -> None:
    """Noise that a fit of few frames learns by heart is no help on the held-out ones."""
    from fetaledge.training.view.fit import fit_score

    rng = np.random.default_rng(0)
    described, own = rng.normal(size=(60, 400)), np.arange(60) % 2 == 0
    fit = fit_score([described], own, ["a"] * 60, np.arange(60) // 2 % 5, own, 0.5)
    learnt = described @ fit.weights
    assert (learnt[own].mean() - learnt[~own].mean()) > 4 * abs(fit.held_out[own].mean() - fit.held_out[~own].mean())


def test_a_large_group_does_not_drown_a_small_one() -> None:
    from fetaledge.training.view.fit import fit_score

    rng = np.random.default_rng(0)
    own = np.repeat([True, False], (300, 1010))
    described = rng.normal(size=(1310, 2)) * 0.3
    described[300:1300, 0] -= 3
    described[1300:, 1] -= 3
    groups = ["own"] * 300 + ["large"] * 1000 + ["small"] * 10
    fit = fit_score([described], own, groups, np.arange(1310) % 5, own, 0.02)
    assert (fit.held_out[1300:] < 0).all() and (fit.held_out[300:1300] < 0).all()


def test_a_fit_without_another_side_lets_all_pass() -> None:
    from fetaledge.training.view.fit import fit_score

    described, _ = two_clouds(30)
    fit = fit_score([described], np.ones(30, bool), ["a"] * 30, np.arange(30) % 5, np.ones(30, bool), 0.1)
    assert (described @ fit.weights + fit.offset > 0).all() and (fit.held_out > 0).all()


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_a_corruption_keeps_size_and_type_and_changes_something(kind: str) -> None:
    pixels = np.random.default_rng(0).integers(20, 120, (90, 128), np.uint8)
    before = pixels.copy()
    for seed, ellipse in enumerate((Ellipse(64, 45, 40, 30, 20), Ellipse(3, 3, 60, 50, 0), Ellipse(64, 45, 1, 0.6, 0))):
        spoilt = CORRUPTIONS[kind](pixels, ellipse, np.random.default_rng(seed))
        assert spoilt.shape == pixels.shape and spoilt.dtype == np.uint8
        np.testing.assert_array_equal(pixels, before)
    assert (CORRUPTIONS[kind](pixels, Ellipse(64, 45, 40, 30, 20), np.random.default_rng(0)) != pixels).any()


def test_spoilt_frames_of_one_subject_stand_in_one_fold() -> None:
    """Two frames of a subject are alike and say nothing of other subjects: a fit that saw one would know the other."""
    from fetaledge.training.view.described import Described, Spoilt
    from fetaledge.training.view.sources import ViewFrame, subjects_in_folds
    from fetaledge.training.view.unsure import fit_unsure

    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(60), 2)
    frames = [ViewFrame("s", f"subject {subject}", True, lambda: np.zeros((64, 64), np.uint8)) for subject in subjects]
    signs = rng.normal(0, 1, (60, 4, 300)).astype(np.float32)
    described = [signs[subject] + rng.normal(0, 0.05, (4, 300)).astype(np.float32) for subject in subjects]
    spoilt = (Spoilt("noise", 3, True),)
    none = np.zeros((4, 1), np.float32)
    seen = [Described(number, frame, none, none, None, spoilt, False) for number, frame in enumerate(frames)]
    folds = subjects_in_folds(frames, 5, 0)
    everyone = np.ones(len(frames), bool)
    missed = []
    for fold_of in (folds, np.arange(len(frames)) % 5):
        _, counts = fit_unsure(seen, described, everyone, fold_of, 0.01)
        (noise,) = (count for count in counts if count.kind == "noise")
        assert noise.wrong == noise.frames == len(frames)
        missed.append(noise.wrong_and_passed / noise.wrong)
    assert missed[0] > 0.6 and missed[1] < 0.3
