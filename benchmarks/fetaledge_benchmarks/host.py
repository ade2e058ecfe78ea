"""What a machine is and how it is doing, read from the text files in which Linux tells it.

Nothing here names the machine or its user. A reader returns the text of a file or None, so that the same functions
serve this machine and one that is reached by a shell.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Reader = Callable[[str], str | None]

FLAGS_OF_INTEREST = (
    "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16",
    "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2",
)  # fmt: skip
CPUFREQ = "/sys/devices/system/cpu/cpu{}/cpufreq"
THROTTLE = "/sys/devices/system/cpu/cpu{}/thermal_throttle/{}_throttle_count"
THERMAL = "/sys/class/thermal/thermal_zone{}/temp"


@dataclass(frozen=True)
class Conditions:
    """The state of a machine at one moment; None where it cannot be read.

    Attributes:
        governor, driver: of the first core's clock.
        throttle_events: how often any core was slowed down by heat since the machine started.
        temperature_c: of the hottest zone, degrees Celsius.
    """

    governor: str | None
    driver: str | None
    throttle_events: int | None
    temperature_c: float | None


@dataclass(frozen=True)
class Facts:
    """``machine``: JSON-able facts that do not change during a measurement; ``cores``: those a process may use."""

    machine: dict[str, Any]
    cores: int
    conditions: Conditions


def read_text(path: str) -> str | None:
    """A text file of this machine, or None where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def read_facts(read: Reader) -> Facts:
    """Facts of the machine that runs this process."""
    cpuinfo = read("/proc/cpuinfo") or ""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    conditions = read_conditions(read, os.cpu_count() or 1)
    flags = cpu_flags(cpuinfo)
    machine = {
        "cpu": cpu_model(cpuinfo) or board(read) or platform.processor() or platform.machine(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "cores_usable": cores,
        "flags": [flag for flag in FLAGS_OF_INTEREST if flag in flags],
        "virtual": "hypervisor" in flags,
        "memory_mb": memory_mb(read("/proc/meminfo") or ""),
        "governor": conditions.governor,
        "os": os_name(read("/etc/os-release") or "") or platform.system(),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
    return Facts(machine, cores, conditions)


def read_conditions(read: Reader, cores: int) -> Conditions:
    folder = CPUFREQ.format(0)
    counts = [read(THROTTLE.format(core, kind)) for core in range(cores) for kind in ("core", "package")]
    zones = [read(THERMAL.format(zone)) for zone in range(16)]
    events = [int(count) for count in counts if count and count.strip().isdigit()]
    celsius = [int(zone) / 1000 for zone in zones if zone and re.fullmatch(r"-?\d+", zone.strip())]
    return Conditions(
        governor=_stripped(read(f"{folder}/scaling_governor")),
        driver=_stripped(read(f"{folder}/scaling_driver")),
        throttle_events=sum(events) if events else None,
        temperature_c=max(celsius) if celsius else None,
    )


def cpu_model(cpuinfo: str) -> str | None:
    """The processor's name in the text of ``/proc/cpuinfo``; Arm boards name the board there, or nothing."""
    found = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found.group(1).strip() if found else None


def cpu_flags(cpuinfo: str) -> frozenset[str]:
    """The instruction-set words in the text of ``/proc/cpuinfo`` (``flags`` on x86, ``Features`` on Arm)."""
    found = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return frozenset(found.group(1).split()) if found else frozenset()


def board(read: Reader) -> str | None:
    """The board's name in the device tree, or None."""
    return _stripped(read("/proc/device-tree/model"))


def memory_mb(meminfo: str) -> int | None:
    """Megabytes (10⁶ bytes) of memory in the text of ``/proc/meminfo``."""
    found = re.search(r"^MemTotal:\s*(\d+) kB", meminfo, re.MULTILINE)
    return round(int(found.group(1)) * 1024 / 1e6) if found else None


def os_name(os_release: str) -> str | None:
    found = re.search(r'^PRETTY_NAME="?([^"\n]+)"?$', os_release, re.MULTILINE)
    return found.group(1) if found else None


def _stripped(text: str | None) -> str | None:
    return text.strip().strip("\0") or None if text else None
