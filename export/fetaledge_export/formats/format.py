"""A model format. A new one is one file here (or in a package of its own) and an engine in the runtimes.

It is registered under the entry point group ``fetaledge.formats``, by its engine's name.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

from torch import nn

from fetaledge_runtimes.errors import FetalEdgeError
from fetaledge_runtimes.frames.frame import Image

PRECISIONS = ("int8", "fp32", "fp16")
METADATA_KEY = "fetaledge"

Metadata = Mapping[str, Any]


class ConversionError(FetalEdgeError):
    """A converter gave a file that no device should get; the variant is left out of the bundle."""


class Format(ABC):
    """How a network becomes model files of one format, which an engine of the same name runs.

    Attributes:
        name: of the format; the first part of a variant's name. Its engine says the files' suffix.
        precisions: that it can store.
        exact: whether its fp32 computes what the network computes, up to rounding, which is then checked at the
            logits. A format that approximates the network is judged by the gate alone.
        int8_of_transformers: what int8 means for a network of linear layers; None where it means the same.
    """

    name: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]] = PRECISIONS
    exact: ClassVar[bool] = True
    int8_of_transformers: ClassVar[str | None] = None

    @abstractmethod
    def convert(self, model: nn.Module, size: tuple[int, int], folder: Path, transformer: bool) -> Path:
        """The model in fp32, without metadata, as a file of ``folder``; a file that stands there already is taken.

        ``model`` takes ``uint8 (1, 1, height, width)``; ``size`` = (height, width).
        """

    @abstractmethod
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

    @abstractmethod
    def read_metadata(self, path: Path) -> dict[str, Any]:
        """What :meth:`write` embedded; empty where there is none."""


ENCODER_SCOPE = "encoder/"
"""How names of operations of the image encoder begin in converted ONNX and OpenVINO graphs."""


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
