"""Taking everything away from a device again."""

from __future__ import annotations

import shlex

from fetaledge_devices.deploy.address_book import forget
from fetaledge_devices.targets.base import Target
from fetaledge_devices.targets.remote import is_remote
from fetaledge_runtimes.errors import TargetError


def remove(target: Target) -> bool:
    """Delete fetaledge's folder on a device, whole, and nothing else; whether there was one.

    Raises:
        TargetError: the device cannot be reached, and is forgotten; it is lost, or measuring for somebody.
    """
    if not is_remote(target):
        return False
    try:
        root = shlex.quote(target.root)
        there = target.shell(f"[ -e {root} ]").returncode == 0
    except TargetError as error:
        if target.reached:
            raise
        forget(target.name)
        forgotten = "it is forgotten here, and what lies there stays"
        raise TargetError(error.message, f"{error.hint}; {forgotten}" if error.hint else forgotten) from None
    if there:
        with target.session():
            done = target.shell(f"rm -rf {root}", 600.0)
        if done.returncode != 0:
            said = done.stderr.strip().splitlines() or ["nothing"]
            raise TargetError(f"{target.name} could not delete {target.root}: {said[-1]}", "delete it there")
    forget(target.name)
    return there
