"""A device behind the system's ``ssh``: the user's configuration, agent and jump hosts work."""

from __future__ import annotations

import os
import re
import select
import shlex
import shutil
import subprocess
import tempfile
import time
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar, Self

from fetaledge_devices.targets.address import behind_kind, check_part
from fetaledge_devices.targets.base import Cancelled, Completed, ConnectionLost
from fetaledge_devices.targets.error_messages import SSH, explain, last_line
from fetaledge_devices.targets.processes import end_program, start
from fetaledge_devices.targets.remote import RemoteTarget
from fetaledge_devices.targets.transfer import SPACE_HERE
from fetaledge_runtimes.errors import OutputError, TargetError, UsageError

FORM = "ssh://[user@]host[:port]"
CONNECT_S = 15
ALIVE_S = 10
ALIVE_COUNT = 3
FORGOTTEN_S = 7 * 24 * 3600
# Options that are ours whatever the user's configuration says: no question, no forwarding, no command of its own.
OPTIONS = {
    "BatchMode": "yes",
    "RequestTTY": "no",
    "RemoteCommand": "none",
    "PermitLocalCommand": "no",
    "ClearAllForwardings": "yes",
    "EscapeChar": "none",
    "LogLevel": "INFO",
    "ControlPersist": "no",
    "ConnectTimeout": str(CONNECT_S),
    "ServerAliveCountMax": str(ALIVE_COUNT),
}

# rsync and scp call this for ssh; the host that they name is a placeholder, since neither can quote every name.
TRANSPORT = """#!/bin/sh
subsystem=
case $1 in -*)
    while [ "$1" != -- ]; do
        [ "$1" != -s ] || subsystem=-s
        shift
    done
    shift
esac
shift
exec {ssh} $subsystem {host} "$@"
"""


@dataclass(frozen=True)
class SshAddress:
    """``host``: a host name, an alias of ssh_config or an IP address; nothing is decoded."""

    host: str
    user: str | None = None
    port: int | None = None

    @classmethod
    def parse(cls, address: str) -> SshAddress:
        """The parts of ``ssh://[user@]host[:port]``.

        Raises:
            UsageError: a part is empty, begins with ``-`` or holds a control character, or there is no such port.
        """
        user, at, host = behind_kind(address).rpartition("@")
        host, port = _split_port(address, host)
        host = check_part(address, "host", host, FORM)
        return cls(host, check_part(address, "user", user, FORM) if at else None, port)


def _split_port(address: str, host: str) -> tuple[str, int | None]:
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", host, re.DOTALL)
    if bracketed:
        name, digits = bracketed.groups()
    elif host.count(":") == 1:
        name, _, digits = host.partition(":")
    else:
        name, digits = host, None
    if digits is None:
        return name, None
    if not re.fullmatch(r"[0-9]{1,5}", digits) or not 1 <= int(digits) <= 65535:
        raise UsageError(f"the target {address!r} has no port between 1 and 65535 behind the colon", f"write {FORM}")
    return name, int(digits)


class SshTarget(RemoteTarget):
    """One connection carries everything; it lives for as long as this process holds one of its pipes.

    Attributes:
        alive_s: seconds between the signs of life that the device is asked for; it is lost when it misses three.
        private: the folder with the connection's socket, while there is one.
    """

    kind: ClassVar[str] = "ssh"
    form: ClassVar[str] = FORM
    failures = SSH
    alive_s = ALIVE_S

    def __init__(self, name: str, address: SshAddress) -> None:
        super().__init__(name)
        self.address = address
        self._home = ""
        self.private: Path | None = None
        self._master: subprocess.Popen[bytes] | None = None
        self._rsync = shutil.which("rsync") is not None

    @classmethod
    def at(cls, address: str) -> Self:
        return cls(address, SshAddress.parse(address))

    @property
    def root(self) -> str:
        self.connect()
        return f"{self._home}/.fetaledge"

    def connect(self) -> None:
        if self._master is not None and self._master.poll() is None:
            return
        if self._master is not None:  # it has ended, and its pipes are still open here
            end_program(self._master)
        private = self._folder()
        mark = f"@@{self.token} home"
        line = f"exec sh -c 'cd && echo && echo \"{mark} $(pwd)\" && exec cat >/dev/null'"
        with (private / "messages").open("w+b") as messages:
            self._master = start(
                [*self._ssh("yes"), *self._host(), line],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=messages.fileno(),
            )
            said = self._read_line(self._master, mark)
            if said is None:
                with suppress(subprocess.TimeoutExpired):
                    self._master.wait(1)
                silent = self._master.poll() is None
                end_program(self._master)
                messages.seek(0)
                text = messages.read().decode(errors="replace")
                raise self.failure(f"{text}\nthe login timed out" if silent else text)
        self._home = said.rstrip("/")
        self.reached = True

    def shell_command(self, line: str) -> list[str]:
        return [*self._ssh("no"), *self._host(), line]

    def upload(self, folder: Path, timeout_s: float) -> Completed:
        self.connect()
        if self._rsync:
            into = f"device:{self.root}/"
            answer = self.processes.run([*self._rsync_command(), f"{folder}/", into], timeout_s)
            if not self._lacks_rsync(answer):
                return answer
        entries = sorted(str(entry) for entry in folder.iterdir())
        return self.processes.run([*self._scp_command(), *entries, f"device:{self.root}/"], timeout_s)

    def download(self, place: str, folder: Path, timeout_s: float) -> Completed:
        self.connect()
        if self._rsync:
            answer = self.processes.run([*self._rsync_command(), f"device:{place}/", f"{folder}/"], timeout_s)
            if not self._lacks_rsync(answer):
                return answer
        return self.processes.run([*self._scp_command(), f"device:{place}/.", f"{folder}/"], timeout_s)

    def failure(self, text: str) -> TargetError:
        messages = text
        if self._master is not None and self._master.poll() is not None and self.private is not None:
            with suppress(OSError):
                messages += (self.private / "messages").read_text(errors="replace")
        user = f"{self.address.user}@" if self.address.user else ""
        port = f"-p {self.address.port} " if self.address.port else ""
        words = {"where": port + shlex.quote(user + self.address.host), "name": self.name}
        known = explain(SSH, messages, **words)
        if known is None:
            sentence = f"{self.name} dropped out" if self.reached else f"{self.name} cannot be reached"
            return self._kind(True)(
                f"{sentence}: {last_line(messages) or 'ssh gave no reason'}", f"try: ssh {words['where']}"
            )
        return self._kind(known[2])(known[0], known[1])

    def close(self) -> None:
        super().close()
        if self._master is not None:
            end_program(self._master)
        if self.private is not None:
            shutil.rmtree(self.private, ignore_errors=True)
        self._master = self.private = None

    def _kind(self, passing: bool) -> type[TargetError]:
        return ConnectionLost if passing and self.reached else TargetError

    def _folder(self) -> Path:
        """A private folder with a short path: that of a socket may have 104 letters."""
        if self.private is None:
            base = tempfile.gettempdir()
            short = base if len(base) < 60 else "/tmp"
            _sweep(Path(short))
            try:
                self.private = Path(tempfile.mkdtemp(prefix="fetaledge-ssh-", dir=short))
                weakref.finalize(self, shutil.rmtree, self.private, ignore_errors=True)
                host = shlex.join(self._host())
                script = TRANSPORT.format(ssh=shlex.join(self._ssh("no")), host=host)
                transport = self.private / "transport"
                transport.write_text(script, encoding="utf-8")
                transport.chmod(0o700)
            except OSError as error:
                raise OutputError(f"cannot write into {short} on this machine: {error}", SPACE_HERE) from None
        return self.private

    def _ssh(self, master: str) -> list[str]:
        own = shlex.split(os.environ.get("FETALEDGE_SSH", "")) or ["ssh"]
        options = OPTIONS | {
            "ServerAliveInterval": str(self.alive_s),
            "ControlMaster": master,
            "ControlPath": f"{self.private}/socket",
        }
        given = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        user = ["-l", self.address.user] if self.address.user else []
        port = ["-p", str(self.address.port)] if self.address.port else []
        return [*own, "-x", *given, *user, *port]

    def _host(self) -> list[str]:
        return ["--", self.address.host]

    def _rsync_command(self) -> list[str]:
        transport = str(self._folder() / "transport").replace("'", "''")
        flags = "--recursive --links --times --executability --omit-dir-times --ignore-times --partial --protect-args"
        return ["rsync", *flags.split(), "--timeout=60", "-e", f"'{transport}'"]

    def _scp_command(self) -> list[str]:
        return ["scp", "-q", "-r", "-p", "-s", "-S", str(self._folder() / "transport")]

    def _lacks_rsync(self, answer: Completed) -> bool:
        """Whether rsync is missing there or too different; scp serves then."""
        if answer.returncode in (1, 2, 4, 126, 127) or "not found" in answer.stderr:
            self._rsync = False
        return not self._rsync

    def _read_line(self, process: subprocess.Popen[bytes], mark: str) -> str | None:
        """What stands behind ``mark`` in a line that a program prints, or None."""
        pipe: IO[bytes] | None = process.stdout
        assert pipe is not None
        until = time.monotonic() + 2 * CONNECT_S
        text = b""
        cleaning = self.processes.cancelled.is_set()
        while time.monotonic() < until:
            if self.processes.cancelled.is_set() and not cleaning:
                end_program(process)
                raise Cancelled
            if not select.select([pipe], [], [], 0.2)[0]:
                continue
            part = os.read(pipe.fileno(), 4096)
            text += part
            for line in text.split(b"\n")[:-1]:
                if line.startswith(mark.encode()):
                    return line[len(mark) + 1 :].decode(errors="replace")
            if not part:
                break
        return None


def _sweep(base: Path) -> None:
    """Delete the private folders of processes that were killed: a connection touches its folder when it begins."""
    for path in base.glob("fetaledge-ssh-*"):
        with suppress(OSError):
            state = path.stat()
            if state.st_uid == os.getuid() and state.st_mtime < time.time() - FORGOTTEN_S:
                shutil.rmtree(path, ignore_errors=True)
