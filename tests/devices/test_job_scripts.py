"""The scripts that devices are told, in each shell that they may have."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fetaledge_devices.targets import job_scripts
from tests.stand_ins.fixtures import program

TOOLS = ("cat", "dd", "mkdir", "mv", "rm", "rmdir", "sleep", "touch")
BOOT = Path("/proc/sys/kernel/random/boot_id")
Shell = Callable[..., tuple[str, float]]

pytestmark = pytest.mark.integration


@pytest.fixture(params=["dash", "busybox", "mksh with toybox", "mksh without setsid"])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Shell:
    """Give a script to such a shell, beside which there is nothing but what every device has."""
    path = program(str(request.param).split()[0])
    (tmp_path / "bin").mkdir()
    tools = (*TOOLS, "setsid") if request.param != "mksh without setsid" else TOOLS
    for tool in tools:
        # Debian's toybox has no dd; a phone's has.
        many = program("toybox" if str(request.param).endswith("toybox") and tool != "dd" else "busybox")
        (tmp_path / "bin" / tool).symlink_to(many)
    (tmp_path / "bin" / "sh").symlink_to(path)

    def run(
        script: str, *, token: str = "mine", close_s: float | None = None, **values: str | int
    ) -> tuple[str, float]:
        """What it printed and how long it took; a job's standard input is closed after so many seconds."""
        job = script.endswith(job_scripts.JOB)
        words: dict[str, str | int] = {
            "root": str(tmp_path / "r o'ot"),
            "token": token,
            "mark": "@@",
            "seconds": 600,
            "limit": 20,
        } | values
        text = job_scripts.assigned(words) + script
        text = text if job else job_scripts.framed(text, "@@")
        line = job_scripts.read_and_run(len(text.encode()) if job else None)
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
    return f"set -- {' '.join(words)}\n{job_scripts.JOB}"


def test_a_job_and_its_exit_code(shell: Shell) -> None:
    assert shell(job_scripts.LOCK)[0] == "\n@@ begin\ntaken\n\n@@ end 0\n"
    assert shell(job("sh", "-c", "'echo out; exit 255'"), number=1)[0] == "\n@@ begin\nout\n\n@@ end 255\n"
    assert shell(job("sh", "-c", "'kill -9 $$'"), number=2)[0] == "\n@@ begin\n\n@@ end 137\n"
    assert shell(job("/nowhere"), number=3)[0] == "\n@@ begin\n\n@@ end 127\n"
    assert shell("exit 7")[0] == "\n@@ begin\n\n@@ end 7\n"


@pytest.mark.parametrize("shell", ["dash"], indirect=True)
def test_a_setsid_that_leaves_its_command_behind_is_not_used(shell: Shell, tmp_path: Path) -> None:
    own = tmp_path / "bin" / "setsid"
    own.unlink()
    own.write_text(f'#!/bin/sh\nexec {shutil.which("setsid")} -f "$@"\n')
    own.chmod(0o755)
    shell(job_scripts.LOCK)
    assert shell(job("sh", "-c", "'exit 255'"), number=1)[0] == "\n@@ begin\n\n@@ end 255\n"
    said, seconds = shell(job("sleep", "33"), number=2, close_s=1.0)
    assert said == "\n@@ begin\n\n@@ end 137\n" and seconds < 10


@pytest.mark.parametrize(("limit", "close_s"), [(1, None), (20, 1.0)])
def test_a_job_ends_at_its_limit_and_with_whoever_asked_for_it(shell: Shell, limit: int, close_s: float | None) -> None:
    shell(job_scripts.LOCK)
    said, seconds = shell(job("sleep", "33"), number=1, limit=limit, close_s=close_s)
    assert said == "\n@@ begin\n\n@@ end 137\n" and seconds < 10


def test_a_job_is_stopped_from_a_second_connection(shell: Shell) -> None:
    shell(job_scripts.LOCK)
    threading.Timer(1, shell, [job_scripts.STOP]).start()
    said, seconds = shell(job("sleep", "33"), number=1)
    assert said == "\n@@ begin\n\n@@ end 137\n" and seconds < 10


def test_a_job_whose_pid_is_somebody_elses_by_now_is_left_alone(shell: Shell, tmp_path: Path) -> None:
    jobs = tmp_path / "r o'ot" / "jobs" / "mine"
    shell(job_scripts.LOCK)
    jobs.mkdir()
    process = subprocess.Popen(["sleep", "33"], start_new_session=True)
    began = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2].split()[19]
    (jobs / "1.pid").write_text(f"{process.pid} {BOOT.read_text().strip()} {int(began) - 1}\n")
    shell(job_scripts.STOP)
    assert process.poll() is None and not list(jobs.iterdir())
    (jobs / "1.pid").write_text(f"{process.pid} {BOOT.read_text().strip()} {began}\n")
    threading.Thread(target=process.wait).start()
    shell(job_scripts.STOP)
    assert process.wait(5) == -9


def test_the_lock(shell: Shell, tmp_path: Path) -> None:
    root = tmp_path / "r o'ot"
    assert "taken" in shell(job_scripts.LOCK)[0]
    assert "taken" in shell(job_scripts.LOCK)[0]
    assert re.search("held (600|59.)", shell(job_scripts.LOCK, token="other")[0])
    assert shell(job("echo"), token="other", number=1)[0] == "\n@@ refused\n"
    for void in (f"mine.1.{BOOT.read_text().strip()}", "mine.99999999.0000", "odd"):
        set_owner(root, void)
        (root / "jobs" / "mine").mkdir(exist_ok=True)
        assert "taken" in shell(job_scripts.LOCK, token="other")[0]
        assert owners(root) == ["other"] and not list((root / "jobs").iterdir())
    shell(job_scripts.UNLOCK)
    assert owners(root) == ["other"]
    shell(job_scripts.UNLOCK, token="other")
    assert [path.name for path in root.iterdir()] == ["jobs"]
    (root / "lock").mkdir()
    assert "taken" in shell(job_scripts.LOCK)[0]


def test_only_one_takes_a_void_lock_over(shell: Shell, tmp_path: Path) -> None:
    """Each stops right before it renames what it judged: the slowest of them must find that it is too late."""
    root = tmp_path / "r o'ot"
    shell(job_scripts.LOCK)
    set_owner(root, "dead.1.x")
    slow = tmp_path / "bin" / "mv"
    many = slow.resolve()
    slow.unlink()
    slow.write_text(f'#!/bin/sh\nsleep 1\nexec {many} mv "$@"\n')
    slow.chmod(0o755)
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda token: shell(job_scripts.LOCK, token=token)[0], ["a", "b", "c"]))
    assert sorted("taken" in answer for answer in answers) == [False, False, True]
    assert sum("held " in answer for answer in answers) == 2
    assert owners(root) == ["abc"[["taken" in answer for answer in answers].index(True)]]


def test_a_script_of_an_owner_renews_the_lock_and_one_of_a_loser_does_not_run(shell: Shell, tmp_path: Path) -> None:
    root = tmp_path / "r o'ot"
    values = job_scripts.assigned({"root": str(root), "token": "mine", "mark": "@@", "seconds": 600})
    script = job_scripts.owned(values, "echo on")
    shell(job_scripts.LOCK)
    for void in ("mine.1.x", f"mine.1.{BOOT.read_text().strip()}"):
        set_owner(root, void)
        assert "\non\n" in shell(script)[0]
        assert int(next((root / "lock").iterdir()).name.split(".")[1]) > 500
    set_owner(root, "other.1.x")
    said = shell(script)[0]
    assert "@@ refused\n" in said and "on\n" not in said and owners(root) == ["other"]
    shell(job_scripts.UNLOCK, token="other")
    assert "@@ refused\n" in shell(script)[0]


def test_a_folder_that_has_gone_is_not_taken_for_one_that_another_holds(shell: Shell, tmp_path: Path) -> None:
    root = tmp_path / "r o'ot"
    shell(job_scripts.LOCK)
    shutil.rmtree(root)
    values = job_scripts.assigned({"root": str(root), "token": "mine", "mark": "@@", "seconds": 600})
    said = shell(job_scripts.owned(values, "echo on"))[0]
    assert "@@ vanished\n" in said and "on\n" not in said
    assert shell(job("echo"), number=1)[0] == "\n@@ vanished\n"
    assert not root.exists()


def set_owner(root: Path, name: str) -> None:
    for path in (root / "lock").iterdir():
        path.unlink()
    (root / "lock" / name).touch()


def owners(root: Path) -> list[str]:
    return [path.name.partition(".")[0] for path in (root / "lock").iterdir()]
