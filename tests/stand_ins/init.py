"""The first process of a stand-in's boot: sets up /proc, /dev and /run, starts the daemon, reaps, ends with its stdin.

Run in new mount, process and host name namespaces by device.py, which gives a JSON object as the only argument:
``root``, ``hostname``, ``binds`` (source here, target here), ``daemon`` (a command) and ``environment``.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

NODES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
LINKS = {"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}


def main(boot: dict[str, Any]) -> None:
    root = Path(boot["root"])
    socket.sethostname(boot["hostname"])
    _mount("-t", "proc", "proc", root / "proc")
    for source, target in boot["binds"]:
        _mount("--bind", source, target)
    _make_devices(root / "dev")
    _mount("-t", "tmpfs", "tmpfs", "/run")
    Path("/run/sshd").mkdir(mode=0o755)
    subprocess.Popen(boot["daemon"], env=boot["environment"], stdin=subprocess.DEVNULL, start_new_session=True)
    signal.signal(signal.SIGCHLD, _reap)
    _reap()
    while os.read(0, 1):
        pass


def _make_devices(dev: Path) -> None:
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", dev)
    os.umask(0)
    for name, numbers in NODES.items():
        os.mknod(dev / name, stat.S_IFCHR | 0o666, os.makedev(*numbers))
    for name, target in LINKS.items():
        (dev / name).symlink_to(target)
    (dev / "shm").mkdir(mode=0o1777)
    (dev / "pts").mkdir(mode=0o755)
    _mount("-t", "devpts", "-o", "newinstance,ptmxmode=0666,mode=620", "devpts", dev / "pts")
    os.umask(0o022)


def _reap(*_: object) -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
