"""The command in this process, with its whole output as a process of its own would give it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TextIO
from unittest import mock

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]


def run_here(*arguments: object, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``fetaledge …`` as from a shell, but in this process: seconds of imports are saved each time.

    Args:
        arguments: the words after ``fetaledge``.
        env: the environment; None is this process's.
    """
    from fetaledge.cli.app import main

    words = ["fetaledge", *map(str, arguments)]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        with (
            mock.patch.object(sys, "argv", words),
            mock.patch.dict(os.environ, env or os.environ, clear=True),
            _redirected(out, err),
            pytest.raises(SystemExit) as leaving,
        ):
            main()
        out.seek(0)
        err.seek(0)
        done = subprocess.CompletedProcess(words, int(leaving.value.code or 0), out.read(), err.read())
    assert "Traceback" not in done.stderr, done.stderr
    return done


@cache
def _streams() -> tuple[TextIO, TextIO]:
    """Python's view of the two descriptors; never closed: a library's log handler keeps the one it first saw."""
    return open(1, "w", closefd=False, buffering=1), open(2, "w", closefd=False, buffering=1)  # noqa: PTH123, SIM115


@contextmanager
def _redirected(out: TextIO, err: TextIO) -> Iterator[None]:
    """Point both descriptors and Python's two streams at these files: engines write past Python."""
    stdout, stderr = _streams()
    saved = [os.dup(number) for number in (1, 2)]
    try:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        with mock.patch.object(sys, "stdout", stdout), mock.patch.object(sys, "stderr", stderr):
            yield
    finally:
        for number, stream, old in zip((1, 2), (stdout, stderr), saved, strict=True):
            stream.flush()
            os.dup2(old, number)
            os.close(old)
