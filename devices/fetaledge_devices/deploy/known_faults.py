"""Engines that are known not to work on some CPUs: one table, each line with its source."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One combination that is known to be bad.

    Attributes:
        package: of the engine, as the package index names it.
        versions: a pattern that the whole version matches.
        machine: ``aarch64`` or ``x86_64``.
        cpu_parts: the cores that it was seen on; empty for every core of ``machine``.
        precisions: of the variants that it concerns; empty for all.
        sentence: what goes wrong.
        source: where that can be read, or how it was seen.
        instead: a version without the fault, or None where there is none.
    """

    package: str
    versions: str
    machine: str
    cpu_parts: tuple[str, ...]
    precisions: tuple[str, ...]
    sentence: str
    source: str
    instead: str | None

    def concerns(self, package: str, version: str, machine: str, cpu_parts: Iterable[str], precision: str) -> bool:
        return (
            package == self.package
            and re.fullmatch(self.versions, version) is not None
            and machine == self.machine
            and (not self.cpu_parts or bool(set(self.cpu_parts) & set(cpu_parts)))
            and (not self.precisions or precision in self.precisions)
        )

    def __str__(self) -> str:
        return f"{self.sentence} ({self.source})"


FAULTS = (
    Fault(
        package="onnxruntime",
        versions=r"1\.21\.0",
        machine="aarch64",
        cpu_parts=("cortex-a72", "cortex-a73"),
        precisions=(),
        sentence="onnxruntime 1.21.0 ends with an illegal instruction when it is imported on a Cortex-A72 or A73",
        source="microsoft/onnxruntime issues 23957 and 24112 (Pi 4), synaptics-synap/examples issue 14 (SL1680)",
        instead="1.22.0",
    ),
    Fault(
        package="openvino",
        versions=r"2026\.4\..*",
        machine="aarch64",
        cpu_parts=("cortex-a72",),
        precisions=("int8",),
        sentence="openvino 2026.4 cannot run int8 models on a Cortex-A72",
        source="2026.4.1 seen under emulation of that core: the model cannot be compiled",
        instead=None,
    ),
    Fault(
        package="openvino",
        versions=r"202[0-5]\..*",
        machine="aarch64",
        cpu_parts=(),
        precisions=("int8",),
        sentence="OpenVINO to 2025 computes int8 models in floating point on Arm: the masks are not those of the gate",
        source="openvinotoolkit/openvino_build_deploy pull request 440; Dice 0.985 with x86-64 seen under emulation",
        instead=None,
    ),
    Fault(
        package="openvino",
        versions=r"2026\.4\..*",
        machine="aarch64",
        cpu_parts=("cortex-a76",),
        precisions=("int8",),
        sentence="openvino 2026.4 executes about 19 times as many instructions for int8 as for fp32 on a Cortex-A76",
        source="2026.4.1 counted by fetaledge cost on the reference model",
        instead=None,
    ),
)


def known_faults(package: str, version: str, machine: str, cpu_parts: Iterable[str], precision: str) -> list[Fault]:
    """The lines of the table that concern a variant of this precision, in this version, on this CPU."""
    parts = tuple(cpu_parts)
    return [fault for fault in FAULTS if fault.concerns(package, version, machine, parts, precision)]


def sound_version(package: str, version: str, machine: str, cpu_parts: Iterable[str], precisions: Iterable[str]) -> str:
    """``version``, or the one to use instead where the table knows that it fails a variant of these precisions."""
    parts = tuple(cpu_parts)
    for precision in sorted(set(precisions)):
        for fault in known_faults(package, version, machine, parts, precision):
            if fault.instead is not None:
                return fault.instead
    return version
