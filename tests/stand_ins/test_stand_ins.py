"""The stand-ins do what tests of targets rely on."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stand_ins.device import ROOT
from tests.stand_ins.host import Host
from tests.stand_ins.phone import Phone
from tests.stand_ins.pi import Pi

pytestmark = pytest.mark.integration

BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
WHO_RUNS_ME = "cat /proc/$$/cmdline; exit"  # a shell that execs its last command would read of itself: QEMU hides then


def ssh(pi: Pi, script: str, address: str | None = None) -> subprocess.CompletedProcess[str]:
    name = (address or pi.address).removeprefix("ssh://")
    options = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=2"]
    return _run([*shlex.split(pi.environment["FETALEDGE_SSH"]), *options, name, script])


def adb_shell(phone: Phone, script: str) -> subprocess.CompletedProcess[str]:
    return _run([*shlex.split(phone.environment["FETALEDGE_ADB"]), "-s", phone.serial, "shell", script])


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)


def _until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not true() and time.monotonic() < deadline:
        time.sleep(0.1)
    return true()


def test_the_pi_is_a_64_bit_arm_board_with_python(pi4: Pi) -> None:
    script = "import os, platform; print(platform.machine(), platform.python_version()[:4], os.getuid())"
    assert ssh(pi4, f"python3 -c '{script}'").stdout == "aarch64 3.11 1000\n"
    assert "Raspberry Pi 4" in ssh(pi4, "cat /proc/cpuinfo").stdout
    tools = ["rsync", "sha256sum", "tar", "timeout", "setsid", "taskset", "vcgencmd", "getconf", "ps", "awk"]
    assert ssh(pi4, f"which {' '.join(tools)} | wc -l").stdout.strip() == str(len(tools))


def test_two_boards_at_one_host_differ(pi4: Pi, pi5: Pi) -> None:
    parts = [ssh(pi, "grep -m1 part /proc/cpuinfo").stdout.split()[-1] for pi in (pi4, pi5)]
    assert parts == ["0xd08", "0xd0b"]
    assert "asimddp" in ssh(pi5, "cat /proc/cpuinfo").stdout
    assert ssh(pi4, BOOT_ID).stdout != ssh(pi5, BOOT_ID).stdout


def test_exit_codes_come_back(pi4: Pi, phone: Phone) -> None:
    assert ssh(pi4, "exit 7").returncode == 7
    assert adb_shell(phone, "exit 7").returncode == 7


def test_the_phone_has_a_shell_and_little_else(phone: Phone) -> None:
    assert adb_shell(phone, "uname -m; id -u; getprop ro.build.version.sdk").stdout.split() == ["aarch64", "2000", "34"]
    assert adb_shell(phone, "command -v python3 || ls /lib").returncode != 0
    assert adb_shell(phone, "echo > /system/x").returncode != 0


def test_a_child_sees_that_its_shell_is_emulated(pi4: Pi, phone: Phone) -> None:
    assert "qemu" in ssh(pi4, WHO_RUNS_ME).stdout
    assert "qemu" in adb_shell(phone, WHO_RUNS_ME).stdout


def test_answers_can_be_changed(pi4: Pi, phone: Phone) -> None:
    pi4.set(throttled="0x50005")
    assert ssh(pi4, "vcgencmd get_throttled").stdout == "throttled=0x50005\n"
    pi4.set(throttled="0x0")
    pi4.write("/sys/class/thermal/thermal_zone0/temp", "85000\n")
    assert ssh(pi4, "cat /sys/class/thermal/thermal_zone0/temp").stdout == "85000\n"
    phone.set_battery(level=9, plugged=False)
    assert "level: 9" in adb_shell(phone, "dumpsys battery").stdout
    phone.set_battery()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("key-refused", "Permission denied (publickey)"),
        ("key-changed", "has changed"),
        ("key-unknown", "Host key verification failed"),
        ("refused", "Connection refused"),
        ("silent", "timed out"),
        ("unresolved", "Could not resolve hostname"),
    ],
)
def test_faults_of_ssh(pi4: Pi, fault: str, said: str) -> None:
    done = ssh(pi4, "true", pi4.faults[fault])
    assert done.returncode == 255
    assert said in done.stderr


def test_the_disk_gets_full_and_read_only(pi4: Pi) -> None:
    pi4.fill(2)
    full = ssh(pi4, "head -c 5000000 /dev/zero > big; echo $?; rm big")
    pi4.fill(None)
    assert "No space left" in full.stderr
    pi4.read_only(True)
    refused = ssh(pi4, "touch new")
    pi4.read_only(False)
    assert "Read-only" in refused.stderr
    assert ssh(pi4, "touch new && rm new").returncode == 0


def test_cut_leaves_the_processes_of_a_pi_running(pi4: Pi) -> None:
    words = [*shlex.split(pi4.environment["FETALEDGE_SSH"]), "pi@pi4", "exec sleep 987"]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        assert _until(lambda: pi4.processes() == ["sleep 987"])
        pi4.cut()
        assert running.wait(20) == 255
    assert pi4.processes() == ["sleep 987"]
    assert ssh(pi4, "pkill sleep").returncode == 0
    assert _until(lambda: pi4.processes() == [])


def test_cut_ends_a_shell_of_the_phone_and_adb_says_success(phone: Phone) -> None:
    words = [*shlex.split(phone.environment["FETALEDGE_ADB"]), "-s", phone.serial, "shell", "sleep 987; echo done"]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as running:
        assert _until(lambda: "sleep 987" in phone.processes())
        phone.cut()
        assert running.communicate(timeout=20)[0] == ""
    assert _until(lambda: adb_shell(phone, "echo back").stdout == "back\n")
    adb_shell(phone, "killall sleep")
    assert _until(lambda: phone.processes() == [])


def test_packets_vanish_and_come_back(pi4: Pi) -> None:
    pi4.stall()
    silent = ssh(pi4, "true")
    pi4.resume()
    assert "timed out" in silent.stderr
    assert ssh(pi4, "true").returncode == 0


def test_reboot(pi4: Pi) -> None:
    (pi4.home / "kept").touch()
    before = ssh(pi4, f"{BOOT_ID}; setsid sleep 987 > /dev/null 2>&1 &").stdout
    assert _until(lambda: pi4.processes() == ["sleep 987"])
    pi4.reboot(1)
    assert ssh(pi4, BOOT_ID).returncode == 255 or pi4.processes() == []
    pi4.wait_until_up()
    after = ssh(pi4, f"{BOOT_ID}; ls kept")
    assert after.stdout.split()[0] != before.split()[0]
    assert after.stdout.split()[1] == "kept"
    assert pi4.processes() == []
    (pi4.home / "kept").unlink()


def test_nothing_is_left(stand_in_roots: Path) -> None:
    before = _mounts(ROOT.parent)
    with Host() as host, Pi(stand_in_roots, host=host) as pi, Phone(stand_in_roots, host=host) as phone:
        assert ssh(pi, "true").returncode == 0
        folders = [host.folder, pi.folder, phone.folder]
        there = _inhabitants(*(holder.spaces.pid for holder in (host, pi, phone)))
        assert len(there) > 3
    assert not any(folder.exists() for folder in folders)
    assert _mounts(ROOT.parent, *folders) == before
    assert _until(lambda: not there & _processes().keys())


def test_nothing_is_left_by_a_killed_process(stand_in_roots: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.stand_ins", "run", "pi4", "phone"]
    top = Path(__file__).resolve().parents[2]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, cwd=top, env=environment, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        said = [running.stdout.readline() for _ in range(4)]
        pid = next(word for word in shlex.split(said[2]) if "/ns/net" in word).split("/")[2]
        there = _inhabitants(int(pid))
        assert there
        running.kill()
    assert _until(lambda: not there & _processes().keys())


def _mounts(*folders: Path) -> set[str]:
    """What is mounted in them; another test may mount elsewhere meanwhile."""
    lines = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    return {line for line in lines if any(Path(line.split()[1]).is_relative_to(folder) for folder in folders)}


def _inhabitants(*pids: int) -> set[tuple[str, str]]:
    """The processes that share a network namespace with one of these."""
    running = _processes()
    spaces = {running[process] for process in running if int(process[0]) in pids}
    return {process for process, space in running.items() if space in spaces}


def _processes() -> dict[tuple[str, str], Path]:
    """Each process, by number and start, and its network namespace, whose number may be another one's later."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            started = (process / "stat").read_text(errors="replace").rpartition(") ")[2].split()[19]
            found[process.name, started] = (process / "ns/net").readlink()
    return found
