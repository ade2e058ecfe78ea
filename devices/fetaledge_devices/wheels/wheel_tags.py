"""Which wheels a device can load, and which devices can be served at all."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fetaledge_devices.facts.model import Platform
from fetaledge_runtimes.errors import TargetError

OLDEST_PYTHON = (3, 11)  # fetaledge-runtimes' own
OLDEST_GLIBC = 17  # of manylinux2014, below which no engine has a wheel
LEGACY = {"x86_64": ("manylinux2014", "manylinux2010", "manylinux1"), "aarch64": ("manylinux2014",)}


@dataclass(frozen=True)
class WheelTags:
    """The tags of a wheel's name (PEP 425, PEP 600) that a device accepts, the newest platform first."""

    python: str
    abis: tuple[str, ...]
    platforms: tuple[str, ...]

    def __str__(self) -> str:
        return f"Python {self.python[0]}.{self.python[1:]} on {self.platforms[0]}"


def describe(platform: Platform) -> str:
    """A device in one line."""
    python = "no Python" if platform.python is None else "Python {}.{}".format(*platform.python)
    parts = [platform.machine, *platform.cpu_parts, platform.libc or "unknown C library", python]
    if platform.available_mb is not None:
        parts.append(f"{platform.available_mb} of {platform.memory_mb} MB memory available")
    if platform.free_mb is not None:
        parts.append(f"{platform.free_mb} MB of space free")
    return ", ".join(parts)


def wheel_tags(platform: Platform) -> WheelTags:
    """The wheels that this device's own Python and libc can load.

    Raises:
        TargetError: a device that none of them can serve: another system, 32 bits, musl, an old glibc or Python.
    """
    minor = glibc_minor(platform)
    if platform.python is None:
        raise TargetError("the device has no python3", "install the package python3 there, 3.11 or newer")
    if platform.python < OLDEST_PYTHON:
        version = ".".join(map(str, platform.python))
        raise TargetError(
            f"the device has Python {version} where 3.11 is the oldest", "update it to Debian 12 or newer"
        )
    python = "{}{}".format(*platform.python)
    names = [f"manylinux_2_{number}" for number in range(minor, OLDEST_GLIBC - 1, -1)]
    return WheelTags(
        python=python,
        abis=(f"cp{python}", "abi3", "none"),
        platforms=tuple(f"{name}_{platform.machine}" for name in (*names, *LEGACY[platform.machine])),
    )


def glibc_minor(platform: Platform) -> int:
    """N of the device's glibc 2.N.

    Raises:
        TargetError: it runs on something else, or on one that no wheel was built for.
    """
    if platform.system != "linux":
        raise TargetError(f"the device runs {platform.system} where Linux was expected", "use another device")
    if platform.machine.startswith(("armv", "arm")) and platform.machine != "arm64":
        raise TargetError(
            f"the device runs a 32-bit system ({platform.machine}), and numpy, OpenCV and the engines have no wheels "
            "for it",
            "install the 64-bit Raspberry Pi OS",
        )
    if platform.machine not in LEGACY:
        known = " and ".join(sorted(LEGACY))
        raise TargetError(
            f"the device is a {platform.machine} where {known} were expected", "no engine has wheels for it"
        )
    found = re.fullmatch(r"glibc 2\.(\d+).*", platform.libc)
    if found is None:
        raise TargetError(
            f"the device's C library is {platform.libc or 'unknown'} where glibc was expected",
            "use Raspberry Pi OS, Debian or Ubuntu",
        )
    minor = int(found.group(1))
    if minor < OLDEST_GLIBC:
        raise TargetError(f"the device's C library is {platform.libc} where 2.17 is the oldest", "update its system")
    return minor
