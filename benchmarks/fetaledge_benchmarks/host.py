"""What a machine is and how it is doing, read from the text files in which Linux tells it.

Nothing here names the machine or its user. A reader returns the text of a file or None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

Reader = Callable[[str], str | None]

FLAGS_OF_INTEREST = (
    "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16",
    "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2",
)  # fmt: skip
CORES = "/sys/devices/system/cpu"
CPUFREQ = CORES + "/cpu{}/cpufreq"
CAPACITY = CORES + "/cpu{}/cpu_capacity"
THROTTLE = CORES + "/cpu{}/thermal_throttle/{}_throttle_count"
THERMAL = "/sys/class/thermal/thermal_zone{}/temp"
ZONES = 16
PLAUSIBLE_C = (-40.0, 150.0)
"""Beyond these a zone holds no temperature: phones have zones that count currents, or are switched off."""

Clocks = tuple[int | None, ...]


@dataclass(frozen=True)
class Battery:
    """A phone's battery at one moment.

    Attributes:
        charging: the battery is being charged, or full.
        plugged: the kinds of supply that are plugged in, ``AC``, ``USB``, ``Wireless`` or ``Dock``; None without one.
        status: the system's own word: charging, discharging, not charging, full or unknown.
        supply_ma: the highest current that the supply allows, None where the system does not tell.
        low_power: battery saver is on; None where the system does not tell.
    """

    level_percent: float | None
    charging: bool
    plugged: str | None
    temperature_c: float | None
    low_power: bool | None
    status: str = "unknown"
    supply_ma: float | None = None


@dataclass(frozen=True)
class Conditions:
    """The state of a machine at one moment; None where it cannot be read.

    Attributes:
        governor, driver: of the first core's clock.
        throttle_events: the kernel's counts of slowing down by heat since the machine started, summed over the cores;
            one event may add several, as every core shows the count of its package too.
        temperature_c: of the hottest zone, degrees Celsius; on a phone of the hottest core.
        cores_online: how many cores run.
        clock_khz, clock_limit_khz, clock_max_khz: by core number, its clock now, the highest that the system allows
            now, and the highest of its kind.
        throttled: a Raspberry Pi's word (``vcgencmd get_throttled``, see ``device.throttle_words``).
        throttle_history: whether that word also tells what was since the start; False where only the kernel's file
            could be read, which forgets after two seconds.
        thermal_status: Android's, 0 (none) to 6 (shutdown).
        screen_on: a phone's screen is on, which changes its clocks; None where the system does not tell.
        boot_id: differs after every start of the machine; it is compared, and stands in no record.
    """

    governor: str | None
    driver: str | None
    throttle_events: int | None
    temperature_c: float | None
    cores_online: int | None = None
    clock_khz: Clocks | None = None
    clock_limit_khz: Clocks | None = None
    clock_max_khz: Clocks | None = None
    throttled: int | None = None
    thermal_status: int | None = None
    battery: Battery | None = None
    boot_id: str | None = None
    throttle_history: bool | None = None
    screen_on: bool | None = None

    def document(self) -> dict[str, Any]:
        """All of it for a record, except what could tell machines apart."""
        return {name: value for name, value in asdict(self).items() if name != "boot_id"}


@dataclass(frozen=True)
class Platform:
    """What decides which programs run on a machine.

    Attributes:
        system: ``linux`` or ``android``.
        machine: of the programs, not of the kernel (which may be 64-bit under 32-bit programs): ``aarch64``,
            ``armv7l``, ``armv6l``, ``x86_64``, …
        libc: ``glibc 2.36``, ``musl`` or ``bionic``; empty where unknown.
        python: version of its ``python3``, None without one.
        cpu_parts: distinct core designs in lower case, ``cortex-a72``; one that has no name here as ``0x41-0xd99``.
        memory_mb, available_mb, free_mb: 10⁶ bytes of memory, of memory that is free now, and of free space where
            fetaledge's folder is or will be.
        taskset: it has the program that pins a process to cores.
        python_path: absolute path of its ``python3``, spaces and all; None without one.
        volatile: fetaledge's folder is or will be in a file system that may not outlive a restart (overlay, tmpfs).
    """

    system: str
    machine: str
    libc: str
    python: tuple[int, int] | None
    cpu_parts: tuple[str, ...]
    memory_mb: int
    available_mb: int | None
    free_mb: int | None
    taskset: bool
    python_path: str | None = None
    volatile: bool = False


@dataclass(frozen=True)
class Facts:
    """What a machine is, and how it is doing now.

    Attributes:
        machine: JSON-able facts that do not change during a measurement.
        cores: those that a process may use.
        platform: of its programs.
        emulated: its times say nothing about a real device.
        core_speed: by core number, its highest clock in kHz; where no clock can be read, the kernel's
            ``cpu_capacity``. Comparable among the cores of one machine only. None where nothing is to be pinned to.
    """

    machine: dict[str, Any]
    cores: int
    conditions: Conditions
    platform: Platform
    emulated: bool = False
    core_speed: Clocks = ()


def read_conditions(read: Reader, cores: int) -> Conditions:
    """The state now; ``cores``: one more than the highest core number."""
    folder = CPUFREQ.format(0)
    counts = [read(THROTTLE.format(core, kind)) for core in range(cores) for kind in ("core", "package")]
    events = [int(count) for count in counts if count and count.strip().isdigit()]
    online = _stripped(read(f"{CORES}/online"))
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
