"""From logits to the mask on the frame's own grid, and the resize before."""

from __future__ import annotations

import numpy as np
import pytest

from fetaledge_runtimes.ellipse import Ellipse, from_mask
from fetaledge_runtimes.postprocess import largest_component, largest_components, mask_from_logits
from fetaledge_runtimes.preprocess import resize


def test_keeps_the_largest_of_three() -> None:
    mask = np.zeros((60, 60), np.uint8)
    mask[2:6, 2:6] = 1
    mask[20:40, 20:50] = 1
    mask[50:58, 50:58] = 1
    kept = largest_component(mask)
    assert kept.sum() == 600
    assert kept[30, 30] == 1 and kept[3, 3] == 0 and kept[55, 55] == 0


def test_fills_holes_and_joins_diagonals() -> None:
    mask = np.zeros((30, 30), np.uint8)
    mask[5:20, 5:20] = 1
    mask[10:14, 10:14] = 0
    mask[20:25, 20:25] = 1
    assert largest_component(mask).sum() == 15 * 15 + 25


def test_a_ring_counts_by_what_it_encloses() -> None:
    mask = np.zeros((60, 100), np.uint8)
    mask[5:55, 2:52] = 1
    mask[7:53, 4:50] = 0
    mask[20:40, 60:80] = 1
    kept = largest_component(mask)
    assert kept[:, :55].sum() == 2500 and kept[:, 55:].sum() == 0


def test_an_empty_mask_stays_empty_and_the_input_is_left_alone() -> None:
    empty = np.zeros((8, 8), np.uint8)
    assert largest_component(empty).sum() == 0
    mask = np.eye(8, dtype=np.uint8) * 255
    before = mask.copy()
    assert set(np.unique(largest_component(mask))) == {0, 1}
    np.testing.assert_array_equal(mask, before)


def test_a_single_pixel_survives() -> None:
    mask = np.zeros((8, 8), np.uint8)
    mask[3, 4] = 1
    assert largest_component(mask).sum() == 1


def signed_distance(ellipse: Ellipse, shape: tuple[int, int]) -> np.ndarray:
    """Smooth logits whose zero is the ellipse's very edge."""
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(float)
    inverse = np.linalg.inv(4 * ellipse.covariance())
    x, y = columns - ellipse.x, rows - ellipse.y
    radius = np.sqrt(inverse[0, 0] * x**2 + 2 * inverse[0, 1] * x * y + inverse[1, 1] * y**2)
    return ((1 - radius) * 40).astype(np.float32)


@pytest.mark.parametrize("shape", [(540, 800), (600, 600), (256, 256), (200, 333)])
def test_the_edge_keeps_its_sub_pixel_place(shape: tuple[int, int]) -> None:
    """A head on a 256 grid is found on the frame's grid, half-pixel centres mapped, within a quarter of a pixel."""
    y_scale, x_scale = shape[0] / 256, shape[1] / 256
    small = Ellipse(120.4, 131.2, 80, 62, 30)
    stretched = small.scaled(x_scale, y_scale)
    truth = Ellipse(
        (small.x + 0.5) * x_scale - 0.5, (small.y + 0.5) * y_scale - 0.5, stretched.a, stretched.b, stretched.angle_deg
    )
    mask = mask_from_logits(signed_distance(small, (256, 256))[None], shape)
    found = from_mask(mask)
    assert mask.shape == shape and mask.dtype == np.uint8 and found is not None
    assert found.x == pytest.approx(truth.x, abs=0.1) and found.y == pytest.approx(truth.y, abs=0.1)
    assert found.a == pytest.approx(truth.a, abs=0.25) and found.b == pytest.approx(truth.b, abs=0.25)


def test_one_channel_is_cut_at_zero() -> None:
    logits = np.full((1, 16, 16), -0.01, np.float32)
    assert mask_from_logits(logits, (32, 32)).sum() == 0
    assert mask_from_logits(-logits, (32, 32)).sum() == 32 * 32


def test_of_many_channels_the_largest_wins() -> None:
    logits = np.zeros((3, 32, 32), np.float32)
    logits[0] = 1
    logits[1, 4:12, 4:12] = 2
    logits[1, 28:30, 28:30] = 2
    logits[2, 16:28, 10:28] = 3
    mask = mask_from_logits(logits, (32, 32))
    assert set(np.unique(mask)) == {0, 1, 2}
    assert (mask == 1).sum() == 64 and (mask == 2).sum() == 12 * 18
    assert mask[29, 29] == 0


def test_resize_keeps_the_mean_where_both_sides_shrink() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (512, 768), dtype=np.uint8)
    small = resize(pixels, (256, 384))
    assert small.shape == (256, 384) and small.dtype == np.uint8
    blocks = pixels.reshape(256, 2, 384, 2).astype(float).mean((1, 3))
    assert np.abs(small - blocks).max() <= 0.5


def test_resize_is_no_change_at_the_same_size() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96), dtype=np.uint8)
    np.testing.assert_array_equal(resize(pixels, (64, 96)), pixels)


def test_resize_makes_small_frames_larger() -> None:
    ramp = np.tile(np.arange(0, 128, 2, dtype=np.uint8), (48, 1))
    large = resize(ramp, (96, 128))
    assert large.shape == (96, 128)
    assert (np.diff(large[0].astype(int)) >= 0).all()


def test_decided_on_a_grid_of_its_own() -> None:
    """Logits of 8 pixels, bilinear to 16, decided there, every label repeated to 32."""
    logits = np.random.default_rng(4).normal(size=(3, 8, 8)).astype(np.float32)
    mask = mask_from_logits(logits, (32, 32), grid=(16, 16))
    np.testing.assert_array_equal(mask, np.repeat(np.repeat(mask[::2, ::2], 2, 0), 2, 1))
    np.testing.assert_array_equal(mask_from_logits(logits, (16, 16), grid=(16, 16)), mask_from_logits(logits, (16, 16)))
    np.testing.assert_array_equal(mask[::2, ::2], mask_from_logits(logits, (16, 16)))
    head = np.full((1, 8, 8), -1.0, np.float32)
    head[0, 2:5, 2:6] = 1
    assert mask_from_logits(head, (8, 8), grid=(8, 8)).sum() == 12


def test_a_hole_keeps_what_lies_in_it() -> None:
    """A head round the symphysis and round a hole: the hole is filled, the symphysis is not; a second one goes."""
    labels = np.zeros((40, 40), np.uint8)
    labels[5:35, 5:35] = 2
    labels[10:14, 10:20] = 1
    labels[25:28, 25:28] = 0
    labels[30:32, 10:12] = 1
    kept = largest_components(labels, 3)
    assert (kept[10:14, 10:20] == 1).all() and (kept == 1).sum() == 40
    assert (kept[25:28, 25:28] == 2).all() and (kept[30:32, 10:12] == 2).all()
