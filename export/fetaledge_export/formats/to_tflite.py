"""TFLite: through litert-torch, channels last; int8 and fp16 by ai-edge-quantizer. The file itself: flatbuffer.py."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from fetaledge_export.device_model import Encoder
from fetaledge_export.formats import tflite_file
from fetaledge_export.formats.format import (
    METADATA_KEY,
    ConversionError,
    Format,
    Metadata,
    decode,
    encode,
    float_convolutions,
)
from fetaledge_runtimes.frames.frame import Image

# How a tensor's name says that the image encoder made it.
ENCODER = rf".*{re.escape(f'{Encoder.__module__}.{Encoder.__qualname__}_encoder/')}.*"
SIGNATURE, INPUT = "serving_default", "args_0"
MOVE_AXES = (nn.GroupNorm, nn.LayerNorm, nn.MultiheadAttention, nn.Softmax)
"""Layers of attention, and norms over groups of channels: in channel-last order they need a TRANSPOSE."""


class TfliteFormat(Format):
    """``.tflite`` files for LiteRT."""

    name: ClassVar[str] = "tflite"
    int8_of_transformers: ClassVar[str | None] = (
        "int8 of the encoder's linear layers, dynamic (static int8 of attention is unusable in LiteRT)"
    )

    def convert(self, model: nn.Module, size: tuple[int, int], folder: Path, transformer: bool) -> Path:
        """Input uint8 (1, H, W, 1), output float32 (1, h, w, C).

        Raises:
            ConversionError: the graph holds an operation that TFLite itself lacks, or a TRANSPOSE (which costs speed)
                though the network has none of the layers that cannot do without (:data:`MOVE_AXES`).
        """
        path = folder / "base.tflite"
        if path.is_file():
            return path
        frame = torch.zeros((1, *size, 1), dtype=torch.uint8)
        import litert_torch

        channel_last = litert_torch.to_channel_last_io(model, args=[0], outputs=[0]).eval()
        litert_torch.convert(channel_last, (frame,)).export(str(path))
        try:
            _check(path, transformer or any(isinstance(part, MOVE_AXES) for part in model.modules()))
        except ConversionError:
            path.unlink()
            raise
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
        if precision == "fp32":
            model = tflite_file.read(base)
        else:
            source = path.with_suffix(".source")
            quantised = path.with_suffix(".quantised")
            try:
                model = tflite_file.read(base)
                if precision == "int8" and not transformer:
                    tflite_file.lift_dead_channels(model)
                tflite_file.write(model, source)
                _quantise(source, quantised, precision, calibration, transformer)
                model = tflite_file.read(quantised)
            finally:
                source.unlink(missing_ok=True)
                quantised.unlink(missing_ok=True)
        tflite_file.set_metadata(model, METADATA_KEY, encode(metadata).encode())
        tflite_file.write(model, path)
        return (path,)

    def read_metadata(self, path: Path) -> dict[str, Any]:
        return decode(tflite_file.get_metadata(tflite_file.read(path), METADATA_KEY))


TFLITE = TfliteFormat()


def _quantise(source: Path, path: Path, precision: str, calibration: Sequence[Image], transformer: bool) -> None:
    from ai_edge_quantizer import qtyping, quantizer, recipe
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    operation = qtyping.TFLOperationName
    maker = quantizer.Quantizer(str(source))
    if precision == "fp16":
        maker.update_quantization_recipe(
            regex=".*",
            operation_name=operation.ALL_SUPPORTED,
            op_config=qtyping.OpQuantizationConfig(
                weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
                compute_precision=qtyping.ComputePrecision.FLOAT,
                explicit_dequantize=True,
            ),
            algorithm_key=AlgorithmName.FLOAT_CASTING,
        )
        maker.quantize().export_model(str(path))
        return
    if transformer:
        # Of the other operations BATCH_MATMUL gives NaN, and static ranges lose a quarter of the mask.
        maker.add_dynamic_config(regex=ENCODER, operation_name=operation.FULLY_CONNECTED, num_bits=8)
        maker.quantize().export_model(str(path))
        return
    maker.load_quantization_recipe(recipe.static_wi8_ai8())
    maker.update_quantization_recipe(
        regex=".*", operation_name=operation.OUTPUT, algorithm_key=AlgorithmName.NO_QUANTIZE
    )
    for scope in _float_scopes(tflite_file.read(source)):
        maker.update_quantization_recipe(
            regex=re.escape(scope), operation_name=operation.ALL_SUPPORTED, algorithm_key=AlgorithmName.NO_QUANTIZE
        )
    ranges = maker.calibrate({SIGNATURE: [{INPUT: pixels[None, :, :, None]} for pixels in calibration]}, num_threads=1)
    maker.quantize(ranges).export_model(str(path))


def _float_scopes(model: tflite_file.Model) -> list[str]:
    """The quantiser's names of the operations before the first quantised convolution: their outputs' names."""
    graph = model.subgraphs[0]
    names = [tflite_file.operation_name(model, operator) for operator in graph.operators]
    convolutions = [number for number, name in enumerate(names) if name in tflite_file.CONVOLUTIONS]
    first_quantised = convolutions[float_convolutions(len(convolutions))]
    return [graph.tensors[operator.outputs[0]].name.decode() for operator in graph.operators[:first_quantised]]


def _check(path: Path, moves_axes: bool) -> None:
    counts = tflite_file.operations(tflite_file.read(path))
    if counts["TRANSPOSE"] and not moves_axes:
        raise ConversionError(f"the TFLite graph holds {counts['TRANSPOSE']} TRANSPOSE operations", "use other layers")
    foreign = sorted(name for name in counts if name.startswith("CUSTOM"))
    if foreign:
        raise ConversionError(f"the TFLite graph needs what TFLite lacks: {', '.join(foreign)}", "use other layers")
