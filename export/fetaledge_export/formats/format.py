"""The model formats. A new one is one file here, one line in :data:`FORMATS`, and an engine in the runtimes."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from torch import nn

from fetaledge_runtimes.errors import FetalEdgeError, InputError
from fetaledge_runtimes.frames.frame import Image

PRECISIONS = ("int8", "fp32", "fp16")
FORMATS = {
    "openvino": "fetaledge_export.formats.to_openvino",
    "tflite": "fetaledge_export.formats.to_tflite",
    "onnx": "fetaledge_export.formats.to_onnx",
}
METADATA_KEY = "fetaledge"

Metadata = Mapping[str, Any]


class ConversionError(FetalEdgeError):
    """A converter gave a file that no device should get; the variant is left out of the bundle."""


class Format(Protocol):
    """What a format's module holds."""

    SUFFIX: str
    ENGINE_OLDEST: str

    def convert(self, model: nn.Module, size: tuple[int, int], folder: Path, transformer: bool) -> Path:
        """The model in fp32, without metadata, as a file of ``folder``.

        ``model`` takes ``uint8 (1, 1, height, width)``; ``size`` = (height, width).
        """
        ...

    def write(
        self,
        base: Path,
        path: Path,
        precision: str,
        calibration: Sequence[Image],
        metadata: Metadata,
        transformer: bool,
    ) -> tuple[Path, ...]:
        """Write one variant from :meth:`convert`'s file; the files written, the model file first.

        ``calibration``: frames ``uint8 (H, W)`` at the network's size; used by ``int8`` alone, and of that only where
        ranges are fixed beforehand. ``transformer``: :attr:`fetaledge_export.device_model.DeviceModel.transformer`.
        """
        ...

    def read_metadata(self, path: Path) -> dict[str, Any]:
        """What :meth:`write` embedded; empty where there is none."""
        ...


def format_module(name: str) -> Format:
    """The module of a format; importing it does not import its converter."""
    return cast(Format, importlib.import_module(FORMATS[name]))


ENCODER_SCOPE = "encoder/"
"""How names of operations of the image encoder begin in converted ONNX and OpenVINO graphs."""
INT8_OF_TRANSFORMERS = {
    "onnx": "int8 of the encoder's linear layers, dynamic",
    "openvino": "int8 of the encoder, static",
    "tflite": "int8 of the encoder's linear layers, dynamic (static int8 of attention is unusable in LiteRT)",
}
"""What int8 means for a network of linear layers, whose mask decoder stays in float."""


def float_convolutions(convolutions: int) -> int:
    """How many of a network's first convolutions int8 leaves in float: three, but at most an eighth of all.

    In MobileNetV2 these are the stem, the first depthwise convolution and its projection: 0.5 % of the multiply-adds,
    and by their channels' unequal ranges most of what int8 moves the border by.
    """
    return min(3, convolutions // 8)


def encode(metadata: Metadata) -> str:
    return json.dumps(metadata, sort_keys=True, ensure_ascii=True, allow_nan=False)


def decode(text: str | bytes | None) -> dict[str, Any]:
    document = json.loads(text) if text else {}
    return cast(dict[str, Any], document)


def read_metadata(path: Path) -> dict[str, Any]:
    """What export embedded in a model file: task, classes, input, source run, notice; empty for a stranger's file.

    Raises:
        InputError: the file's ending is none that export writes.
    """
    for name in FORMATS:
        module = format_module(name)
        if path.suffix == module.SUFFIX:
            return module.read_metadata(path)
    endings = ", ".join(format_module(name).SUFFIX for name in FORMATS)
    raise InputError(f"{path} is no model file that export writes", f"pass a file that ends in {endings}")
