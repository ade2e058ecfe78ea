"""OpenVINO on the CPU."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from fetaledge_runtimes.engines.base import Engine
from fetaledge_runtimes.engines.loading import check_frame, check_input, check_output, load_package, loading
from fetaledge_runtimes.frames.frame import Image, Logits


class OpenVinoEngine(Engine):
    """Runs an ``.xml`` with its ``.bin`` beside it: input ``uint8 (1, 1, H, W)``, output ``float32 (1, C, h, w)``.

    What is not quantised is computed in float32: without the hint a CPU that has bf16 would use that, silently. The
    hint leaves int8 kernels alone.

    Attributes:
        request: OpenVINO's own, of the compiled model.
    """

    name: ClassVar[str] = "OpenVINO"
    format: ClassVar[str] = "openvino"
    suffix: ClassVar[str] = ".xml"
    distribution: ClassVar[str] = "openvino"
    packages: ClassVar[tuple[str, ...]] = ("openvino",)
    oldest: ClassVar[str] = "2024.6.0"
    colour: ClassVar[str] = "#D55E00"
    rank: ClassVar[int] = 1

    def __init__(self, path: Path, threads: int) -> None:
        load_package("openvino", self.name, self.distribution)
        self.version = version("openvino")
        self._path = path
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        with loading(path, self.name):
            compiled = _core().compile_model(str(path), "CPU", settings)
            (taken,), (given,) = compiled.inputs, compiled.outputs
        self._size = check_input(path, _dtype(taken.element_type), _shape(taken.partial_shape))
        check_output(path, _dtype(given.element_type), _shape(given.partial_shape))
        self.request = compiled.create_infer_request()

    def __call__(self, pixels: Image) -> Logits:
        check_frame(self._path, pixels.shape, self._size)
        results = self.request.infer([pixels[None, None]], share_inputs=True)
        return np.ascontiguousarray(results[0][0], dtype=np.float32)


@cache
def _core() -> Any:
    """One for the process, never closed.

    Its CPU plug-in takes over the thread's alternate signal stack and hands back the one that it found. Of two that do
    not close in reverse order the second hands back freed memory, and the next signal that Python handles (Ctrl-C, a
    child's end) is a segmentation fault.
    """
    import openvino

    return openvino.Core()


def _dtype(element_type: object) -> str:
    name: str = element_type.to_dtype().name  # type: ignore[attr-defined]
    return name


def _shape(partial_shape: object) -> list[object]:
    if not partial_shape.is_static:  # type: ignore[attr-defined]
        return [str(partial_shape)]
    return [dimension.get_length() for dimension in partial_shape]  # type: ignore[attr-defined]
