"""Golden frames: a pass on this machine, and a difference where something is off."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.errors import BundleError
from fetaledge_runtimes.frames.frame import Frame
from fetaledge_runtimes.predictor import Predictor
from fetaledge_runtimes.selftest import GOLDEN, check_golden, verify_bundle, write_golden
from fetaledge_runtimes.tasks.head import HEAD
from fetaledge_runtimes.tasks.registry import task_named

VARIANTS = ["onnx-fp32", "openvino-fp32", "tflite-fp32"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_passes_here(variant: str, bundle_folder: Path) -> None:
    assert check_golden(Bundle.open(bundle_folder), variant) == []


def test_holds_the_frames_as_they_were(bundle_folder: Path) -> None:
    with np.load(bundle_folder / GOLDEN, allow_pickle=False) as golden:
        assert golden["frame_0"].shape == (540, 800) and golden["frame_0"].dtype == np.uint8
        assert golden["pixel_mm"].tolist()[0] == [0.15, 0.15] and np.isnan(golden["pixel_mm"][1]).all()
        assert golden["onnx-fp32/hc_mm"].shape == (3,)


def rewrite(bundle: Bundle, frames: list[Frame], change: Callable[[int, Frame], Frame]) -> None:
    """Golden values of frames that were changed before they were predicted, beside the frames as they were."""
    predictor = Predictor(bundle, "onnx-fp32")
    given = [predictor(change(number, frame)) for number, frame in enumerate(frames)]
    write_golden(bundle.folder / GOLDEN, task_named(bundle.manifest.task), frames, {"onnx-fp32": given})


def test_sees_another_mask(bundle_copy: Path, bright_frame: Callable[..., Frame], head: Ellipse) -> None:
    bundle = Bundle.open(bundle_copy)
    moved = replace(head, x=head.x + 6)
    rewrite(bundle, [bright_frame(head)] * 2, lambda number, frame: bright_frame(moved) if number else frame)
    (difference,) = check_golden(bundle, "onnx-fp32")
    assert difference.startswith("onnx-fp32 frame 1: Dice 0.9")


def test_sees_another_circumference(bundle_copy: Path, bright_frame: Callable[..., Frame], head: Ellipse) -> None:
    """A spacing that is off by 1 % leaves the mask alone and moves HC by 2 mm."""
    bundle = Bundle.open(bundle_copy)
    rewrite(bundle, [bright_frame(head)], lambda _, frame: replace(frame, pixel_mm=(0.1515, 0.1515)))
    (difference,) = check_golden(bundle, "onnx-fp32")
    assert "frame 0: HC 20" in difference


def test_sees_a_measure_that_came_or_went(bundle_copy: Path, bright_frame: Callable[..., Frame], head: Ellipse) -> None:
    bundle = Bundle.open(bundle_copy)
    rewrite(bundle, [bright_frame(head)], lambda _, frame: replace(frame, pixel_mm=None))
    (difference,) = check_golden(bundle, "onnx-fp32")
    assert "the golden value is nan" in difference


def test_small_differences_of_rounding_pass(
    bundle_copy: Path, bright_frame: Callable[..., Frame], head: Ellipse
) -> None:
    bundle = Bundle.open(bundle_copy)
    rewrite(bundle, [bright_frame(head)], lambda _, frame: replace(frame, pixels=frame.pixels + np.uint8(1)))
    assert check_golden(bundle, "onnx-fp32") == []


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 no zip", b"text"])
def test_no_usable_golden_file(content: bytes | None, bundle_copy: Path) -> None:
    bundle = Bundle.open(bundle_copy)
    (bundle_copy / GOLDEN).unlink()
    if content is not None:
        (bundle_copy / GOLDEN).write_bytes(content)
    with pytest.raises(BundleError, match=r"golden\.npz") as caught:
        verify_bundle(bundle, bundle.manifest.variants)
    assert "\n" not in str(caught.value)


def test_a_golden_file_with_a_pickle_runs_nothing(bundle_copy: Path) -> None:
    bundle = Bundle.open(bundle_copy)
    np.savez(bundle_copy / GOLDEN, **{"pixel_mm": np.array([object()]), "onnx-fp32/hc_mm": np.zeros(1)})
    with pytest.raises(BundleError, match="cannot be read"):
        check_golden(bundle, "onnx-fp32")


def test_a_variant_it_does_not_know(bundle_copy: Path, bright_frame: Callable[..., Frame], head: Ellipse) -> None:
    bundle = Bundle.open(bundle_copy)
    rewrite(bundle, [bright_frame(head)], lambda _, frame: frame)
    with pytest.raises(BundleError, match="holds nothing of the variant tflite-fp32"):
        check_golden(bundle, "tflite-fp32")


def test_one_prediction_a_frame(tmp_path: Path, bright_frame: Callable[..., Frame]) -> None:
    with pytest.raises(ValueError, match="0 predictions for 1 frames"):
        write_golden(tmp_path / GOLDEN, HEAD, [bright_frame(None)], {"onnx-fp32": []})
    assert list(tmp_path.iterdir()) == []


def test_verify_goes_on_after_a_file_that_does_not_load(bundle_copy: Path) -> None:
    bundle = Bundle.open(bundle_copy)
    (bundle_copy / "onnx-fp32.onnx").write_bytes(b"altered after it was opened")
    results = verify_bundle(bundle, bundle.manifest.variants)
    assert [r.result for r in results] == ["unusable", "ok", "ok"]
    assert "onnx-fp32.onnx cannot be loaded by ONNX Runtime" in results[0].details[0]


def test_an_angle_passes_and_a_difference_is_seen(
    psfh_bundle: Path, psfh_frame: Callable[..., Frame], tmp_path: Path
) -> None:
    bundle = Bundle.open(Path(shutil.copytree(psfh_bundle, tmp_path / "bundle")))
    assert check_golden(bundle, "onnx-fp32") == []
    with np.load(bundle.folder / GOLDEN, allow_pickle=False) as golden:
        assert 70 < golden["onnx-fp32/aop_deg"][0] < 170 and np.isnan(golden["onnx-fp32/aop_deg"][2])
    symphysis = Ellipse(70, 60, 30, 11, 0)
    turned = psfh_frame(replace(symphysis, angle_deg=3.0))
    rewrite(bundle, [psfh_frame(symphysis)], lambda _, frame: turned)
    dice, angle = check_golden(bundle, "onnx-fp32")
    assert "Dice 0.9" in dice and "AoP" in angle and "degrees where the golden value is" in angle
    rewrite(bundle, [psfh_frame(symphysis)], lambda _, frame: psfh_frame(None))
    dice, angle = check_golden(bundle, "onnx-fp32")
    assert "Dice 0.0000" in dice and "the golden value is nan degrees" in angle


def test_a_golden_file_of_before_there_were_angles(bundle_copy: Path) -> None:
    bundle = Bundle.open(bundle_copy)
    with np.load(bundle_copy / GOLDEN, allow_pickle=False) as golden:
        arrays = {key: golden[key] for key in golden.files if not key.endswith("aop_deg")}
    np.savez(bundle_copy / GOLDEN, **arrays)
    assert check_golden(bundle, "onnx-fp32") == []
