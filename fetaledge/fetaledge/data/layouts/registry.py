"""The layouts of labelled frames that are installed, found through the entry points ``fetaledge.layouts``."""

from __future__ import annotations

from functools import cache

from fetaledge.data.dataset import Dataset
from fetaledge_runtimes.plugins import load, names

GROUP = "fetaledge.layouts"


def layout_named(name: str) -> type[Dataset]:
    """The layout that is registered under a name. Raises UsageError where none is."""
    layout: type[Dataset] = load(GROUP, name)
    return layout


@cache
def layouts() -> tuple[type[Dataset], ...]:
    """All installed layouts, in the order in which they are asked whether they recognise a folder."""
    found: list[type[Dataset]] = [load(GROUP, name) for name in names(GROUP)]
    return tuple(sorted(found, key=lambda layout: (layout.PRECEDENCE, layout.__name__)))
