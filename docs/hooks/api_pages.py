"""The public names of each package.

``<!-- api MODULE -->`` stands for all of the module's ``__all__``, ``<!-- api MODULE:NAME NAME -->`` for these names.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[1] / "api.md"
PLACE = re.compile(r"<!-- api ([\w.]+)(?::((?: ?\w+)+))? -->")


def public_names(place: re.Match[str]) -> list[str]:
    """The full names that a place stands for."""
    names = place[2].split() if place[2] else sorted(importlib.import_module(place[1]).__all__, key=str.lower)
    return [f"{place[1]}.{name}" for name in names]


def documented() -> set[str]:
    """Every full name that the page shows, as a place there spells it."""
    return {name for place in PLACE.finditer(PAGE.read_text(encoding="utf-8")) for name in public_names(place)}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for each page."""
    return PLACE.sub(lambda place: "\n\n".join(f"::: {name}" for name in public_names(place)), markdown)
