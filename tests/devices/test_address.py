from __future__ import annotations

import pytest

from fetaledge_devices.targets.address import Address, parse_address
from fetaledge_runtimes.errors import UsageError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("local", Address("local")),
        ("ssh://clinic-pi", Address("ssh", "clinic-pi")),
        ("ssh://pi@clinic-pi:2222", Address("ssh", "clinic-pi", "pi", 2222)),
        ("ssh://pi@clinic.example@host", Address("ssh", "host", "pi@clinic.example")),
        ("ssh://pi@[fe80::1%eth0]:22", Address("ssh", "fe80::1%eth0", "pi", 22)),
        ("ssh://fe80::1", Address("ssh", "fe80::1")),
        ("ssh://a b;$(reboot)'", Address("ssh", "a b;$(reboot)'")),
        ("adb://R58M123", Address("adb", "R58M123")),
        ("adb://192.168.1.5:5555", Address("adb", "192.168.1.5:5555")),
        ("adb://a b;$(reboot)'", Address("adb", "a b;$(reboot)'")),
    ],
)
def test_an_address_is_taken_literally(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no known kind"),
        ("gopher://x", "no known kind"),
        ("localhost", "no known kind"),
        ("ssh:/pi", "no known kind"),
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
        parse_address(text)
