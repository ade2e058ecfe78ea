"""Importing torchvision where its compiled part cannot load beside a CPU torch."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

_library: Any = None


def make_torchvision_importable() -> None:
    """Declare the two operators whose absence makes ``import torchvision`` fail, where its compiled part cannot load.

    Call it before the first import of segmentation_models_pytorch, timm or transformers. The operators stay without an
    implementation; nothing here calls them. Where torchvision loads by itself, nothing is done.
    """
    global _library
    if _library is not None:
        return
    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return
    try:
        for compiled in Path(spec.origin).parent.glob("_C*.so"):
            torch.ops.load_library(str(compiled))  # type: ignore[no-untyped-call]
            return
    except OSError:
        pass
    _library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        _library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
