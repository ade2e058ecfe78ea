from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from fetaledge_benchmarks import BenchmarkOptions, BenchmarkRecord, Reference, record_valid, run_benchmark
from fetaledge_benchmarks.benchmark_frames import write_workload
from fetaledge_benchmarks.build_record import fp32_of
from fetaledge_benchmarks.plan import Row
from fetaledge_benchmarks.record import Result
from fetaledge_benchmarks.row_measurement import Measurement
from fetaledge_devices.targets import open_target
from fetaledge_runtimes.errors import BundleError, InputError
from fetaledge_runtimes.records import from_json, to_json, to_text
from fetaledge_runtimes.scores.case import score_case
from fetaledge_runtimes.tasks.registry import task_named
from tests.benchmarks.old_record import old_record

pytestmark = pytest.mark.integration  # every test here runs real benchmarks, in processes of their own
RunBenchmark = Callable[..., BenchmarkRecord]
RESULT_KEYS = {
    "target", "variant", "engine", "engine_version", "threads", "emulated", "valid", "reasons", "notes", "latency_ms",
    "load_ms", "peak_rss_mb", "file_mb", "accuracy", "against_fp32", "speedup_over_torch",
    "pinned", "against_local", "benchmark_model", "interruptions", "sustained",
    "reference", "engine_independent_ms", "temperature_c", "samples_ms", "rounds",
}  # fmt: skip


def result(record: BenchmarkRecord, variant: str) -> Result:
    (found,) = [entry for entry in record.results if entry.variant == variant]
    return found


def test_the_record_has_the_designs_keys(record: BenchmarkRecord) -> None:
    assert record.schema == "fetaledge/benchmark/1"
    assert (record.bundle, record.data) == ("bright", "bright ellipses")
    assert set(to_json(record)) == {
        "schema", "created", "notice", "bundle", "data", "host", "model", "frames", "plan", "results", "evaluations",
        "devices", "lost", "attribution",
    }  # fmt: skip
    for entry in record.results:
        assert set(to_json(entry)) == RESULT_KEYS
        for series in ("kernel", "end_to_end"):
            assert set(to_json(getattr(entry.latency_ms, series))) == {"n", "min", "p50", "p90", "p95", "p99", "mean"}
        assert {"cases", "dice_mean", "hc_cases", "hc_mae_mm"} <= set(entry.accuracy)
    assert record.notice == "research software, not a medical device"


def test_the_record_is_json_without_nan(record: BenchmarkRecord) -> None:
    assert from_json(json.loads(to_text(record)), BenchmarkRecord, "it") == record


def test_raw_samples_stand_beside_the_percentiles(record: BenchmarkRecord) -> None:
    for entry in record.results:
        assert [part.samples for part in entry.rounds] == [16, 15]
        raw = entry.samples_ms
        assert {len(getattr(raw, name)) for name in ("kernel", "end_to_end", "preprocess", "postprocess")} == {31}
        assert entry.latency_ms.kernel.n == 31
        assert entry.latency_ms.kernel.p50 == statistics.median(raw.kernel)
        assert entry.latency_ms.end_to_end.p95 == pytest.approx(np.percentile(raw.end_to_end, 95))
        outside = [whole - inner for whole, inner in zip(raw.end_to_end, raw.kernel, strict=True)]
        assert entry.engine_independent_ms == pytest.approx(statistics.median(outside), abs=1e-4)
        assert min(outside) > 0


def test_processes_run_in_the_planned_order(record: BenchmarkRecord, lines: list[str]) -> None:
    labels = [line.split(": ")[1].split(" (")[0] for line in lines if line.startswith("round ")]
    assert labels == [label for order in record.devices["local"].order for label in order]
    assert len(labels) == 8 and len(set(labels[:4])) == 4
    accuracy = [line.split(": ")[1] for line in lines if line.startswith("accuracy ")]
    assert accuracy == ["torch-fp32", "onnx-fp32", "onnx-int8", "openvino-fp32"]


def test_accuracy_is_against_the_labels(record: BenchmarkRecord) -> None:
    fp32, int8 = result(record, "onnx-fp32").accuracy, result(record, "onnx-int8").accuracy
    assert fp32["cases"] == fp32["hc_cases"] == 10
    assert fp32["dice_mean"] > 0.99 and fp32["hc_mae_mm"] < 1
    assert int8["dice_mean"] < fp32["dice_mean"] - 0.005 and int8["hc_bias_mm"] < -1
    cases = record.evaluations["onnx-int8"]["per_case"]
    assert [case["name"] for case in cases] == [f"frame{index:02d}" for index in range(10)]
    assert statistics.mean(case["dice"] for case in cases) == pytest.approx(int8["dice_mean"])


def test_the_change_is_against_the_reference_where_there_is_one(record: BenchmarkRecord) -> None:
    assert result(record, "torch-fp32").against_fp32 is None
    same, other = result(record, "onnx-fp32").against_fp32, result(record, "onnx-int8").against_fp32
    assert same["fp32"] == other["fp32"] == "torch-fp32"
    assert same["hc_abs_mean_mm"] == 0 and same["dice_drop"] == 0
    assert other["hc_n"] == 10 and other["hc_abs_mean_mm"] > 1
    assert other["dice_drop"] == pytest.approx(
        result(record, "torch-fp32").accuracy["dice_mean"] - result(record, "onnx-int8").accuracy["dice_mean"]
    )


def test_speedup_is_the_ratio_of_kernel_medians(record: BenchmarkRecord) -> None:
    reference = result(record, "torch-fp32")
    assert reference.speedup_over_torch == 1 and reference.reference
    for entry in record.results:
        ratio = reference.latency_ms.kernel.p50 / entry.latency_ms.kernel.p50
        assert entry.speedup_over_torch == pytest.approx(ratio, rel=1e-3, abs=5e-5)  # four decimals


def test_what_a_process_cost(record: BenchmarkRecord, bundle_folder: Path) -> None:
    for entry in record.results:
        assert entry.load_ms > 0 and 20 < entry.peak_rss_mb < 2000 and entry.engine_version
    size = (bundle_folder / "onnx-fp32.onnx").stat().st_size / 1e6
    assert result(record, "onnx-fp32").file_mb == pytest.approx(size, abs=5e-4)
    assert result(record, "torch-fp32").file_mb == pytest.approx(size, abs=5e-4)


def test_phantoms_are_called_synthetic(record: BenchmarkRecord) -> None:
    assert record.frames.count == record.frames.synthetic == 10
    assert record.frames.subjects == 5
    assert record.frames.note.startswith("all 10 frames are synthetic")
    assert record.evaluations["onnx-fp32"]["synthetic"]
    assert {tuple(frame.size) for frame in record.frames.timing} == {(120, 160), (150, 140)}


def test_without_a_reference_a_variant_is_against_fp32_of_its_own_format_if_it_was_scored(heads: Any) -> None:
    def measured(name: str, *, scored: bool = True, reference: bool = False) -> Measurement:
        row = Row(name, "any", 1, (), 1.0, reference)
        return Measurement(row, scores=(score_case(heads[0], heads[0].mask, task_named("head")),) if scored else None)

    def compared_with(name: str, *everything: Measurement) -> str | None:
        (row,) = (m.row for m in everything if m.row.name == name)
        fp32 = fp32_of(row, everything)
        return fp32.row.name if fp32 else None

    models = [measured(name) for name in ("openvino-fp32", "onnx-fp32", "onnx-int8", "tflite-int8")]
    assert compared_with("onnx-int8", *models) == "onnx-fp32"
    assert compared_with("tflite-int8", *models) == "openvino-fp32"
    assert compared_with("onnx-fp32", *models) is None
    assert compared_with("onnx-int8", *models, measured("torch-fp32", reference=True)) == "torch-fp32"
    assert compared_with("onnx-int8", *models, measured("torch-fp32", reference=True, scored=False)) == "onnx-fp32"
    assert compared_with("onnx-int8", models[0], measured("onnx-fp32", scored=False), models[2]) == "openvino-fp32"


def test_two_samples_are_not_valid_and_without_a_reference_there_is_no_speedup(benchmark_of: RunBenchmark) -> None:
    record = benchmark_of()
    assert not record_valid(record) and result(record, "onnx-fp32").speedup_over_torch is None
    assert result(record, "onnx-fp32").reasons[0] == "too few samples: 2, and percentiles need 30"


def test_every_row_must_be_valid() -> None:
    good, bad = (replace(old_record().results[0], valid=valid) for valid in (True, False))
    assert record_valid(replace(old_record(), results=(good, good)))
    assert not record_valid(replace(old_record(), results=(good, bad)))


def test_a_worker_that_crashes_is_a_row_with_its_reason(benchmark_of: RunBenchmark) -> None:
    crash = (sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    lines: list[str] = []
    record = benchmark_of(reference=Reference("torch-fp32", "PyTorch", crash, (1,)), rounds=2, progress=lines.append)
    entry = result(record, "torch-fp32")
    assert not entry.valid and entry.reasons == ("the worker was killed by SIGSEGV",)
    for key in ("latency_ms", "accuracy", "load_ms", "peak_rss_mb", "engine_version", "speedup_over_torch"):
        assert getattr(entry, key) is None
    assert set(to_json(entry)) == RESULT_KEYS
    assert result(record, "onnx-fp32").latency_ms.kernel.n == 2
    assert not any("torch" in line for line in lines if line.startswith("round"))
    to_text(record)


def test_a_worker_that_fails_only_while_it_is_timed(
    benchmark_of: RunBenchmark, reference: Reference, tmp_path: Path
) -> None:
    wrapper = tmp_path / "wrapper.py"
    wrapper.write_text(
        "import subprocess, sys\n"
        "if '--masks' not in sys.argv: sys.exit('error: out of memory; use a smaller model')\n"
        "sys.exit(subprocess.call(sys.argv[1:]))\n"
    )
    command = (sys.executable, str(wrapper), *reference.command)
    entry = result(benchmark_of(reference=Reference("torch-fp32", "PyTorch", command, (1,))), "torch-fp32")
    assert entry.reasons == ("out of memory; use a smaller model",)
    assert entry.latency_ms is None and entry.accuracy["cases"] == 10


def test_a_worker_that_forgets_a_mask(benchmark_of: RunBenchmark, reference: Reference, tmp_path: Path) -> None:
    wrapper = tmp_path / "wrapper.py"
    wrapper.write_text(
        "import pathlib, subprocess, sys\n"
        "code = subprocess.call(sys.argv[1:])\n"
        "if '--masks' in sys.argv: (pathlib.Path(sys.argv[-1]) / 'frame03.png').unlink()\n"
        "sys.exit(code)\n"
    )
    command = (sys.executable, str(wrapper), *reference.command)
    entry = result(benchmark_of(reference=Reference("torch-fp32", "PyTorch", command, (1,))), "torch-fp32")
    assert entry.reasons == ("the worker wrote no mask for the frame frame03",)
    assert not entry.valid and entry.accuracy is None


def test_an_engine_that_is_not_installed_is_a_row_with_the_pip_line(
    benchmark_of: RunBenchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['openvino'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    record = benchmark_of(variants=("onnx-fp32", "openvino-fp32"))
    entry = result(record, "openvino-fp32")
    assert not entry.valid and entry.latency_ms is None
    assert "not installed" in entry.reasons[0] and "pip install openvino" in entry.reasons[0]
    assert entry.engine == "OpenVINO" and entry.file_mb is not None
    assert result(record, "onnx-fp32").latency_ms is not None


def test_an_altered_bundle_and_an_empty_data_set_are_refused(bundle_folder: Path, heads: Any, tmp_path: Path) -> None:
    def run(folder: Path, data: Any) -> None:
        run_benchmark(folder, data, BenchmarkOptions(samples=2, rounds=1), [open_target("local")])

    with pytest.raises(BundleError):
        run(tmp_path, heads)
    with pytest.raises(InputError, match="no labelled frame"):
        run(bundle_folder, type(heads)(count=0))


def test_the_workers_get_frames_and_spacing_but_no_label(heads: Any, tmp_path: Path) -> None:
    workload = write_workload(heads, tmp_path)
    names = sorted(path.name for path in workload.accuracy_frames.iterdir())
    assert names == [*(f"frame{index:02d}.png" for index in range(10)), "pixels.csv"]
    table = (workload.accuracy_frames / "pixels.csv").read_text().splitlines()
    assert table[:2] == ["filename,row_mm,column_mm", "frame00.png,0.5,0.5"] and len(table) == 11
    assert len(workload.timing_names) == 8 and len(list(workload.timing_frames.glob("*.png"))) == 8


def test_ctrl_c_leaves_no_process_and_no_folder(bundle_folder: Path, tmp_path: Path) -> None:
    temporary, note = tmp_path / "temporary", tmp_path / "pid"
    temporary.mkdir()
    sleeper = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(120)"
    script = tmp_path / "interrupted.py"
    script.write_text(
        f"""
import importlib.util, sys
from pathlib import Path
from fetaledge_benchmarks import BenchmarkOptions, BenchmarkRecord, Reference, run_benchmark
from fetaledge_devices.targets import open_target
spec = importlib.util.spec_from_file_location("kit", {str(Path(__file__).parents[1] / "bright_bundle.py")!r})
kit = sys.modules["kit"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(kit)
reference = Reference("torch-fp32", "PyTorch", (sys.executable, "-c", {sleeper!r}), (1,))
run_benchmark(
    Path({str(bundle_folder)!r}), kit.Heads(), BenchmarkOptions(samples=2, rounds=1), [open_target("local")],
    reference=reference, progress=print,
)
"""
    )
    process = subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (note.is_file() and note.read_text()) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert any(temporary.iterdir())
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)
    assert list(temporary.iterdir()) == []
