"""The documents of ``fetaledge verify --target``: the golden frames on devices, and the gate repeated there."""

from __future__ import annotations

from typing import Any

from fetaledge_benchmarks.record import Device, Numbers
from fetaledge_runtimes.notice import NOTICE
from fetaledge_runtimes.records import Document, Part


class DeviceVerdict(Part, kw_only=True, frozen=True):
    """The golden frames through one variant on one target.

    Attributes:
        target: its address.
        variant: the variant's name.
        engine: its engine's name.
        engine_version: there; None where it is unknown.
        result: ``ok`` or ``refused``.
        details: a sentence, empty where there is nothing to say.
    """

    target: str
    variant: str
    engine: str
    engine_version: str | None
    result: str
    details: str


class DeviceVerification(Document, kw_only=True, frozen=True):
    """The self-test of a bundle on devices; ``lost`` maps a target that gave no results to the reason."""

    schema: str = "fetaledge/device-verify/1"
    notice: str = NOTICE
    bundle: str
    results: tuple[DeviceVerdict, ...]
    lost: dict[str, str] = {}

    @property
    def passed(self) -> bool:
        """Whether every variant passed on every target that was reached."""
        return all(result.result == "ok" for result in self.results)


class DeviceGateVerdict(Part, kw_only=True, frozen=True):
    """One variant on one target, judged by the limits of the export.

    Attributes:
        target: its address.
        variant: the variant's name.
        engine: its engine's name.
        engine_version: there; None where nothing ran.
        passed: whether there is no reason against it.
        reasons: why it does not pass.
        notes: what could not be judged, and what is known of the variant there.
        against_fp32: change against fp32 PyTorch on the same frames; None where it did not run.
        against_local: agreement with the masks of the same variant on this machine; None where there are none.
    """

    target: str
    variant: str
    engine: str
    engine_version: str | None
    passed: bool
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    against_fp32: dict[str, Any] | None
    against_local: Numbers | None


class DeviceGate(Document, kw_only=True, frozen=True):
    """The gate of a bundle, repeated on devices.

    Attributes:
        notice: what this software is not.
        bundle: the bundle's name.
        data: the frames that the gate was judged on.
        task: the bundle's task.
        cases: number of frames.
        note: the sentence that goes with scores on phantoms.
        limits: of the gate.
        devices: facts about each target, as in a benchmark.
        lost: target -> why it gave no results.
        results: one a target and variant.
    """

    schema: str = "fetaledge/device-gate/1"
    notice: str = NOTICE
    bundle: str
    data: str
    task: str
    cases: int
    note: str | None
    limits: dict[str, float]
    devices: dict[str, Device]
    lost: dict[str, str] = {}
    results: tuple[DeviceGateVerdict, ...]

    @property
    def passed(self) -> bool:
        """Whether every variant passed on every target that was reached."""
        return all(result.passed for result in self.results)
