from __future__ import annotations

import pytest

from fetaledge_devices.targets import open_target
from fetaledge_devices.targets.adb import AdbTarget
from fetaledge_devices.targets.ssh import SshAddress, SshTarget
from fetaledge_runtimes.errors import UsageError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ssh://clinic-pi", SshAddress("clinic-pi")),
        ("ssh://pi@clinic-pi:2222", SshAddress("clinic-pi", "pi", 2222)),
        ("ssh://pi@clinic.example@host", SshAddress("host", "pi@clinic.example")),
        ("ssh://pi@[fe80::1%eth0]:22", SshAddress("fe80::1%eth0", "pi", 22)),
        ("ssh://fe80::1", SshAddress("fe80::1")),
        ("ssh://a b;$(reboot)'", SshAddress("a b;$(reboot)'")),
    ],
)
def test_an_address_is_taken_literally(text: str, address: SshAddress) -> None:
    target = open_target(text)
    assert isinstance(target, SshTarget) and (target.name, target.address) == (text, address)


@pytest.mark.parametrize("serial", ["R58M123", "192.168.1.5:5555", "a b;$(reboot)'"])
def test_a_serial_is_taken_literally(serial: str) -> None:
    target = open_target(f"adb://{serial}")
    assert isinstance(target, AdbTarget) and target.serial == serial


@pytest.mark.parametrize(
    ("text", "kind", "local", "worker"),
    [
        ("local", "local", True, "python"),
        ("ssh://pi@clinic-pi", "ssh", False, "python"),
        ("adb://R58M123", "adb", False, "native"),
    ],
)
def test_a_target_says_of_what_kind_it_is(text: str, kind: str, local: bool, worker: str) -> None:
    target = open_target(text)
    assert (target.kind, target.is_local, target.worker_kind) == (kind, local, worker)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no known kind"),
        ("gopher://x", "no known kind"),
        ("localhost", "no known kind"),
        ("ssh:/pi", "no known kind"),
        ("local://pi", "more than this machine"),
        ("ssh://", "names no host"),
        ("ssh://pi@", "names no host"),
        ("ssh://@host", "names no user"),
        ("ssh://host:", "no port"),
        ("ssh://host:0", "no port"),
        ("ssh://host:65536", "no port"),
        ("ssh://host:2a", "no port"),
        ("ssh://[::1]:x\n", "no port"),
        ("ssh://-oProxyCommand=touch x", "begins with '-'"),
        ("ssh://-l@host", "begins with '-'"),
        ("ssh://ho\nst", "control character"),
        ("adb://", "names no serial"),
        ("adb://-P 5037", "begins with '-'"),
        ("adb://a\x00b", "control character"),
    ],
)
def test_an_address_that_makes_no_sense_is_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        open_target(text)
