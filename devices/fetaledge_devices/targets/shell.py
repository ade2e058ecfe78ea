"""A device that answers a shell, and whose lock is held while it is used."""

from __future__ import annotations

import re
import secrets
import shlex
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from fetaledge_devices.targets import job_scripts, lease
from fetaledge_devices.targets.base import Cancelled, Completed, ConnectionLost, Target
from fetaledge_devices.targets.error_messages import DEVICE, Failure, explain, last_line
from fetaledge_devices.targets.lease import Lease
from fetaledge_devices.targets.processes import Processes
from fetaledge_runtimes.errors import TargetError

STOP_S = 20.0


class ShellTarget(Target):
    """A device with a POSIX shell and a folder of fetaledge's own, ``root``.

    Raises of every method: TargetError where the device cannot be reached, ConnectionLost where it was reached before.

    Attributes:
        failures: what the programs that reach it say when they fail.
    """

    failures: tuple[Failure, ...]

    def __init__(self, name: str) -> None:
        self.name = name
        self.worker = ()
        self.token = secrets.token_hex(6)
        self.processes = Processes()
        self.reached = False
        self._mark = f"@@{self.token}"
        self._sessions = 0
        self._orphans = False
        self._lease = Lease()

    # What a way to reach a device adds.

    @property
    @abstractmethod
    def root(self) -> str:
        """The absolute path of fetaledge's folder there."""

    @abstractmethod
    def connect(self) -> None:
        """Reach the device, unless it is reached already."""

    @abstractmethod
    def shell_command(self, line: str) -> list[str]:
        """The command here that lets the device's login shell run a line."""

    @abstractmethod
    def failure(self, text: str) -> TargetError:
        """What the messages of a program that did not reach the device, or lost it, mean."""

    # What follows from it.

    def shell(self, script: str, timeout_s: float = 60.0) -> Completed:
        """Run a POSIX sh script; its standard input is empty.

        Raises:
            TargetError: also where another fetaledge has taken the device over during a session; nothing ran then.
        """
        return self._shell(script, timeout_s, owned=self._sessions > 0)

    @contextmanager
    def session(self) -> Iterator[None]:
        """Hold the device's lock.

        Raises:
            TargetError: another fetaledge holds it, or ``root`` cannot be written there.
        """
        if not self._sessions:
            renewal = self._renewal()
            self._lock()
            self._lease.begin(renewal)
        self._sessions += 1
        try:
            yield
        finally:
            self._sessions -= 1
            if not self._sessions:
                self._release()

    def wait(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while True:
            with suppress(TargetError):
                self._shell("true", STOP_S)
                return self._stop()
            if time.monotonic() >= until:
                return False
            if self.processes.cancelled.wait(min(2.0, max(0.0, until - time.monotonic()))):
                raise Cancelled

    def close(self) -> None:
        if self._sessions:
            self._release()

    def cancel(self) -> None:
        self.processes.cancel()
        self._lease.stop()

    def pause(self, seconds: float) -> None:
        if self.processes.cancelled.wait(seconds):
            raise Cancelled

    def checked(self, script: str, timeout_s: float = 60.0) -> Completed:
        """:meth:`shell`, but a script that fails raises TargetError with what the device said."""
        answer = self.shell(script, timeout_s)
        if answer.returncode:
            raise self._device_failure(answer.stderr)
        return answer

    def lost(self, sentence: str) -> TargetError:
        kind = ConnectionLost if self.reached else TargetError
        return kind(f"{self.name}: {sentence}", "is the device still on, and in this network?")

    def _shell(self, script: str, timeout_s: float, *, owned: bool = False, last: bool = False) -> Completed:
        """``owned``: only if the lock is ours, which is renewed; ``last``: cleans up, even after :meth:`cancel`."""
        self.connect()
        framed = job_scripts.framed(script, self._mark)
        if owned:
            framed = job_scripts.owned(self._values(seconds=lease.LEASE_S), framed)
        line = self.shell_command(job_scripts.read_and_run())
        started = time.monotonic()
        try:
            answer = self._unframed(self.processes.run(line, timeout_s, text=framed, last=last))
        except TimeoutError:
            raise self.lost(f"did not answer within {timeout_s:.0f} s") from None
        if owned:
            self._lease.held(lease.LEASE_S - (time.monotonic() - started))
        return answer

    def _renewal(self) -> Callable[[Processes], bool]:
        """What renews the lease from another thread: it never connects, as the thread beside it may."""
        line = self.shell_command(job_scripts.read_and_run())
        script = job_scripts.owned(self._values(seconds=lease.LEASE_S), job_scripts.framed("true", self._mark))
        done = f"{self._mark} end 0"
        return lambda processes: done in processes.run(line, STOP_S, text=script).stdout

    def _unframed(self, answer: Completed) -> Completed:
        if f"\n{self._mark} refused\n" in answer.stdout:
            raise self._taken_over()
        if f"\n{self._mark} vanished\n" in answer.stdout:
            raise TargetError(
                f"{self.root} on {self.name} has vanished since this fetaledge began",
                "was it deleted, or is it kept in memory and the device restarted? Then start again",
            )
        if f"\n{self._mark} failed\n" in answer.stdout:
            raise self._device_failure(answer.stderr)
        pattern = rf"\n{self._mark} begin\n(.*)\n{self._mark} end (\d+)\n"
        found = re.search(pattern, answer.stdout, re.DOTALL)
        if not found:
            raise self.failure(answer.stderr)
        self.reached = True
        code = int(found.group(2))
        return Completed(128 - code if 128 < code <= 192 else code, found.group(1), answer.stderr)

    def _taken_over(self) -> TargetError:
        return TargetError(
            f"another fetaledge has taken over {self.name}, which this one left alone for too long",
            "start again when it has finished",
        )

    def _lock(self) -> None:
        try:
            answer = self._shell(self._values(seconds=lease.LEASE_S) + job_scripts.LOCK, 60)
        except BaseException:
            if self.reached:
                self._release()
            raise
        word, _, seconds = answer.stdout.strip().partition(" ")
        if word == "held":
            until = time.strftime("%H:%M", time.localtime(time.time() + int(seconds)))
            raise TargetError(
                f"{self.name} is measuring for another fetaledge, until {until} or longer",
                "wait for it to finish; the lock of one that broke off expires then",
            )
        if word != "taken":
            raise self._device_failure(answer.stderr)
        self._lease.held(lease.LEASE_S)

    def _release(self) -> None:
        self._lease.end()
        with suppress(TargetError):
            if self._orphans:
                self._stop()
            self._shell(self._values() + job_scripts.UNLOCK, STOP_S, last=True)

    def _stop(self) -> bool:
        """Kill what a job left running there; whether the device could be told so."""
        try:
            self._shell(self._values() + job_scripts.STOP, STOP_S, last=True)
        except TargetError:
            return False
        self._orphans = False
        return True

    def _values(self, **more: str | int) -> str:
        return job_scripts.assigned({"root": self.root, "token": self.token, "mark": self._mark} | more)

    def _device_failure(self, text: str, size: int = 0) -> TargetError:
        """What the messages of a script that failed there, or of a copy of ``size`` bytes, mean."""
        known = explain(DEVICE, text, name=self.name, root=self.root)
        if known:
            return TargetError(known[0], known[1])
        free = re.search(r"(\d+)\s+\d+%\s+/[^\n]*$", self.shell(f"df -Pk {shlex.quote(self.root)}").stdout)
        if free and int(free[1]) * 1024 <= min(size, 1_000_000):
            return TargetError(f"no space is left on {self.name}", "free some")
        if explain(self.failures, text, name="", where=""):
            return self.failure(text)
        lines = [line for line in text.splitlines() if "rror" in line] or [last_line(text)]
        return TargetError(f"{self.name} says: {lines[0].strip() or 'nothing, and fails'}")
