"""A device that is reached by a shell: what SSH and adb share."""

from __future__ import annotations

import re
import secrets
import shlex
import tempfile
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from fetaledge_benchmarks.host import Conditions, Facts
from fetaledge_benchmarks.targets import scripts
from fetaledge_benchmarks.targets.base import Cancelled, Completed, ConnectionLost, Target
from fetaledge_benchmarks.targets.failures import DEVICE, Failure, explain, last_line
from fetaledge_benchmarks.targets.programs import Programs
from fetaledge_benchmarks.targets.staging import hash_commands, read_hashes, stage
from fetaledge_runtimes.errors import OutputError, TargetError

LEASE_S = 600
LONGEST_LEASE_S = 1800
STOP_S = 20.0
SLOWEST_BYTES_PER_S = 50_000


class RemoteTarget(Target):
    """A device with a POSIX shell and a folder of fetaledge's own, ``root``; nothing outside that folder is touched.

    Raises of every method: TargetError where the device cannot be reached, ConnectionLost where it was reached before.

    Attributes:
        kinds: what the programs that reach it say when they fail.
    """

    kinds: tuple[Failure, ...]

    def __init__(self, name: str) -> None:
        self.name = name
        self.worker = ()
        self.token = secrets.token_hex(6)
        self.programs = Programs()
        self.reached = False
        self._mark = f"@@{self.token}"
        self._sessions = 0
        self._count = 0
        self._orphans = False

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
    def upload(self, folder: Path, timeout_s: float) -> Completed:
        """Copy what lies in a folder here into ``root``; files that are there already are replaced."""

    @abstractmethod
    def download(self, place: str, folder: Path, timeout_s: float) -> Completed:
        """Copy what lies in the folder ``place`` there into ``folder`` here, which exists."""

    @abstractmethod
    def failure(self, text: str) -> TargetError:
        """What the messages of a program that did not reach the device, or lost it, mean."""

    # What follows from it.

    def shell(self, script: str, timeout_s: float = 60.0) -> Completed:
        """Run a POSIX sh script; its standard input is empty."""
        return self._shell(script, timeout_s)

    def facts(self) -> Facts:
        from fetaledge_benchmarks.device import FACTS_SCRIPT, parse_facts

        facts = parse_facts(self.shell(scripts.assigned({"ROOT": self.root}) + FACTS_SCRIPT).stdout)
        self.emulated = facts.emulated
        return facts

    def conditions(self) -> Conditions:
        from fetaledge_benchmarks.device import CONDITIONS_SCRIPT, parse_conditions

        return parse_conditions(self.shell(scripts.assigned({"ROOT": self.root}) + CONDITIONS_SCRIPT).stdout)

    def push(self, files: Mapping[str, Path]) -> None:
        """Bring files to paths relative to ``root``. What a lost connection left there is replaced the next time.

        Raises:
            TargetError: no space, no permission; the files may be there in part.
        """
        if not files:
            return
        with tempfile.TemporaryDirectory(prefix="fetaledge-stage-") as name:
            size = stage(files, Path(name))
            limit_s = 60 + size / SLOWEST_BYTES_PER_S
            self.checked(f"umask 077; mkdir -p {shlex.quote(self.root)}", limit_s)
            try:
                answer = self.upload(Path(name), limit_s)
            except TimeoutError as error:
                raise self.lost(f"copying to it {error}") from None
        if answer.returncode:
            raise self._device_failure(answer.stderr + answer.stdout, size)

    def hashes(self, paths: Sequence[str]) -> dict[str, str]:
        """SHA-256 of those paths relative to ``root`` that are files there."""
        script = f"cd {shlex.quote(self.root)} 2>/dev/null || exit\n{hash_commands(paths)}"
        found = read_hashes(self.shell(script, 600).stdout)
        return {path: found[path] for path in paths if path in found}

    def send(self, folder: Path) -> str:
        """Bring a folder to ``root/jobs/TOKEN/NUMBER``, its files checked by hash."""
        from fetaledge_runtimes.files import sha256

        self._count += 1
        place = f"jobs/{self.token}/{self._count}"
        inside = sorted(path for path in folder.rglob("*"))
        folders = [f"{place}/{path.relative_to(folder).as_posix()}" for path in inside if path.is_dir()]
        files = {f"{place}/{path.relative_to(folder).as_posix()}": path for path in inside if path.is_file()}
        names = " ".join(shlex.quote(each) for each in [place, *folders])
        self.checked(f"umask 077; mkdir -p {shlex.quote(self.root)} && cd {shlex.quote(self.root)} && mkdir -p {names}")
        right = {name: sha256(path) for name, path in files.items()}
        missing = files
        for _ in range(2):
            self.push(missing)
            there = self.hashes(list(files))
            missing = {name: path for name, path in files.items() if there.get(name) != right[name]}
            if not missing:
                return f"{self.root}/{place}"
        raise TargetError(
            f"{next(iter(missing))} is on {self.name} with other bytes than here", "is its storage sound?"
        )

    def fetch(self, place: str, folder: Path) -> None:
        from fetaledge_runtimes.files import sha256

        script = f"cd {shlex.quote(place)} && find . -type f -exec sha256sum {{}} +"
        there = read_hashes(self.checked(script, 600).stdout)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from None
        try:
            answer = self.download(place, folder, 60 + 600)
        except TimeoutError as error:
            raise self.lost(f"copying from it {error}") from None
        for name, right in there.items():
            if not (folder / name).is_file() or sha256(folder / name) != right:
                if answer.returncode:
                    raise self._device_failure(answer.stderr + answer.stdout)
                raise TargetError(f"{name} came from {self.name} with other bytes than there", "try again")

    def remove(self) -> None:
        if self._orphans:
            self._stop()
        self._shell(f"rm -rf {shlex.quote(f'{self.root}/jobs/{self.token}')}", 300, last=True)

    def run(self, command: Sequence[str], timeout_s: float) -> Completed:
        """Run a command in a process group of its own, in ``root/jobs/TOKEN``.

        It ends with this process, with the connection where that is seen to close, and at the time limit, whatever
        became of this computer.
        """
        if not self._sessions:
            with self.session():
                return self.run(command, timeout_s)
        self.connect()
        if self._orphans:
            self._stop()
        self._count += 1
        values = self._values(number=self._count, limit=round(timeout_s) + 10, seconds=LEASE_S)
        script = values + f"set -- {shlex.join(command)}\n" + scripts.JOB
        self._orphans = True
        try:
            line = self.shell_command(scripts.read_and_run(len(script.encode())))
            answer = self._unframed(self.programs.run(line, timeout_s, text=script, hold=True))
        except ConnectionLost:
            raise
        except BaseException as error:
            stopped = self._stop()
            if isinstance(error, TimeoutError) and not stopped:
                raise self.lost(f"a command {error}, and the device does not answer") from None
            raise
        self._orphans = False
        return answer

    @contextmanager
    def session(self) -> Iterator[None]:
        """Hold the device's lock.

        Raises:
            TargetError: another fetaledge holds it, or ``root`` cannot be written there.
        """
        if not self._sessions:
            try:
                self._lock()
            except (KeyboardInterrupt, Cancelled):
                self._release()
                raise
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
                self.shell("true", STOP_S)
                return self._stop()
            if time.monotonic() >= until:
                return False
            if self.programs.cancelled.wait(min(2.0, max(0.0, until - time.monotonic()))):
                raise Cancelled

    def close(self) -> None:
        if self._sessions:
            self._release()

    def cancel(self) -> None:
        self.programs.cancel()

    def checked(self, script: str, timeout_s: float = 60.0) -> Completed:
        """:meth:`shell`, but a script that fails raises TargetError with what the device said."""
        answer = self.shell(script, timeout_s)
        if answer.returncode:
            raise self._device_failure(answer.stderr)
        return answer

    def lost(self, sentence: str, hint: str = "") -> TargetError:
        kind = ConnectionLost if self.reached else TargetError
        return kind(f"{self.name}: {sentence}", hint or "is the device still on, and in this network?")

    def _shell(self, script: str, timeout_s: float, last: bool = False) -> Completed:
        self.connect()
        framed = scripts.framed(script, self._mark)
        if self._sessions and timeout_s > LEASE_S / 2 and not last:
            seconds = LEASE_S + min(round(timeout_s), LONGEST_LEASE_S)
            framed = f"(\n{self._values(seconds=seconds)}{scripts.RENEW}) >/dev/null 2>&1\n{framed}"
        line = self.shell_command(scripts.read_and_run())
        try:
            return self._unframed(self.programs.run(line, timeout_s, text=framed, last=last))
        except TimeoutError:
            raise self.lost(f"did not answer within {timeout_s:.0f} s") from None

    def _unframed(self, answer: Completed) -> Completed:
        if f"\n{self._mark} refused\n" in answer.stdout:
            raise self._taken_over()
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
        answer = self.shell(self._values(seconds=LEASE_S) + scripts.LOCK)
        word, _, seconds = answer.stdout.strip().partition(" ")
        if word == "held":
            until = time.strftime("%H:%M", time.localtime(time.time() + int(seconds)))
            raise TargetError(
                f"{self.name} is measuring for another fetaledge, until {until} at the longest",
                "wait for it to finish; the lock of one that broke off expires by itself",
            )
        if word != "taken":
            raise self._device_failure(answer.stderr)

    def _release(self) -> None:
        with suppress(TargetError):
            if self._orphans:
                self._stop()
            self._shell(self._values() + scripts.UNLOCK, STOP_S, last=True)

    def _stop(self) -> bool:
        """Kill what a job left running there; whether the device could be told so."""
        try:
            self._shell(self._values() + scripts.STOP, STOP_S, last=True)
        except TargetError:
            return False
        self._orphans = False
        return True

    def _values(self, **more: str | int) -> str:
        return scripts.assigned({"root": self.root, "token": self.token, "mark": self._mark} | more)

    def _device_failure(self, text: str, size: int = 0) -> TargetError:
        """What the messages of a script that failed there, or of a copy of ``size`` bytes, mean."""
        known = explain(DEVICE, text, name=self.name, root=self.root)
        if known:
            return TargetError(known[0], known[1])
        free = re.search(r"(\d+)\s+\d+%\s+/[^\n]*$", self.shell(f"df -Pk {shlex.quote(self.root)}").stdout)
        if free and int(free[1]) * 1024 <= min(size, 1_000_000):
            return TargetError(f"no space is left on {self.name}", "free some")
        if explain(self.kinds, text, name="", where=""):
            return self.failure(text)
        lines = [line for line in text.splitlines() if "rror" in line] or [last_line(text)]
        return TargetError(f"{self.name} says: {lines[0].strip() or 'nothing, and fails'}")
