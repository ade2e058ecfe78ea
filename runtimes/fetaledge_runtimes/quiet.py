"""The one place that turns off what engines and tools would send home, write under the home folder, or print.

Call :func:`quiet` before any engine or converter is imported; importing ``fetaledge_runtimes`` does it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
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


@contextlib.contextmanager
def _native_stderr_hidden() -> Iterator[None]:
    try:
        kept = os.dup(2)
    except OSError:  # a service may run without any standard error
        yield
        return
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
        with tempfile.TemporaryFile() as sink:
            os.dup2(sink.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(kept, 2)
    finally:
        os.close(kept)


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Send what is written to stdout and stderr, by any library, to a file that is dropped; also warnings and logs."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError):
            stream.flush()
    saved = [os.dup(1), os.dup(2)]
    disabled = logging.root.manager.disable
    with tempfile.TemporaryFile() as sink, warnings.catch_warnings():
        try:
            os.dup2(sink.fileno(), 1)
            os.dup2(sink.fileno(), 2)
            warnings.simplefilter("ignore")
            logging.disable(logging.WARNING)
            nowhere = io.StringIO()
            with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
                yield
        finally:
            logging.disable(disabled)
            for number, copy in enumerate(saved, start=1):
                os.dup2(copy, number)
                os.close(copy)
