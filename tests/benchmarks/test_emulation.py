"""Programs of a 64-bit Arm board on this machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from fetaledge_benchmarks.cost.emulation import pi_root, qemu_command
from fetaledge_benchmarks.cost.emulation.boards import BOARDS
from fetaledge_runtimes.errors import TargetError, UsageError

Which = dict[str, str]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Which:
    """What is installed: a name and where it is."""
    programs: Which = {}
    monkeypatch.setattr(shutil, "which", lambda name, **_: programs.get(name))
    return programs


def test_a_program_of_the_root_gets_only_its_own_environment(installed: Which, tmp_path: Path) -> None:
    installed["qemu-aarch64"] = "/usr/bin/qemu-aarch64"
    python = tmp_path / "usr/bin/python3"
    python.parent.mkdir(parents=True)
    python.touch()
    command = qemu_command(tmp_path, "cortex-a72", {"LISTED": "1,2"}, ["/usr/bin/python3", "-V"])
    assert command[:2] == ["env", "-i"]
    assert "LISTED=1,2" in command
    assert command[-2:] == [str(python), "-V"]
    assert command[command.index("-L") + 1] == str(tmp_path)


def test_a_program_of_this_machine_is_left_as_it_is(installed: Which, tmp_path: Path) -> None:
    installed["qemu-aarch64-static"] = "/usr/bin/qemu-aarch64-static"
    command = qemu_command(tmp_path, "cortex-a76", {}, ["/somewhere/runner"])
    assert command == [
        "env",
        "-i",
        installed["qemu-aarch64-static"],
        "-cpu",
        "cortex-a76",
        "-L",
        str(tmp_path),
        "-seed",
        "0",
        "/somewhere/runner",
    ]


def test_a_plugin_needs_the_qemu_that_can_load_it(installed: Which, tmp_path: Path) -> None:
    installed["qemu-aarch64-static"] = "/usr/bin/qemu-aarch64-static"
    with pytest.raises(TargetError, match=r"^qemu-aarch64 is not installed.*apt-get install qemu-user"):
        qemu_command(tmp_path, "cortex-a76", {}, ["/somewhere/runner"], plugin="counting.so")
    installed["qemu-aarch64"] = "/usr/bin/qemu-aarch64"
    command = qemu_command(tmp_path, "cortex-a76", {}, ["/somewhere/runner"], plugin="counting.so,out=x")
    assert command[command.index("-plugin") + 1] == "counting.so,out=x"
    assert installed["qemu-aarch64"] in command


@pytest.mark.usefixtures("installed")
def test_what_is_missing_is_named_with_the_package_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FETALEDGE_CACHE", str(tmp_path))
    with pytest.raises(TargetError, match="apt-get install mmdebstrap"):
        pi_root()
    assert list((tmp_path / "emulation").iterdir()) == []


def test_a_failed_root_leaves_nothing_in_the_cache(
    installed: Which, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "mmdebstrap"
    program.write_text("#!/bin/sh\necho 'I: trying' >&2; echo 'E: no such mirror' >&2; exit 25\n", encoding="utf-8")
    program.chmod(0o755)
    installed["mmdebstrap"] = str(program)
    monkeypatch.setenv("FETALEDGE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(TargetError, match="Debian bookworm cannot be had: E: no such mirror"):
        pi_root("bookworm")
    assert list((tmp_path / "cache/emulation").iterdir()) == []


@pytest.mark.parametrize("wrong", [("buster", "cortex-a72"), ("bookworm", "cortex-a15")])
def test_an_unknown_release_or_processor_is_refused(wrong: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match="is not known; known are"):
        pi_root(*wrong)


@pytest.mark.parametrize(("cpu", "midr"), [("cortex-a72", "0x00000000410fd083"), ("cortex-a76", "0x00000000414fd0b1")])
def test_a_board_tells_its_cores(cpu: str, midr: str) -> None:
    files = BOARDS[cpu].cpu_files()
    assert files["possible"] == "0-3\n"
    for core in range(4):
        assert files[f"cpu{core}/regs/identification/midr_el1"] == f"{midr}\n"
        assert files[f"cpu{core}/topology/core_id"] == f"{core}\n"
        assert files[f"cpu{core}/topology/thread_siblings"] == f"{1 << core:x}\n"
    assert BOARDS[cpu].cpuinfo().count(f"CPU part\t: 0x{midr[-4:-1]}\n") == 4


@pytest.mark.integration
@pytest.mark.parametrize(("release", "version"), [("bookworm", "3.11"), ("trixie", "3.13")])
def test_python_of_a_real_root_believes_to_be_on_the_board(
    release: str, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (shutil.which("mmdebstrap") and shutil.which("qemu-aarch64")):
        pytest.skip("mmdebstrap and qemu-user are not installed")
    monkeypatch.setenv("FETALEDGE_CACHE", str(tmp_path))
    script = tmp_path / "ask.py"
    script.write_text(
        "import os, platform, sys\n"
        "part = [line.split()[-1] for line in open('/proc/cpuinfo') if 'part' in line]\n"
        "print(platform.machine(), platform.python_version(), part[0], len(part), dict(os.environ).get('HOME'))\n",
        encoding="utf-8",
    )
    for cpu, board in BOARDS.items():
        root = pi_root(release, cpu)
        command = qemu_command(root, cpu, {}, ["/usr/bin/python3", str(script)])
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        machine, python, part, cores, home = done.stdout.split()
        assert (machine, part, cores, home) == ("aarch64", f"{board.part:#x}", "4", "None")
        assert python.startswith(f"{version}.")
    assert [path.name.split("-")[0] for path in (tmp_path / "emulation").iterdir()] == [release]
