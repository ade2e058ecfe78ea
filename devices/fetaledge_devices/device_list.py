"""The devices that can be measured on: what adb and the known SSH targets show, each asked at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from fetaledge_devices.facts.model import Conditions, Facts, Platform
from fetaledge_devices.targets import Target, list_adb, open_target
from fetaledge_runtimes.errors import FetalEdgeError, TargetError

SCHEMA = "fetaledge/devices/1"
TIMEOUT_S = 20.0
HEADER = ("target", "model", "SoC", "cores", "OS", "Python, libc", "runs", "°C", "battery", "state")
NOTHING_YET = (
    "no device is known yet: switch USB debugging on and plug a phone in, or name a Raspberry Pi with "
    "--target ssh://USER@HOST; what `fetaledge deploy` has brought a bundle to is listed from then on"
)


@dataclass(frozen=True)
class Device:
    """One line of the list.

    Attributes:
        facts: None where it could not be reached; ``problem`` and ``hint`` then say why.
        formats: the model formats that can be deployed to it; where there are none, ``problem`` says why.
    """

    target: str
    facts: Facts | None
    formats: tuple[str, ...] = ()
    problem: str = ""
    hint: str = ""

    @property
    def reached(self) -> bool:
        return self.facts is not None

    @property
    def state(self) -> str:
        """``ready`` or ``emulated``, or what is wrong and what to do."""
        if self.problem:
            return f"{self.problem}; {self.hint}" if self.hint else self.problem
        return "emulated" if self.facts is not None and self.facts.emulated else "ready"


def list_devices(asked: Sequence[str], timeout_s: float = TIMEOUT_S) -> tuple[list[Device], str | None]:
    """Ask the given targets, the known ones and adb's phones what they are; one that does not answer is listed too.

    Returns:
        The devices, those asked for first, and why adb could not be asked, or None.

    Raises:
        UsageError: an address of no known kind.
    """
    from fetaledge_devices.deploy.address_book import known_targets

    targets = [open_target(address) for address in dict.fromkeys(asked)]
    names = {target.name for target in targets}
    found, trouble = _phones()
    for address in sorted({str(note["address"]) for note in known_targets()} | set(found), key=_order):
        if address in names:
            continue
        try:
            targets.append(open_target(address))
        except FetalEdgeError:  # a serial, or a note of another version, that no address can name
            continue
    return _ask(targets, timeout_s), trouble


def _phones() -> tuple[list[str], str | None]:
    try:
        return [f"adb://{phone.serial}" for phone in list_adb()], None
    except TargetError as error:
        return [], error.message


def _order(address: str) -> tuple[bool, str]:
    return not address.startswith("ssh://"), address


def _ask(targets: Sequence[Target], timeout_s: float) -> list[Device]:
    try:
        with ThreadPoolExecutor(max_workers=max(1, len(targets))) as pool:
            try:
                futures = [pool.submit(_device, target) for target in targets]
                wait(futures, timeout=timeout_s)
                answered = [future.done() for future in futures]
            finally:
                for target in targets:
                    target.cancel()
    finally:
        for target in targets:
            target.close()
    return [
        future.result() if done else Device(target.name, None, problem=f"it did not answer within {timeout_s:.0f} s")
        for target, future, done in zip(targets, futures, answered, strict=True)
    ]


def _device(target: Target) -> Device:
    try:
        facts = target.facts()
    except FetalEdgeError as error:
        return Device(target.name, None, problem=error.message, hint=error.hint)
    try:
        return Device(target.name, facts, _installed() if target.name == "local" else runnable_formats(facts.platform))
    except TargetError as error:
        return Device(target.name, facts, problem=error.message, hint=error.hint)


def _installed() -> tuple[str, ...]:
    """The model formats whose engine is installed on this machine."""
    from fetaledge_runtimes.engines.registry import formats, is_installed

    return tuple(name for name in formats() if is_installed(name))


def runnable_formats(platform: Platform) -> tuple[str, ...]:
    """The model formats that can be deployed to such a device.

    Raises:
        TargetError: why none can.
    """
    if platform.system == "android":
        from fetaledge_devices.native_runner.build import LIBRARIES

        if platform.machine != "aarch64":
            raise TargetError(f"the phone is a {platform.machine}, and the native runner is for aarch64 alone")
        return tuple(sorted(LIBRARIES))
    from fetaledge_devices.wheels.pins import ENGINES as PACKAGES
    from fetaledge_devices.wheels.wheel_tags import wheel_tags

    wheel_tags(platform)
    return tuple(PACKAGES)


def devices_table(devices: Iterable[Device]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows; a dash stands for what is not known. Columns that no device has anything for are left out."""
    rows = [_row(device) for device in devices]
    kept = [n for n in range(len(HEADER)) if n in (0, len(HEADER) - 1) or any(row[n] != "–" for row in rows)]
    return tuple(HEADER[n] for n in kept), [tuple(row[n] for n in kept) for row in rows]


def _row(device: Device) -> tuple[str, ...]:
    facts = device.facts
    if facts is None:
        return (device.target, *["–"] * (len(HEADER) - 2), device.state)
    machine, conditions = facts.machine, facts.conditions
    libraries = [machine.get("python"), machine.get("libc")]
    cells = (
        machine.get("model") or machine.get("cpu"),
        machine.get("soc"),
        clocks_text(machine.get("core_max_mhz")) or str(machine.get("cores", facts.cores)),
        str(machine.get("os") or "").replace("GNU/Linux ", ""),
        ", ".join(filter(None, libraries)),
        ", ".join(device.formats),
        None if conditions.temperature_c is None else f"{conditions.temperature_c:.0f}",
        _battery(conditions),
    )
    return (device.target, *(cell or "–" for cell in cells), device.state)


def clocks_text(core_max_mhz: Sequence[int | None] | None) -> str | None:
    """``4 × 1.80 GHz``, of several kinds ``4 × 1.70 + 1 × 2.91 GHz``; None where no clock could be read."""
    clocks = [clock for clock in core_max_mhz or () if clock]
    kinds = [f"{clocks.count(clock)} × {clock / 1000:.2f}" for clock in sorted(set(clocks))]
    return f"{' + '.join(kinds)} GHz" if kinds else None


def _battery(conditions: Conditions) -> str | None:
    battery = conditions.battery
    if battery is None or battery.level_percent is None:
        return None
    words = [f"{battery.level_percent:.0f} %", battery.status, "saver on" if battery.low_power else ""]
    return ", ".join(filter(None, words))


def devices_document(devices: Iterable[Device]) -> dict[str, Any]:
    """The JSON-able list."""
    return {
        "schema": SCHEMA,
        "devices": [
            {
                "target": device.target,
                "reached": device.reached,
                "state": device.state,
                "emulated": device.facts.emulated if device.facts else None,
                "formats": list(device.formats),
                "facts": device.facts.machine if device.facts else None,
                "conditions": device.facts.conditions.document() if device.facts else None,
            }
            for device in devices
        ],
    }
