"""A bundle of tiny but real models, labelled frames, and a program that speaks the workers' protocol."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fetaledge_benchmarks import BenchmarkOptions, BenchmarkRecord, Reference, run_benchmark
from fetaledge_devices.targets import open_target
from fetaledge_runtimes.bundle import Manifest, ModelInput, ModelOutput, StoredFile, Variant
from fetaledge_runtimes.frames.frame import Frame, LabelledFrame

SIZE = 64
PIXEL_MM = (0.5, 0.5)


@dataclass(frozen=True)
class Drawn(Sequence[LabelledFrame]):
    """Labelled frames, each drawn from its number."""

    name: str
    count: int
    synthetic: bool = True

    @abstractmethod
    def draw(self, index: int) -> LabelledFrame: ...

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> LabelledFrame:  # type: ignore[override]
        if not 0 <= index < self.count:
            raise IndexError(index)
        return self.draw(index)


@dataclass(frozen=True)
class Heads(Drawn):
    """Bright ellipses on dark noise, of two sizes, two frames a subject."""

    name: str = "bright ellipses"
    count: int = 10

    def draw(self, index: int) -> LabelledFrame:
        rng = np.random.default_rng(index)
        shape = (120, 160) if index % 2 else (150, 140)
        mask = np.zeros(shape, np.uint8)
        axes = (int(rng.integers(38, 46)), int(rng.integers(28, 36)))
        cv2.ellipse(mask, (shape[1] // 2, shape[0] // 2), axes, float(rng.uniform(0, 180)), 0, 360, 1, cv2.FILLED)
        pixels = (rng.integers(10, 60, shape) + mask * 150).astype(np.uint8)
        name = f"frame{index:02d}"
        return LabelledFrame(Frame(pixels, PIXEL_MM, name), mask, name, f"subject{index // 2}", self.synthetic)


def write_onnx(
    path: Path, size: tuple[int, int], weights: np.ndarray, bias: Sequence[float] | None = None, stride: int = 1
) -> None:
    """A model whose logits are one convolution of the grey values, whose edges are padded with zeros.

    Args:
        size: rows and columns of the frame.
        weights: a filter a class: classes x 1 x k x k, k odd.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    classes, edge = len(weights), weights.shape[-1] // 2
    bias_values = np.zeros(classes) if bias is None else np.array(bias)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["frame"], ["grey"], to=TensorProto.FLOAT),
            helper.make_node("Conv", ["grey", "weights", "bias"], ["logits"], pads=[edge] * 4, strides=[stride] * 2),
        ],
        "one convolution",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, 1, *size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, classes, *(n // stride for n in size)])],
        [
            numpy_helper.from_array(weights.astype(np.float32), "weights"),
            numpy_helper.from_array(bias_values.astype(np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def write_bundle(folder: Path) -> Path:
    """A bundle with onnx-fp32, onnx-int8 (float too, but of another threshold: its masks differ) and openvino-fp32."""
    import openvino

    folder.mkdir()
    for name, threshold in (("onnx-fp32", 110), ("onnx-int8", 125)):  # of the mean grey value around a pixel
        write_onnx(folder / f"{name}.onnx", (SIZE, SIZE), np.full((1, 1, 3, 3), 1 / 90), [-threshold / 10])
    variants = [_variant(folder, name, "ONNX Runtime", [f"{name}.onnx"]) for name in ("onnx-fp32", "onnx-int8")]
    openvino.save_model(openvino.convert_model(folder / "onnx-fp32.onnx"), folder / "openvino-fp32.xml", False)
    variants.append(_variant(folder, "openvino-fp32", "OpenVINO", ["openvino-fp32.xml", "openvino-fp32.bin"]))
    Manifest(
        name="bright",
        task="head",
        classes=("background", "head"),
        input=ModelInput(SIZE, SIZE, 1.0, 0.0),
        output=ModelOutput(1, SIZE, SIZE),
        multiply_adds=SIZE * SIZE * 9,
        variants=tuple(variants),
        others=(),
        source={},
        calibration=None,
        fetaledge="0.1.0",
        created="2026-01-01",
    ).write(folder)
    return folder


def _variant(folder: Path, name: str, engine: str, files: list[str]) -> Variant:
    kind, precision = name.split("-")
    return Variant(name, kind, precision, tuple(StoredFile.of(folder / file) for file in files), engine, "1", "1")


REFERENCE_WORKER = """
import argparse, json, sys, time
from pathlib import Path
from fetaledge_runtimes.bench_worker import bench_command
from fetaledge_runtimes.engines.registry import open_engine
from fetaledge_runtimes.frames.read import read_frames
from fetaledge_runtimes.predictor import Predictor
from fetaledge_runtimes.records import to_json
from fetaledge_runtimes.tasks.registry import task_named

parser = argparse.ArgumentParser()
parser.add_argument("model", type=Path)
parser.add_argument("--frames", type=Path)
parser.add_argument("--masks", type=Path)
for name in ("threads", "samples", "warmup"):
    parser.add_argument("--" + name, type=int)
given = parser.parse_args()
start = time.perf_counter()
predictor = Predictor.from_engine(open_engine("onnx", given.model, given.threads), (64, 64), task_named("head"))
load_ms = (time.perf_counter() - start) * 1000
print(json.dumps(to_json(bench_command(
    predictor, load_ms, read_frames(given.frames), threads=given.threads, samples=given.samples,
    warmup=given.warmup, model_files=[given.model], masks=given.masks,
))))
"""


def reference_command(folder: Path, model: Path) -> tuple[str, ...]:
    """The command of a program that is no fetaledge command, but runs ``model`` and speaks the protocol."""
    script = folder / "reference_worker.py"
    script.write_text(REFERENCE_WORKER, encoding="utf-8")
    return (sys.executable, str(script), str(model))


@pytest.fixture(scope="session")
def heads() -> Heads:
    return Heads()


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("benchmarks") / "bundle")


@pytest.fixture(scope="session")
def reference(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    command = reference_command(tmp_path_factory.mktemp("reference"), bundle_folder / "onnx-fp32.onnx")
    return Reference("torch-fp32", "PyTorch", command, (1,))


@pytest.fixture(scope="session")
def benchmark_of(bundle_folder: Path, heads: Heads) -> Callable[..., BenchmarkRecord]:
    """Run a real benchmark on this machine, of one variant and 2 samples in 1 round.

    Keywords are the fields of ``BenchmarkOptions``, ``targets`` and the other arguments of ``run_benchmark``.
    """
    names = {field.name for field in fields(BenchmarkOptions)}

    def run(**given: Any) -> BenchmarkRecord:
        small: dict[str, Any] = {"variants": ("onnx-fp32",), "samples": 2, "rounds": 1}
        options = BenchmarkOptions(**(small | {name: value for name, value in given.items() if name in names}))
        rest = {name: value for name, value in given.items() if name not in names}
        return run_benchmark(bundle_folder, heads, options, rest.pop("targets", [open_target("local")]), **rest)

    return run


@pytest.fixture(scope="session")
def lines() -> list[str]:
    """What the benchmark behind ``record`` said while it ran."""
    return []


@pytest.fixture(scope="session")
def record(benchmark_of: Callable[..., BenchmarkRecord], reference: Reference, lines: list[str]) -> BenchmarkRecord:
    """The record of one benchmark of every variant and the reference: 31 samples in 2 rounds."""
    return benchmark_of(variants=None, reference=reference, samples=31, rounds=2, seed=3, progress=lines.append)
