"""A device that is reached by a shell: what SSH and adb share."""

from __future__ import annotations

import shlex
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeGuard

from fetaledge_devices.facts.model import Conditions, Facts
from fetaledge_devices.facts.parse import parse_conditions, parse_facts
from fetaledge_devices.facts.scripts import CONDITIONS_SCRIPT, FACTS_SCRIPT
from fetaledge_devices.targets import job_scripts, lease
from fetaledge_devices.targets.base import Completed, ConnectionLost, Target
from fetaledge_devices.targets.shell import ShellTarget
from fetaledge_devices.targets.transfer import (
    check_space,
    check_written,
    hash_commands,
    read_hashes,
    stage,
    temporary_folder,
)
from fetaledge_runtimes.errors import OutputError, TargetError
from fetaledge_runtimes.files import sha256

SLOWEST_BYTES_PER_S = 50_000


class RemoteTarget(ShellTarget):
    """The verbs, within ``root``; nothing outside that folder is touched."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._count = 0

    # What a way to reach a device adds.

    @abstractmethod
    def upload(self, folder: Path, timeout_s: float) -> Completed:
        """Copy what lies in a folder here into ``root``; files that are there already are replaced."""

    @abstractmethod
    def download(self, place: str, folder: Path, timeout_s: float) -> Completed:
        """Copy what lies in the folder ``place`` there into ``folder`` here, which exists."""

    def check_alive(self) -> None:
        """Called every half minute while a command runs: raise ConnectionLost if the device does not answer."""

    # What follows from it.

    def facts(self) -> Facts:
        facts = parse_facts(self.shell(job_scripts.assigned({"ROOT": self.root}) + FACTS_SCRIPT).stdout)
        self.emulated = facts.emulated
        return facts

    def conditions(self) -> Conditions:
        return parse_conditions(self.shell(CONDITIONS_SCRIPT).stdout)

    def push(self, files: Mapping[str, Path]) -> None:
        """Bring files to paths relative to ``root``. What a lost connection left there is replaced the next time.

        Raises:
            TargetError: no space, no permission; the files may be there in part.
        """
        if not files:
            return
        with temporary_folder("fetaledge-stage-") as folder:
            size = stage(files, folder)
            limit_s = 60 + size / SLOWEST_BYTES_PER_S
            self.checked(f"umask 077; mkdir -p {shlex.quote(self.root)}", limit_s)
            try:
                answer = self.upload(folder, limit_s)
            except TimeoutError as error:
                raise self.lost(f"copying to it {error}") from None
        if answer.returncode:
            raise self._device_failure(answer.stderr + answer.stdout, size)

    def hashes(self, paths: Sequence[str]) -> dict[str, str]:
        """SHA-256 of those paths relative to ``root`` that are files there."""
        script = f"cd {shlex.quote(self.root)} 2>/dev/null || exit 0\n{hash_commands(paths)}exit 0"
        found = read_hashes(self._hashed(script))
        return {path: found[path] for path in paths if path in found}

    def send(self, folder: Path) -> str:
        """Bring a folder to ``root/jobs/TOKEN/NUMBER``, its files checked by hash."""
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
        """Copy a folder from there, its files checked by hash.

        Raises:
            OutputError: ``folder`` cannot be written, or its disk is full.
        """
        script = f"cd {shlex.quote(place)} && {{ du -sk . || echo 0; }} && find . -type f -exec sha256sum {{}} +"
        said = self._hashed(script)
        there = read_hashes(said)
        size = 1024 * int(said.split(maxsplit=1)[0])
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from None
        check_space(folder, size)
        try:
            answer = self.download(place, folder, 660 + size / SLOWEST_BYTES_PER_S)
        except TimeoutError as error:
            raise self.lost(f"copying from it {error}") from None
        for name, right in there.items():
            if not (folder / name).is_file() or sha256(folder / name) != right:
                if answer.returncode:
                    check_written(folder, answer.stderr + answer.stdout)
                    raise self._device_failure(answer.stderr + answer.stdout)
                raise TargetError(f"{name} came from {self.name} with other bytes than there", "try again")
        if place.startswith(f"{self.root}/jobs/{self.token}/"):
            with suppress(TargetError):  # what it holds is here; the next one must not run out of space
                self.shell(f"rm -rf {shlex.quote(place)}")

    def _hashed(self, script: str) -> str:
        """What a script that calls sha256sum prints."""
        answer = self.checked(f"command -v sha256sum >/dev/null || {{ echo no-hashes; exit 0; }}\n{script}", 600)
        if answer.stdout == "no-hashes\n":
            raise TargetError(
                f"{self.name} has no program sha256sum, by which what is copied is checked",
                "install it there (Debian: apt install coreutils); on a phone it comes with Android's newer releases",
            )
        return answer.stdout

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
        values = self._values(number=self._count, limit=round(timeout_s) + 10, seconds=lease.LEASE_S)
        script = values + f"set -- {shlex.join(command)}\n" + job_scripts.JOB
        self._orphans = True
        try:
            line = self.shell_command(job_scripts.read_and_run(len(script.encode())))
            self._lease.held(timeout_s + 60)
            answer = self._unframed(self.processes.run(line, timeout_s, text=script, hold=True, check=self.check_alive))
            self._lease.held(lease.LEASE_S)
        except ConnectionLost:
            self._lease.held(0)
            raise
        except BaseException as error:
            self._lease.held(0)
            stopped = self._stop()
            if isinstance(error, TimeoutError) and not stopped:
                raise self.lost(f"a command {error}, and the device does not answer") from None
            raise
        self._orphans = False
        return answer


def is_remote(target: Target) -> TypeGuard[RemoteTarget]:
    """Whether a target is reached by a shell, and a bundle has to be brought there."""
    return not target.is_local
