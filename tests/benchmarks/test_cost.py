"""Counting real inferences of tiny models in the emulator, and what is said when that is not possible."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as with_changes
from typer.testing import CliRunner

from fetaledge.cli.app import app
from fetaledge_benchmarks.cost import measure_cost
from fetaledge_benchmarks.cost.count import CountingFailed, Processes
from fetaledge_benchmarks.cost.record import CostRecord, CostResult
from fetaledge_runtimes.bundle import Bundle, Manifest, StoredFile
from fetaledge_runtimes.errors import OutputError, TargetError, UsageError
from fetaledge_runtimes.predictor import Predictor
from fetaledge_runtimes.records import read_document
from fetaledge_runtimes.selftest import GOLDEN, write_golden
from fetaledge_runtimes.tasks.head import HEAD
from tests.stand_ins.fixtures import program

needs_emulator = pytest.mark.usefixtures("emulator")


@pytest.fixture(scope="module")
def emulator() -> None:
    for name in ("qemu-aarch64", "mmdebstrap"):
        program(name)


@pytest.fixture(scope="module")
def golden_bundle(bundle_folder: Path, heads: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle, with golden frames."""
    folder = tmp_path_factory.mktemp("cost") / "bundle"
    shutil.copytree(bundle_folder, folder)
    bundle = Bundle.open(folder)
    frame = heads[0].frame
    names = [variant.name for variant in bundle.manifest.variants]
    write_golden(folder / GOLDEN, HEAD, [frame], {name: [Predictor(bundle, name)(frame)] for name in names})
    return folder


@pytest.fixture(scope="module")
def counted(golden_bundle: Path, emulator: None) -> CostRecord:
    return measure_cost(golden_bundle, cpus=["cortex-a72", "cortex-a76"], variants=["onnx-fp32", "openvino-fp32"])


def row(record: CostRecord, variant: str, cpu: str) -> CostResult:
    return next(r for r in record.results if (r.variant, r.cpu) == (variant, cpu))


@needs_emulator
@pytest.mark.integration
def test_two_runs_give_the_same_counts(counted: CostRecord, golden_bundle: Path) -> None:
    again = measure_cost(golden_bundle, cpus=["cortex-a72"], variants=["onnx-fp32", "openvino-fp32"])
    for variant in ("onnx-fp32", "openvino-fp32"):
        first = row(counted, variant, "cortex-a72")
        assert first.failure is None
        assert first.instructions > 50_000
        assert row(again, variant, "cortex-a72") == first


@needs_emulator
@pytest.mark.integration
def test_what_was_counted_is_the_inference(counted: CostRecord, golden_bundle: Path) -> None:
    """The filter's multiply-adds (those inside the frame, four a vector instruction) are among the instructions."""
    for cpu in ("cortex-a72", "cortex-a76"):
        result = row(counted, "onnx-fp32", cpu)
        assert result.multiply_adds == 64 * 64 * 9
        executed = 4 * result.by_class["vector_fma"] + result.by_class["scalar_float"]
        assert 0.9 < executed / result.multiply_adds < 1.3
        assert result.bytes_read > 64 * 64 * 4
        assert result.bound.ms == max(result.bound.limits_ms.values()) > 0
        assert result.bound.what == "bound, not a measurement"
    assert row(counted, "onnx-fp32", "cortex-a72").by_class["atomic"] == 0  # only the newer core has them
    assert row(counted, "onnx-fp32", "cortex-a76").by_class["atomic"] > 0
    assert counted.schema == "fetaledge/cost/1"
    assert counted.notice == "research software, not a medical device"
    assert "bound, not a measurement" in counted.note
    assert counted.multiply_adds_from == "manifest.json"


@needs_emulator
@pytest.mark.integration
def test_a_variant_that_cannot_run_does_not_lose_the_others(golden_bundle: Path, tmp_path: Path) -> None:
    broken = tmp_path / "bundle"
    shutil.copytree(golden_bundle, broken)
    (broken / "onnx-int8.onnx").write_bytes(b"no model")
    manifest = Manifest.read(broken)
    files = (StoredFile.of(broken / "onnx-int8.onnx"),)
    variants = tuple(with_changes(v, files=files) if v.name == "onnx-int8" else v for v in manifest.variants)
    with_changes(manifest, variants=variants).write(broken)
    document, lines = tmp_path / "cost.json", ["--variant", "onnx-fp32", "--variant", "onnx-int8"]
    plot = tmp_path / "cost.png"
    command = ["cost", str(broken), "--cpu", "cortex-a76", *lines, "--json", str(document), "--plot", str(plot)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "bound, not a measurement" in done.stdout
    written = read_document(document, CostRecord, "cost")
    assert row(written, "onnx-fp32", "cortex-a76").failure is None
    failure = row(written, "onnx-int8", "cortex-a76").failure
    assert "onnx-int8.onnx cannot be loaded by ONNX Runtime" in failure
    assert str(broken) not in failure
    assert plot.read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(CountingFailed, match="no variant could be counted: .*onnx-int8.onnx cannot be loaded"):
        measure_cost(broken, cpus=["cortex-a76"], variants=["onnx-int8"])


@needs_emulator
@pytest.mark.integration
def test_a_bundle_that_does_not_state_its_multiply_adds(golden_bundle: Path, tmp_path: Path) -> None:
    """Those of early versions do not: their instructions are counted, and the roofline is left out."""
    early, document, plot = tmp_path / "bundle", tmp_path / "cost.json", tmp_path / "cost.png"
    shutil.copytree(golden_bundle, early)
    with_changes(Manifest.read(early), multiply_adds=None).write(early)
    command = ["cost", str(early), "--cpu", "cortex-a76", "--variant", "onnx-fp32", "--plot", str(plot)]
    done = CliRunner().invoke(app, [*command, "--json", str(document)])
    assert done.exit_code == 0, done.output
    assert "was not drawn: the bundle does not state its multiply-adds; export it again" in done.output
    assert not plot.exists()
    written = read_document(document, CostRecord, "cost")
    result = row(written, "onnx-fp32", "cortex-a76")
    assert (written.multiply_adds_from, result.multiply_adds, result.failure) == (None, None, None)
    assert result.instructions > 50_000


@pytest.mark.integration
def test_wrong_usage(golden_bundle: Path) -> None:
    with pytest.raises(UsageError, match="'pentium' are not known; known are cortex-a72, cortex-a76"):
        measure_cost(golden_bundle, cpus=["pentium"])
    with pytest.raises(UsageError, match="holds no variant 'onnx-fp8'"):
        measure_cost(golden_bundle, cpus=["cortex-a72"], variants=["onnx-fp8"])


@pytest.mark.integration
def test_without_qemu(golden_bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TargetError, match="qemu-aarch64 is not installed.*apt-get install qemu-user"):
        measure_cost(golden_bundle, cpus=["cortex-a72"])


@pytest.mark.integration
def test_nothing_is_overwritten(golden_bundle: Path, tmp_path: Path) -> None:
    there = tmp_path / "cost.json"
    there.write_text("{}", encoding="utf-8")
    answer = CliRunner().invoke(app, ["cost", str(golden_bundle), "--json", str(there)])
    assert isinstance(answer.exception, OutputError)
    answer = CliRunner().invoke(app, ["cost", str(golden_bundle), "--plot", str(tmp_path / "cost.svg")])
    assert isinstance(answer.exception, UsageError)
    assert there.read_text(encoding="utf-8") == "{}"


def test_processes_can_be_ended() -> None:
    processes = Processes()
    processes.end()
    with pytest.raises(CountingFailed, match="ended"):
        processes.run(["true"])
