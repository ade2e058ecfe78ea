"""A package of its own adds a task, a layout, an engine and a format, and the whole way works with nothing changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

PLUGIN = Path(__file__).parents[1] / "plugin"
Run = Callable[..., str]

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands run."""
    return tmp_path_factory.mktemp("disc")


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the command with the package installed, in one folder; standard output."""
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(site), str(PLUGIN)], check=True, capture_output=True)

    def call(*arguments: object, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "fetaledge", *map(str, arguments)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{arguments}: {done.stderr}"
        return done.stdout

    call("data", "phantom", "discs", "--task", "disc", "--count", "160", "--seed", "1")
    call(
        *("train", "unet", "--data", "discs", "--out", "run", "--strategy", "all", "--encoder", "resnet18"),
        *("--encoder-weights", "none", "--decoder-channels", "32,16,16,8,8", "--size", "64", "--epochs", "2"),
        *("--batch", "4", "--learning-rate", "3e-3"),
    )
    call("export", "run", "--out", "bundle", "--data", "discs", "--format", "linear", "--format", "onnx")
    return call


def test_its_data_are_read_by_its_layout(run: Run) -> None:
    report = json.loads(run("data", "check", "discs", "--json"))
    assert report["task"] == "disc" and report["usable"] == 160 and report["problems"] == []
    assert 16 <= report["measures"]["disc_mm"]["min"] < report["measures"]["disc_mm"]["max"] <= 30


def test_the_gate_judges_in_its_own_unit(run: Run, folder: Path) -> None:
    gate = json.loads((folder / "bundle/evaluation.json").read_text())
    assert gate["limits"]["disc_abs_mean_mm"] == 2.0 and "hc_abs_mean_mm" not in gate["limits"]
    assert {variant["variant"]: variant["verdict"] for variant in gate["variants"]} == {
        "linear-fp32": "passed",
        "onnx-fp32": "passed",
    }
    assert all(0 <= variant["against_fp32"]["disc_abs_mean_mm"] < 2.0 for variant in gate["variants"])
    card = (folder / "bundle/card.md").read_text()
    assert "circle of the mask's area" in card and "Δdisc" in card


def test_a_tight_limit_of_its_own_refuses(run: Run, folder: Path) -> None:
    run(
        *("export", "run", "--out", "tight", "--data", "discs", "--format", "linear"),
        *("--limit", "disc_abs_mean_mm=0", "--limit", "disc_p95_mm=0"),
        code=1,
    )
    (variant,) = json.loads((folder / "tight/evaluation.json").read_text())["variants"]
    assert variant["verdict"] == "failed" and variant["reasons"][0].startswith("mean |Δdisc|")


@pytest.mark.parametrize("variant", ["linear-fp32", "onnx-fp32"])
def test_a_picture_is_measured_and_drawn(run: Run, folder: Path, variant: str) -> None:
    with np.load(folder / "discs/000.npz") as frame:
        pixels, diameter = frame["pixels"], float(frame["disc_mm"])
    cv2.imwrite(str(folder / "disc.png"), pixels)
    out = f"out-{variant}"
    line = run("predict", "bundle", "disc.png", "--pixel-mm", "0.5", "--variant", variant, "--out", out)
    assert "disc.png  disc " in line and line.rstrip().endswith(" mm")
    (entry,) = json.loads((folder / out / "prediction.json").read_text())["frames"]
    assert entry["disc_mm"] == pytest.approx(diameter, abs=2) and entry["hc_mm"] is None
    overlay = cv2.imread(str(folder / out / "disc_overlay.png"))
    assert overlay.shape == (96, 96, 3) and (overlay.max(2) != overlay.min(2)).any()


def test_it_is_evaluated(run: Run) -> None:
    record = json.loads(run("evaluate", "run", "--data", "discs", "--json"))
    assert record["task"] == "disc" and record["disc_mm"]["n"] == record["cases"]
    assert record["disc_mm"]["mae"] < 2
    assert "disc MAE mm" in run("evaluate", "bundle", "--data", "discs")


def test_it_is_verified(run: Run) -> None:
    document = json.loads(run("verify", "bundle", "--json"))
    assert {v["variant"]: v["result"] for v in document["variants"]} == {"linear-fp32": "ok", "onnx-fp32": "ok"}


def test_it_is_benchmarked(run: Run) -> None:
    record = json.loads(
        run(
            "benchmark",
            "bundle",
            "--data",
            "discs",
            "--run",
            "run",
            "--samples",
            "4",
            "--rounds",
            "1",
            "--json",
            code=5,
        )
    )
    rows = {row["variant"]: row for row in record["results"]}
    assert set(rows) == {"torch-fp32", "linear-fp32", "onnx-fp32"}
    assert rows["linear-fp32"]["engine"] == "linear model" and rows["linear-fp32"]["latency_ms"]["kernel"]["p50"] > 0
    assert rows["linear-fp32"]["accuracy"]["disc_mae_mm"] < 2
    assert rows["linear-fp32"]["against_fp32"]["disc_abs_mean_mm"] < 2
