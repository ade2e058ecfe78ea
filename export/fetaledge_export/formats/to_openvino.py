"""OpenVINO: from the ONNX file; int8 by NNCF's post-training quantisation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

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
from fetaledge_export.formats.to_onnx import ONNX
from fetaledge_runtimes.frames.frame import Image

_NO_OPERATION = ("Constant", "Parameter", "Result")


class OpenVinoFormat(Format):
    """``.xml`` files with their ``.bin`` for OpenVINO."""

    name: ClassVar[str] = "openvino"
    int8_of_transformers: ClassVar[str | None] = "int8 of the encoder, static"

    def convert(self, model: nn.Module, size: tuple[int, int], folder: Path, transformer: bool) -> Path:
        """The ONNX file; OpenVINO reads it itself. Input uint8 (1, 1, H, W), output float32 (1, C, h, w)."""
        return ONNX.convert(model, size, folder, transformer)

    def write(
        self,
        base: Path,
        path: Path,
        precision: str,
        calibration: Sequence[Image],
        metadata: Metadata,
        transformer: bool,
    ) -> tuple[Path, ...]:
        """Writes ``path`` and its weights beside it, ``.bin``; fp16 is the storage of the weights, computed in fp32."""
        import openvino

        model = openvino.convert_model(base)
        if precision == "int8":
            import nncf
            from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters

            frames = nncf.Dataset([pixels[None, None] for pixels in calibration])
            model = nncf.quantize(
                model,
                frames,
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(calibration),
                model_type=nncf.ModelType.TRANSFORMER if transformer else None,
                ignored_scope=nncf.IgnoredScope(
                    names=_outside_the_encoder(model) if transformer else _float_nodes(model)
                ),
                # On tens of frames the correction moves the border by more than the quantisation does.
                advanced_parameters=AdvancedQuantizationParameters(disable_bias_correction=True),
            )
        for key in list(model.rt_info):
            del model.rt_info[key]
        model.set_rt_info(encode(metadata), METADATA_KEY)
        openvino.save_model(model, path, compress_to_fp16=precision == "fp16")
        return path, path.with_suffix(".bin")

    def read_metadata(self, path: Path) -> dict[str, Any]:
        import openvino

        model = openvino.Core().read_model(path)
        if not model.has_rt_info(METADATA_KEY):
            return {}
        return decode(model.get_rt_info(METADATA_KEY).astype(str))


OPENVINO = OpenVinoFormat()


def _float_nodes(model: Any) -> list[str]:
    names = [
        node.get_friendly_name()
        for node in model.get_ordered_ops()
        if node.get_type_name() in ("Convolution", "GroupConvolution")
    ]
    return names[: float_convolutions(len(names))]


def _outside_the_encoder(model: Any) -> list[str]:
    """Every operation of the mask decoder, and the first scaling; those that NNCF would not quantise do no harm."""
    names = [node.get_friendly_name() for node in model.get_ordered_ops() if node.get_type_name() not in _NO_OPERATION]
    return [name for name in names if not name.startswith(ENCODER_SCOPE)]
