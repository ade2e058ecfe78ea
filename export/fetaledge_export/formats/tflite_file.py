"""What a TFLite file holds, read and changed as objects of the TFLite schema."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

Model = Any
"""``ai_edge_litert.schema_py_generated.ModelT``: generated code without types."""

CONVOLUTIONS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}
"""Operations with weights and bias, and the axis of the output channels in their weights."""

DEAD = 2.0**-16


def read(path: Path) -> Model:
    from ai_edge_litert.tools import flatbuffer_utils

    return flatbuffer_utils.read_model_from_bytearray(bytearray(path.read_bytes()))


def write(model: Model, path: Path) -> None:
    from ai_edge_litert.tools import flatbuffer_utils

    path.write_bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def operation_name(model: Model, operator: Any) -> str:
    """As the schema names it; ``CUSTOM:NAME`` for one that TFLite itself lacks (TensorFlow's Flex among them)."""
    from ai_edge_litert.tools import flatbuffer_utils

    code = model.operatorCodes[operator.opcodeIndex]
    if code.customCode:
        return f"CUSTOM:{code.customCode.decode()}"
    return str(flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex))


def operations(model: Model) -> Counter[str]:
    """How often each operation occurs."""
    return Counter(operation_name(model, operator) for graph in model.subgraphs for operator in graph.operators)


def set_metadata(model: Model, name: str, content: bytes) -> None:
    """Add ``content`` under ``name`` as TFLite metadata (an entry and a buffer of its own)."""
    from ai_edge_litert import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = np.frombuffer(content, np.uint8)
    entry = schema.MetadataT()
    entry.name = name
    entry.buffer = len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]


def get_metadata(model: Model, name: str) -> bytes | None:
    for entry in model.metadata or []:
        if entry.name == name.encode():
            return bytes(model.buffers[entry.buffer].data)
    return None


def lift_dead_channels(model: Model) -> int:
    """Make every convolution's bias representable in int32; returns how many channels that took.

    A channel whose weights are all but zero (ImageNet MobileNetV2 has several) is its bias alone. Quantised per
    channel, its weights' scale is then so fine that the bias, counted in units of it, leaves int32's range and comes
    out with the wrong sign. Here the channel's first weight is raised to 2⁻¹⁶ of the bias: far below one int8 step.
    """
    lifted = 0
    for graph in model.subgraphs:
        for operator in graph.operators:
            axis = CONVOLUTIONS.get(operation_name(model, operator))
            if axis is None or len(operator.inputs) < 3 or operator.inputs[2] < 0:
                continue
            weights, bias = (graph.tensors[operator.inputs[i]] for i in (1, 2))
            w = np.frombuffer(bytes(model.buffers[weights.buffer].data), np.float32).reshape(weights.shape).copy()
            b = np.frombuffer(bytes(model.buffers[bias.buffer].data), np.float32)
            by_channel = np.moveaxis(w, axis, 0).reshape(len(b), -1)
            floor = np.abs(b) * DEAD
            dead = np.flatnonzero(np.abs(by_channel).max(1) < floor)
            for channel in dead:
                np.moveaxis(w, axis, 0)[(channel, 0, 0, 0)] = floor[channel]
            if len(dead):
                model.buffers[weights.buffer].data = np.frombuffer(w.tobytes(), np.uint8)
                lifted += len(dead)
    return lifted
