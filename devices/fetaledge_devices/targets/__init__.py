"""Targets: where a bundle runs. A new kind is one file here and one entry in :data:`KINDS`."""

from __future__ import annotations

from collections.abc import Mapping

from fetaledge_devices.targets.adb import AdbTarget
from fetaledge_devices.targets.address import kind_of
from fetaledge_devices.targets.base import Target
from fetaledge_devices.targets.local import LocalTarget
from fetaledge_devices.targets.ssh import SshTarget
from fetaledge_runtimes.errors import UsageError

__all__ = ["KINDS", "Target", "open_target"]

KINDS: Mapping[str, type[Target]] = {kind.kind: kind for kind in (LocalTarget, SshTarget, AdbTarget)}
"""Every kind of target by the word that its addresses begin with."""


def open_target(address: str) -> Target:
    """The target of an address; nothing is connected to yet.

    Raises:
        UsageError: no kind of target has such an address.
    """
    kind = KINDS.get(kind_of(address))
    if kind is None:
        forms = ", ".join(each.form for each in KINDS.values())
        raise UsageError(f"the target {address!r} is of no known kind", f"known are: {forms}")
    return kind.at(address)
