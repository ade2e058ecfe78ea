"""The scripts that devices are told, in each shell that they may have."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fetaledge_benchmarks.targets import scripts

TOOLS = ("cat", "dd", "mkdir", "mv", "rm", "sleep", "touch")
BOOT = Path("/proc/sys/kernel/random/boot_id")
Shell = Callable[..., tuple[str, float]]

pytestmark = pytest.mark.slow


@pytest.fixture(params=["dash", "busybox", "mksh", "mksh without setsid"])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Shell:
    """Give a script to such a shell, beside which there is nothing but what every device has."""
    name = str(request.param).split()[0]
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"no {name} on this machine")
    (tmp_path / "bin").mkdir()
    tools = (*TOOLS, "setsid") if request.param != "mksh without setsid" else TOOLS
    for tool in tools:
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which("busybox") or shutil.which(tool)))
    (tmp_path / "bin" / "sh").symlink_to(program)

    def run(
        script: str, *, token: str = "mine", close_s: float | None = None, **values: str | int
    ) -> tuple[str, float]:
        """What it printed and how long it took; a job's standard input is closed after so many seconds."""
        job = script.endswith(scripts.JOB)
        words: dict[str, str | int] = {
            "root": str(tmp_path / "r o'ot"),
            "token": token,
            "mark": "@@",
            "seconds": 600,
            "limit": 20,
        } | values
        text = scripts.assigned(words) + script
        text = text if job else scripts.framed(text, "@@")
        line = scripts.read_and_run(len(text.encode()) if job else None)
        reading, writing = os.pipe()
        path = {"PATH": str(tmp_path / "bin")}
        started = time.monotonic()
        process = subprocess.Popen(
            ["sh", "-c", line], executable=str(tmp_path / "bin/sh"), env=path, stdin=reading, stdout=subprocess.PIPE
        )
        os.close(reading)
        os.write(writing, text.encode())
        if not job:
            os.close(writing)
        elif close_s is not None:
            threading.Timer(close_s, os.close, [writing]).start()
        said = process.communicate(timeout=30)[0].decode()
        if job and close_s is None:
            os.close(writing)
        return said, time.monotonic() - started

    return run


def job(*words: str) -> str:
    return f"set -- {' '.join(words)}\n{scripts.JOB}"


def test_a_job_and_its_exit_code(shell: Shell) -> None:
    assert shell(scripts.LOCK)[0] == "\n@@ begin\ntaken\n\n@@ end 0\n"
    assert shell(job("sh", "-c", "'echo out; exit 255'"), number=1)[0] == "\n@@ begin\nout\n\n@@ end 255\n"
    assert shell(job("sh", "-c", "'kill -9 $$'"), number=2)[0] == "\n@@ begin\n\n@@ end 137\n"
    assert shell(job("/nowhere"), number=3)[0] == "\n@@ begin\n\n@@ end 127\n"
    assert shell("exit 7")[0] == "\n@@ begin\n\n@@ end 7\n"


@pytest.mark.parametrize(("limit", "close_s"), [(1, None), (20, 1.0)])
def test_a_job_ends_at_its_limit_and_with_whoever_asked_for_it(shell: Shell, limit: int, close_s: float | None) -> None:
    shell(scripts.LOCK)
    said, seconds = shell(job("sleep", "33"), number=1, limit=limit, close_s=close_s)
    assert said == "\n@@ begin\n\n@@ end 137\n" and seconds < 10


def test_a_job_is_stopped_from_a_second_connection(shell: Shell) -> None:
    shell(scripts.LOCK)
    threading.Timer(1, shell, [scripts.STOP]).start()
    said, seconds = shell(job("sleep", "33"), number=1)
    assert said == "\n@@ begin\n\n@@ end 137\n" and seconds < 10


def test_the_lock(shell: Shell, tmp_path: Path) -> None:
    owner = tmp_path / "r o'ot" / "lock" / "owner"
    shell(scripts.LOCK)
    assert "taken" in shell(scripts.LOCK)[0]
    assert "held 6" in shell(scripts.LOCK, token="other")[0] or "held 5" in shell(scripts.LOCK, token="other")[0]
    assert shell(job("echo"), token="other", number=1)[0] == "\n@@ refused\n"
    for line in (f"mine 1 {BOOT.read_text()}", "mine 99999999 0000"):
        owner.write_text(line)
        (tmp_path / "r o'ot" / "jobs" / "mine").mkdir(exist_ok=True)
        assert "taken" in shell(scripts.LOCK, token="other")[0]
        assert owner.read_text().startswith("other") and not list((tmp_path / "r o'ot" / "jobs").iterdir())
    shell(scripts.UNLOCK)
    assert owner.exists()
    shell(scripts.UNLOCK, token="other")
    assert [path.name for path in (tmp_path / "r o'ot").iterdir()] == ["jobs"]
