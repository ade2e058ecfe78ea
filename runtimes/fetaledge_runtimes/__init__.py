"""fetaledge on the device: frames, engines, tasks, scores, self-test. Research software, not a medical device.

bundle = Bundle.open("head-unet/")
predictor = Predictor(bundle, variant="tflite-int8", threads=2)
for frame in read_frames("cine.dcm"):
    prediction = predictor(frame)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fetaledge_runtimes.bundle import Bundle as Bundle
    from fetaledge_runtimes.errors import FetalEdgeError as FetalEdgeError
    from fetaledge_runtimes.frames.frame import Frame as Frame
    from fetaledge_runtimes.frames.read import read_frames as read_frames
    from fetaledge_runtimes.predictor import Prediction as Prediction
    from fetaledge_runtimes.predictor import Predictor as Predictor
    from fetaledge_runtimes.tasks.task import Measured as Measured
    from fetaledge_runtimes.tasks.task import Task as Task

__version__ = "0.1.0"
__all__ = ["Bundle", "FetalEdgeError", "Frame", "Measured", "Prediction", "Predictor", "Task", "read_frames"]

_HOMES = {
    "Bundle": "bundle",
    "FetalEdgeError": "errors",
    "Frame": "frames.frame",
    "Measured": "tasks.task",
    "Prediction": "predictor",
    "Predictor": "predictor",
    "Task": "tasks.task",
    "read_frames": "frames.read",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that ``fetaledge --help`` does not load OpenCV."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
