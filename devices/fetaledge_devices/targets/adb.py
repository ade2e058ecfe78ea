"""A phone behind the ``adb`` program: no root, no app, nothing installed on it."""

from __future__ import annotations

import os
import re
import shlex
import time
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

from fetaledge_devices.targets.address import behind_kind, check_part
from fetaledge_devices.targets.base import Completed, ConnectionLost, WorkerKind
from fetaledge_devices.targets.error_messages import ADB, explain, last_line
from fetaledge_devices.targets.processes import Processes
from fetaledge_devices.targets.remote import RemoteTarget
from fetaledge_runtimes.errors import TargetError

ALIVE_S = 20.0
ALIVE_COUNT = 2
ROOT = "/data/local/tmp/fetaledge"
STATES = (
    "device|offline|unauthorized|authorizing|no permissions|connecting|"
    "recovery|sideload|bootloader|rescue|host|detached"
)


class Phone(NamedTuple):
    """A line of ``adb devices``; ``state`` is ``device`` where the phone can be used."""

    serial: str
    state: str
    model: str | None


def list_adb() -> list[Phone]:
    """The phones that adb sees.

    Raises:
        TargetError: adb is not installed or does not run.
    """
    lines = (re.fullmatch(rf"(\S.*?)\s+({STATES})\b(.*)", line) for line in _device_lines(Processes()))
    return [Phone(line[1], line[2], _model(line[3])) for line in lines if line]


def adb_command() -> list[str]:
    return shlex.split(os.environ.get("FETALEDGE_ADB", "")) or ["adb"]


class AdbTarget(RemoteTarget):
    """A phone, by its serial."""

    kind: ClassVar[str] = "adb"
    form: ClassVar[str] = "adb://SERIAL"
    worker_kind: ClassVar[WorkerKind] = "native"
    failures = ADB

    def __init__(self, name: str, serial: str) -> None:
        super().__init__(name)
        self.serial = serial
        self._looked = 0.0

    @classmethod
    def at(cls, address: str) -> Self:
        return cls(address, check_part(address, "serial", behind_kind(address), cls.form))

    @classmethod
    def found(cls) -> list[str]:
        """The phones that adb sees, in whatever state."""
        return [f"{cls.kind}://{phone.serial}" for phone in list_adb()]

    @property
    def root(self) -> str:
        return ROOT

    def connect(self) -> None:
        """See whether adb has the phone; one in the network is connected to."""
        if self.reached and time.monotonic() - self._looked < 5:
            return
        state = self._state()
        if state in (None, "offline") and re.fullmatch(r".+:[0-9]+", self.serial):
            with suppress(TimeoutError):
                self.processes.run([*adb_command(), "connect", self.serial], 20, last=True)
            state = self._state()
        if state != "device":
            raise self.failure(state or "not found")
        self._looked = time.monotonic()

    def shell_command(self, line: str) -> list[str]:
        return [*adb_command(), "-s", self.serial, "shell", "-T", line]

    def check_alive(self) -> None:
        """A phone that hangs keeps its connection for hours where it is reached over the network."""
        for _ in range(ALIVE_COUNT):
            with suppress(TimeoutError):
                self.processes.run(self.shell_command(":"), ALIVE_S)
                return
        raise self.lost("does not answer any more")

    def upload(self, folder: Path, timeout_s: float) -> Completed:
        return self._adb(["-s", self.serial, "push", f"{folder}/.", ROOT], timeout_s)

    def download(self, place: str, folder: Path, timeout_s: float) -> Completed:
        return self._adb(["-s", self.serial, "pull", f"{place}/.", str(folder)], timeout_s)

    def failure(self, text: str) -> TargetError:
        self._looked = 0.0
        known = explain(ADB, text, name=self.name)
        sentence, hint, passing = known or (f"{self.name}: {last_line(text) or 'the connection ended'}", "", True)
        return (ConnectionLost if passing and self.reached else TargetError)(sentence, hint)

    def _state(self) -> str | None:
        pattern = re.compile(rf"{re.escape(self.serial)}\s+({STATES})\b.*")
        found = (pattern.fullmatch(line) for line in _device_lines(self.processes))
        states = {line[1] for line in found if line}
        if len(states) > 1:
            raise TargetError(f"adb shows {self.name} in several states: {', '.join(sorted(states))}", "unplug one")
        return next(iter(states), None)

    def _adb(self, arguments: list[str], timeout_s: float) -> Completed:
        return self.processes.run([*adb_command(), *arguments], timeout_s)


def _device_lines(processes: Processes) -> list[str]:
    hint = "try `adb kill-server`, then `adb devices`"
    try:
        answer = processes.run([*adb_command(), "devices", "-l"], 30, last=True)
    except TimeoutError as error:
        raise TargetError(f"adb {error}", hint) from None
    if answer.returncode:
        raise TargetError(f"adb does not run: {last_line(answer.stderr)}", hint)
    return answer.stdout.splitlines()


def _model(rest: str) -> str | None:
    found = re.search(r"\bmodel:(\S+)", rest)
    return found.group(1) if found else None
