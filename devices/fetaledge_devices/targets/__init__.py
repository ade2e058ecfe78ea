"""Targets: where rows are measured. A new one is one file here and one line in :func:`open_target`."""

from __future__ import annotations

from fetaledge_devices.targets.adb import AdbTarget, list_adb
from fetaledge_devices.targets.address import parse_address
from fetaledge_devices.targets.base import Target
from fetaledge_devices.targets.local import LocalTarget
from fetaledge_devices.targets.ssh import SshTarget

__all__ = ["Target", "list_adb", "open_target"]


def open_target(address: str) -> Target:
    """The target of an address; nothing is connected to yet.

    Raises:
        UsageError: no kind of target has such an address.
    """
    parsed = parse_address(address)
    if parsed.kind == "ssh":
        return SshTarget(address, parsed)
    if parsed.kind == "adb":
        return AdbTarget(address, parsed)
    return LocalTarget()
