"""Where the scan lies: real frames stay whole, screenshots give up their scan."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.frames.read import read_frames
from fetaledge_runtimes.frames.scan import LEAST_PX, Box, find_scan
from fetaledge_runtimes.postprocess import place
from fetaledge_runtimes.preprocess import network_input, resize


def noise(height: int, width: int, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 200, (height, width), np.uint8)


def in_ground(scan: Image, factor: int, grey: int = 0) -> tuple[Image, Box]:
    """The scan in the middle of a constant frame that is larger by a factor; and where it lies."""
    height, width = scan.shape
    box = Box((factor - 1) * height // 2, (factor - 1) * width // 2, height, width)
    frame = np.full((height * factor, width * factor), grey, np.uint8)
    box.cut(frame)[:] = scan
    return frame, box


def on_screen(scan: Image) -> tuple[Image, Box]:
    """The scan on a screen with bars, menus and letters."""
    height, width = scan.shape
    size = (2 * height, int(2.4 * width))
    screen = np.full(size, 30, np.uint8)
    screen[: size[0] // 20], screen[-size[0] // 15 :] = 90, 60
    for line in range(8):
        row = size[0] // 10 + line * size[0] // 12
        for text, column in (("Freq 4.0 MHz", size[1] // 60), ("GA 22w3d", size[1] - size[1] // 7)):
            cv2.putText(screen, text, (column, row), cv2.FONT_HERSHEY_SIMPLEX, height / 700, 220, 1)
    box = Box(size[0] // 4, size[1] // 4, height, width)
    box.cut(screen)[:] = scan
    return screen, box


def blocks_off(found: Box, true: Box, frame: Image) -> float:
    """The farthest that a side of the found box lies from the true one, in blocks."""
    sides = [(box.top, box.left, box.top + box.height, box.left + box.width) for box in (found, true)]
    return float(np.abs(np.subtract(*sides)).max()) / max(4, round(max(frame.shape) / 64))


@pytest.mark.parametrize("shape", [(540, 800), (256, 256), (901, 333), (100, 31), (64, 64), (3000, 41)])
def test_a_frame_that_is_all_scan_stays_whole(shape: tuple[int, int]) -> None:
    assert find_scan(noise(*shape)) is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (7, 7), (15, 2000), (17, 17), (300, 300), (4000, 4000)])
@pytest.mark.parametrize("grey", [0, 77, 250, 255])
def test_a_constant_frame_of_any_size_has_no_scan(shape: tuple[int, int], grey: int) -> None:
    assert find_scan(np.full(shape, grey, np.uint8)) is None


@pytest.mark.parametrize("grey", [0, 250])
@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("shape", [(540, 800), (301, 207), (67, 61)])
def test_the_scan_in_a_border(shape: tuple[int, int], factor: int, grey: int) -> None:
    frame, box = in_ground(noise(*shape), factor, grey)
    found = find_scan(frame)
    assert found is not None and blocks_off(found, box, frame) <= 2
    assert found.top <= box.top and found.left <= box.left and min(found.as_list()) >= 0
    assert found.top + found.height >= box.top + box.height and found.left + found.width >= box.left + box.width


def test_bright_ground_of_a_large_frame_is_no_texture() -> None:
    """Sums of squares over blocks of 62 × 62 pixels do not fit into float32."""
    frame = np.full((4000, 4000), 250, np.uint8)
    frame[1000:2200, 1000:2500] = noise(1200, 1500)
    found = find_scan(frame)
    assert found is not None and blocks_off(found, Box(1000, 1000, 1200, 1500), frame) <= 2


def test_a_dark_part_of_a_scan_is_no_border() -> None:
    """The scanner's own noise tells it from a border."""
    pixels = noise(540, 800)
    pixels[:, 400:] = np.random.default_rng(1).integers(0, 3, (540, 400))
    assert find_scan(pixels) is None


def test_a_small_patch_is_no_scan() -> None:
    frame = np.zeros((600, 600), np.uint8)
    frame[10:20, 10:20] = noise(10, 10)
    assert LEAST_PX > 3 * 9 and find_scan(frame) is None


def test_a_frame_in_another_order_of_memory() -> None:
    frame, _ = in_ground(noise(200, 300), 2)
    assert find_scan(np.asfortranarray(frame)) == find_scan(frame)
    wide = np.zeros((400, 1200), np.uint8)
    wide[:, ::2] = frame
    assert find_scan(wide[:, ::2]) == find_scan(frame)


def test_a_box_cuts_places_and_flips() -> None:
    frame = np.arange(20, dtype=np.uint8).reshape(4, 5)
    box = Box(1, 0, 2, 3)
    np.testing.assert_array_equal(box.cut(frame), [[5, 6, 7], [10, 11, 12]])
    assert box.flipped(5) == Box(1, 2, 2, 3) and box.flipped(5).flipped(5) == box
    np.testing.assert_array_equal(box.flipped(5).cut(frame[:, ::-1]), box.cut(frame)[:, ::-1])
    placed = place(box.cut(frame), frame.shape, box)
    np.testing.assert_array_equal(box.cut(placed), box.cut(frame))
    assert placed[0].max() == placed[3].max() == placed[:, 3:].max() == 0
    assert place(frame, frame.shape, None) is frame


def test_the_network_sees_the_scan_alone() -> None:
    frame, _ = in_ground(noise(200, 300), 3)
    pixels, crop = network_input(frame, (64, 96))
    assert crop is not None and pixels.shape == (64, 96)
    np.testing.assert_array_equal(pixels, resize(crop.cut(frame), (64, 96)))
    whole, none = network_input(noise(200, 300), (64, 96))
    assert none is None
    np.testing.assert_array_equal(whole, resize(noise(200, 300), (64, 96)))


def hc18_frames(folder: Path, step: int) -> list[Path]:
    frames = sorted(path for path in (folder / "training_set").glob("*.png") if "_Annotation" not in path.stem)
    return frames[::step]


def cropped(paths: Iterable[Path]) -> set[str]:
    return {path.name for path in paths if find_scan(next(read_frames(path)).pixels) is not None}


def test_real_frames_stay_whole(hc18: Path) -> None:
    known = [path for path in hc18_frames(hc18, 1) if path.name in ("007_HC.png", "783_3HC.png")]
    assert len(known) == 2 and not cropped([*known, *hc18_frames(hc18, 8)])
    african = hc18.parent / "african" / "images"
    assert cropped(sorted(african.iterdir())[::4]) == set()


def test_real_transperineal_frames_stay_whole(real_psfhs: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    for path in sorted((real_psfhs / "image_mha").glob("*.mha"))[::7]:
        pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        assert find_scan(np.ascontiguousarray(pixels[0] if len(pixels) == 3 else pixels)) is None, path.name


def test_real_frames_are_found_in_borders_and_on_screens(hc18: Path) -> None:
    for path in hc18_frames(hc18, 25):
        scan = next(read_frames(path)).pixels
        for frame, box in (in_ground(scan, 2), in_ground(scan, 3), on_screen(scan)):
            found = find_scan(frame)
            assert found is not None and blocks_off(found, box, frame) <= 2, path.name


@pytest.mark.parametrize("name", ["082_2HC_in_black", "688_HC_on_screen", "783_4HC_in_black"])
def test_the_fields_screenshots_give_a_crop(hc18: Path, name: str) -> None:
    frame = next(read_frames(hc18.parent / "field" / "scan-in-large-frame" / f"{name}.png"))
    found = find_scan(frame.pixels)
    assert found is not None and found.height * found.width < 0.4 * frame.pixels.size


def test_a_narrow_sector_is_a_scan_as_it_comes() -> None:
    """Cutting its dark sides would change the head's proportions on the network's grid."""
    rng = np.random.default_rng(3)
    frame = np.zeros((540, 800), np.uint8)
    frame[:, 130:660] = rng.integers(20, 90, (540, 530))
    assert find_scan(frame) is None


def test_one_side_alone_is_cut_where_the_scan_is_a_part_of_it() -> None:
    """A telephone held upright shows the scan across, between plain bars."""
    rng = np.random.default_rng(4)
    frame = np.full((1600, 800), 20, np.uint8)
    frame[500:1040] = rng.integers(20, 90, (540, 800))
    box = find_scan(frame)
    assert box is not None and box.width == 800 and abs(box.top - 500) <= 50 and abs(box.height - 540) <= 100


@pytest.mark.parametrize("gap", [40, 200])
def test_panels_side_by_side_stay_together(gap: int) -> None:
    """Or one of two heads would be measured without a word."""
    panel = noise(400, 500)
    frame = np.zeros((400, 1000 + gap), np.uint8)
    frame[:, :500], frame[:, 500 + gap :] = panel, panel
    assert find_scan(frame) is None
    around, box = in_ground(frame, 2)
    found = find_scan(around)
    assert found is not None and blocks_off(found, box, around) <= 2
