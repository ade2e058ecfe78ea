"""The devices that can be measured on: what adb and the known SSH targets show, each asked at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

from fetaledge_devices.deploy.address_book import known_targets
from fetaledge_devices.facts.model import Conditions, Facts, Machine, Platform
from fetaledge_devices.native_runner.build import LIBRARIES
from fetaledge_devices.targets import KINDS, Target, open_target
from fetaledge_devices.targets.address import kind_of
from fetaledge_devices.wheels.wheel_tags import wheel_tags
from fetaledge_runtimes.engines.registry import formats, is_installed
from fetaledge_runtimes.errors import FetalEdgeError, TargetError
from fetaledge_runtimes.records import Document, Part, from_json

ANSWER_TIMEOUT_S = 20.0
HEADER = ("target", "model", "SoC", "cores", "OS", "Python, libc", "runs", "°C", "battery", "state")
NOTHING_YET = (
    "no device is known yet: switch USB debugging on and plug a phone in, or name a Raspberry Pi with "
    "--target ssh://USER@HOST; what `fetaledge deploy` has brought a bundle to is listed from then on"
)


class ListedDevice(Part, kw_only=True, frozen=True):
    """A device in the list.

    Attributes:
        state: ``ready``, ``emulated``, or what is wrong and what to do.
        formats: the model formats that can be deployed to it.
        emulated, facts, conditions: None where it could not be reached.
    """

    target: str
    reached: bool
    state: str
    emulated: bool | None = None
    formats: tuple[str, ...] = ()
    facts: Machine | None = None
    conditions: Conditions | None = None


class DeviceList(Document, kw_only=True, frozen=True):
    """What ``fetaledge devices --json`` prints."""

    schema: str = "fetaledge/devices/1"
    devices: tuple[ListedDevice, ...]


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


def list_devices(asked: Sequence[str], timeout_s: float = ANSWER_TIMEOUT_S) -> tuple[list[Device], str | None]:
    """Ask the given targets, the known ones and adb's phones what they are; one that does not answer is listed too.

    Returns:
        The devices, those asked for first, and why adb could not be asked, or None.

    Raises:
        UsageError: an address of no known kind.
    """
    targets = [open_target(address) for address in dict.fromkeys(asked)]
    names = {target.name for target in targets}
    found, trouble = _found()
    for address in sorted({note.address for note in known_targets()} | set(found), key=_order):
        if address in names:
            continue
        try:
            targets.append(open_target(address))
        except FetalEdgeError:  # a serial, or a note of another version, that no address can name
            continue
    return _ask(targets, timeout_s), trouble


def _found() -> tuple[list[str], str | None]:
    """The addresses that a kind of target finds by itself, and why one could not look."""
    addresses: list[str] = []
    trouble = None
    for kind in KINDS.values():
        try:
            addresses += kind.found()
        except TargetError as error:
            trouble = error.message
    return addresses, trouble


def _order(address: str) -> tuple[int, str]:
    """Kind by kind, as :data:`KINDS` names them; a note of another version may name none."""
    kinds = list(KINDS)
    kind = kind_of(address)
    return kinds.index(kind) if kind in kinds else len(kinds), address


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
        return Device(target.name, facts, _installed() if target.is_local else runnable_formats(facts.platform))
    except TargetError as error:
        return Device(target.name, facts, problem=error.message, hint=error.hint)


def _installed() -> tuple[str, ...]:
    """The model formats whose engine is installed on this machine."""
    return tuple(name for name in sorted(formats()) if is_installed(name))


def runnable_formats(platform: Platform) -> tuple[str, ...]:
    """The model formats that can be deployed to such a device.

    Raises:
        TargetError: why none can.
    """
    if platform.is_android:
        if platform.machine != "aarch64":
            raise TargetError(f"the phone is a {platform.machine}, and the native runner is for aarch64 alone")
        return tuple(sorted(LIBRARIES))
    wheel_tags(platform)
    return tuple(sorted(formats()))


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


def devices_document(devices: Iterable[Device]) -> DeviceList:
    """The list for other programs."""
    return DeviceList(devices=tuple(_listed(device) for device in devices))


def _listed(device: Device) -> ListedDevice:
    facts = device.facts
    return ListedDevice(
        target=device.target,
        reached=device.reached,
        state=device.state,
        emulated=facts.emulated if facts else None,
        formats=device.formats,
        facts=from_json(facts.machine, Machine, f"what {device.target} is") if facts else None,
        conditions=facts.conditions.for_record() if facts else None,
    )
