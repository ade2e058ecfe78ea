"""The programs that a build calls."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from fetaledge_runtimes.errors import TargetError


def run_tool(
    command: Sequence[str], timeout_s: float, environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """A program of the build, to its end.

    Raises:
        TargetError: it cannot be started, or does not end in time.
    """
    try:
        return subprocess.run(
            command,
            env=environment,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TargetError(f"{Path(command[0]).name} did not end within {timeout_s:.0f} s", "try again") from None
    except OSError as error:
        raise TargetError(f"{command[0]} cannot be started: {error.strerror}") from None
