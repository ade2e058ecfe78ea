from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from fetaledge.cli.devices import devices as command
from fetaledge_devices import device_list
from fetaledge_devices.deploy.address_book import KnownTarget, remember
from fetaledge_devices.device_list import devices_document, devices_table, list_devices, runnable_formats
from fetaledge_devices.facts.model import Facts, Platform
from fetaledge_devices.facts.parse import parse_facts
from fetaledge_devices.targets.base import Cancelled, Completed, Target
from fetaledge_runtimes.errors import TargetError, UsageError
from fetaledge_runtimes.records import to_json
from tests.stand_ins.phone import Phone
from tests.stand_ins.pi import Pi

PI4 = """@@FILES
/proc/cpuinfo:processor	: 0
/proc/cpuinfo:CPU implementer	: 0x41
/proc/cpuinfo:CPU part	: 0xd08
/etc/os-release:PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
/sys/devices/system/cpu/possible:0-1
/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq:1800000
/sys/devices/system/cpu/cpu1/cpufreq/cpuinfo_max_freq:1800000
/sys/class/thermal/thermal_zone0/temp:41381
@@UNAME
6.6.31+rpt-rpi-v8 aarch64
@@BOARD
Raspberry Pi 4 Model B Rev 1.4
@@COMPATIBLE
raspberrypi,4-model-b\0brcm,bcm2711\0
@@PYTHON
Python 3.11.2
@@LIBC
glibc 2.36
@@END
"""
PHONE = """@@FILES
/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq:1704000
/sys/devices/system/cpu/cpu1/cpufreq/cpuinfo_max_freq:2914000
@@UNAME
5.15.110 aarch64
@@BATTERY
  USB powered: true
  status: 2
  level: 87
  scale: 100
@@LOW_POWER
1
@@PROPERTIES
[ro.product.manufacturer]: [Google]
[ro.product.model]: [Pixel 8]
[ro.build.version.release]: [14]
[ro.build.version.sdk]: [34]
[ro.boot.qemu]: [1]
@@END
"""


class Told(Target):
    """A target that says what it is told to, or nothing until it is cancelled."""

    @classmethod
    def at(cls, address: str) -> Told:
        return cls(address, None)

    def __init__(self, name: str, answer: Facts | TargetError | None) -> None:
        self.name = name
        self.answer = answer
        self.cancelled = threading.Event()
        self.closed = False

    def facts(self) -> Facts:
        if self.answer is None:
            self.cancelled.wait(30)
            raise Cancelled("cancelled")
        if isinstance(self.answer, TargetError):
            raise self.answer
        return self.answer

    def cancel(self) -> None:
        self.cancelled.set()

    def close(self) -> None:
        self.closed = True

    def send(self, folder: Path) -> str:
        raise NotImplementedError

    def run(self, command: Sequence[str], timeout_s: float) -> Completed:
        raise NotImplementedError

    def fetch(self, place: str, folder: Path) -> None:
        raise NotImplementedError

    def remove(self) -> None:
        raise NotImplementedError


Answers = dict[str, Facts | TargetError | None]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Answers], list[Told]]:
    """Targets by address, and no adb; the cache is empty."""
    monkeypatch.setenv("FETALEDGE_CACHE", str(tmp_path))
    monkeypatch.setenv("FETALEDGE_ADB", str(tmp_path / "no-adb"))

    def make(answers: Answers) -> list[Told]:
        opened: list[Told] = []

        def open_told(address: str) -> Target:
            opened.append(Told(address, answers[address]))
            return opened[-1]

        monkeypatch.setattr(device_list, "open_target", open_told)
        return opened

    return make


def cli(*arguments: str) -> tuple[int, str, str, BaseException | None]:
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr, result.exception


def test_what_was_asked_for_and_what_is_known(world: Callable[[Answers], list[Told]]) -> None:
    refused = TargetError("it refuses the connection", "is its ssh server running?")
    opened = world({"ssh://pi@a": parse_facts(PI4), "ssh://b": refused, "adb://P": parse_facts(PHONE)})
    remember(KnownTarget(address="ssh://b"))
    remember(KnownTarget(address="ssh://pi@a"))
    found, trouble = list_devices(["adb://P", "ssh://pi@a", "adb://P"])
    assert [device.target for device in found] == ["adb://P", "ssh://pi@a", "ssh://b"]
    assert trouble is not None and "cannot be started" in trouble
    assert all(told.closed for told in opened)
    header, (phone, pi, b) = devices_table(found)
    assert header == device_list.HEADER
    assert pi[1:] == (
        "Raspberry Pi 4 Model B Rev 1.4", "BCM2711", "2 × 1.80 GHz", "Debian 12 (bookworm)",
        "3.11.2, glibc 2.36", "onnx, openvino, tflite", "41", "–", "ready",
    )  # fmt: skip
    assert phone[1] == "Google Pixel 8" and phone[3] == "1 × 1.70 + 1 × 2.91 GHz"
    assert phone[-2:] == ("87 %, charging, saver on", "emulated")
    assert set(b[1:-1]) == {"–"} and b[-1] == "it refuses the connection; is its ssh server running?"


def test_columns_that_nobody_fills_are_left_out(world: Callable[[Answers], list[Told]]) -> None:
    world({"ssh://pi@a": parse_facts(PI4)})
    header, _ = devices_table(list_devices(["ssh://pi@a"])[0])
    assert "battery" not in header and "°C" in header


def test_one_that_hangs_is_a_row(world: Callable[[Answers], list[Told]]) -> None:
    world({"ssh://hangs": None, "ssh://pi@a": parse_facts(PI4)})
    found, _ = list_devices(["ssh://hangs", "ssh://pi@a"], timeout_s=0.05)
    assert [device.state for device in found] == ["it did not answer within 0 s", "ready"]


def test_an_address_of_no_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="no known kind"):
        list_devices(["ftp://x"])


@pytest.mark.parametrize(
    ("system", "machine", "libc", "python", "words"),
    [
        ("linux", "armv7l", "glibc 2.36", (3, 11), "32-bit"),
        ("linux", "aarch64", "glibc 2.36", None, "no python3"),
        ("linux", "aarch64", "musl", (3, 11), "musl"),
        ("android", "armv7l", "bionic", None, "armv7l"),
    ],
)
def test_why_nothing_can_run(system: str, machine: str, libc: str, python: tuple[int, int] | None, words: str) -> None:
    with pytest.raises(TargetError, match=words):
        runnable_formats(Platform(system, machine, libc, python, (), 1000, None, None, True))


def test_a_phone_runs_what_the_native_runner_can() -> None:
    phone = Platform("android", "aarch64", "bionic", None, (), 8000, None, None, True)
    assert "tflite" in runnable_formats(phone) and "openvino" not in runnable_formats(phone)


def test_nothing_known_yet(world: Callable[[Answers], list[Told]]) -> None:
    world({})
    code, stdout, stderr, _ = cli()
    assert (code, stdout) == (0, "")
    assert "no device is known yet" in stderr and "phones were not looked for" in stderr


def test_exit_code_where_nothing_was_reached(world: Callable[[Answers], list[Told]]) -> None:
    world({"ssh://b": TargetError("it does not answer"), "ssh://pi@a": parse_facts(PI4)})
    _, stdout, _, error = cli("--target", "ssh://b")
    assert isinstance(error, TargetError) and error.exit_code == 4 and "it does not answer" in stdout
    assert cli("--target", "ssh://b", "--target", "ssh://pi@a")[0] == 0


def test_json(world: Callable[[Answers], list[Told]]) -> None:
    world({"adb://P": parse_facts(PHONE), "ssh://b": TargetError("it does not answer")})
    code, stdout, _, _ = cli("--json", "--target", "adb://P", "--target", "ssh://b")
    document = json.loads(stdout)
    assert code == 0 and document["schema"] == "fetaledge/devices/1"
    phone, b = document["devices"]
    assert (phone["reached"], phone["emulated"], phone["facts"]["model"]) == (True, True, "Google Pixel 8")
    assert phone["conditions"]["battery"]["level_percent"] == 87
    assert (b["reached"], b["state"], b["facts"]) == (False, "it does not answer", None)
    assert to_json(devices_document([])) == {"schema": "fetaledge/devices/1", "devices": []}


@pytest.mark.integration
@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_the_phones_of_an_adb_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Through the real target, with a program in adb's place that runs the shell line here."""
    programs = {
        "adb": "case $1 in\n"
        "devices) printf 'List of devices attached\\n"
        "R58M123 device usb:1-1 model:Pixel_8\\n0A1 unauthorized usb:1-2\\nDEAD offline\\n' ;;\n"
        f'-s) [ "$3" = shell ] && shift 4 && PATH={tmp_path}:$PATH exec sh -c "$*" ;;\nesac',
        "getprop": "echo '[ro.product.model]: [Pixel 8]'",
        "dumpsys": "[ $1 = battery ] && printf '  USB powered: true\\n  status: 5\\n  level: 100\\n  scale: 100\\n'",
        "settings": "echo null",
    }
    for name, script in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("FETALEDGE_CACHE", str(tmp_path))
    monkeypatch.setenv("FETALEDGE_ADB", str(tmp_path / "adb"))
    found, trouble = list_devices([])
    assert trouble is None
    states = {device.target: device.state for device in found}
    assert set(states) == {"adb://R58M123", "adb://0A1", "adb://DEAD"}
    assert "has not authorized this computer" in states["adb://0A1"] and "offline" in states["adb://DEAD"]
    phone = next(device for device in found if device.target == "adb://R58M123")
    assert phone.facts is not None and phone.facts.machine["model"] == "Pixel 8"
    assert phone.facts.conditions.battery is not None and phone.facts.conditions.battery.status == "full"


@pytest.mark.integration
def test_the_stand_ins(pi4: Pi, phone: Phone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FETALEDGE_CACHE", str(tmp_path))
    remember(KnownTarget(address=pi4.address))
    found, trouble = list_devices([pi4.faults["key-refused"], pi4.faults["unresolved"]])
    assert trouble is None
    states = {device.target: device.state for device in found}
    assert states[pi4.address] == states[phone.address] == "emulated"
    assert "refuses every key" in states[pi4.faults["key-refused"]]
    assert "is unknown" in states[pi4.faults["unresolved"]]
    formats = {device.target: device.formats for device in found}
    assert formats[pi4.address] == ("onnx", "openvino", "tflite") and "tflite" in formats[phone.address]


@pytest.mark.integration
def test_a_stand_in_that_never_answers(pi4: Pi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FETALEDGE_CACHE", str(tmp_path))
    found, _ = list_devices([pi4.faults["silent"]], timeout_s=2)
    assert found[0].state == "it did not answer within 2 s"
