"""The check that a frame shows what the model was made for."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.errors import BundleError
from fetaledge_runtimes.frames.frame import Frame, Image
from fetaledge_runtimes.view.check import FILE, LENGTH, ViewCheck, describe, joined
from fetaledge_runtimes.view.outline import LENGTH as OUTLINE
from fetaledge_runtimes.view.outline import NAMES, describe_outline, largest_structure
from fetaledge_runtimes.view.picture import LENGTH as PICTURE
from fetaledge_runtimes.view.picture import describe_picture
from tests.view_checks import CENTRE, SPREAD, check_that_says

MakeFrame = Callable[..., Frame]


def logits_of(ellipse: Ellipse, shape: tuple[int, int] = (96, 128)) -> np.ndarray:
    return (ellipse.rasterise(shape).astype(np.float32) * 12 - 6)[None]


def picture(shape: tuple[int, int] = (96, 128), seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 255, shape, np.uint8)


HEAD_LOGITS = logits_of(Ellipse(64, 48, 40, 30, 20))


@pytest.mark.parametrize("shape", [(1, 1), (64, 96), (128, 128), (192, 96), (256, 256), (500, 40)])
@pytest.mark.parametrize("grey", [None, 0, 255])
def test_a_picture_of_any_size_is_described(shape: tuple[int, int], grey: int | None) -> None:
    pixels = picture(shape) if grey is None else np.full(shape, grey, np.uint8)
    described = describe_picture(pixels)
    assert described.shape == (PICTURE,) and described.dtype == np.float32 and np.isfinite(described).all()


def test_gain_says_little_and_a_mirror_image_much() -> None:
    columns, rows = np.meshgrid(np.linspace(0, 1, 128), np.linspace(0, 1, 128))
    pixels = (90 * columns + 30 * np.sin(12 * rows * columns)).clip(0, 120).astype(np.uint8)
    plain, brighter, mirrored = map(describe_picture, (pixels, pixels * 2, np.ascontiguousarray(pixels[:, ::-1])))
    near, far = np.linalg.norm(plain - brighter), np.linalg.norm(plain - mirrored)
    assert far > 5 * near


def test_an_outlines_description_by_hand() -> None:
    """A perfect ellipse of sure logits in a plain picture."""
    pixels = np.full((96, 128), 40, np.uint8)
    described = describe_outline(pixels, HEAD_LOGITS)
    assert described is not None and len(NAMES) == len(set(NAMES)) == OUTLINE == len(described)
    named = dict(zip(NAMES, described.tolist(), strict=True))
    assert named["mask_dice"] > 0.98 and named["discarded"] == 0 and named["unsure"] == 0
    assert (named["median_logit"], named["logit_outside"], named["low_logit"]) == (6, -6, 6)
    assert named["axis_ratio"] == pytest.approx(0.75, abs=0.01)
    assert named["area"] == pytest.approx(np.pi * 40 * 30 / (96 * 128), rel=0.01)
    assert named["ring"] == pytest.approx(0, abs=1e-6) and named["texture"] == pytest.approx(0, abs=1e-6)
    assert named["mean_grey"] == pytest.approx(0.4)


def test_a_bright_ring_is_seen() -> None:
    pixels = np.full((96, 128), 40, np.uint8)
    outer, inner = (Ellipse(64, 48, a, b, 20).rasterise((96, 128)) for a, b in ((40, 30), (36, 27)))
    pixels[(outer > 0) & (inner == 0)] = 200
    plain, ringed = (describe_outline(seen, HEAD_LOGITS) for seen in (np.full_like(pixels, 40), pixels))
    assert plain is not None and ringed is not None
    assert ringed[NAMES.index("ring")] > plain[NAMES.index("ring")] + 1
    assert ringed[NAMES.index("ring_grey")] > 60


@pytest.mark.parametrize("grid", [(96, 128), (48, 64), (24, 32)])
def test_logits_may_be_coarser_than_the_frame(grid: tuple[int, int]) -> None:
    logits = logits_of(Ellipse(grid[1] / 2, grid[0] / 2, grid[1] * 0.3, grid[0] * 0.3, 0), grid)
    described = describe_outline(picture(), logits)
    assert described is not None and described[NAMES.index("area")] == pytest.approx(np.pi * 0.09, rel=0.06)


@pytest.mark.parametrize(
    "logits",
    [
        np.full((1, 96, 128), -5, np.float32),
        np.full((3, 96, 128), 0, np.float32),
        np.stack([np.full((96, 128), value, np.float32) for value in (3, 1, 2)]),
        np.full((1, 96, 128), np.nan, np.float32),
    ],
)
def test_where_nothing_is_segmented_there_is_no_verdict(logits: np.ndarray) -> None:
    assert describe(picture(), logits, CENTRE, SPREAD) is None
    assert check_that_says({"never": -1})(picture(), logits) is None


@pytest.mark.parametrize("inside", [[(5, 5)], [(0, 0), (0, 1)], [(95, 127)], [(3, c) for c in range(128)]])
def test_specks_and_lines_are_described(inside: list[tuple[int, int]]) -> None:
    logits = np.full((1, 96, 128), -3.0, np.float32)
    for row, column in inside:
        logits[0, row, column] = 3
    described = describe_outline(picture(), logits)
    assert described is not None and np.isfinite(described).all()


def test_a_frame_that_is_all_head_is_described() -> None:
    described = describe_outline(picture(), np.full((1, 96, 128), 4, np.float32))
    assert described is not None and np.isfinite(described).all() and described[NAMES.index("logit_outside")] == 0


def test_the_largest_structure_of_several() -> None:
    large, small = (Ellipse(64, 48, a, b, 0).rasterise((96, 128)).astype(np.float32) for a, b in ((50, 40), (10, 8)))
    logits = np.stack([np.full((96, 128), 1.0), 4 * small, 3 * large]).astype(np.float32)
    np.testing.assert_array_equal(largest_structure(logits) > 0, (large > 0) & (small == 0))


def test_the_first_score_below_zero_gives_the_status() -> None:
    described = np.zeros(LENGTH, np.float32)
    assert check_that_says({"first": 0.5, "second": 0.2}).judge(described).status is None
    assert check_that_says({"first": 0.5, "second": -0.2}).judge(described).status == "second"
    both = check_that_says({"first": -0.1, "second": -0.2})
    assert both.judge(described).status == "first"
    assert both.judge(described, skipped=("first",)).status == "second"
    assert both.judge(described, skipped=("first", "second")) == replace(both.judge(described), status=None, quality=1)


def test_quality_falls_with_the_lowest_score_and_is_one_half_where_a_status_begins() -> None:
    described = np.zeros(LENGTH, np.float32)
    found = [check_that_says({"a": 3, "b": score}).judge(described).quality for score in (-1e9, -1, 0, 0.2, 1, 2)]
    assert found == sorted(found) and found[2] == 0.5 and 0 <= found[0] < 1e-6 and found[-1] < 1


def test_values_that_are_not_finite_withhold_the_frame() -> None:
    described = np.zeros(LENGTH, np.float32)
    described[7] = np.nan
    view = replace(check_that_says({"never": 3}), weights=np.ones((1, LENGTH), np.float32)).judge(described)
    assert view.status == "never" and view.quality < 1e-6


def test_an_outline_is_joined_in_units_of_its_spread() -> None:
    seen, drawn = np.full(PICTURE, 0.25, np.float32), np.full(OUTLINE, 4.0, np.float32)
    found = joined(seen, drawn, np.full(OUTLINE, 2, np.float32), np.full(OUTLINE, 4, np.float32))
    assert found.shape == (LENGTH,) and set(found.tolist()) == {0.25, np.float32(0.15)}
    assert joined(seen, drawn * 1e6, CENTRE, SPREAD)[-1] == pytest.approx(1.8)


def test_a_check_there_and_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    check = ViewCheck(
        ("not-this-view", "mirrored"),
        rng.normal(size=(2, LENGTH)).astype(np.float32),
        np.array([0.5, -0.25], np.float32),
        rng.normal(size=OUTLINE).astype(np.float32),
        SPREAD,
    )
    check.write(tmp_path / FILE)
    read = ViewCheck.read(tmp_path / FILE)
    assert read.statuses == check.statuses
    assert read(picture(), HEAD_LOGITS) == check(picture(), HEAD_LOGITS) is not None


ARRAYS: dict[str, Any] = {
    "statuses": np.array(["not-a-head"]),
    "weights": np.zeros((1, LENGTH), np.float32),
    "offsets": np.zeros(1, np.float32),
    "centre": CENTRE,
    "spread": SPREAD,
}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"weights": np.zeros((1, LENGTH - 1), np.float32)}, "holds weights of"),
        ({"weights": np.zeros((2, LENGTH), np.float32)}, "holds weights of"),
        ({"offsets": np.zeros(2, np.float32)}, "holds offsets of"),
        ({"offsets": np.zeros(1, np.int64)}, r"holds offsets of \(1,\) \(int64\)"),
        ({"statuses": np.array([], "<U3"), "weights": np.zeros((0, LENGTH)), "offsets": np.zeros(0)}, "holds statuses"),
        ({"statuses": np.array("not-a-head")}, "holds statuses"),
        ({"statuses": np.array([1.0])}, "holds statuses"),
        ({"centre": np.full(OUTLINE, np.nan, np.float32)}, "not finite"),
        ({"offsets": np.array([np.inf], np.float32)}, "not finite"),
        ({"spread": CENTRE}, "spread of 0"),
        ({"statuses": np.array([None])}, "damaged, or no view check"),
        ({"spread": None}, "damaged, or no view check"),
    ],
)
def test_arrays_that_are_no_check(changes: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    arrays = {name: value for name, value in {**ARRAYS, **changes}.items() if value is not None}
    np.savez_compressed(tmp_path / FILE, **arrays)
    with pytest.raises(BundleError, match=complaint) as caught:
        ViewCheck.read(tmp_path / FILE)
    assert FILE in caught.value.message and "\n" not in str(caught.value) and caught.value.exit_code == 3


def broken(path: Path, how: str) -> None:
    """A file ``path`` that is no check."""
    np.savez_compressed(path, **ARRAYS)
    content = path.read_bytes()
    if how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "overwritten":
        place = content.index(b"weights.npy") + 40
        path.write_bytes(content[:place] + b"\x5a" * 30 + content[place + 30 :])
    elif how == "an array":
        with path.open("wb") as stream:
            np.save(stream, CENTRE)
    elif how == "another archive":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("weights.npy", "hello")
    elif how == "a huge shape":
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 1063)})
        with zipfile.ZipFile(path, "w") as archive:
            for name in ARRAYS:
                archive.writestr(f"{name}.npy", header.getvalue())
    else:
        path.write_text("" if how == "empty" else "hello", encoding="utf-8")


@pytest.mark.parametrize(
    "how", ["empty", "text", "truncated", "overwritten", "an array", "another archive", "a huge shape"]
)
def test_a_damaged_file_is_one_sentence(how: str, tmp_path: Path) -> None:
    broken(tmp_path / FILE, how)
    with pytest.raises(BundleError, match=r"view\.npz is damaged, or no view check; copy the file again"):
        ViewCheck.read(tmp_path / FILE)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / FILE, tmp_path):
        with pytest.raises(BundleError, match="is missing"):
            ViewCheck.read(path)
