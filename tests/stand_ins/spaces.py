"""Namespaces that live as long as this process wants, and no longer than it."""

from __future__ import annotations

import subprocess

FILES = {"net": "net", "mount": "mnt"}


class Spaces:
    """New namespaces of some ``kinds`` (``net``, ``mount``), kept by a process that waits for the end of its stdin.

    Attributes:
        pid: of that process: its folder in /proc leads into them.
        enter: the words before a command that let it run in them.
    """

    def __init__(self, *kinds: str) -> None:
        command = ["unshare", *(f"--{kind}" for kind in kinds), "sh", "-c", "echo; exec cat"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._process.stdout.readline()
        self.pid = self._process.pid
        self.enter = ["nsenter", *(f"--{kind}=/proc/{self.pid}/ns/{FILES[kind]}" for kind in kinds)]

    def run(self, *command: str) -> str:
        """The output of a command in them."""
        done = subprocess.run([*self.enter, *command], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
