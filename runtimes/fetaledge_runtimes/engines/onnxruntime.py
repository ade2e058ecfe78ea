"""ONNX Runtime on the CPU."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

import numpy as np

from fetaledge_runtimes.engines.base import Engine
from fetaledge_runtimes.engines.loading import check_frame, check_input, check_output, load_package, loading
from fetaledge_runtimes.frames.frame import Image, Logits

DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}


class OnnxRuntimeEngine(Engine):
    """Runs an ``.onnx`` file: input ``uint8 (1, 1, H, W)``, output ``float32 (1, C, h, w)``."""

    name: ClassVar[str] = "ONNX Runtime"
    format: ClassVar[str] = "onnx"
    suffix: ClassVar[str] = ".onnx"
    distribution: ClassVar[str] = "onnxruntime"
    packages: ClassVar[tuple[str, ...]] = ("onnxruntime",)
    oldest: ClassVar[str] = "1.20.1"
    colour: ClassVar[str] = "#0072B2"
    rank: ClassVar[int] = 3

    def __init__(self, path: Path, threads: int) -> None:
        ort = load_package("onnxruntime", self.name, self.distribution)
        self.version = version("onnxruntime")
        self._path = path
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3
        # Threads may spin within a run, never after it: pre- and post-processing need the cores.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        with loading(path, self.name):
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            (taken,), (given,) = self._session.get_inputs(), self._session.get_outputs()
        self._size = check_input(path, DTYPES.get(taken.type, taken.type), taken.shape)
        check_output(path, DTYPES.get(given.type, given.type), given.shape)
        self._input, self._output = taken.name, given.name

    def __call__(self, pixels: Image) -> Logits:
        check_frame(self._path, pixels.shape, self._size)
        (logits,) = self._session.run([self._output], {self._input: pixels[None, None]})
        return np.ascontiguousarray(logits[0], dtype=np.float32)
