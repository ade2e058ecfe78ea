"""The engine of the format ``linear``: one logit a pixel, linear in the grey values around it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from fetaledge_runtimes.engines.base import Engine
from fetaledge_runtimes.engines.loading import check_frame, loading
from fetaledge_runtimes.frames.frame import Image, Logits


class LinearEngine(Engine):
    """Runs a ``.linear`` file: a filter and a bias, as numpy arrays."""

    name: ClassVar[str] = "linear model"
    format: ClassVar[str] = "linear"
    suffix: ClassVar[str] = ".linear"
    distribution: ClassVar[str] = "disc-plugin"
    packages: ClassVar[tuple[str, ...]] = ("disc_plugin",)
    oldest: ClassVar[str] = "0.1.0"
    colour: ClassVar[str] = "#CC79A7"

    def __init__(self, path: Path, threads: int) -> None:
        self.version = "0.1.0"
        self._path = path
        with loading(path, self.name), path.open("rb") as stream:
            model = np.load(stream, allow_pickle=False)
            self._filter = model["filter"].astype(np.float32)
            self._bias = float(model["bias"])
            self._size = (int(model["size"][0]), int(model["size"][1]))

    def __call__(self, pixels: Image) -> Logits:
        check_frame(self._path, pixels.shape, self._size)
        logits = cv2.filter2D(pixels.astype(np.float32), cv2.CV_32F, self._filter, borderType=cv2.BORDER_REPLICATE)
        return (logits + self._bias)[None].astype(np.float32)
