"""Ending quietly where who reads the output has left, as ``head`` does."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

READER_LEFT = 141
"""The exit code that a shell gives a program which the signal SIGPIPE ended: 128 and the signal's number, 13."""


@contextlib.contextmanager
def ending_with_the_reader() -> Iterator[None]:
    """Leave with :data:`READER_LEFT`, without a word, where standard output or standard error is a pipe nobody reads.

    What is still in Python's buffers is written before the block is left: the interpreter would complain later.
    """
    try:
        try:
            yield
        finally:
            for stream in (sys.stdout, sys.stderr):
                if stream is not None and not stream.closed:
                    stream.flush()
    except (BrokenPipeError, SystemExit) as error:
        # Libraries of command lines turn the broken pipe into an exit of their own.
        broken = isinstance(error, BrokenPipeError) or isinstance(error.__context__, BrokenPipeError)
        if not broken:
            raise
        sink = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            os.dup2(sink, number)
        os.close(sink)
        raise SystemExit(READER_LEFT) from None
