"""A machine and its state, as the records of benchmarks hold them."""

from __future__ import annotations

import msgspec

from fetaledge_devices.facts.model import Conditions
from fetaledge_runtimes.records import Part

Clocks = tuple[int | None, ...]


class Machine(Part, kw_only=True, frozen=True):
    """Facts about a machine that do not change during a measurement; nothing names it or its user."""

    model: str | None = None
    soc: str | None = None
    cpu: str
    architecture: str
    cores: int
    cores_usable: int
    core_max_mhz: Clocks | None = None
    flags: tuple[str, ...] = ()
    virtual: bool = False
    memory_mb: int | None = None
    governor: str | None = None
    os: str
    kernel: str = ""
    libc: str | None = None
    python: str | None = None


class BatteryState(Part, kw_only=True, frozen=True):
    """A phone's battery at one moment, as :class:`fetaledge_devices.facts.model.Battery`."""

    level_percent: float | None
    charging: bool
    plugged: str | None
    temperature_c: float | None
    low_power: bool | None
    status: str = "unknown"
    supply_ma: float | None = None


class MachineState(Part, kw_only=True, frozen=True):
    """A machine's state at one moment, as :class:`fetaledge_devices.facts.model.Conditions`."""

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
    battery: BatteryState | None = None
    throttle_history: bool | None = None
    screen_on: bool | None = None


def machine_state(conditions: Conditions) -> MachineState:
    """A machine's state as the record holds it."""
    return msgspec.convert(conditions.document(), MachineState)
