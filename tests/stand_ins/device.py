"""What the stand-ins have in common: a root of their own, boots, a cable, and ways to make things go wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

from tests.stand_ins import init
from tests.stand_ins.host import Host
from tests.stand_ins.roots import ANSWERS
from tests.stand_ins.spaces import Spaces

WAIT_S = 60.0
ROOT = Path("/media/root")  # in the device's mount namespace


class StandIn(ABC):
    """A device that is on. Use it as a context: it is off, and nothing of it left, afterwards.

    Attributes:
        address: what ``--target`` takes.
        environment: what makes ``ssh`` and ``adb`` find it, and what else is plugged into the same host.
        folder: private files of this stand-in on the host; goes with it.
    """

    address: str
    hostname: str
    port: int

    def __init__(self, root: Path, name: str, data: str, owner: int, megabytes: int, host: Host | None) -> None:
        self.name = name
        self.folder = Path(tempfile.mkdtemp(prefix=f"stand-in-{name}-"))
        self.folder.chmod(0o755)
        self._data, self._owner, self._megabytes = data, owner, megabytes
        self._boot: subprocess.Popen[bytes] | None = None
        self._rebooting: threading.Thread | None = None
        self._off = threading.Event()
        self.host = host or Host()
        self._own_host = host is None
        self.environment = self.host.environment
        self.spaces = Spaces("net", "mount")
        try:
            self.cable = self.host.plug(self.spaces)
            self._mount(root)
            self.prepare()
            self.boot()
            self.connect()
        except BaseException:
            self.stop()
            raise

    @abstractmethod
    def prepare(self) -> None:
        """Write what the device's files say, the keys, the configuration. The root is mounted, nothing runs."""

    @abstractmethod
    def daemon(self) -> tuple[list[str], dict[str, str]]:
        """The command that waits for connections, and its environment."""

    @abstractmethod
    def binds(self) -> list[tuple[Path, str]]:
        """Further files of the host in the place of others, at each boot."""

    @abstractmethod
    def connect(self) -> None:
        """Whatever the host does before the device can be addressed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def root(self) -> Path:
        """The device's root as seen from the host. Do not resolve() it: it leads through /proc."""
        return Path(f"/proc/{self.spaces.pid}/root{ROOT}")

    @property
    def home(self) -> Path:
        """The folder there in which its user may write, as seen from the host."""
        return self.root / self._data.lstrip("/")

    def set(self, **answers: str) -> None:
        """What the shims there answer from now on (``throttled="0x50005"``)."""
        for name, text in answers.items():
            if not (self.root / ANSWERS / name).exists():
                raise KeyError(f"{self.name} has no answer {name}")
            self.write(f"/{ANSWERS}/{name}", text if text.endswith("\n") else f"{text}\n")

    def write(self, path: str, text: str) -> None:
        """Write any file there, as root, in place: ``/sys/class/thermal/thermal_zone0/temp``."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def fill(self, mb_left: float | None) -> None:
        """Leave so many megabytes free where its user may write; None: as many as at the start."""
        if mb_left is None:
            size = self._megabytes * 1_000_000
        else:
            state = os.statvfs(self.home)
            size = (state.f_blocks - state.f_bfree) * state.f_frsize + int(mb_left * 1_000_000)
        self.spaces.run("mount", "-o", f"remount,size={size}", f"{ROOT}{self._data}")

    def read_only(self, yes: bool) -> None:
        """Let nothing be written where its user may write, or let it again."""
        self.spaces.run("mount", "-o", f"remount,{'ro' if yes else 'rw'}", f"{ROOT}{self._data}")

    def processes(self) -> list[str]:
        """The command lines of the emulated processes there, without the daemon's own."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if (folder / "ns/pid").readlink() != Path(f"/proc/{self._init_pid()}/ns/pid").readlink():
                    continue
                words = (folder / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
            except OSError:
                continue
            if b"qemu" in words[0] and not self.is_daemon(line := b" ".join(words[2:]).decode(errors="replace")):
                found.append(line)
        return sorted(found)

    def is_daemon(self, line: str) -> bool:
        return False

    def cut(self) -> None:
        """Reset every connection now; new ones can be made."""
        self.cable.cut()

    def stall(self) -> None:
        """Packets vanish from now on, until resume()."""
        self.cable.stall()

    def resume(self) -> None:
        self.cable.resume()

    def reboot(self, seconds: float = 3.0) -> None:
        """Everything there dies without a word; after ``seconds`` of silence it is back. Does not wait for that."""
        self.cable.stall()
        self._halt()
        self._rebooting = threading.Thread(target=self._come_back, args=(seconds,))
        self._rebooting.start()

    def wait_until_up(self) -> None:
        """Wait for the end of a reboot."""
        if self._rebooting is not None:
            self._rebooting.join()
            self._rebooting = None

    def boot(self) -> None:
        boot_id = self.folder / "boot_id"
        boot_id.write_text(f"{uuid.uuid4()}\n", encoding="utf-8")
        command, environment = self.daemon()
        proc = ROOT / "proc"
        binds = [(boot_id, f"{proc}/sys/kernel/random/boot_id"), *self.binds()]
        for name in ("cpuinfo", "meminfo"):
            binds.append((self.folder / name, f"{proc}/{name}"))
        plan = {
            "root": str(ROOT),
            "hostname": self.hostname,
            "binds": [(str(source), target) for source, target in binds],
            "daemon": command,
            "environment": environment,
        }
        unshare = [
            "unshare",
            "--pid",
            "--mount",
            "--uts",
            "--ipc",
            "--fork",
            "--kill-child",
            "--propagation",
            "private",
        ]
        words = [*self.spaces.enter, *unshare, sys.executable, init.__file__, json.dumps(plan)]
        with (self.folder / "log").open("ab") as log:
            self._boot = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=log, stderr=log)
        self._wait_for_port()

    def stop(self) -> None:
        """Off, and gone."""
        self._off.set()
        self.wait_until_up()
        self._halt()
        self.spaces.close()
        if self._own_host:
            self.host.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """What the daemon said so far."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def _mount(self, root: Path) -> None:
        run = self.spaces.run
        run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(ROOT.parent))
        for name in ("upper", "work", "root"):
            run("mkdir", str(ROOT.parent / name))
        layers = f"lowerdir={root},upperdir={ROOT.parent / 'upper'},workdir={ROOT.parent / 'work'}"
        run("mount", "-t", "overlay", "-o", layers, "overlay", str(ROOT))
        options = f"size={self._megabytes * 1_000_000},uid={self._owner},gid={self._owner},mode=755"
        run("mkdir", "-p", f"{ROOT}{self._data}")
        run("mount", "-t", "tmpfs", "-o", options, "tmpfs", f"{ROOT}{self._data}")

    def _come_back(self, seconds: float) -> None:
        if not self._off.wait(seconds):
            self.boot()
            self.cable.resume()

    def _halt(self) -> None:
        """End the first process, and with it every other one there."""
        if self._boot is not None:
            self._boot.kill()
            self._boot.communicate()
            self._boot = None

    def _init_pid(self) -> int:
        assert self._boot is not None
        return int(Path(f"/proc/{self._boot.pid}/task/{self._boot.pid}/children").read_text().split()[0])

    def _wait_for_port(self) -> None:
        table = Path(f"/proc/{self.spaces.pid}/net/tcp")
        tables = (table, table.with_name("tcp6"))
        listening = f":{self.port:04X} "
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            rows = [row.split() for table in tables for row in table.read_text().splitlines()[1:]]
            if any(f"{row[1]} ".endswith(listening) and row[3] == "0A" for row in rows):
                return
            if self._boot is None or self._boot.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} did not come up: {self.log()}")
