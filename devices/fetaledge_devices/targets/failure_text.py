"""What a failed program wrote, fit for one sentence."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping

from fetaledge_devices.targets.base import Completed

ERROR_LENGTH = 400


def failure_text(completed: Completed) -> str:
    """Why a worker failed: its own error line where it gave one, else the last line, else the signal that killed it."""
    said = error_line(completed.stderr)[:ERROR_LENGTH]
    if completed.returncode < 0:
        return f"the worker was killed by {signal_name(-completed.returncode)}" + (f": {said}" if said else "")
    return said or f"the worker ended with exit code {completed.returncode} and said nothing"


def error_line(stderr: str) -> str:
    """What the last line that starts with ``error:`` says, else the last line; empty where there is none."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    said = next((line for line in reversed(lines) if line.lower().startswith("error:")), lines[-1] if lines else "")
    return re.sub(r"^error:\s*", "", said, flags=re.IGNORECASE)


def signal_name(number: int) -> str:
    """``SIGSEGV``, or ``signal 77`` for a number without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def redact(text: str, replacements: Mapping[str, str]) -> str:
    """Replace each of the machine's paths in ``text`` by the word that stands for it; the longest path first."""
    for path in sorted(replacements, key=len, reverse=True):
        text = text.replace(path, replacements[path])
    return text
