"""The interface of a target: where rows are measured. A new one is one file with these five verbs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fetaledge_benchmarks.host import Facts


@dataclass(frozen=True)
class Completed:
    """What a command on the target left: its exit code (negative: the signal that killed it), stdout and stderr."""

    returncode: int
    stdout: str
    stderr: str


class Target(ABC):
    """A machine that can run ``python -m fetaledge_runtimes``.

    Every verb raises TargetError where the machine cannot be reached or drops out.

    Attributes:
        name: as the user wrote it (``local``, ``ssh://pi@host``, …).
        worker: the command that starts fetaledge_runtimes there, without its arguments.
        emulated: True where wall-clock times say nothing about a real device.
    """

    name: str
    worker: tuple[str, ...]
    emulated: bool = False

    @abstractmethod
    def facts(self) -> Facts:
        """What the machine is, and how it is doing now (clock governor, temperature, throttling)."""

    @abstractmethod
    def send(self, folder: Path) -> str:
        """Bring a folder there; return its place there. What runs there writes into a folder sent for that purpose."""

    @abstractmethod
    def run(self, command: Sequence[str], timeout_s: float) -> Completed:
        """Run a command to its end. Raises TimeoutError after ``timeout_s``; the command is dead then, or on Ctrl-C."""

    @abstractmethod
    def fetch(self, place: str, folder: Path) -> None:
        """Copy what lies in the folder ``place`` there into ``folder`` here."""

    @abstractmethod
    def remove(self) -> None:
        """Delete whatever :meth:`send` brought there."""
