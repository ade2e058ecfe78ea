"""One process's share of a benchmark."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from fetaledge_runtimes.__main__ import main
from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.errors import UsageError
from fetaledge_runtimes.frames.frame import Frame
from fetaledge_runtimes.frames.read import read_frames
from fetaledge_runtimes.predictor import Predictor


def bench(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:  # type: ignore[type-arg]
    code = main(["bench", *map(str, arguments)])
    assert code == 0
    document: dict = json.loads(capsys.readouterr().out)  # type: ignore[type-arg]
    return document


@pytest.mark.parametrize("variant", ["onnx-fp32", "openvino-fp32", "tflite-fp32"])
def test_samples_and_predictions(
    variant: str, bundle_folder: Path, frame_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    masks = tmp_path / "masks"
    given = bench(
        capsys,
        bundle_folder,
        "--frames",
        frame_folder,
        "--variant",
        variant,
        "--samples",
        4,
        "--warmup",
        1,
        "--masks",
        masks,
    )
    assert given["schema"] == "fetaledge/samples/1"
    assert (given["variant"], given["threads"]) == (variant, 1)
    for key in ("kernel_ms", "end_to_end_ms", "preprocess_ms", "postprocess_ms"):
        assert len(given[key]) == 4
    assert given["load_ms"] > 0 and given["peak_rss_mb"] > 20
    files = {v.name: v.files for v in Bundle.open(bundle_folder).manifest.variants}[variant]
    assert given["file_mb"] == pytest.approx(sum(f.bytes for f in files) / 1e6)
    assert [(p["name"], p["status"]) for p in given["predictions"]] == [("a", "ok"), ("b", "ok"), ("c", "no-scan")]
    assert given["predictions"][2]["values"]["hc_mm"] is None

    predictor = Predictor(Bundle.open(bundle_folder), variant)
    for frame, entry in zip(list(read_frames(frame_folder)), given["predictions"], strict=True):
        prediction = predictor(frame)
        written = cv2.imread(str(masks / f"{entry['name']}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(written, prediction.mask)
        assert entry["values"]["hc_mm"] == prediction.measures["hc_mm"]


def test_only_the_variants_own_files_are_checked(
    bundle_folder: Path, frame_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A process that is timed reads no other variant: of a large bundle that would take longer than its samples."""
    copied = tmp_path / "bundle"
    shutil.copytree(bundle_folder, copied)
    with (copied / "onnx-fp32.onnx").open("ab") as stream:
        stream.write(b"altered")
    arguments = ("--frames", frame_folder, "--samples", 0)
    assert bench(capsys, copied, *arguments, "--variant", "openvino-fp32")["variant"] == "openvino-fp32"
    assert Bundle.open(copied, ["openvino-fp32"]).variant("openvino-fp32").format == "openvino"
    for named in ((), ("--variant", "onnx-fp32")):
        assert main(["bench", str(copied), *map(str, arguments), *named]) != 0
    with pytest.raises(UsageError, match="no variant 'onnx-fp8'"):
        Bundle.open(copied, ["onnx-fp8"])


def test_no_samples_means_accuracy_alone(
    bundle_folder: Path, frame_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = bench(capsys, bundle_folder, "--frames", frame_folder, "--samples", 0)
    assert given["kernel_ms"] == [] and len(given["predictions"]) == 3


def test_frames_take_their_spacing_from_the_table(frame_folder: Path) -> None:
    frames = list(read_frames(frame_folder))
    assert [frame.pixel_mm for frame in frames] == [(0.15, 0.15), (0.2, 0.2), (0.15, 0.15)]
    (frame_folder / "pixels.csv").write_text("row_mm,column_mm,filename\n0.1,0.2,a.png\n", encoding="utf-8")
    assert [frame.pixel_mm for frame in list(read_frames(frame_folder))] == [(0.1, 0.2), None, None]
    (frame_folder / "pixels.csv").unlink()
    assert [frame.pixel_mm for frame in list(read_frames(frame_folder))] == [None] * 3


def test_no_folder_and_no_frames(bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(bundle_folder), "--frames", str(tmp_path / "none")]) == 3
    assert main(["bench", str(bundle_folder), "--frames", str(tmp_path)]) == 3
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "none does not exist" in shown.err and "holds no picture" in shown.err


def test_angles_and_label_maps(
    psfh_bundle: Path, psfh_frame: Callable[..., Frame], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames, masks = tmp_path / "frames", tmp_path / "masks"
    frames.mkdir()
    cv2.imwrite(str(frames / "a.png"), psfh_frame(Ellipse(70, 60, 30, 11, 0)).pixels)
    given = bench(capsys, psfh_bundle, "--frames", frames, "--samples", 0, "--masks", masks)
    (entry,) = given["predictions"]
    assert entry["status"] == "ok" and 70 < entry["values"]["aop_deg"] < 170 and "hc_mm" not in entry["values"]
    assert set(np.unique(cv2.imread(str(masks / "a.png"), cv2.IMREAD_UNCHANGED))) == {0, 1, 2}
