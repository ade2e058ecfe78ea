"""Fixtures: a Raspberry Pi 4 and 5 over SSH, a phone over adb; each is started when the first test asks for it."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.stand_ins.host import Host
from tests.stand_ins.phone import Phone
from tests.stand_ins.pi import Pi
from tests.stand_ins.roots import build
from tests.stand_ins.tools import PACKAGES, Unavailable, alone, require_tools


def lacking(reason: str) -> NoReturn:
    """Skip the test for what this machine has not; in CI (``CI=true``) it fails: nothing is left out unseen there."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def program(name: str) -> str:
    """The path of one of ``PACKAGES``, installed now where it is missing and that can be; else :func:`lacking`."""
    package = PACKAGES[name]
    if shutil.which(name) is None:
        with contextlib.suppress(Unavailable), alone():
            require_tools()
    return shutil.which(name) or lacking(f"{name} is not installed (Debian's package {package})")


@pytest.fixture(scope="session")
def stand_in_roots() -> Path:
    """The root folders; where they cannot be had, that is :func:`lacking`."""
    try:
        return build()
    except Unavailable as reason:
        lacking(str(reason))


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
