"""Artefacts that a U-Net learns to look through: in the frame alone, for a share of the frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fetaledge.data.layouts.open import open_dataset
from fetaledge_runtimes.ellipse import Ellipse
from tests.command import Command


def frame_and_masks() -> tuple[np.ndarray, np.ndarray]:
    pixels = np.random.default_rng(0).integers(20, 120, (96, 128), np.uint8)
    large, small = Ellipse(64, 50, 35, 25, 30), Ellipse(20, 15, 10, 6, 0)
    return pixels, np.stack([small.rasterise(pixels.shape), large.rasterise(pixels.shape)])


def test_an_artefact_depends_on_the_seed_alone_and_leaves_its_input_alone() -> None:
    from fetaledge.training.unet.artefacts import spoil

    pixels, masks = frame_and_masks()
    before = pixels.copy(), masks.copy()
    spoilt = [spoil(pixels, masks, np.random.default_rng(seed)) for seed in (*range(40), 3)]
    np.testing.assert_array_equal(spoilt[3], spoilt[-1])
    assert len({frame.tobytes() for frame in spoilt}) > 35
    assert all(frame.shape == pixels.shape and frame.dtype == np.uint8 for frame in spoilt)
    np.testing.assert_array_equal(pixels, before[0])
    np.testing.assert_array_equal(masks, before[1])


def test_artefacts_lie_about_the_largest_structure(monkeypatch: pytest.MonkeyPatch) -> None:
    from fetaledge.data.corruptions import drawn_ellipse
    from fetaledge.training.unet import artefacts

    monkeypatch.setattr(artefacts, "ARTEFACTS", ((1.0, lambda rng: drawn_ellipse(1.0)),))
    monkeypatch.setattr(artefacts, "SECOND", 0.0)
    pixels, masks = frame_and_masks()
    pixels[:] = 0
    for seed in range(5):
        rows, columns = np.nonzero(artefacts.spoil(pixels, masks, np.random.default_rng(seed)))
        assert abs(columns.mean() - 64) < 6 and abs(rows.mean() - 50) < 6
        assert np.ptp(columns) > 50


def test_a_frame_without_a_structure_stays_as_it_is() -> None:
    from fetaledge.training.unet.artefacts import spoil

    pixels, masks = frame_and_masks()
    assert spoil(pixels, np.zeros_like(masks), np.random.default_rng(0)) is pixels


def test_a_share_of_the_frames_is_spoilt_and_no_label(phantoms: Path) -> None:
    import torch

    from fetaledge.training.unet.frames import PreparedFrames, TrainingFrames

    frames = PreparedFrames(open_dataset(phantoms).only(["000_HC"]), (64, 64))
    plain, third = TrainingFrames(frames, seed=1), TrainingFrames(frames, seed=1, artefacts=0.3)
    keys = [(epoch, 0) for epoch in range(60)]
    changed = 0
    for key in keys:
        before, after = plain[key], third[key]
        assert torch.equal(before[1], after[1]) and after[0].shape == (1, 64, 64) and after[0].dtype == torch.float32
        assert float(after[0].min()) >= 0 and float(after[0].max()) <= 1
        changed += not torch.equal(before[0], after[0])
    assert 8 < changed < 30


def test_a_share_that_is_none_is_refused(phantoms: Path, tmp_path: Path, fetaledge: Command) -> None:
    result = fetaledge("train", "unet", "--data", phantoms, "--out", tmp_path / "run", "--artefacts", 1.5)
    assert result.returncode == 2 and "--artefacts 1.5 is not between 0 and 1" in result.stderr
    assert not (tmp_path / "run").exists()
