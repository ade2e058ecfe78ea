"""Predictions of files: pictures, entries, summaries, and what happens to bad files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.errors import BundleError, InputError, OutputError, UsageError
from fetaledge_runtimes.frames.frame import Frame
from fetaledge_runtimes.frames.read import read_frames
from fetaledge_runtimes.predict_files import exit_code, one_line, predict_files
from fetaledge_runtimes.predict_summary import summary_line
from fetaledge_runtimes.predictor import Predictor
from fetaledge_runtimes.tasks.head import HEAD, hc_centile
from fetaledge_runtimes.tasks.ps_fh import PS_FH

MakeFrame = Callable[..., Frame]
SECOND = Ellipse(300, 250, 200, 160, 70)


@pytest.fixture
def predictor(bundle_folder: Path) -> Predictor:
    return Predictor(Bundle.open(bundle_folder), "onnx-fp32")


@pytest.fixture
def video(tmp_path: Path, bright_frame: MakeFrame, head: Ellipse) -> Path:
    """Five frames: three heads of one size, an empty one, a smaller head."""
    path = tmp_path / "sweep.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (800, 540))
    for ellipse in (head, head, None, head, SECOND):
        writer.write(cv2.cvtColor(bright_frame(ellipse).pixels, cv2.COLOR_GRAY2BGR))
    writer.release()
    return path


def test_a_folder(predictor: Predictor, frame_folder: Path, head: Ellipse, tmp_path: Path) -> None:
    out = tmp_path / "out"
    document = predict_files(predictor, [frame_folder], out, pixel_mm=0.15)
    assert sorted(p.name for p in out.iterdir()) == sorted(
        ["prediction.json", *(f"{stem}_{kind}.png" for stem in "abc" for kind in ("mask", "overlay"))]
    )
    assert json.loads((out / "prediction.json").read_text(encoding="utf-8")) == document
    assert document["schema"] == "fetaledge/prediction/1"
    assert document["notice"] == "research software, not a medical device"
    first, second, third = document["frames"]
    assert [e["status"] for e in (first, second, third)] == ["ok", "ok", "no-scan"]
    assert first["hc_mm"] == pytest.approx(head.circumference * 0.15, rel=0.005)
    assert first["ga_weeks"]["hadlock"] == pytest.approx(22.5, abs=0.5)
    assert first["hc_centile"] is None and first["aop_deg"] is None
    assert third["hc_mm"] is None and third["ga_weeks"] == {"hadlock": None, "intergrowth": None}
    assert [s["n"] for s in document["summary"]] == [1, 1, 0]


def test_the_pictures(predictor: Predictor, frame_folder: Path, head: Ellipse, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict_files(predictor, [frame_folder / "a.png"], out, pixel_mm=0.15)
    mask = cv2.imread(str(out / "a_mask.png"), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (540, 800) and set(np.unique(mask)) == {0, 255}
    truth = head.rasterise((540, 800)) > 0
    assert 2 * ((mask > 0) & truth).sum() / ((mask > 0).sum() + truth.sum()) > 0.995
    overlay = cv2.imread(str(out / "a_overlay.png"), cv2.IMREAD_UNCHANGED)
    assert overlay.shape == (540, 800, 3)
    assert (overlay.max(2) != overlay.min(2)).sum() > 1000  # something in colour was drawn on the grey frame


def test_the_spacing_stands_in_the_table_beside_the_pictures(predictor: Predictor, frame_folder: Path) -> None:
    document = predict_files(predictor, [frame_folder])
    assert [e["pixel_mm"] for e in document["frames"]] == [[0.15, 0.15], [0.2, 0.2], [0.15, 0.15]]
    assert [e["status"] for e in document["frames"]] == ["ok", "ok", "no-scan"]


def test_nothing_in_millimetres_without_a_spacing(predictor: Predictor, frame_folder: Path) -> None:
    (frame_folder / "pixels.csv").unlink()
    (entry,) = predict_files(predictor, [frame_folder / "a.png"])["frames"]
    assert entry["status"] == "no-spacing"
    assert (entry["hc_mm"], entry["bpd_mm"], entry["ofd_mm"], entry["pixel_mm"]) == (None,) * 4
    assert entry["mask"] is None and entry["overlay"] is None


def test_a_status_other_than_ok_has_no_measure(predictor: Predictor, frame_folder: Path) -> None:
    (entry,) = predict_files(predictor, [frame_folder / "a.png"], pixel_mm=2.0)["frames"]
    assert entry["status"] == "implausible-size" and entry["hc_mm"] is None


def test_the_centile_needs_an_age(predictor: Predictor, frame_folder: Path) -> None:
    (entry,) = predict_files(predictor, [frame_folder / "a.png"], pixel_mm=0.15, ga_weeks=23)["frames"]
    assert entry["hc_centile"] == pytest.approx(hc_centile(entry["hc_mm"], 23))
    for weeks in (13, 41):
        with pytest.raises(UsageError, match="14 to 40 weeks"):
            predict_files(predictor, [frame_folder / "a.png"], ga_weeks=weeks)


def test_a_cine_has_an_entry_a_frame_and_a_median(
    predictor: Predictor, video: Path, head: Ellipse, tmp_path: Path
) -> None:
    seen: list[dict[str, Any]] = []
    document = predict_files(predictor, [video], tmp_path / "out", pixel_mm=0.15, report=seen.append)
    assert seen == document["frames"]
    assert [e["index"] for e in seen] == [0, 1, 2, 3, 4]
    assert [e["status"] for e in seen] == ["ok", "ok", "no-scan", "ok", "ok"]
    assert seen[3]["mask"] == "sweep_0003_mask.png" and (tmp_path / "out" / seen[3]["overlay"]).is_file()
    (summary,) = document["summary"]
    assert summary["statuses"] == {"no-scan": 1, "ok": 4}
    assert (summary["frames"], summary["n"]) == (5, 4)
    assert summary["hc_mm_median"] == pytest.approx(head.circumference * 0.15, rel=0.005)
    values = sorted(e["hc_mm"] for e in seen if e["hc_mm"] is not None)
    assert summary["hc_mm_median"] == pytest.approx((values[1] + values[2]) / 2)


def test_one_bad_file_among_many(predictor: Predictor, frame_folder: Path, tmp_path: Path) -> None:
    (frame_folder / "b.png").write_bytes((frame_folder / "b.png").read_bytes()[:300])
    document = predict_files(predictor, [frame_folder], tmp_path / "out", pixel_mm=0.15)
    assert [e["status"] for e in document["frames"]] == ["ok", "unreadable", "no-scan"]
    assert "b.png" in document["frames"][1]["message"]
    assert document["summary"][1]["statuses"] == {"unreadable": 1}
    assert not (tmp_path / "out" / "b_mask.png").exists()
    assert "unreadable" in one_line(document["frames"][1], HEAD)


def test_a_single_bad_file_writes_nothing(predictor: Predictor, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("hello", encoding="utf-8")
    with pytest.raises(InputError, match=r"bad\.png"):
        predict_files(predictor, [bad], tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["bad.png"]


def test_a_manifest_that_disagrees_with_the_model_is_no_fault_of_the_frames(
    predictor: Predictor, frame_folder: Path, tmp_path: Path
) -> None:
    predictor.size = (128, 96)
    with pytest.raises(BundleError, match=r"onnx-fp32\.onnx takes frames of \(64, 96\)"):
        predict_files(predictor, [frame_folder], tmp_path / "out", pixel_mm=0.15)
    assert not (tmp_path / "out").exists()


def test_a_missing_input_stops_before_anything(predictor: Predictor, frame_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.png does not exist"):
        predict_files(predictor, [frame_folder, tmp_path / "none.png"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_files_of_one_name_do_not_overwrite_each_other(
    predictor: Predictor, frame_folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.png").write_bytes((frame_folder / "c.png").read_bytes())
    document = predict_files(predictor, [frame_folder / "a.png", other / "a.png"], tmp_path / "out", pixel_mm=0.15)
    first, second = document["frames"]
    assert (first["mask"], second["mask"]) == ("a_mask.png", "a-2_mask.png")
    assert (first["status"], second["status"]) == ("ok", "no-scan")


def test_existing_results_need_force(predictor: Predictor, frame_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict_files(predictor, [frame_folder / "a.png"], out)
    before = (out / "prediction.json").read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        predict_files(predictor, [frame_folder / "b.png"], out)
    assert (out / "prediction.json").read_bytes() == before
    predict_files(predictor, [frame_folder / "b.png"], out, force=True)
    assert sorted(p.name for p in out.iterdir()) == ["b_mask.png", "b_overlay.png", "prediction.json"]


def test_an_interruption_leaves_nothing(predictor: Predictor, frame_folder: Path, tmp_path: Path) -> None:
    def interrupt(_: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_files(predictor, [frame_folder], tmp_path / "out", report=interrupt)
    assert [p.name for p in tmp_path.iterdir()] == ["frames"]


@pytest.mark.parametrize("pixel_mm", [0.0, -0.1, 100.0, float("nan")])
def test_a_spacing_that_makes_no_sense(pixel_mm: float, predictor: Predictor, frame_folder: Path) -> None:
    with pytest.raises(UsageError, match="spacing"):
        predict_files(predictor, [frame_folder], pixel_mm=pixel_mm)


def test_lines_for_people(predictor: Predictor, frame_folder: Path) -> None:
    document = predict_files(predictor, [frame_folder], pixel_mm=0.15)
    first, _, third = (one_line(entry, HEAD) for entry in document["frames"])
    assert "a.png  HC 20" in first and "BPD" in first and "Hadlock" in first and "INTERGROWTH-21st" in first
    assert third.endswith("c.png  no-scan")


def test_the_angle_of_progression(psfh_bundle: Path, psfh_frame: MakeFrame, tmp_path: Path) -> None:
    frames, out = tmp_path / "frames", tmp_path / "out"
    frames.mkdir()
    cv2.imwrite(str(frames / "a.png"), psfh_frame(Ellipse(70, 60, 30, 11, 0)).pixels)
    cv2.imwrite(str(frames / "b.png"), psfh_frame(None).pixels)
    predictor = Predictor(Bundle.open(psfh_bundle))
    document = predict_files(predictor, [frames], out)
    assert json.loads((out / "prediction.json").read_text(encoding="utf-8")) == document
    assert document["task"] == "ps-fh" and "shortest distance" in document["hsd_definition"]
    good, bad = document["frames"]
    assert good["status"] == "ok" and 100 < good["aop_deg"] < 160
    assert good["hsd_px"] > 10 and good["hsd_mm"] is None and good["hc_mm"] is None
    assert one_line(good, PS_FH).endswith(f"AoP {good['aop_deg']:.0f} deg  HSD {good['hsd_px']:.0f} px")
    assert (bad["status"], bad["aop_deg"], bad["hsd_px"], bad["hsd_mm"]) == ("missing-ps", None, None, None)
    assert one_line(bad, PS_FH).endswith("missing-ps")
    assert [s["aop_deg_median"] for s in document["summary"]] == [good["aop_deg"], None]
    mask = cv2.imread(str(out / "a_mask.png"), cv2.IMREAD_UNCHANGED)
    assert set(np.unique(mask)) == {0, 1, 2}
    assert cv2.imread(str(out / "b_overlay.png")).shape == (256, 256, 3)

    (spaced,) = predict_files(predictor, [frames / "a.png"], pixel_mm=0.5)["frames"]
    assert spaced["hsd_mm"] == pytest.approx(good["hsd_px"] / 2)
    assert one_line(spaced, PS_FH).endswith(f"HSD {spaced['hsd_mm']:.0f} mm")
    with pytest.raises(UsageError, match="task ps-fh"):
        predict_files(predictor, [frames], ga_weeks=38)


def test_a_cine_has_a_median_angle(psfh_bundle: Path, psfh_frame: MakeFrame, tmp_path: Path) -> None:
    path = tmp_path / "push.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (256, 256))
    for angle_deg in (0, 10, 20):
        frame = psfh_frame(Ellipse(70, 60, 30, 11, angle_deg))
        writer.write(cv2.cvtColor(frame.pixels, cv2.COLOR_GRAY2BGR))
    writer.release()
    document = predict_files(Predictor(Bundle.open(psfh_bundle)), [path])
    (summary,) = document["summary"]
    assert summary["aop_deg_median"] == document["frames"][1]["aop_deg"] and summary["hc_mm_median"] is None
    line = summary_line(summary, PS_FH)
    assert line is not None and f"median AoP {summary['aop_deg_median']:.0f} deg of 3 good frames of 3" in line


class Compared(str):
    """A file's name that counts how often it is compared with another."""

    count = 0

    def __eq__(self, other: object) -> bool:
        Compared.count += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_the_summary_looks_at_each_frame_once(
    predictor: Predictor, frame_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at every frame for every file: that took minutes for some thousand pictures."""
    for number in range(37):
        (frame_folder / f"{number:02d}.png").write_bytes((frame_folder / "c.png").read_bytes())

    def renamed(*arguments: Any) -> Iterator[Frame]:
        return (replace(frame, source=Compared(frame.source)) for frame in read_frames(*arguments))

    monkeypatch.setattr("fetaledge_runtimes.predict_files.read_frames", renamed)
    document = predict_files(predictor, [frame_folder], pixel_mm=0.15)
    assert [s["source"] for s in document["summary"]] == [str(e["source"]) for e in document["frames"]]
    assert len(document["frames"]) == 40 and Compared.count <= 40


def test_each_region_has_its_own_entry_name_and_summary(
    predictor: Predictor, bright_frame: MakeFrame, tmp_path: Path
) -> None:
    pytest.importorskip("pydicom")
    from .test_dicom import dataset, put, region

    first, second = Ellipse(400, 270, 250, 190, 0), Ellipse(400, 270, 220, 180, 0)
    screen = np.hstack([bright_frame(first).pixels, bright_frame(second).pixels])
    left = region((0, 0, 799, 539), PhysicalDeltaX=0.015, PhysicalDeltaY=0.015)
    right = region((800, 0, 1599, 539), PhysicalDeltaX=0.02, PhysicalDeltaY=0.02)
    path = put(tmp_path / "dual.dcm", dataset(screen, left, right))
    document = predict_files(predictor, [path], tmp_path / "out")
    one, two = document["frames"]
    assert (one["region"], two["region"]) == (1, 2) and one["spacing_from"] == two["spacing_from"] == "DICOM"
    assert one["hc_mm"] == pytest.approx(first.circumference * 0.15, rel=0.01)
    assert two["hc_mm"] == pytest.approx(second.circumference * 0.2, rel=0.01)
    assert (one["mask"], two["mask"]) == ("dual_region1_mask.png", "dual_region2_mask.png")
    assert [(s["region"], s["frames"], s["hc_mm_median"]) for s in document["summary"]] == [
        (1, 1, one["hc_mm"]),
        (2, 1, two["hc_mm"]),
    ]
    assert one_line(two, HEAD).startswith(f"{path} region 2  HC") and one_line(two, HEAD).endswith("spacing by DICOM")
    (chosen,) = predict_files(predictor, [path], region=2)["frames"]
    assert (chosen["region"], chosen["hc_mm"]) == (2, two["hc_mm"])
    cine = put(tmp_path / "cine.dcm", dataset(np.stack([screen] * 3), left, right, NumberOfFrames=3))
    document = predict_files(predictor, [cine], tmp_path / "more")
    assert document["frames"][3]["mask"] == "cine_0001_region2_mask.png"
    assert [(s["frames"], s["n"], s["verdict"]) for s in document["summary"]] == [(3, 3, "ok"), (3, 3, "ok")]
    assert "cine.dcm region 1  median" in str(summary_line(document["summary"][0], HEAD))


def test_a_cut_video_gives_its_whole_frames_and_the_error(predictor: Predictor, video: Path, tmp_path: Path) -> None:
    data = video.read_bytes()
    video.write_bytes(data[: len(data) * 4 // 5])
    document = predict_files(predictor, [video], tmp_path / "out", pixel_mm=0.15)
    *whole, last = document["frames"]
    assert whole and {entry["status"] for entry in whole} <= {"ok", "no-scan"}
    assert last["status"] == "unreadable" and "cut short" in last["message"]
    assert exit_code(document) == 3 and (tmp_path / "out" / whole[0]["mask"]).is_file()


def test_remarks_of_tables_and_files(predictor: Predictor, frame_folder: Path) -> None:
    (frame_folder / "pixels.csv").write_text("filename,pixel_mm\na.png,0.15\nother.png,0.2\n", encoding="utf-8")
    document = predict_files(predictor, [frame_folder / "a.png", frame_folder / "b.png"])
    (remark,) = document["remarks"]
    assert "names other.png, which match no file" in remark
    first = document["frames"][0]
    assert first["spacing_from"] == "pixels.csv" and one_line(first, HEAD).endswith("spacing by pixels.csv")


def test_a_pair_of_numbers(predictor: Predictor, frame_folder: Path) -> None:
    (frame_folder / "pixels.csv").unlink()
    square, pair = (
        predict_files(predictor, [frame_folder / "a.png"], pixel_mm=given)["frames"][0]
        for given in (0.15, (0.15, 0.18))
    )
    assert pair["pixel_mm"] == [0.15, 0.18] and pair["spacing_from"] == "option"
    assert 1.05 < pair["hc_mm"] / square["hc_mm"] < 1.2


def test_a_picture_named_like_a_frame_of_a_cine_has_a_mask_of_its_own(
    predictor: Predictor, video: Path, frame_folder: Path, tmp_path: Path
) -> None:
    picture = next(path for path in sorted(frame_folder.iterdir()) if path.suffix == ".png")
    (tmp_path / f"{video.stem}_0001.png").write_bytes(picture.read_bytes())
    inputs = [video, tmp_path / f"{video.stem}_0001.png"]
    document = predict_files(predictor, inputs, tmp_path / "out", pixel_mm=0.2)
    masks = [entry["mask"] for entry in document["frames"] if entry["mask"]]
    assert len(masks) > 2 and len(set(masks)) == len(masks)


def test_an_unusable_table_is_no_matter_where_the_spacing_is_given(predictor: Predictor, frame_folder: Path) -> None:
    (frame_folder / "pixels.csv").write_text("x;y\n1;2\n", encoding="utf-8")
    document = predict_files(predictor, [frame_folder], pixel_mm=0.15)
    assert document["remarks"] == [] and all(entry["status"] != "unreadable" for entry in document["frames"])
    document = predict_files(predictor, [frame_folder])
    assert any("lacks the column" in remark for remark in document["remarks"])
