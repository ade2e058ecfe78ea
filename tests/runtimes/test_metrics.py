"""Metrics against MONAI and MedPy where the conventions agree, and by hand where they do not."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from fetaledge_runtimes.scores.metrics import Overlap, nearest_distances, overlap, surface_distances

SPACINGS = [(1.0, 1.0), (0.3, 0.3), (0.2, 0.45)]


def blob(seed: int, shape: tuple[int, int] = (70, 90)) -> np.ndarray:
    """A ragged region of one or more pieces, some of it at the image's edge."""
    noise = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 7)
    return (smooth > np.quantile(smooth, 0.7)).astype(np.uint8)


PAIRS = [(blob(seed), blob(seed + 1)) for seed in range(0, 8, 2)] + [(blob(0), np.roll(blob(0), 2, axis=1))]


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("pair", range(len(PAIRS)))
def test_agrees_with_monai(pair: int, spacing: tuple[float, float]) -> None:
    """MONAI's HD95 is the larger directed percentile, its symmetric surface distance pools both directions: as here."""
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    predicted, truth = PAIRS[pair]
    p, t = (torch.from_numpy(mask)[None, None].float() for mask in (predicted, truth))
    hd95 = compute_hausdorff_distance(
        p, t, include_background=True, percentile=95, directed=False, spacing=list(spacing)
    )
    hd = compute_hausdorff_distance(p, t, include_background=True, directed=False, spacing=list(spacing))
    assd = compute_average_surface_distance(p, t, include_background=True, symmetric=True, spacing=list(spacing))
    ours = surface_distances(predicted, truth, spacing)
    assert ours.hd95 == pytest.approx(float(hd95), rel=1e-5)
    assert ours.hd == pytest.approx(float(hd), rel=1e-5)
    assert ours.assd == pytest.approx(float(assd), rel=1e-5)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("pair", range(len(PAIRS)))
def test_agrees_with_medpy(pair: int, spacing: tuple[float, float]) -> None:
    """MedPy's HD is the full one, its ASSD pools both directions (since 0.5): as here."""
    from medpy.metric.binary import assd, dc, hd, jc

    predicted, truth = PAIRS[pair]
    counts = overlap(predicted, truth)
    assert counts.dice == pytest.approx(dc(predicted, truth), rel=1e-12)
    assert counts.iou == pytest.approx(jc(predicted, truth), rel=1e-12)
    ours = surface_distances(predicted, truth, spacing)
    assert ours.hd == pytest.approx(hd(predicted, truth, voxelspacing=spacing), rel=1e-9)
    assert ours.assd == pytest.approx(assd(predicted, truth, voxelspacing=spacing), rel=1e-9)


def searched(predicted: np.ndarray, truth: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """The distances of all pairs of pixels, the smallest of each row."""
    origins, targets = (np.argwhere(mask) * spacing for mask in (predicted, truth))
    return np.array([np.sqrt(((targets - origin) ** 2).sum(1)).min() for origin in origins])


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("shape", [(540, 800), (1024, 1024), (700, 1400)])
def test_nearest_distances_are_exact(shape: tuple[int, int], spacing: tuple[float, float]) -> None:
    rng = np.random.default_rng(shape[1])
    for count in (1, 7, 300):
        targets = np.zeros(shape, np.uint8)
        targets[rng.integers(0, shape[0], count), rng.integers(0, shape[1], count)] = 255
        origins = (rng.random(shape) < 0.002).astype(np.uint8)
        given = nearest_distances(origins, targets, spacing)
        np.testing.assert_allclose(given, searched(origins, targets, spacing), rtol=1e-13, atol=0)
    assert len(nearest_distances(np.zeros(shape, np.uint8), targets, spacing)) == 0
    with pytest.raises(ValueError, match="no pixel to measure distances to"):
        nearest_distances(origins, np.zeros(shape, np.uint8), spacing)


def test_medpy_pools_the_percentile_and_we_do_not() -> None:
    from medpy.metric.binary import hd95

    predicted, truth = PAIRS[1]
    ours = surface_distances(predicted, truth)
    assert hd95(predicted, truth) == pytest.approx(
        np.percentile(np.concatenate([ours.to_truth, ours.to_predicted]), 95), rel=1e-9
    )
    assert ours.hd95 != pytest.approx(hd95(predicted, truth), rel=1e-3)


def test_two_squares_by_hand() -> None:
    truth, predicted = np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint8)
    truth[5:10, 5:10] = 1
    predicted[5:10, 7:12] = 255
    counts = overlap(predicted, truth)
    assert counts == Overlap(both=15, predicted=25, true=25, pixels=400)
    assert counts.dice == 30 / 50
    assert counts.iou == 15 / 35
    assert counts.pixel_accuracy == 380 / 400
    assert surface_distances(predicted, truth).hd == 2
    assert surface_distances(predicted, truth, (1, 0.5)).hd == 1


def test_a_missing_structure_counts_as_the_diagonal() -> None:
    """MONAI would give NaN, and drop it from the mean."""
    truth, empty = blob(0), np.zeros((70, 90), np.uint8)
    for predicted, true in ((empty, truth), (truth, empty)):
        counts, distances = overlap(predicted, true), surface_distances(predicted, true, (0.5, 0.2))
        assert counts.dice == 0 and counts.iou == 0
        diagonal = math.hypot(70 * 0.5, 90 * 0.2)
        assert distances.hd95 == distances.hd == distances.assd == pytest.approx(diagonal)


def test_both_empty_is_a_perfect_case() -> None:
    empty = np.zeros((10, 10), np.uint8)
    counts, distances = overlap(empty, empty), surface_distances(empty, empty)
    assert (counts.dice, counts.iou, counts.pixel_accuracy) == (1, 1, 1)
    assert distances.hd95 == distances.assd == 0


def test_counts_add_up_to_the_pooled_dice() -> None:
    pairs = PAIRS[:3]
    pooled = sum((overlap(p, t) for p, t in pairs), Overlap(0, 0, 0, 0))
    joined = overlap(np.concatenate([p for p, _ in pairs]), np.concatenate([t for _, t in pairs]))
    assert pooled == joined


def test_masks_of_two_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        overlap(np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8))
