"""The tasks that are installed, found through the entry point group ``fetaledge.tasks``."""

from __future__ import annotations

from functools import cache

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.plugins import load, names
from fetaledge_runtimes.tasks.task import Measure, Task

GROUP = "fetaledge.tasks"


def task_names() -> tuple[str, ...]:
    """Names of the installed tasks, in alphabetical order."""
    return names(GROUP)


@cache
def task_named(name: str) -> Task:
    """The task of this name.

    Raises:
        InputError: none is installed.
    """
    if name not in task_names():
        known = ", ".join(task_names())
        raise InputError(f"the task {name!r} is not known here", f"known are {known}; install the package that has it")
    task: Task = load(GROUP, name)
    return task


def tasks() -> tuple[Task, ...]:
    """All installed tasks."""
    return tuple(map(task_named, task_names()))


def all_keys() -> tuple[str, ...]:
    """Keys of a prediction's values over all installed tasks: those of other tasks stand in a document as null."""
    return tuple(dict.fromkeys(key for task in tasks() for key in task.keys))


def all_measures() -> tuple[Measure, ...]:
    """The measures of all installed tasks."""
    return tuple(measure for task in tasks() for measure in task.measures)
