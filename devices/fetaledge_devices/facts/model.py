"""What a machine is and how it is doing. Nothing here names the machine or its user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from fetaledge_runtimes.records import Part, to_json

Clocks = tuple[int | None, ...]


class Battery(Part, frozen=True, kw_only=False):
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


class Conditions(Part, frozen=True, kw_only=False):
    """The state of a machine at one moment; None where it cannot be read.

    Attributes:
        governor, driver: of the first core's clock.
        throttle_events: the kernel's counts of slowing down by heat since the machine started, summed over the cores;
            one event may add several, as every core shows the count of its package too.
        temperature_c: of the hottest zone, degrees Celsius; on a phone of the hottest core.
        cores_online: how many cores run.
        clock_khz, clock_limit_khz, clock_max_khz: by core number, its clock now, the highest that the system allows
            now, and the highest of its kind.
        throttled: a Raspberry Pi's word (``vcgencmd get_throttled``, see :func:`throttle_words`).
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
    boot_id: str | None | UnsetType = UNSET
    throttle_history: bool | None = None
    screen_on: bool | None = None

    def for_record(self) -> Conditions:
        """All of it, except what could tell machines apart."""
        return replace(self, boot_id=UNSET)

    def document(self) -> dict[str, Any]:
        """:meth:`for_record` as JSON."""
        return to_json(self.for_record())


class Machine(Part, frozen=True, kw_only=True):
    """What a machine is, for a record; None where that cannot be read.

    Attributes:
        model, soc, cpu: as the machine names its board or make, its chip and its cores.
        architecture: of its programs.
        cores, cores_usable: in all, and those that a process may use.
        core_max_mhz: by core number, the highest clock.
        flags: the instruction sets of interest that it has.
        virtual: it is a virtual machine.
        memory_mb: 10⁶ bytes.
        governor: of the first core's clock.
        os, kernel, libc, python: names and versions.
    """

    model: str | None = None
    soc: str | None = None
    cpu: str | None = None
    architecture: str | None = None
    cores: int | None = None
    cores_usable: int | None = None
    core_max_mhz: tuple[int | None, ...] | None = None
    flags: tuple[str, ...] = ()
    virtual: bool | None = None
    memory_mb: int | None = None
    governor: str | None = None
    os: str | None = None
    kernel: str | None = None
    libc: str | None = None
    python: str | None = None


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

    @property
    def is_android(self) -> bool:
        """Its programs are Android's: no Python, toybox in place of the usual tools, another C library."""
        return self.system == "android"


@dataclass(frozen=True)
class Facts:
    """What a machine is, and how it is doing now.

    Attributes:
        machine: facts that do not change during a measurement, as the JSON of :class:`Machine`.
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


THROTTLE_BITS = ("under-voltage", "clock capped", "throttled", "soft temperature limit")
THROTTLE_SINCE_START = 16


def throttle_words(word: int, shift: int = 0) -> tuple[str, ...]:
    """What a Raspberry Pi's ``get_throttled`` says of now; with ``shift`` 16 (:data:`THROTTLE_SINCE_START`) of earlier.

    Source: Raspberry Pi documentation, "vcgencmd: get_throttled".
    """
    return tuple(name for bit, name in enumerate(THROTTLE_BITS) if word >> (shift + bit) & 1)
