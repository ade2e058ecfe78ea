"""The tasks: what the classes of a mask stand for, and what is measured of them."""

from __future__ import annotations

from typing import NamedTuple


class Measure(NamedTuple):
    """What a task is for: parts of names in records and documents (``hc_abs_mean_mm``), and words for people.

    ``sign`` stands right behind a number: `` mm``, ``°``.
    """

    key: str
    unit: str
    name: str
    sign: str


CLASSES: dict[str, tuple[str, ...]] = {
    "head": ("background", "head"),
    "ps-fh": ("background", "pubic-symphysis", "head"),
}
TASKS = tuple(CLASSES)
HEAD, PS_FH = TASKS
PS, FH = 1, 2
"""Labels of the pubic symphysis and the fetal head in a mask of the task ``ps-fh``."""
STRUCTURES: dict[str, dict[str, int]] = {"head": {}, "ps-fh": {"ps": PS, "fh": FH}}
"""Structures that are scored each on its own, and their labels."""
MEASURES = {"head": Measure("hc", "mm", "HC", " mm"), "ps-fh": Measure("aop", "deg", "AoP", "°")}
