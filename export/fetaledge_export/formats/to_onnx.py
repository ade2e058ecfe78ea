"""ONNX: through torch.onnx's dynamo exporter; int8 by ONNX Runtime, static in QDQ form, dynamic for transformers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from fetaledge_export.formats.format import (
    ENCODER_SCOPE,
    METADATA_KEY,
    Format,
    Metadata,
    decode,
    encode,
    float_convolutions,
)
from fetaledge_runtimes.frames.frame import Image

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

OPSET = 18
INPUT, OUTPUT = "frame", "logits"


class OnnxFormat(Format):
    """``.onnx`` files for ONNX Runtime."""

    name: ClassVar[str] = "onnx"
    int8_of_transformers: ClassVar[str | None] = "int8 of the encoder's linear layers, dynamic"

    def convert(self, model: nn.Module, size: tuple[int, int], folder: Path, transformer: bool) -> Path:
        """Input ``frame`` uint8 (1, 1, H, W), output ``logits`` float32 (1, C, h, w)."""
        import onnx

        path = folder / "base.onnx"
        if path.is_file():
            return path
        frame = torch.zeros((1, 1, *size), dtype=torch.uint8)
        program = torch.onnx.export(
            model,
            (frame,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            verbose=False,
        )
        assert program is not None
        graph: ModelProto = program.model_proto
        _strip(graph)
        onnx.checker.check_model(graph, full_check=True)
        onnx.save(graph, path)
        return path

    def write(
        self,
        base: Path,
        path: Path,
        precision: str,
        calibration: Sequence[Image],
        metadata: Metadata,
        transformer: bool,
    ) -> tuple[Path, ...]:
        import onnx

        if precision == "int8":
            graph = _quantised_dynamic(base, path) if transformer else _quantised(base, path, calibration)
        elif precision == "fp16":
            graph = onnx.load(base)
            _store_half(graph)
        else:
            graph = onnx.load(base)
        onnx.helper.set_model_props(graph, {METADATA_KEY: encode(metadata)})
        onnx.checker.check_model(graph)
        onnx.save(graph, path)
        return (path,)

    def read_metadata(self, path: Path) -> dict[str, Any]:
        import onnx

        graph = onnx.load(path, load_external_data=False)
        return decode({p.key: p.value for p in graph.metadata_props}.get(METADATA_KEY))


ONNX = OnnxFormat()


def _quantised(base: Path, path: Path, calibration: Sequence[Image]) -> ModelProto:
    """Convolutions with unsigned activations and signed weights per channel: what CPUs with VNNI multiply fastest.

    What stands before the first quantised convolution, the intensity scale among it, stays in float.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.frames: Iterator[Image] = iter(calibration)

        def get_next(self) -> dict[str, Any] | None:
            pixels = next(self.frames, None)
            return None if pixels is None else {INPUT: pixels[None, None]}

    graph = onnx.load(base).graph
    quantize_static(
        base,
        path,
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=_float_nodes(graph),
    )
    return onnx.load(path)


def _quantised_dynamic(base: Path, path: Path) -> ModelProto:
    """The image encoder's products with weights, these per channel; each call scales the activations by their range."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    wanted = [node.name for node in onnx.load(base).graph.node if node.name.startswith(ENCODER_SCOPE)]
    quantize_dynamic(
        base,
        path,
        op_types_to_quantize=["MatMul", "Gemm"],
        nodes_to_quantize=wanted,
        per_channel=True,
        weight_type=QuantType.QInt8,
    )
    return onnx.load(path)


def _float_nodes(graph: GraphProto) -> list[str]:
    convolutions = [number for number, node in enumerate(graph.node) if node.op_type == "Conv"]
    first_quantised = convolutions[float_convolutions(len(convolutions))]
    return [node.name for node in graph.node[:first_quantised]]


def _store_half(graph: ModelProto) -> None:
    """Store the weights in fp16, each with a Cast back to fp32, which the runtime folds when it loads the file.

    CPUs gain nothing from computing in fp16 here, so it is the storage alone, as in OpenVINO's and TFLite's fp16 files.
    """
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in graph.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            name = tensor.name
            half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"{name}_half")
            tensor.CopyFrom(half)
            casts.append(helper.make_node("Cast", [f"{name}_half"], [name], f"{name}_cast", to=TensorProto.FLOAT))
    nodes = [*casts, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)


def _strip(graph: ModelProto) -> None:
    """Drop what the exporter notes beside each node: module names and source lines, with this machine's paths.

    That a node is the image encoder's its name says from then on.
    """
    graph.doc_string = ""
    inner = graph.graph
    for node in inner.node:
        if any("/encoder: " in note.value for note in node.metadata_props if note.key == "namespace"):
            node.name = ENCODER_SCOPE + node.name
    for part in [inner, *inner.node, *inner.value_info, *inner.input, *inner.output, *inner.initializer]:
        part.doc_string = ""
        del part.metadata_props[:]
    del graph.metadata_props[:]
    del graph.functions[:]
