"""Cross-references in docstrings: ``:func:`name``` becomes a link where the name is in the API, and code elsewhere.

A name of our packages that does not exist is a warning, which fails the strict build.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
from mkdocs.plugins import get_plugin_logger

ROLE = re.compile(r":(?:func|class|meth|mod|attr|data|exc):`([^`]+)`")
LITERAL = re.compile(r"``([^`]+)``")
OURS = "fetaledge"
_log = get_plugin_logger("roles")


def _api_names() -> set[str]:
    spec = importlib.util.spec_from_file_location("api_pages", Path(__file__).with_name("api_pages.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    names: set[str] = module.documented()
    return names


class Roles(griffe.Extension):
    """Rewrites the docstrings of a package when it is loaded."""

    def on_package(self, *, pkg: griffe.Module, loader: griffe.GriffeLoader, **_: Any) -> None:
        names = Names(loader, pkg)
        linked = {names.canonical(name) for name in _api_names() if name.startswith(f"{pkg.name}.")}
        for thing in _walk(pkg):
            if thing.docstring is not None:
                thing.docstring.value = rewritten(thing, thing.docstring.value, names, linked)


class Names:
    """The names of our packages, as a docstring may write them."""

    def __init__(self, loader: griffe.GriffeLoader, package: griffe.Module) -> None:
        self.loader = loader
        self.by_last: dict[str, list[str]] = {}
        for thing in _walk(package):
            self.by_last.setdefault(thing.name, []).append(thing.path)

    def canonical(self, path: str) -> str | None:
        """The full name under which a thing is defined, or None where there is none of this name."""
        top = path.partition(".")[0]
        try:
            if top.startswith(OURS) and top not in self.loader.modules_collection:
                self.loader.load(top)
            return str(self.loader.modules_collection[path].canonical_path)
        except (KeyError, ImportError, griffe.GriffeError):
            return None

    def find(self, name: str, scope: griffe.Object) -> str | None:
        """The full name of ``name`` as written in ``scope``: in full, in reach, or the only one of its package."""
        first, _, rest = name.partition(".")
        starts, place = [name], scope
        while isinstance(place, griffe.Object):
            starts.append(f"{place.path}.{name}")
            with contextlib.suppress(griffe.NameResolutionError):
                starts.append(".".join(filter(None, (place.resolve(first), rest))))
            place = place.parent
        found = next(filter(None, map(self.canonical, starts)), None)
        elsewhere = self.by_last.get(name, [])
        return found or (elsewhere[0] if len(elsewhere) == 1 else None)


def rewritten(thing: griffe.Object, text: str, names: Names, linked: set[str | None]) -> str:
    """The docstring of ``thing`` as Markdown."""

    def link(role: re.Match[str]) -> str:
        name = role[1].lstrip("~")
        path = names.find(name, thing)
        if path is None:
            if "." not in name or name.startswith(OURS):
                _log.warning(f"{thing.path}: the docstring refers to {name!r}, which does not exist")
            return f"`{name}`"
        shown = any(api and (path == api or path.startswith(f"{api}.")) for api in linked)
        return f"[`{name.rpartition('.')[2]}`][{path}]" if shown else f"`{name}`"

    return LITERAL.sub(r"`\1`", ROLE.sub(link, text))


def _walk(thing: griffe.Object) -> Iterator[griffe.Object]:
    yield thing
    for member in thing.members.values():
        if isinstance(member, griffe.Object):
            yield from _walk(member)
