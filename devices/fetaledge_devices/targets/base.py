"""The interface of a target. A new kind is one file with these five verbs, and one entry in ``targets/__init__.py``."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Literal, Self

from fetaledge_devices.facts.model import Conditions, Facts
from fetaledge_runtimes.errors import TargetError

WorkerKind = Literal["python", "native"]
"""``python`` reads frames and writes masks; ``native`` reads frames on the network's grid and writes logits."""


class ConnectionLost(TargetError):
    """A machine that was reached before dropped out; it may come back (:meth:`Target.wait`)."""


class Cancelled(Exception):
    """:meth:`Target.cancel` was called; what ran is dead."""


@dataclass(frozen=True)
class Completed:
    """What a command on the target left: its exit code (negative: the signal that killed it), stdout and stderr."""

    returncode: int
    stdout: str
    stderr: str


class Target(ABC):
    """A machine that can run ``python -m fetaledge_runtimes``.

    Every verb raises TargetError where the machine cannot be reached or drops out; ConnectionLost, a child of it,
    where it was reached before. A target is closed after use, or used in a ``with`` statement.

    Attributes:
        kind: the word that its addresses begin with: ``local``, ``ssh`` or ``adb``.
        form: how its addresses are written, for messages.
        is_local: it is this machine, where nothing is copied and what is installed is used.
        worker_kind: of the worker that such a machine is given.
        name: its address as the user wrote it (``local``, ``ssh://pi@host``, …).
        worker: the command that starts fetaledge_runtimes there, without its arguments; empty before it is deployed.
        emulated: True where wall-clock times say nothing about a real device; known after :meth:`facts`.
    """

    kind: ClassVar[str]
    form: ClassVar[str]
    is_local: ClassVar[bool] = False
    worker_kind: ClassVar[WorkerKind] = "python"
    name: str
    worker: tuple[str, ...]
    emulated: bool = False

    @classmethod
    @abstractmethod
    def at(cls, address: str) -> Self:
        """The target of an address of this kind; nothing is connected to yet.

        Raises:
            UsageError: no target can have such an address.
        """

    @classmethod
    def found(cls) -> list[str]:
        """The addresses of such targets that can be found without a name. Raises TargetError where nobody tells."""
        return []

    @abstractmethod
    def facts(self) -> Facts:
        """What the machine is, and how it is doing now (clock governor, temperature, throttling)."""

    def conditions(self) -> Conditions:
        """How the machine is doing now."""
        return self.facts().conditions

    @abstractmethod
    def send(self, folder: Path) -> str:
        """Bring a folder there; return its place there. What runs there writes into a folder sent for that purpose."""

    @abstractmethod
    def run(self, command: Sequence[str], timeout_s: float) -> Completed:
        """Run a command to its end. Raises TimeoutError after ``timeout_s``; the command is dead then, or on Ctrl-C."""

    @abstractmethod
    def fetch(self, place: str, folder: Path) -> None:
        """Copy what lies in the folder ``place`` there into ``folder`` here, whole; a copy sent may go with it."""

    @abstractmethod
    def remove(self) -> None:
        """Delete whatever :meth:`send` brought there."""

    @contextmanager
    def session(self) -> Iterator[None]:
        """Hold the machine for this process; another fetaledge is refused meanwhile. Sessions may be nested."""
        yield

    def wait(self, seconds: float) -> bool:
        """Wait up to ``seconds`` for a machine that dropped out; whether it can be reached."""
        return True

    def pause(self, seconds: float) -> None:
        """Wait, or raise Cancelled as soon as :meth:`cancel` is called."""
        time.sleep(seconds)

    @abstractmethod
    def cancel(self) -> None:
        """From another thread: whatever waits in this target raises Cancelled, and so does what is asked later.

        Only what cleans up (:meth:`remove`, the end of a session) still works.
        """

    def close(self) -> None:  # noqa: B027
        """End what was started for this target, here and there; may be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
