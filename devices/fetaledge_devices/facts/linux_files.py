"""What Linux tells of a machine in text files. A reader returns the text of a file or None."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from fetaledge_devices.facts.model import Clocks, Conditions

Reader = Callable[[str], str | None]
FLAGS_OF_INTEREST = (
    "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16",
    "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2",
)  # fmt: skip
CPU_FOLDER = "/sys/devices/system/cpu"
CPUFREQ = CPU_FOLDER + "/cpu{}/cpufreq"
CAPACITY = CPU_FOLDER + "/cpu{}/cpu_capacity"
THROTTLE = CPU_FOLDER + "/cpu{}/thermal_throttle/{}_throttle_count"
THERMAL = "/sys/class/thermal/thermal_zone{}/temp"
ZONES = 16
PLAUSIBLE_C = (-40.0, 150.0)
"""Beyond these a zone holds no temperature: phones have zones that count currents, or are switched off."""


def read_conditions(read: Reader, cores: int) -> Conditions:
    """The state now; ``cores``: one more than the highest core number."""
    folder = CPUFREQ.format(0)
    counts = [read(THROTTLE.format(core, kind)) for core in range(cores) for kind in ("core", "package")]
    events = [int(count) for count in counts if count and count.strip().isdigit()]
    online = _stripped(read(f"{CPU_FOLDER}/online"))
    return Conditions(
        governor=_stripped(read(f"{folder}/scaling_governor")),
        driver=_stripped(read(f"{folder}/scaling_driver")),
        throttle_events=sum(events) if events else None,
        temperature_c=_hottest(read(THERMAL.format(zone)) for zone in range(ZONES)),
        cores_online=len(core_numbers(online)) or None if online else None,
        clock_khz=read_clocks(read, CPUFREQ + "/scaling_cur_freq", cores),
        clock_limit_khz=read_clocks(read, CPUFREQ + "/scaling_max_freq", cores),
        clock_max_khz=read_clocks(read, CPUFREQ + "/cpuinfo_max_freq", cores),
        boot_id=_stripped(read("/proc/sys/kernel/random/boot_id")),
    )


def core_speed(read: Reader, cores: int) -> Clocks:
    """See :class:`Facts`; empty where nothing can be read."""
    return read_clocks(read, CPUFREQ + "/cpuinfo_max_freq", cores) or read_clocks(read, CAPACITY, cores) or ()


def read_clocks(read: Reader, path: str, cores: int) -> Clocks | None:
    """A number of each core from the file ``path`` (``{}`` stands for the core); None where no core has one."""
    values = tuple(_number(read(path.format(core))) for core in range(cores))
    return values if any(value is not None for value in values) else None


def core_numbers(text: str) -> tuple[int, ...]:
    """The numbers in the kernel's list form: ``0-2,5`` is (0, 1, 2, 5)."""
    found = re.findall(r"(\d+)(?:-(\d+))?", text)
    return tuple(core for first, last in found for core in range(int(first), int(last or first) + 1))


def cpu_model(cpuinfo: str) -> str | None:
    """The processor's name in the text of ``/proc/cpuinfo``; Arm boards name the board there, or nothing."""
    found = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found.group(1).strip() if found else None


def cpu_flags(cpuinfo: str) -> frozenset[str]:
    """The instruction-set words in the text of ``/proc/cpuinfo`` (``flags`` on x86, ``Features`` on Arm)."""
    found = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return frozenset(found.group(1).split()) if found else frozenset()


def memory_mb(meminfo: str, entry: str = "MemTotal") -> int | None:
    """Megabytes (10⁶ bytes) of memory in the text of ``/proc/meminfo``; ``entry`` may also be ``MemAvailable``."""
    found = re.search(rf"^{entry}:\s*(\d+) kB", meminfo, re.MULTILINE)
    return round(int(found.group(1)) * 1024 / 1e6) if found else None


def os_name(os_release: str) -> str | None:
    found = re.search(r'^PRETTY_NAME="?([^"\n]+)"?$', os_release, re.MULTILINE)
    return found.group(1) if found else None


def _hottest(zones: Iterable[str | None]) -> float | None:
    low, high = PLAUSIBLE_C
    celsius = [milli / 1000 for zone in zones if (milli := _number(zone)) is not None]
    return max((value for value in celsius if low < value < high), default=None)


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"-?\d+", text.strip()) else None


def _stripped(text: str | None) -> str | None:
    return text.strip().strip("\0") or None if text else None
