"""Finds the phantom of a task: ours and those of plug-ins are registered alike."""

from __future__ import annotations

from importlib.metadata import entry_points

from fetaledge.phantoms.phantom import Phantom
from fetaledge_runtimes.errors import UsageError

GROUP = "fetaledge.phantoms"


def phantom_of(task: str) -> Phantom:
    """The phantom that a package has registered for a task, by the task's name.

    Raises:
        UsageError: no installed package has one.
    """
    known = {entry.name: entry for entry in entry_points(group=GROUP)}
    if task not in known:
        raise UsageError(f"there are no phantoms of the task {task!r}", f"choose {' or '.join(sorted(known))}")
    phantom: Phantom = known[task].load()
    return phantom
