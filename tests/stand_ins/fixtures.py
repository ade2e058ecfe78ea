"""Fixtures: a Raspberry Pi 4 and 5 over SSH, a phone over adb; each is started when the first test asks for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stand_ins.host import Host
from tests.stand_ins.phone import Phone
from tests.stand_ins.pi import Pi
from tests.stand_ins.roots import build
from tests.stand_ins.tools import Unavailable


@pytest.fixture(scope="session")
def stand_in_roots() -> Path:
    """The root folders; where they cannot be had the test is skipped with the reason, in CI it fails."""
    try:
        return build()
    except Unavailable as reason:
        if os.environ.get("CI") == "true":
            pytest.fail(str(reason))
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def stand_in_host(stand_in_roots: Path) -> Iterator[Host]:
    """What the stand-ins are plugged into; this process's ``ssh`` and ``adb`` run there from now on."""
    with Host() as host, pytest.MonkeyPatch.context() as patch:
        for name, value in host.environment.items():
            patch.setenv(name, value)
        yield host


@pytest.fixture(scope="session")
def pi4(stand_in_roots: Path, stand_in_host: Host) -> Iterator[Pi]:
    """A Raspberry Pi 4 at ``ssh://pi@pi4``."""
    with Pi(stand_in_roots, "pi4", host=stand_in_host) as pi:
        yield pi


@pytest.fixture(scope="session")
def pi5(stand_in_roots: Path, stand_in_host: Host) -> Iterator[Pi]:
    """A Raspberry Pi 5 at ``ssh://pi@pi5``."""
    with Pi(stand_in_roots, "pi5", host=stand_in_host) as pi:
        yield pi


@pytest.fixture(scope="session")
def pi5_trixie(stand_in_roots: Path, stand_in_host: Host) -> Iterator[Pi]:
    """A Raspberry Pi 5 with Debian 13 at ``ssh://pi@trixie``."""
    with Pi(stand_in_roots, "trixie", host=stand_in_host) as pi:
        yield pi


@pytest.fixture(scope="session")
def phone(stand_in_roots: Path, stand_in_host: Host) -> Iterator[Phone]:
    """A phone; its address holds the serial."""
    with Phone(stand_in_roots, host=stand_in_host) as device:
        yield device
