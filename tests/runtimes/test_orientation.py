"""Mirrored frames: measured as their mirror image, and turned back onto their own grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from fetaledge_runtimes.__main__ import main
from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.errors import UsageError
from fetaledge_runtimes.frames.frame import Frame
from fetaledge_runtimes.predict_files import one_line, predict_files
from fetaledge_runtimes.predictor import Predictor
from fetaledge_runtimes.tasks.ps_fh import PS_FH

MakeFrame = Callable[..., Frame]


def test_a_mirrored_frame_is_measured_flipped_and_says_so(
    psfh_bundle: Path, psfh_frame: MakeFrame, tmp_path: Path
) -> None:
    pixels = psfh_frame(Ellipse(70, 60, 30, 11, 10)).pixels
    for name, view in (("usual", pixels), ("mirrored", pixels[:, ::-1])):
        cv2.imwrite(str(tmp_path / f"{name}.png"), view)
    predictor = Predictor(Bundle.open(psfh_bundle))
    (usual,) = predict_files(predictor, [tmp_path / "usual.png"], tmp_path / "out-usual", pixel_mm=0.5)["frames"]
    (turned,) = predict_files(
        predictor, [tmp_path / "mirrored.png"], tmp_path / "out", pixel_mm=0.5, orientation="mirrored"
    )["frames"]
    assert (usual["orientation"], turned["orientation"]) == (None, "mirrored")
    assert [turned[key] for key in PS_FH.keys] == [usual[key] for key in PS_FH.keys] and usual["aop_deg"] > 100
    assert one_line(turned, PS_FH).endswith("  mirrored view, flipped") and "flipped" not in one_line(usual, PS_FH)
    mask, other = (
        cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        for path in (tmp_path / "out/mirrored_mask.png", tmp_path / "out-usual/usual_mask.png")
    )
    np.testing.assert_array_equal(mask[:, ::-1], other)  # type: ignore[index]
    (wrong,) = predict_files(predictor, [tmp_path / "mirrored.png"])["frames"]
    assert wrong["aop_deg"] != pytest.approx(usual["aop_deg"], abs=10)


def test_the_construction_of_a_mirrored_frame_lies_in_the_frame(psfh_bundle: Path, psfh_frame: MakeFrame) -> None:
    predictor = Predictor(Bundle.open(psfh_bundle))
    frame = psfh_frame(Ellipse(70, 60, 30, 11, 10))
    flipped = replace(frame, pixels=np.ascontiguousarray(frame.pixels[:, ::-1]))
    usual, turned = predictor(frame).measured.construction, predictor(flipped, "mirrored")
    found = turned.measured.construction
    assert turned.frame is flipped and found.aop_deg == usual.aop_deg
    for name in ("superior", "inferior", "tangent", "nearest"):
        (x, y), (at_x, at_y) = getattr(usual, name), getattr(found, name)
        assert (at_x, at_y) == pytest.approx((255 - x, y))
    for label, ellipse in ((1, found.symphysis), (2, found.head)):
        drawn = ellipse.rasterise((256, 256)) > 0
        assert 2 * (drawn & (turned.mask == label)).sum() / (drawn.sum() + (turned.mask == label).sum()) > 0.97
    alone = predictor(psfh_frame(None), "mirrored")
    assert alone.status == "missing-ps" and alone.measured.construction.symphysis is None


def test_the_command_says_that_it_flipped(
    psfh_bundle: Path, psfh_frame: MakeFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mirrored.png"
    cv2.imwrite(str(path), psfh_frame(Ellipse(70, 60, 30, 11, 10)).pixels[:, ::-1])
    assert main(["predict", str(psfh_bundle), str(path), "--orientation", "mirrored"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("mirrored view, flipped")


def test_an_orientation_of_a_task_without_one(bundle_folder: Path, frame_folder: Path) -> None:
    predictor = Predictor(Bundle.open(bundle_folder), "onnx-fp32")
    for orientation in ("standard", "mirrored"):
        with pytest.raises(UsageError, match="an orientation was given to a model for the task head"):
            predict_files(predictor, [frame_folder / "a.png"], orientation=orientation)
    (entry,) = predict_files(predictor, [frame_folder / "a.png"], pixel_mm=0.15)["frames"]
    assert entry["orientation"] is None


def test_an_orientation_that_there_is_not(psfh_bundle: Path, psfh_frame: MakeFrame) -> None:
    with pytest.raises(UsageError, match="no orientation 'upside-down'"):
        Predictor(Bundle.open(psfh_bundle))(psfh_frame(None), "upside-down")
