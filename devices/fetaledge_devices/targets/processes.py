"""Processes of this machine (``ssh``, ``rsync``, ``adb``), each in a process group of its own that can be ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

from fetaledge_devices.targets.base import Cancelled, Completed
from fetaledge_runtimes.errors import TargetError

# Every message is in English, so that it can be told what went wrong.
ENVIRONMENT = {"LC_ALL": "C"}
CHECK_S = 30.0


class Processes:
    """Those that were started for one target and have not ended."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._cancelled: set[subprocess.Popen[bytes]] = set()

    def run(
        self,
        argv: Sequence[str],
        timeout_s: float,
        *,
        text: str = "",
        hold: bool = False,
        last: bool = False,
        check: Callable[[], object] = lambda: None,
    ) -> Completed:
        """Run a program to its end, ``text`` on its standard input.

        With ``hold`` the standard input stays open until the program ends or this process does: whoever reads it
        elsewhere learns of that at once. With ``last`` it cleans up, and :meth:`cancel` is not meant for it. ``check``
        is called every ``CHECK_S`` seconds while it runs; it dies with what that raises.

        Raises:
            TimeoutError: it did not end; it is dead then.
            TargetError: it cannot be started.
            Cancelled
        """
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with contextlib.ExitStack() as stack:
            if hold:
                reading, writing = os.pipe()
                lifeline = stack.enter_context(os.fdopen(writing, "wb", buffering=0))
                with os.fdopen(reading, "rb") as end:
                    process = start(argv, stdin=end.fileno(), **pipes)
                with contextlib.suppress(BrokenPipeError):
                    lifeline.write(text.encode())
            else:
                process = start(argv, stdin=subprocess.PIPE, **pipes)
            try:
                if not last:
                    self._running.add(process)
                    if self.cancelled.is_set():
                        raise Cancelled
                until = time.monotonic() + timeout_s
                given = None if hold else text.encode()
                while True:
                    try:
                        left_s = max(0.0, until - time.monotonic())
                        stdout, stderr = process.communicate(given, timeout=min(CHECK_S, left_s))
                        break
                    except subprocess.TimeoutExpired:
                        given = None
                        if time.monotonic() >= until:
                            raise TimeoutError(f"did not finish within {timeout_s:.0f} s") from None
                        check()
            finally:
                self._running.discard(process)
                end_program(process)
        if process in self._cancelled:
            self._cancelled.discard(process)
            raise Cancelled
        return Completed(process.returncode, stdout.decode(errors="replace"), stderr.decode(errors="replace"))

    def cancel(self) -> None:
        """Kill all that run, and start none any more but to clean up; for another thread."""
        self.cancelled.set()
        for process in list(self._running):
            self._cancelled.add(process)
            _kill(process)


def start(argv: Sequence[str], **pipes: int) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own; the caller ends it with :func:`end_program`.

    Raises:
        TargetError: it cannot be started.
    """
    environment = os.environ | ENVIRONMENT
    try:
        process: subprocess.Popen[bytes] = subprocess.Popen(argv, env=environment, start_new_session=True, **pipes)  # type: ignore[call-overload]
    except OSError as error:
        package = {"ssh": "openssh-client", "scp": "openssh-client", "rsync": "rsync", "adb": "adb"}.get(argv[0])
        hint = f"install it (Debian: apt install {package})" if package else "see FETALEDGE_SSH and FETALEDGE_ADB"
        raise TargetError(f"{argv[0]} cannot be started: {error.strerror}", hint) from None
    return process


def end_program(process: subprocess.Popen[bytes]) -> None:
    """Kill a program's process group, where it still runs, and reap it."""
    _kill(process)
    with contextlib.suppress(ValueError, subprocess.TimeoutExpired):
        process.communicate(timeout=5)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
