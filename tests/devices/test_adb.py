"""Targets behind adb: what it says of phones, with programs in its place that say so."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fetaledge_devices.targets import open_target
from fetaledge_devices.targets.adb import AdbTarget, list_adb
from fetaledge_devices.targets.adb import Phone as Listed
from fetaledge_devices.targets.base import ConnectionLost
from fetaledge_runtimes.errors import TargetError
from tests.stand_ins.phone import Phone

HEAD = "* daemon started successfully\nList of devices attached\n"
EVIL = "a b;$(touch x)'q\"\\ *?[é]"
# "devices" prints what stands in a file; "shell" runs the line here, under a root of its own.
FAKE_ADB = """#!/bin/sh
for word; do printf '%s\\n' "$word"; done >>"$0.words"
case "$1" in
devices) cat "$0.devices"; exit ;;
connect) echo "failed to connect"; exit ;;
esac
[ "$3" = shell ] || exit 9
{noise}
shift 4
exec sh -c "$*"
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Make a program that stands for adb and lists devices."""

    def make(*devices: str, noise: str = "", script: str = FAKE_ADB) -> Path:
        program = tmp_path / "adb program"
        program.write_text(script.replace("{noise}", noise))
        program.chmod(0o755)
        Path(f"{program}.devices").write_text(HEAD + "".join(f"{device}\n" for device in devices) + "\n")
        monkeypatch.setenv("FETALEDGE_ADB", shlex.quote(str(program)))
        return program

    return make


def test_phones_and_their_states(fake: Callable[..., Path]) -> None:
    fake(
        "R58M123                device usb:1-1 product:a52q model:SM_A525F device:a52q transport_id:3",
        "192.168.1.5:5555       device product:x model:Pixel_8 device:x transport_id:4",
        "0123456789ABCDEF       unauthorized usb:1-2 transport_id:5",
        "emulator-5554          offline transport_id:6",
        "9A                     no permissions (user in plugdev group; are your udev rules wrong?); see [http://x]",
        "two words              recovery usb:1-4",
    )
    assert list_adb() == [
        Listed("R58M123", "device", "SM_A525F"),
        Listed("192.168.1.5:5555", "device", "Pixel_8"),
        Listed("0123456789ABCDEF", "unauthorized", None),
        Listed("emulator-5554", "offline", None),
        Listed("9A", "no permissions", None),
        Listed("two words", "recovery", None),
    ]


def test_no_phone(fake: Callable[..., Path]) -> None:
    fake()
    assert list_adb() == []


def test_no_adb_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FETALEDGE_ADB", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    for ask in (list_adb, open_target("adb://R58M123").facts):
        with pytest.raises(TargetError, match="adb cannot be started") as raised:
            ask()
        assert raised.value.exit_code == 4 and "apt install adb" in raised.value.hint


def test_an_adb_that_does_not_run(fake: Callable[..., Path]) -> None:
    fake(script="#!/bin/sh\necho '* failed to start daemon' >&2\nexit 1\n")
    with pytest.raises(TargetError, match=r"adb does not run: \* failed to start daemon"):
        list_adb()


@pytest.mark.parametrize(
    ("line", "sentence", "hint"),
    [
        ("R58M123\tunauthorized usb:1-2", "has not authorized this computer", "USB debugging"),
        ("R58M123\tauthorizing usb:1-2", "has not authorized this computer", "USB debugging"),
        ("R58M123\toffline", "is offline", "plug it in again"),
        ("R58M123\tno permissions (missing udev rules? user in the plugdev group); see [x]", "may not use", "udev"),
        ("R58M123\tno permissions; see [x]", "may not use the USB device", "udev"),
        ("R58M123\trecovery", "in the state 'recovery'", "Android"),
        ("R58M123\tbootloader", "in the state 'bootloader'", "Android"),
        ("R58M1234\tdevice", "no phone with the serial", "adb devices"),
        ("xR58M123\tdevice", "no phone with the serial", "adb devices"),
        ("", "no phone with the serial", "adb devices"),
        ("R58M123\tdevice usb:1\nR58M123\toffline usb:2", "in several states: device, offline", "unplug"),
    ],
)
def test_a_phone_that_cannot_be_used(fake: Callable[..., Path], line: str, sentence: str, hint: str) -> None:
    fake(line)
    with open_target("adb://R58M123") as target, pytest.raises(TargetError, match=sentence) as raised:
        target.run(["true"], 1)
    assert raised.value.exit_code == 4 and not isinstance(raised.value, ConnectionLost)
    assert hint in raised.value.hint and "adb://R58M123" in raised.value.message and "\n" not in raised.value.message


@pytest.mark.parametrize("serial", [EVIL, "offline", "device 1", "unauthorized", "x.*"])
def test_a_serial_of_odd_letters_stays_one_word(fake: Callable[..., Path], serial: str, tmp_path: Path) -> None:
    program = fake(f"{serial:22} device usb:1", f"{serial}2 offline")
    with open_target(f"adb://{serial}") as target:
        assert isinstance(target, AdbTarget)
        assert target.shell(f"echo {shlex.quote(EVIL)}").stdout == f"{EVIL}\n"
    words = Path(f"{program}.words").read_text().split("\n")
    assert words[words.index("-s") + 1] == serial and words[words.index("shell") + 1] == "-T"
    assert not list(tmp_path.rglob("x")) and not Path("x").exists()


def test_a_serial_that_resembles_a_state_is_not_taken_for_one(fake: Callable[..., Path]) -> None:
    fake()
    with pytest.raises(TargetError, match="no phone with the serial of adb://offline"):
        open_target("adb://offline").facts()


@pytest.mark.parametrize(
    ("said", "sentence", "kind"),
    [
        ("error: device 'R58M123' not found", "no phone with the serial", ConnectionLost),
        ("error: device offline", "is offline", ConnectionLost),
        ("error: device unauthorized.", "has not authorized", TargetError),
        ("error: closed", "closed the connection", ConnectionLost),
        ("", "the connection ended", ConnectionLost),
        ("error: something new", "something new", ConnectionLost),
    ],
)
def test_a_phone_that_drops_out(fake: Callable[..., Path], said: str, sentence: str, kind: type[TargetError]) -> None:
    """adb exits with 0 where a connection is cut: what counts is the exit code that the phone wrote itself."""
    program = fake("R58M123 device usb:1")
    target = open_target("adb://R58M123")
    assert isinstance(target, AdbTarget)
    assert target.shell("exit 255").returncode == 255
    program.write_text(FAKE_ADB.replace("{noise}", f"echo partial; echo {shlex.quote(said)} >&2; exit 0"))
    with pytest.raises(TargetError, match=sentence) as raised:
        target.shell("true")
    assert type(raised.value) is kind


@pytest.mark.integration
def test_an_adb_that_hangs(fake: Callable[..., Path]) -> None:
    fake("R58M123 device usb:1", noise="sleep 60")
    started = time.monotonic()
    with pytest.raises(TargetError, match="did not answer within 1 s"):
        open_target("adb://R58M123").shell("true", 1)  # type: ignore[attr-defined]
    assert time.monotonic() - started < 20


@pytest.mark.integration
def test_a_phone_that_hangs(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing comes back, and nobody says so: it is asked now and then, before the time limit and after it."""
    monkeypatch.setattr("fetaledge_devices.targets.shell.STOP_S", 2.0)
    monkeypatch.setattr("fetaledge_devices.targets.adb.ALIVE_S", 1.0)
    with open_target(phone.address) as target:
        assert isinstance(target, AdbTarget)
        with target.session():
            for limit_s, every_s in ((300, 1.0), (3, 30.0)):
                monkeypatch.setattr("fetaledge_devices.targets.processes.CHECK_S", every_s)
                threading.Timer(1.5, phone.stall).start()
                started = time.monotonic()
                try:
                    with pytest.raises(ConnectionLost, match="does not answer"):
                        target.run(["sleep", "301"], limit_s)
                    assert not target.wait(0.1)
                    assert time.monotonic() - started < 30
                finally:
                    phone.resume()
                assert target.wait(60)
                assert not [line for line in phone.processes() if "sleep" in line]
        target.shell(f"rm -rf '{target.root}'")


def test_a_phone_in_the_network_is_connected_to(fake: Callable[..., Path]) -> None:
    program = fake("192.168.1.5:5555 offline")
    with pytest.raises(TargetError, match="is offline"):
        open_target("adb://192.168.1.5:5555").facts()
    words = Path(f"{program}.words").read_text().split("\n")
    assert words[words.index("connect") + 1] == "192.168.1.5:5555"
