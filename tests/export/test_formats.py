"""Every variant, loaded and run by its real engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from fetaledge_export.formats import tflite_file
from fetaledge_runtimes.engines.registry import open_engine
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.frame import LabelledFrame
from fetaledge_runtimes.preprocess import resize

if TYPE_CHECKING:
    from torch import nn

FORMATS = ("openvino", "tflite", "onnx")
PRECISIONS = ("int8", "fp32", "fp16")
SIZE = (64, 96)
LARGEST_ERROR = {"fp32": 1e-4, "fp16": 1e-2, "int8": 0.15}
SMALLEST_DICE = {"fp32": 0.9999, "fp16": 0.999, "int8": 0.99}
ALL = [(name, precision) for name in FORMATS for precision in PRECISIONS]


def model_file(folder: Path, format_name: str, precision: str) -> Path:
    suffix = {"onnx": ".onnx", "openvino": ".xml", "tflite": ".tflite"}[format_name]
    return folder / f"{format_name}-{precision}{suffix}"


@pytest.mark.parametrize(("format_name", "precision"), ALL)
def test_logits_follow_the_torch_model(
    exported, network: nn.Module, validation: list[LabelledFrame], format_name: str, precision: str
) -> None:
    from fetaledge_export.torch_engine import TorchEngine

    engine = open_engine(format_name, model_file(exported.result.folder, format_name, precision), 1)
    torch_engine = TorchEngine(network, 1 / 127.5, -1.0, 1)
    error, both, total = 0.0, 0, 0
    for case in validation:
        pixels = resize(case.frame.pixels, SIZE)
        given, expected = engine(pixels), torch_engine(pixels)
        assert given.shape == expected.shape == (1, *SIZE) and given.dtype == np.float32
        error = max(error, float(np.abs(given - expected).max() / np.abs(expected).max()))
        both += 2 * int(((given > 0) & (expected > 0)).sum())
        total += int((given > 0).sum() + (expected > 0).sum())
    assert error <= LARGEST_ERROR[precision]
    assert both / total >= SMALLEST_DICE[precision]


@pytest.mark.parametrize(("format_name", "precision"), ALL)
def test_metadata_stands_in_the_file(exported, format_name: str, precision: str) -> None:
    from fetaledge_export.formats.registry import read_metadata

    metadata = read_metadata(model_file(exported.result.folder, format_name, precision))
    assert metadata["schema"] == "fetaledge/model/1"
    assert metadata["notice"] == "research software, not a medical device"
    assert (metadata["task"], metadata["classes"]) == ("head", ["background", "head"])
    assert metadata["variant"] == f"{format_name}-{precision}"
    assert (metadata["input"]["height"], metadata["input"]["width"]) == SIZE
    assert metadata["input"]["scale"] == 1 / 127.5 and metadata["input"]["offset"] == -1.0
    assert metadata["source"]["run"] == "tiny"


@pytest.mark.parametrize(("format_name", "precision"), ALL)
def test_no_file_names_a_folder_of_this_machine(exported, format_name: str, precision: str) -> None:
    folder = exported.result.folder
    here = [str(Path(__file__).parents[2]).encode(), str(folder.parent).encode(), b"site-packages"]
    for path in folder.glob(f"{format_name}-{precision}.*"):
        content = path.read_bytes()
        assert not [place for place in here if place in content]


@pytest.mark.parametrize("format_name", FORMATS)
def test_int8_is_int8(exported, format_name: str) -> None:
    """The files shrink as they should, and the graphs multiply in int8."""
    folder = exported.result.folder
    if format_name == "onnx":
        import onnx

        graph = onnx.load(model_file(folder, "onnx", "int8")).graph
        kinds = {initializer.data_type for initializer in graph.initializer}
        assert onnx.TensorProto.INT8 in kinds
        assert sum(node.op_type == "DequantizeLinear" for node in graph.node) > 10
    elif format_name == "openvino":
        import openvino

        model = openvino.Core().read_model(model_file(folder, "openvino", "int8"))
        assert sum(op.get_type_name() == "FakeQuantize" for op in model.get_ops()) >= 6
    else:
        model = tflite_file.read(model_file(folder, "tflite", "int8"))
        int8 = 9
        tensors = [tensor for tensor in model.subgraphs[0].tensors if tensor.type == int8]
        assert len(tensors) > 10


@pytest.mark.parametrize("precision", PRECISIONS)
def test_tflite_holds_no_transpose_and_nothing_foreign(exported, precision: str) -> None:
    counts = tflite_file.operations(tflite_file.read(model_file(exported.result.folder, "tflite", precision)))
    assert counts["TRANSPOSE"] == 0
    assert not [name for name in counts if name.startswith("CUSTOM")]
    assert counts["CONV_2D"] + counts["DEPTHWISE_CONV_2D"] == 7


def test_a_file_without_metadata_gives_none(exported, tmp_path: Path) -> None:
    import onnx

    from fetaledge_export.formats.registry import read_metadata

    model = onnx.load(model_file(exported.result.folder, "onnx", "fp32"))
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "bare.onnx")
    assert read_metadata(tmp_path / "bare.onnx") == {}


def test_another_ending_is_refused(tmp_path: Path) -> None:
    from fetaledge_export.formats.registry import read_metadata

    with pytest.raises(InputError, match="no model file"):
        read_metadata(tmp_path / "model.pt")
