"""What packages register with fetaledge: tasks, engines, formats, layouts and phantoms, by entry points.

Ours are registered in the same way as a stranger's, each in its package's ``pyproject.toml``:

    [project.entry-points."fetaledge.tasks"]
    disc = "disc_plugin.task:DISC"
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from fetaledge_runtimes.errors import InputError, UsageError


def names(group: str) -> tuple[str, ...]:
    """Names registered in a group, in alphabetical order."""
    return tuple(sorted(_group(group)))


def load(group: str, name: str) -> Any:
    """Import what is registered under a name.

    Raises:
        UsageError: nothing is.
        InputError: it cannot be imported.
    """
    point = _group(group).get(name)
    if point is None:
        kind = group.rpartition(".")[2]
        raise UsageError(f"{name!r} is not among the installed {kind}", f"choose from {', '.join(names(group))}")
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        package = point.dist.name if point.dist is not None else "its package"
        raise InputError(f"{point.value} cannot be loaded: {error}", f"install {package} again") from error


@cache
def _group(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}
