"""Multiply-adds of a bundle's network for one frame, from a model file's own graph; no engine is run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from fetaledge_runtimes.bundle import Bundle

Shape = Sequence[int]
PRECISIONS = ("fp32", "fp16", "int8")


@dataclass(frozen=True)
class MultiplyAdds:
    """``count`` of convolutions and matrix products, and the ``file`` it was read from."""

    count: int
    file: str


def multiply_adds(bundle: Bundle) -> MultiplyAdds | None:
    """What one frame costs in every variant: they are one network. The first file that can be read is counted.

    An OpenVINO file is read as it is (XML), an ONNX file where the package onnx is installed, LiteRT's not at all. None
    where the bundle holds no file that can be read, or one with a shape that is not fixed.
    """
    readers: tuple[tuple[str, Callable[[Path], int | None]], ...] = (("openvino", of_openvino), ("onnx", of_onnx))
    for kind, read in readers:
        variants = [variant for variant in bundle.manifest.variants if variant.format == kind]
        for variant in sorted(variants, key=lambda found: PRECISIONS.index(found.precision)):
            path = bundle.model_path(variant)
            count = read(path)
            if count:
                return MultiplyAdds(count, path.name)
    return None


def convolution(weights: Shape, output: Shape) -> int:
    """Each output value takes one product a weight of its filter: ``weights`` (out, in a group, kernel …)."""
    return math.prod(output) * math.prod(weights[1:])


def transposed(weights: Shape, source: Shape) -> int:
    """Each input value meets one weight a place and output channel: ``weights`` (in, out a group, kernel …)."""
    return math.prod(source) * math.prod(weights[1:])


def matrix_product(left: Shape, output: Shape, transposed_left: bool = False) -> int:
    """Each output value takes a product a column of ``left``."""
    return math.prod(output) * left[-2 if transposed_left else -1]


def of_openvino(path: Path) -> int | None:
    """From the shapes that OpenVINO's XML states at every port; None where one is not fixed."""
    try:
        layers = ElementTree.parse(path).getroot().iterfind("layers/layer")
        return sum(_openvino_layer(layer) for layer in layers)
    except (ElementTree.ParseError, ValueError, IndexError):
        return None


def _openvino_layer(layer: ElementTree.Element) -> int:
    kind = layer.get("type", "")
    grouped = kind.startswith("Group")
    if kind.removeprefix("Group") not in ("Convolution", "ConvolutionBackpropData", "MatMul"):
        return 0
    taken, given = (
        [[int(side.text or "") for side in port.iterfind("dim")] for port in layer.iterfind(f"{side}/port")]
        for side in ("input", "output")
    )
    if any(side < 0 for shape in (*taken, *given) for side in shape):
        raise ValueError("a shape is not fixed")
    if kind == "MatMul":
        data = layer.find("data")
        return matrix_product(taken[0], given[0], data is not None and data.get("transpose_a") == "true")
    weights = taken[1][1:] if grouped else taken[1]
    return transposed(weights, taken[0]) if kind.endswith("BackpropData") else convolution(weights, given[0])


def of_onnx(path: Path) -> int | None:
    """From the shapes that onnx infers; None without that package, or where one is not fixed."""
    try:
        import onnx
    except ImportError:
        return None
    graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    shapes: dict[str, list[int]] = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        shapes[value.name] = [side.dim_value for side in value.type.tensor_type.shape.dim]
    try:
        return sum(_onnx_node(node, shapes) for node in graph.node)
    except (KeyError, IndexError, ValueError):
        return None


def _onnx_node(node: Any, shapes: Mapping[str, list[int]]) -> int:
    if node.op_type not in ("Conv", "ConvTranspose", "MatMul", "Gemm"):
        return 0
    source, weights, output = (shapes[name] for name in (node.input[0], node.input[1], node.output[0]))
    if not all((*source, *weights, *output)):
        raise ValueError("a shape is not fixed")
    if node.op_type == "Conv":
        return convolution(weights, output)
    if node.op_type == "ConvTranspose":
        return transposed(weights, source)
    flipped = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return matrix_product(source, output, flipped)
