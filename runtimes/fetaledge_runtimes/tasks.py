"""The tasks: what the classes of a mask stand for."""

from __future__ import annotations

CLASSES: dict[str, tuple[str, ...]] = {
    "head": ("background", "head"),
    "ps-fh": ("background", "pubic-symphysis", "head"),
}
TASKS = tuple(CLASSES)
PS, FH = 1, 2
"""Labels of the pubic symphysis and the fetal head in a mask of the task ``ps-fh``."""
STRUCTURES: dict[str, dict[str, int]] = {"head": {}, "ps-fh": {"ps": PS, "fh": FH}}
"""Structures that are scored each on its own, and their labels."""
