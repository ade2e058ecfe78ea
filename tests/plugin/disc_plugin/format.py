"""The format ``linear``: the linear model nearest to a network, fitted on phantoms."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from torch import nn

from disc_plugin.phantom import DISC_PHANTOM
from fetaledge_export.formats.format import Format, Metadata
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.preprocess import resize

FRAMES = 16
SIDE = 5
CLIP = 2.0
"""A logit's size beyond which only its sign matters to the fit."""


class LinearFormat(Format):
    """``.linear`` files: an ``.npz`` of a filter, a bias and the size, with the metadata as JSON."""

    name: ClassVar[str] = "linear"
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)
    exact: ClassVar[bool] = False

    def convert(self, model: nn.Module, size: tuple[int, int], folder: Path, transformer: bool) -> Path:
        """Least squares from each pixel's neighbourhood to the network's clipped logits."""
        path = folder / "base.linear"
        rows, targets = [], []
        for seed in range(FRAMES):
            pixels = resize(DISC_PHANTOM.labelled(seed).frame.pixels, size)
            with torch.inference_mode():
                logits = model(torch.from_numpy(pixels)[None, None])[0, 0].numpy()
            mean = cv2.blur(pixels.astype(np.float32), (SIDE, SIDE), borderType=cv2.BORDER_REPLICATE)
            rows.append(np.stack([mean.ravel(), np.ones(mean.size)], axis=1))
            targets.append(np.clip(logits, -CLIP, CLIP).ravel())
        (slope, bias), *_ = np.linalg.lstsq(np.concatenate(rows), np.concatenate(targets), rcond=None)
        _save(path, np.full((SIDE, SIDE), slope / SIDE**2), bias, size, "{}")
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
        with base.open("rb") as stream:
            model = np.load(stream, allow_pickle=False)
            _save(path, model["filter"], model["bias"], model["size"], json.dumps(metadata))
        return (path,)

    def read_metadata(self, path: Path) -> dict[str, Any]:
        with path.open("rb") as stream:
            found: dict[str, Any] = json.loads(str(np.load(stream, allow_pickle=False)["metadata"]))
        return found


def _save(path: Path, kernel: Any, bias: Any, size: Any, metadata: str) -> None:
    with path.open("wb") as stream:
        np.savez(stream, filter=kernel, bias=bias, size=np.array(size), metadata=np.array(metadata))


LINEAR = LinearFormat()
