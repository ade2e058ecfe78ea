"""A device that is reached by a shell: what it is and how it is doing, read from what the scripts print there."""

from __future__ import annotations

import re

from msgspec.structs import replace

from fetaledge_devices.facts.cores import designs
from fetaledge_devices.facts.linux_files import (
    CPU_FOLDER,
    FLAGS_OF_INTEREST,
    core_numbers,
    core_speed,
    cpu_flags,
    cpu_model,
    memory_mb,
    os_name,
    read_conditions,
)
from fetaledge_devices.facts.model import THROTTLE_SINCE_START, Battery, Clocks, Conditions, Facts, Platform
from fetaledge_runtimes.errors import TargetError

SIBLINGS = CPU_FOLDER + "/cpu{}/topology/thread_siblings_list"
EMULATED_BOARDS = ("linux,dummy-virt", "goldfish", "ranchu")
WAKEFULNESS = {"Awake": True, "Dreaming": True, "Dozing": False, "Asleep": False}
"""Android's states of power (``PowerManagerInternal``), and whether the screen is on in them."""
ELF_MACHINES = {"03": "i686", "28": "armv7l", "3e": "x86_64", "b7": "aarch64", "f3": "riscv64"}


def parse_facts(text: str) -> Facts:
    """The facts in the output of ``scripts.FACTS_SCRIPT``.

    Raises:
        TargetError: the output did not arrive whole.
    """
    sections = _sections(text)
    files = _files(sections)
    conditions = _conditions(sections, files)
    properties = dict(re.findall(r"^\[([^\]]+)\]: \[(.*)\]$", sections.get("PROPERTIES", ""), re.MULTILINE))
    cpuinfo, meminfo = files.get("/proc/cpuinfo", ""), files.get("/proc/meminfo", "")
    platform = _platform(sections, cpuinfo, meminfo)
    release, _, kernel_machine = sections.get("UNAME", "").strip().partition(" ")
    online = core_numbers(files.get("/sys/devices/system/cpu/online", ""))
    allowed = re.search(r"^Cpus_allowed_list:\s*(\S+)", files.get("/proc/self/status", ""), re.MULTILINE)
    usable = set(core_numbers(allowed.group(1)) if allowed else online) & set(online or range(_span(files)))
    flags = cpu_flags(cpuinfo)
    speed = _whole_cores(core_speed(files.get, _span(files)), usable, files)
    maximal = conditions.clock_max_khz or ()
    python = re.search(r"Python (\S+)", sections.get("PYTHON", ""))
    machine = {
        "model": _model(sections, properties, cpuinfo),
        "soc": _soc(sections, properties),
        "cpu": _cpu(cpuinfo),
        "architecture": platform.machine,
        "cores": _span(files),
        "cores_usable": len(usable) or 1,
        "core_max_mhz": [clock and round(clock / 1000) for clock in maximal] or None,
        "flags": [flag for flag in FLAGS_OF_INTEREST if flag in flags],
        "virtual": "hypervisor" in flags,
        "memory_mb": platform.memory_mb,
        "governor": conditions.governor,
        "os": _os(properties) or os_name(files.get("/etc/os-release", "")) or "Linux",
        "kernel": f"{release} ({kernel_machine})" if kernel_machine != platform.machine else release,
        "libc": platform.libc,
        "python": python.group(1) if python else None,
    }
    return Facts(machine, len(usable) or 1, conditions, platform, _emulated(sections, properties), speed)


def parse_conditions(text: str) -> Conditions:
    """The conditions in the output of ``scripts.CONDITIONS_SCRIPT``, or of its ``FACTS_SCRIPT``.

    Raises:
        TargetError: the output did not arrive whole.
    """
    sections = _sections(text)
    return _conditions(sections, _files(sections))


def _sections(text: str) -> dict[str, str]:
    parts = re.split(r"^@@([A-Z_]+)$\n?", text.replace("\r\n", "\n"), flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    if "END" not in sections or "FILES" not in sections:
        raise TargetError("the device's facts did not arrive whole", "see whether a shell answers there, and try again")
    return sections


def _files(sections: dict[str, str]) -> dict[str, str]:
    files: dict[str, str] = {}
    for line in sections["FILES"].splitlines():
        path, colon, value = line.partition(":")
        if colon:
            files[path] = files.get(path, "") + value + "\n"
    return files


def _span(files: dict[str, str]) -> int:
    """One more than the highest core number."""
    text = files.get("/sys/devices/system/cpu/possible") or files.get("/sys/devices/system/cpu/online") or ""
    described = len(re.findall(r"^processor\s*:", files.get("/proc/cpuinfo", ""), re.MULTILINE))
    clocked = [int(n) for path in files for n in re.findall(r"/cpu(\d+)/", path)]
    return max([described, 1, *(core + 1 for core in (*core_numbers(text), *clocked))])


def _whole_cores(speed: Clocks, usable: set[int], files: dict[str, str]) -> Clocks:
    """The speeds without those of cores that a process may not use, and of second hardware threads of a core.

    Two threads held to one core would halve each other's speed. Phones and Raspberry Pis have none such.
    """
    siblings = (core_numbers(files.get(SIBLINGS.format(core), "")) for core in range(len(speed)))
    first = [min(usable.intersection(numbers), default=core) for core, numbers in enumerate(siblings)]
    return tuple(clock if core in usable and core == first[core] else None for core, clock in enumerate(speed))


def _conditions(sections: dict[str, str], files: dict[str, str]) -> Conditions:
    conditions = read_conditions(files.get, _span(files))
    throttled, history = _throttled(sections.get("THROTTLED", ""))
    awake = re.search(r"^\s*mWakefulness=(\w+)", sections.get("POWER", ""), re.MULTILINE)
    thermal = sections.get("THERMAL", "")
    status = re.search(r"^Thermal Status: (\d+)", thermal, re.MULTILINE)
    return replace(
        conditions,
        temperature_c=_phone_temperature(thermal) or conditions.temperature_c,
        throttled=throttled,
        throttle_history=history,
        thermal_status=int(status.group(1)) if status else None,
        battery=_battery(sections.get("BATTERY", ""), sections.get("LOW_POWER", "").strip()),
        screen_on=WAKEFULNESS.get(awake.group(1)) if awake else None,
    )


def _throttled(text: str) -> tuple[int | None, bool | None]:
    """The word, and whether it tells what was since the start.

    vcgencmd's does. What the kernel's file tells of earlier is of the last two seconds: raspberrypi-hwmon, which
    refreshes it, asks the firmware to forget each time. It counts as now.
    """
    told = re.search(r"throttled=0x([0-9a-fA-F]+)", text)
    if told:
        return int(told.group(1), 16), True
    if not re.fullmatch(r"[0-9a-f]+", text.strip()):
        return None, None
    word = int(text, 16)
    return (word | word >> THROTTLE_SINCE_START) & 0xFFFF, False


def _phone_temperature(thermal: str) -> float | None:
    """The hottest core (type 0), else skin (type 3), among the temperatures that the hardware gives now."""
    current = thermal.partition("Current temperatures from HAL")[2].partition("Current cooling")[0]
    for kind in ("0", "3"):
        found = re.findall(rf"mValue=([-\d.]+), mType={kind},", current or thermal)
        values = [float(value) for value in found if re.fullmatch(r"-?\d+(\.\d+)?", value) and 0 < float(value) < 150]
        if values:
            return max(values)
    return None


def _battery(text: str, low_power: str) -> Battery | None:
    """From ``dumpsys battery``; its numbers are those of Android's BatteryManager."""
    values = dict(re.findall(r"^\s*([A-Za-z ]+?): *(\S+)$", text, re.MULTILINE))
    if "level" not in values or values.get("present") == "false":
        return None

    def number(name: str, unit: float) -> float | None:
        value = values.get(name, "")
        return int(value) * unit if re.fullmatch(r"-?\d+", value) else None

    level, scale = number("level", 1), number("scale", 1) or 100
    plugged = [kind for kind in ("AC", "USB", "Wireless", "Dock") if values.get(f"{kind} powered") == "true"]
    words = {"1": "unknown", "2": "charging", "3": "discharging", "4": "not charging", "5": "full"}
    status = words.get(values.get("status", ""), "unknown")
    return Battery(
        level_percent=None if level is None else 100 * level / scale,
        charging=status in ("charging", "full"),
        plugged="+".join(plugged) or None,
        temperature_c=number("temperature", 0.1),
        low_power={"0": False, "1": True}.get(low_power),
        status=status,
        supply_ma=number("Max charging current", 0.001) or None,
    )


def _platform(sections: dict[str, str], cpuinfo: str, meminfo: str) -> Platform:
    python = re.search(r"^Python (\d+)\.(\d+)\S*(?: (/.*))?", sections.get("PYTHON", ""))
    system = "android" if "PROPERTIES" in sections else "linux"
    return Platform(
        system=system,
        machine=_machine(sections),
        libc="bionic" if system == "android" else _libc(sections.get("LIBC", "")),
        python=(int(python.group(1)), int(python.group(2))) if python else None,
        cpu_parts=tuple(dict.fromkeys(designs(cpuinfo))),
        memory_mb=memory_mb(meminfo) or 0,
        available_mb=memory_mb(meminfo, "MemAvailable"),
        free_mb=_free_mb(sections.get("SPACE", "")),
        taskset="taskset" in sections.get("TASKSET", ""),
        python_path=python.group(3) if python else None,
        volatile=bool(re.search(r"^(overlay\w*|tmpfs|ramfs)\s", sections.get("SPACE", ""), re.MULTILINE)),
    )


def _machine(sections: dict[str, str]) -> str:
    """Of the programs: from the header of one of them, else from the width of a C long and the kernel's name."""
    kernel = sections.get("UNAME", "").strip().rpartition(" ")[2]
    header = sections.get("ELF", "").split()
    if header[:4] == ["7f", "45", "4c", "46"] and len(header) == 20:
        machine = ELF_MACHINES.get(header[18], kernel)
    else:
        narrow = {"aarch64": "armv7l", "x86_64": "i686"} if sections.get("BITS", "").strip() == "32" else {}
        machine = narrow.get(kernel, kernel)
    if machine == "armv7l" and kernel.startswith("armv6"):
        return "armv6l"
    return {"armv8l": "armv7l", "arm64": "aarch64"}.get(machine, machine)


def _libc(text: str) -> str:
    if "ld-musl-" in text:
        return "musl"
    found = re.search(r"(?:glibc |GNU C Library.*version )(\d+\.\d+)", text)
    return f"glibc {found.group(1)}" if found else ""


def _cpu(cpuinfo: str) -> str | None:
    parts = designs(cpuinfo)
    if parts:
        return " + ".join(f"{parts.count(name)} × {name}" for name in dict.fromkeys(parts))
    return cpu_model(cpuinfo)


def _free_mb(df: str) -> int | None:
    """From ``df``, or from ``stat`` where ``df`` does not know the file system, as after a change of root."""
    found = re.findall(r"\s(\d+)\s+(\d+)\s+(\d+)\s+(?:\d+%|-)\s", df)
    if found:
        return int(found[-1][2]) * 1024 // 1_000_000
    blocks = re.search(r"^free (\d+) (\d+)$", df, re.MULTILINE)
    return int(blocks.group(1)) * int(blocks.group(2)) // 1_000_000 if blocks else None


def _model(sections: dict[str, str], properties: dict[str, str], cpuinfo: str) -> str | None:
    model, maker = properties.get("ro.product.model"), properties.get("ro.product.manufacturer", "")
    if model:
        return model if model.lower().startswith(maker.lower()) else f"{maker} {model}"
    board = sections.get("BOARD", "").strip("\0\n ")
    named = re.search(r"^Model\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return board or (named.group(1).strip() if named else None)


def _soc(sections: dict[str, str], properties: dict[str, str]) -> str | None:
    """A phone's own words, else the last entry of the device tree's compatible list (``brcm,bcm2711``)."""
    soc = " ".join(filter(None, (properties.get("ro.soc.manufacturer"), properties.get("ro.soc.model"))))
    if properties:
        return soc or properties.get("ro.board.platform") or properties.get("ro.hardware") or None
    compatible = [entry for entry in sections.get("COMPATIBLE", "").strip("\n").split("\0") if entry]
    return compatible[-1].partition(",")[2].upper() or compatible[-1] if compatible else None


def _os(properties: dict[str, str]) -> str | None:
    release, sdk = properties.get("ro.build.version.release"), properties.get("ro.build.version.sdk")
    return f"Android {release} (SDK {sdk})" if release else None


def _emulated(sections: dict[str, str], properties: dict[str, str]) -> bool:
    """Whether the shell itself is run by qemu, or the board or phone is a virtual one.

    An emulator shows a process its own files as if there were no emulator; so another process looked at the shell's.
    """
    shown = sections.get("SHELL", "")
    program, _, started_by = shown.partition("\n")
    linked = program.rpartition(" -> ")[2] if " -> " in program else ""
    first = (started_by if linked or not program else shown).lstrip("\n").partition("\0")[0]
    boards = [sections.get("BOARD", "").strip("\0\n "), properties.get("ro.hardware", "")]
    return (
        any(re.search(r"(^|/)qemu-", name) for name in (linked, first))
        or any(board in EMULATED_BOARDS for board in boards)
        or "1" in (properties.get("ro.kernel.qemu"), properties.get("ro.boot.qemu"))
    )
