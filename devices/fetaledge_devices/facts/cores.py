"""The cores of a device: their designs, which are the big ones, and the mask by which a process is pinned to them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fetaledge_devices.facts.model import Facts

ARM_PARTS = {
    0xB76: "arm1176", 0xC07: "cortex-a7", 0xC08: "cortex-a8", 0xC09: "cortex-a9", 0xC0D: "cortex-a17",
    0xC0E: "cortex-a17", 0xC0F: "cortex-a15", 0xD02: "cortex-a34", 0xD03: "cortex-a53", 0xD04: "cortex-a35",
    0xD05: "cortex-a55", 0xD06: "cortex-a65", 0xD07: "cortex-a57", 0xD08: "cortex-a72", 0xD09: "cortex-a73",
    0xD0A: "cortex-a75", 0xD0B: "cortex-a76", 0xD0C: "neoverse-n1", 0xD0D: "cortex-a77", 0xD0E: "cortex-a76ae",
    0xD40: "neoverse-v1", 0xD41: "cortex-a78", 0xD42: "cortex-a78ae", 0xD43: "cortex-a65ae", 0xD44: "cortex-x1",
    0xD46: "cortex-a510", 0xD47: "cortex-a710", 0xD48: "cortex-x2", 0xD49: "neoverse-n2", 0xD4A: "neoverse-e1",
    0xD4B: "cortex-a78c", 0xD4C: "cortex-x1c", 0xD4D: "cortex-a715", 0xD4E: "cortex-x3", 0xD4F: "neoverse-v2",
    0xD80: "cortex-a520", 0xD81: "cortex-a720", 0xD82: "cortex-x4", 0xD84: "neoverse-v3", 0xD85: "cortex-x925",
    0xD87: "cortex-a725", 0xD8E: "neoverse-n3",
}  # fmt: skip
"""Part numbers of Arm Ltd.'s designs (implementer 0x41), as in Linux' ``arch/arm64/include/asm/cputype.h``."""
QUALCOMM_PARTS = {
    0x800: "cortex-a73", 0x801: "cortex-a53", 0x802: "cortex-a75", 0x803: "cortex-a55", 0x804: "cortex-a76",
    0x805: "cortex-a55",
}  # fmt: skip
"""Kryo cores by the Arm design that they are built on (implementer 0x51)."""


def designs(cpuinfo: str) -> list[str]:
    """The design of each Arm core in the text of ``/proc/cpuinfo``, core after core: ``cortex-a72``.

    One that has no name here is called by its numbers, ``0x41-0xd99``; other processors' cores are not told apart.
    """
    makers = re.findall(r"^CPU implementer\s*:\s*(0x[0-9a-fA-F]+)", cpuinfo, re.MULTILINE)
    parts = re.findall(r"^CPU part\s*:\s*(0x[0-9a-fA-F]+)", cpuinfo, re.MULTILINE)
    names = {0x41: ARM_PARTS, 0x51: QUALCOMM_PARTS}
    return [
        names.get(int(maker, 16), {}).get(int(part, 16), f"{maker}-{part}")
        for maker, part in zip(makers, parts, strict=False)
    ]


def pinned_cores(facts: Facts, threads: int) -> tuple[int, ...]:
    """The cores to pin so many threads to: the fastest kind, and the next ones where it has too few cores.

    Empty where pinning changes nothing: all cores are alike, nothing tells them apart, or all would be needed.
    """
    speeds = {core: speed for core, speed in enumerate(facts.core_speed) if speed is not None}
    chosen: list[int] = []
    for speed in sorted(set(speeds.values()), reverse=True):
        if len(chosen) >= threads:
            break
        chosen += [core for core in speeds if speeds[core] == speed]
    return tuple(sorted(chosen)) if len(chosen) < len(speeds) else ()


def cpu_mask(cores: Sequence[int]) -> str:
    """The argument of ``taskset MASK COMMAND``: hexadecimal without ``0x``, which Android's (toybox) refuses."""
    return f"{sum(1 << core for core in set(cores)):x}"
