"""LiteRT (TensorFlow Lite) on the CPU, with XNNPACK."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np

from fetaledge_runtimes.engines.base import Engine
from fetaledge_runtimes.engines.loading import check_frame, check_input, check_output, load_package, loading
from fetaledge_runtimes.frames.frame import Image, Logits


class LiteRtEngine(Engine):
    """Runs a ``.tflite`` file: input ``uint8 (1, H, W, 1)``, output ``float32 (1, h, w, C)``.

    ai-edge-litert is used where it is installed, else its predecessor tflite-runtime, which ``version`` then names:
    the two differ in int8 masks and in speed.
    """

    name: ClassVar[str] = "LiteRT"
    format: ClassVar[str] = "tflite"
    suffix: ClassVar[str] = ".tflite"
    distribution: ClassVar[str] = "ai-edge-litert"
    packages: ClassVar[tuple[str, ...]] = ("ai_edge_litert", "tflite_runtime")
    oldest: ClassVar[str] = "1.4.0"
    colour: ClassVar[str] = "#009E73"
    rank: ClassVar[int] = 2

    def __init__(self, path: Path, threads: int) -> None:
        package = next((p for p in self.packages if find_spec(p) is not None), self.packages[0])
        interpreter = load_package(f"{package}.interpreter", self.name, self.distribution)
        number = version(package.replace("_", "-"))
        self.version = number if package == self.packages[0] else f"{number} (tflite-runtime)"
        self._path = path
        with loading(path, self.name):
            self._interpreter = interpreter.Interpreter(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
            (taken,), (given,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self._size = check_input(path, np.dtype(taken["dtype"]).name, taken["shape"].tolist(), channel_last=True)
        check_output(path, np.dtype(given["dtype"]).name, given["shape"].tolist())
        self._input, self._output = taken["index"], given["index"]

    def __call__(self, pixels: Image) -> Logits:
        check_frame(self._path, pixels.shape, self._size)
        self._interpreter.set_tensor(self._input, pixels[None, :, :, None])
        self._interpreter.invoke()
        logits = self._interpreter.get_tensor(self._output)  # a copy, not the interpreter's own memory
        return np.ascontiguousarray(logits[0].transpose(2, 0, 1), dtype=np.float32)
