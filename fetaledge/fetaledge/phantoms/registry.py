"""Finds the phantom of a task: ours and those of plug-ins are registered alike."""

from __future__ import annotations

from fetaledge.phantoms.phantom import Phantom
from fetaledge_runtimes.errors import UsageError
from fetaledge_runtimes.plugins import load, names

GROUP = "fetaledge.phantoms"


def phantom_of(task: str) -> Phantom:
    """The phantom that a package has registered for a task, by the task's name.

    Raises:
        UsageError: no installed package has one.
        InputError: the package cannot be imported.
    """
    if task not in names(GROUP):
        raise UsageError(f"there are no phantoms of the task {task!r}", f"choose {' or '.join(names(GROUP))}")
    phantom: Phantom = load(GROUP, task)
    return phantom
