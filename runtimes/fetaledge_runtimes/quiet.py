"""The one place that turns off what engines and tools would send home, write under the home folder, or print.

Call :func:`quiet` before any engine or converter is imported; importing ``fetaledge_runtimes`` does it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

ENVIRONMENT = {
    "ORT_DISABLE_TELEMETRY": "1",
    "NNCF_CI": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "GLOG_minloglevel": "3",
}


def quiet() -> None:
    """Set the variables of :data:`ENVIRONMENT` for this process and its children; bar OpenVINO's telemetry package.

    Matplotlib keeps its list of fonts in the folder for temporary files.

    No variable turns that package off: importing openvino writes an identifier under the home folder and sends an
    event. Where the package cannot be imported, openvino and nncf use their own empty stand-ins.
    """
    os.environ.update(ENVIRONMENT)
    os.environ.setdefault("MPLCONFIGDIR", str(Path(tempfile.gettempdir()) / f"fetaledge-matplotlib-{os.getuid()}"))
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
