"""Targets: where rows are measured. A new one is one file here and one line in :func:`open_target`."""

from __future__ import annotations

from fetaledge_benchmarks.targets.base import Target
from fetaledge_benchmarks.targets.local import LocalTarget
from fetaledge_runtimes.errors import UsageError


def open_target(address: str) -> Target:
    """The target of an address.

    Raises:
        UsageError: no kind of target has such an address.
    """
    if address == "local":
        return LocalTarget()
    raise UsageError(f"the target {address!r} is of no known kind", "this version measures on: local")
