"""The whole way with the real command: train, export, inspect, verify, predict, evaluate, benchmark."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from fetaledge_runtimes.bundle import Bundle
from tests.command import Command

pytestmark = pytest.mark.integration
VARIANTS = {f"{form}-{precision}" for form in ("onnx", "openvino", "tflite") for precision in ("int8", "fp32", "fp16")}


def read_document(text: str) -> dict:  # type: ignore[type-arg]
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))  # type: ignore[no-any-return]


def test_export_writes_the_bundle(exported: tuple[Path, str], small_run: Path) -> None:
    bundle, printed = exported
    opened = Bundle.open(bundle)
    assert {variant.name for variant in opened.manifest.variants} == VARIANTS
    assert {"golden.npz", "evaluation.json", "card.md"} == {stored.file for stored in opened.manifest.others}
    split = json.loads((small_run / "run.json").read_text())["split"]
    assert opened.manifest.calibration is not None
    assert set(opened.manifest.calibration["names"]) <= set(split["train"])
    gate = json.loads((bundle / "evaluation.json").read_text())
    assert {case["name"] for case in gate["reference"]["per_case"]} == set(split["validation"])
    assert all(variant in printed for variant in VARIANTS)
    assert "not a medical device" in (bundle / "card.md").read_text()
    assert not [path for path in bundle.parent.iterdir() if path.name.startswith(".")]


def test_int8_alone_gives_fp32_too(small_run: Path, phantoms: Path, tmp_path: Path, fetaledge: Command) -> None:
    wide = ("--max-hc-mean-mm", 9, "--max-hc-bias-mm", 9, "--max-hc-p95-mm", 30, "--max-dice-drop", 0.05)
    flags = ("--data", phantoms, "--int8", "--format", "onnx", *wide, "--max-new-failures", 9, "--min-cases", 2)
    done = fetaledge("export", small_run, "--out", tmp_path / "b", *flags)
    assert done.returncode == 0, done.stderr
    assert {variant.name for variant in Bundle.open(tmp_path / "b").manifest.variants} == {"onnx-int8", "onnx-fp32"}


def test_a_variant_beyond_the_gate_stays_out(
    small_run: Path, phantoms: Path, tmp_path: Path, fetaledge: Command
) -> None:
    flags = ("--data", phantoms, "--int8", "--format", "onnx", "--max-hc-mean-mm", 1e-4, "--max-hc-p95-mm", 1e-4)
    flags += ("--min-cases", 2)
    done = fetaledge("export", small_run, "--out", tmp_path / "b", *flags)
    assert done.returncode == 1
    names = {variant.name for variant in Bundle.open(tmp_path / "b").manifest.variants}
    assert "onnx-int8" not in names and not (tmp_path / "b/onnx-int8.onnx").exists()
    gate = json.loads((tmp_path / "b/evaluation.json").read_text())
    reasons = {entry["variant"]: entry["reasons"] for entry in gate["variants"]}
    assert any("mean |ΔHC|" in reason for reason in reasons["onnx-int8"])
    assert "onnx-int8" in done.stderr and "Traceback" not in done.stderr


def test_inspect_and_verify(bundle: Path, fetaledge: Command) -> None:
    shown = fetaledge("inspect", bundle)
    assert shown.returncode == 0 and all(variant in shown.stdout for variant in VARIANTS)
    assert "not a medical device" in shown.stdout
    assert read_document(fetaledge("inspect", bundle, "--json").stdout)["manifest"]["schema"] == "fetaledge/bundle/1"
    verified = fetaledge("verify", bundle, "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert {entry["result"] for entry in read_document(verified.stdout)["variants"]} == {"ok"}


def test_predict_pictures(reference_bundle: Path, phantoms: Path, tmp_path: Path, fetaledge: Command) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    rows = list(csv.DictReader((phantoms / "training_set_pixel_size_and_HC.csv").read_text().splitlines()))[:4]
    table = ["filename,pixel_mm"]
    for row in rows:
        shutil.copy(phantoms / "training_set" / row["filename"], frames)
        table.append(f"{row['filename']},{row['pixel size(mm)']}")
    (frames / "pixels.csv").write_text("\n".join(table))
    done = fetaledge(
        "predict", reference_bundle, frames, "--out", tmp_path / "out", "--json", "--variant", "tflite-int8"
    )
    assert done.returncode == 0, done.stderr
    document = read_document(done.stdout)
    assert document["schema"] == "fetaledge/prediction/1"
    assert document == json.loads((tmp_path / "out/prediction.json").read_text())
    assert [frame["status"] for frame in document["frames"]].count("ok") >= 3
    for frame, row in zip(document["frames"], rows, strict=True):
        mask = cv2.imread(str(tmp_path / "out" / frame["mask"]), cv2.IMREAD_UNCHANGED)
        assert mask is not None and mask.shape == (540, 800) and set(np.unique(mask)) <= {0, 255}
        assert (tmp_path / "out" / frame["overlay"]).is_file()
        if frame["status"] == "ok":
            assert frame["hc_mm"] == pytest.approx(float(row["head circumference (mm)"]), rel=0.05)
        else:
            assert frame["hc_mm"] is None
    again = fetaledge("predict", reference_bundle, frames, "--out", tmp_path / "out")
    assert again.returncode == 3 and "exists already" in again.stderr
    assert fetaledge("predict", reference_bundle, frames, "--out", tmp_path / "out", "--force").returncode == 0


def test_predict_a_video(reference_bundle: Path, phantoms: Path, tmp_path: Path, fetaledge: Command) -> None:
    picture = cv2.imread(str(phantoms / "training_set/000_HC.png"))
    assert picture is not None
    writer = cv2.VideoWriter(str(tmp_path / "scan.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (800, 540))
    for _ in range(5):
        writer.write(picture)
    writer.release()
    done = fetaledge("predict", reference_bundle, tmp_path / "scan.avi", "--json")
    assert done.returncode == 0, done.stderr
    document = read_document(done.stdout)
    assert [frame["index"] for frame in document["frames"]] == [0, 1, 2, 3, 4]
    assert all(frame["hc_mm"] is None and frame["status"] != "ok" for frame in document["frames"])
    done = fetaledge("predict", reference_bundle, tmp_path / "scan.avi", "--json", "--pixel-mm", 0.2)
    summary = read_document(done.stdout)["summary"][0]
    good = [f["hc_mm"] for f in read_document(done.stdout)["frames"] if f["status"] == "ok"]
    assert summary["n"] == len(good) == 5 and summary["hc_mm_median"] == pytest.approx(np.median(good))


def test_predict_real_dicom(bundle: Path, fetaledge: Command) -> None:
    cine = Path(__file__).resolve().parents[3] / "shared/dicom/examples_ybr_color.dcm"
    if not cine.exists():
        pytest.skip("shared/dicom is not beside this checkout")
    done = fetaledge("predict", bundle, cine)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 30


def test_evaluate(bundle: Path, small_run: Path, phantoms: Path, tmp_path: Path, fetaledge: Command) -> None:
    of_run = read_document(fetaledge("evaluate", small_run, "--data", phantoms, "--json").stdout)
    assert of_run["schema"] == "fetaledge/evaluation/1" and of_run["variant"] == "torch-fp32"
    assert of_run["cases"] == 4 and "clinical accuracy" in of_run["note"]
    done = fetaledge("evaluate", bundle, "--data", phantoms, "--json", "--variant", "onnx-fp32", "--split", "all")
    of_variant = read_document(done.stdout)
    assert of_variant["cases"] == 20
    by_name = {case["name"]: case["dice"] for case in of_variant["per_case"]}
    for case in of_run["per_case"]:
        assert by_name[case["name"]] == pytest.approx(case["dice"], abs=1e-3)
    table = fetaledge("evaluate", bundle, "--data", phantoms)
    assert all(variant in table.stdout for variant in VARIANTS) and "clinical accuracy" in table.stderr


def test_evaluate_masks_of_another_system(phantoms: Path, tmp_path: Path, fetaledge: Command) -> None:
    from fetaledge.data.layouts.open import open_dataset

    for labelled in open_dataset(phantoms):
        cv2.imwrite(str(tmp_path / f"{labelled.name}.png"), labelled.mask * 255)
    record = read_document(fetaledge("evaluate", "--masks", tmp_path, "--data", phantoms, "--json").stdout)
    assert record["dice"]["min"] == 1 and record["hc_mm"]["mae"] < 0.1 and record["cases"] == 20
    cv2.imwrite(str(tmp_path / "003_HC.png"), np.zeros((540, 801), np.uint8))
    done = fetaledge("evaluate", "--masks", tmp_path, "--data", phantoms)
    assert done.returncode == 3 and "801×540" in done.stderr
    (tmp_path / "003_HC.png").unlink()
    done = fetaledge("evaluate", "--masks", tmp_path, "--data", phantoms)
    assert done.returncode == 3 and "has no mask 003_HC.png" in done.stderr


def test_benchmark(bundle: Path, small_run: Path, phantoms: Path, tmp_path: Path, fetaledge: Command) -> None:
    variants = ("--variant", "onnx-int8", "--variant", "tflite-fp32")
    done = fetaledge(
        *("benchmark", bundle, "--data", phantoms, "--run", small_run, *variants, "--samples", 30, "--rounds", 2),
        *("--json", tmp_path / "record.json", "--report", tmp_path / "report"),
    )
    assert done.returncode in (0, 5), done.stderr
    record = read_document((tmp_path / "record.json").read_text())
    assert record["schema"] == "fetaledge/benchmark/1"
    rows = {result["variant"]: result for result in record["results"]}
    assert set(rows) == {"onnx-int8", "tflite-fp32", "torch-fp32"}
    for row in rows.values():
        assert row["latency_ms"]["kernel"]["n"] == 30
        assert row["valid"] == (not row["reasons"])
        assert row["accuracy"]["cases"] == 4
    assert rows["torch-fp32"]["speedup_over_torch"] == pytest.approx(1)
    assert (tmp_path / "report/report.html").is_file()
    assert str(tmp_path) not in (tmp_path / "record.json").read_text()
    other = tmp_path / "other"
    shutil.copytree(small_run, other)
    document = (other / "model.safetensors").read_bytes()
    (other / "model.safetensors").write_bytes(document[:-4] + b"\0\0\0\0")
    done = fetaledge("benchmark", bundle, "--data", phantoms, "--run", other)
    assert done.returncode == 2 and "was not exported from" in done.stderr


def test_demo(small_run: Path, tmp_path: Path, fetaledge: Command) -> None:
    done = fetaledge("demo", "--run", small_run, "--out", tmp_path / "demo")
    assert done.returncode in (0, 1) and "Traceback" not in done.stderr, done.stderr
    for name in ("bundle/card.md", "heads.png", "report/report.html", "predictions/prediction.json"):
        assert (tmp_path / "demo" / name).is_file()
    assert "clinical accuracy" in done.stdout
