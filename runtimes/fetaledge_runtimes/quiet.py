"""The one place that turns off what engines and tools would send home, write under the home folder, or print.

The commands call :func:`quiet` first of all, and so does whatever imports an engine or a converter. Importing the
library alone changes nothing.
"""

from __future__ import annotations

import contextlib
import getpass
import io
import logging
import os
import sys
import tempfile
import threading
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

_STDERR = threading.RLock()


def quiet() -> None:
    """Set the variables of :data:`ENVIRONMENT` for this process and its children; bar OpenVINO's telemetry package.

    A variable that the user has set is left alone. Matplotlib's list of fonts goes to the folder for temporary files.

    No variable turns that package off: importing openvino writes an identifier under the home folder and sends an
    event. Where the package cannot be imported, openvino and nncf use their own empty stand-ins.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    user = getattr(os, "getuid", getpass.getuser)
    os.environ.setdefault("MPLCONFIGDIR", str(Path(tempfile.gettempdir(), f"fetaledge-matplotlib-{user()}")))
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


@contextlib.contextmanager
def native_stderr_hidden() -> Iterator[None]:
    with native_stderr_caught():
        yield


@contextlib.contextmanager
def native_stderr_caught() -> Iterator[list[str]]:
    """Keep what C libraries print on standard error from the terminal; the list holds its lines once the block ends."""
    lines: list[str] = []
    with _STDERR:
        try:
            kept = os.dup(2)
        except OSError:  # a service may run without any standard error
            yield lines
            return
        try:
            if sys.stderr is not None:
                sys.stderr.flush()
            with tempfile.TemporaryFile() as sink:
                os.dup2(sink.fileno(), 2)
                try:
                    yield lines
                finally:
                    os.dup2(kept, 2)
                    sink.seek(0)
                    lines += sink.read().decode("utf-8", "replace").splitlines()
        finally:
            os.close(kept)


@contextlib.contextmanager
def silenced(log: Path | None = None) -> Iterator[None]:
    """Send what any library writes to stdout and stderr, from Python and from C++, to the end of ``log``.

    Without a file it is dropped. Warnings and logs below errors are dropped in both cases.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError):
            stream.flush()
    saved = [os.dup(1), os.dup(2)]
    disabled = logging.root.manager.disable
    with tempfile.TemporaryFile() if log is None else log.open("ab") as sink, warnings.catch_warnings():
        try:
            os.dup2(sink.fileno(), 1)
            os.dup2(sink.fileno(), 2)
            warnings.simplefilter("ignore")
            logging.disable(logging.WARNING)
            # Not closed here: a library's log handler may keep the stream. It holds no descriptor.
            written = io.StringIO()
            try:
                with contextlib.redirect_stdout(written), contextlib.redirect_stderr(written):
                    yield
            finally:
                sink.write(written.getvalue().encode("utf-8", "replace"))
        finally:
            logging.disable(disabled)
            for number, copy in enumerate(saved, start=1):
                os.dup2(copy, number)
                os.close(copy)
