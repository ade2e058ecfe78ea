"""This machine as a target."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Self

from fetaledge_devices.facts import here
from fetaledge_devices.facts.model import Conditions, Facts
from fetaledge_devices.targets.base import Cancelled, Completed, Target
from fetaledge_devices.targets.transfer import SPACE_HERE
from fetaledge_runtimes.errors import OutputError, TargetError, UsageError


class LocalTarget(Target):
    """Folders stay where they are; each command is a process of its own, killed with its parent's Ctrl-C."""

    kind: ClassVar[str] = "local"
    form: ClassVar[str] = "local"
    is_local: ClassVar[bool] = True

    def __init__(self) -> None:
        self.name = self.form
        self.worker = (sys.executable, "-m", "fetaledge_runtimes")
        self._cancelled = threading.Event()
        self._process: subprocess.Popen[str] | None = None

    @classmethod
    def at(cls, address: str) -> Self:
        if address != cls.form:
            raise UsageError(f"the target {address!r} names more than this machine", f"write {cls.form}")
        return cls()

    def facts(self) -> Facts:
        self.pause(0)
        facts = here.read_facts()
        self.emulated = facts.emulated
        return facts

    def conditions(self) -> Conditions:
        self.pause(0)
        return here.read_conditions()

    def send(self, folder: Path) -> str:
        self.pause(0)
        return str(folder.resolve())

    def run(self, command: Sequence[str], timeout_s: float) -> Completed:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise TargetError(f"{command[0]} cannot be started: {error.strerror}", "install Python again") from None
        self._process = process
        try:
            self.pause(0)
            stdout, stderr = process.communicate(timeout=timeout_s)
            self.pause(0)
        except BaseException as error:
            _kill(process)
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=5)
            if isinstance(error, subprocess.TimeoutExpired):
                raise TimeoutError(f"did not finish within {timeout_s:.0f} s") from None
            raise
        finally:
            self._process = None
        return Completed(process.returncode, stdout, stderr)

    def fetch(self, place: str, folder: Path) -> None:
        self.pause(0)
        if Path(place) == folder.resolve():
            return
        try:
            shutil.copytree(place, folder, dirs_exist_ok=True)
        except (OSError, shutil.Error) as error:
            raise OutputError(f"cannot copy {place} into {folder}: {error}", SPACE_HERE) from None

    def remove(self) -> None:
        """Nothing was copied, so nothing is deleted."""

    def pause(self, seconds: float) -> None:
        if self._cancelled.wait(seconds):
            raise Cancelled

    def cancel(self) -> None:
        self._cancelled.set()
        if (process := self._process) is not None:
            _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill a process and what it started, even where only that is left and keeps the pipes open."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
