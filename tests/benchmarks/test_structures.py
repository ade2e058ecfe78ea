"""The task ``ps-fh``: its measure in a record, a table and a page."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from fetaledge_benchmarks import BenchmarkOptions, BenchmarkRecord, run_benchmark, terminal_table, write_report
from fetaledge_benchmarks.build_record import accuracy as accuracy_of
from fetaledge_benchmarks.report.tables import header_of
from fetaledge_devices.targets import open_target
from fetaledge_runtimes.bundle import Manifest, ModelInput, ModelOutput, StoredFile, Variant
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.frames.frame import Frame, LabelledFrame
from fetaledge_runtimes.scores.case import score_case
from fetaledge_runtimes.tasks.registry import task_named
from tests.bright_bundle import Drawn, write_onnx

SIZE = 128
PS_FH = task_named("ps-fh")


@dataclass(frozen=True)
class TwoStructures(Drawn):
    """A bright symphysis, upper left of a grey head."""

    name: str = "two structures"
    count: int = 4

    def draw(self, index: int) -> LabelledFrame:
        rng = np.random.default_rng(index)
        mask = np.zeros((SIZE, SIZE), np.uint8)
        mask[Ellipse(72, 84, 34, 28, 0).rasterise(mask.shape) > 0] = 2
        mask[Ellipse(44, 28, 20, 8, float(rng.uniform(-10, 10))).rasterise(mask.shape) > 0] = 1
        pixels = (np.choose(mask, (30, 220, 130)) + rng.integers(-8, 8, mask.shape)).astype(np.uint8)
        name = f"frame{index}"
        return LabelledFrame(Frame(pixels, None, name), mask, name, name, synthetic=True)


def write_bundle(folder: Path) -> Path:
    """Its logits of the grey value g: 0, 2 g - 180 - ``head_from`` and g - ``head_from``."""
    folder.mkdir()
    variants = []
    for name, head_from in (("onnx-fp32", 80.0), ("onnx-int8", 126.0)):
        bias = [0, -180 - head_from, -head_from]
        write_onnx(folder / f"{name}.onnx", (SIZE, SIZE), np.array([0, 2, 1]).reshape(3, 1, 1, 1), bias)
        stored = (StoredFile.of(folder / f"{name}.onnx"),)
        variants.append(Variant(name, "onnx", name.rpartition("-")[2], stored, "ONNX Runtime", "1", "1"))
    Manifest(
        name="grey",
        task="ps-fh",
        classes=("background", "pubic-symphysis", "head"),
        input=ModelInput(SIZE, SIZE, 1.0, 0.0),
        output=ModelOutput(3, SIZE, SIZE),
        variants=tuple(variants),
        others=(),
        source={},
        calibration=None,
        fetaledge="0.1.0",
        created="2026-01-01",
    ).write(folder)
    return folder


def test_no_column_of_hc() -> None:
    header, heads = (header_of(task_named(task).measure_of_tables, devices=True) for task in ("ps-fh", "head"))
    assert "AoP MAE ° (n)" in header and "mean |ΔAoP| to fp32 ° (n)" in header
    assert not [name for name in header if "HC" in name] and len(header) == len(heads)


def test_accuracy_is_of_the_angle() -> None:
    cases = list(TwoStructures())
    shifted = [np.roll(case.mask * (case.mask == 2), 3, axis=1) + case.mask * (case.mask == 1) for case in cases]
    scores = [score_case(case, mask, PS_FH) for case, mask in zip(cases, shifted, strict=True)]
    accuracy = accuracy_of(scores, PS_FH)
    assert accuracy is not None
    assert accuracy["cases"] == accuracy["aop_cases"] == 4 and accuracy["failures"] == 0
    errors = [float(score.measures["aop_deg"].error or 0.0) for score in scores]
    assert accuracy["aop_bias_deg"] == pytest.approx(np.mean(errors)) and accuracy["aop_bias_deg"] > 0.5
    assert accuracy["aop_mae_deg"] == pytest.approx(np.mean(np.abs(errors)))
    assert accuracy["dice_ps_mean"] == 1 and accuracy["dice_fh_mean"] < 0.97
    assert accuracy["dice_mean"] == pytest.approx((1 + accuracy["dice_fh_mean"]) / 2)
    assert not [key for key in accuracy if key.startswith("hc")]
    lost = [replace(scores[0], measures={"aop_deg": replace(scores[0].measures["aop_deg"], value=None)})]
    assert accuracy_of(lost, PS_FH)["aop_mae_deg"] is None  # type: ignore[index]


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkRecord:
    return run_benchmark(
        write_bundle(tmp_path_factory.mktemp("structures") / "bundle"),
        TwoStructures(),
        BenchmarkOptions(samples=2, rounds=1),
        [open_target("local")],
    )


@pytest.mark.integration
def test_a_benchmark_of_two_structures(record: BenchmarkRecord) -> None:
    fp32, int8 = record.results
    assert record.model.task == "ps-fh" and fp32.accuracy["dice_mean"] > 0.95
    assert fp32.accuracy["aop_cases"] == 4 and fp32.accuracy["aop_mae_deg"] < 2
    change = int8.against_fp32
    assert change["fp32"] == "onnx-fp32" and change["aop_n"] == 4 and change["dice_drop"] > 0.001
    assert 0 < change["aop_abs_mean_deg"] <= change["aop_p95_deg"] <= change["aop_max_deg"]
    assert record.evaluations["onnx-fp32"]["aop_deg"]["n"] == 4


@pytest.mark.integration
def test_its_table_and_its_page(record: BenchmarkRecord, tmp_path: Path) -> None:
    header, rows = terminal_table(record)
    assert rows[0][header.index("AoP MAE ° (n)")].endswith(" (4)") and rows[1][header.index("|ΔAoP| ° (n)")] != "–"
    write_report(record, tmp_path / "report")
    page = re.sub(r'src="[^"]*"', "", (tmp_path / "report" / "report.html").read_text(encoding="utf-8"))
    assert "AoP error are against the labels" in page and "HC" not in page
