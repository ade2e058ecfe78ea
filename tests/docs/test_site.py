"""The site's own scripts: schemas, references in docstrings, and nothing fetched."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import griffe
import pytest
import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from fetaledge_runtimes.records import Document, Part, schemas
from tests.docs.hooks import DOCS, ROOT, hook


class Place(Part, kw_only=True, frozen=True):
    """Where it is."""

    row: int
    columns: tuple[float, ...] = ()


class Found(Document, kw_only=True, frozen=True):
    """An example."""

    schema: str = "fetaledge/test-example/1"
    places: tuple[Place, ...]
    note: str | None = None


def test_a_document_becomes_a_table_of_its_keys() -> None:
    pages = hook("record_pages")
    name = "fetaledge/test-example/1"
    shown = pages.render({name: schemas()[name]})
    assert "[JSON Schema](schemas/test-example-1.json)" in shown and "An example." in shown
    assert "| `places` | list of Place | required |" in shown
    assert "| `note` | string or null | `null` |" in shown
    assert "| `row` | integer | required |" in shown and "| `columns` | list of number | `[]` |" in shown


def test_the_manifest_is_among_the_documents() -> None:
    import fetaledge_runtimes.bundle  # noqa: F401

    pages = hook("record_pages")
    (name,) = (name for name in schemas() if name.startswith("fetaledge/bundle/") or "manifest" in name)
    assert "| `variants` |" in pages.render({name: schemas()[name]})


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<script src="https://unpkg.com/x.js"></script>', ["https://unpkg.com/x.js"]),
        ('<link rel="stylesheet" href="//fonts.example/x.css">', ["//fonts.example/x.css"]),
        ("<img alt=x src=http://a.example/b.png>", ["http://a.example/b.png"]),
        ('<a href="https://arxiv.org/abs/2407.20086">paper</a><img src="heads.png">', []),
        ('<link rel="canonical" href="https://a.example/">', []),
    ],
)
def test_what_a_browser_would_fetch_is_found(html: str, found: list[str]) -> None:
    assert hook("offline").fetched(html) == found


SOURCE = '''
"""A module."""

def helper() -> None:
    """Help."""

class Shown:
    """See :func:`helper`, :meth:`read`, :func:`example_pkg.deep.other` and :func:`cv2.remap`; ``code``."""

    def read(self) -> None:
        """Raise :class:`Missing`."""
'''


def test_references_become_links_or_code_or_warnings(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    roles = hook("roles")
    package = tmp_path / "example_pkg"
    package.mkdir()
    (package / "__init__.py").write_text(SOURCE, encoding="utf-8")
    (package / "deep.py").write_text('def other() -> None:\n    """Other."""\n', encoding="utf-8")
    loader = griffe.GriffeLoader(search_paths=[tmp_path])
    loaded = loader.load("example_pkg")
    names = roles.Names(loader, loaded)
    shown = loaded["Shown"]
    text = roles.rewritten(shown, shown.docstring.value, names, {"example_pkg.Shown"})
    assert text == "See `helper`, [`read`][example_pkg.Shown.read], `example_pkg.deep.other` and `cv2.remap`; `code`."
    with caplog.at_level(logging.WARNING, "mkdocs.plugins"):
        assert roles.rewritten(shown["read"], shown["read"].docstring.value, names, set()) == "Raise `Missing`."
    assert "refers to 'Missing', which does not exist" in caplog.text


@pytest.mark.parametrize(
    ("page", "fails"),
    [
        ("# A\n\n[b](b.md#there)\n", False),
        ("# A\n\n[b](c.md)\n", True),
        ("# A\n\n[b](b.md#elsewhere)\n", True),
        ("# A\n\n[b](/b.html)\n", True),
    ],
)
def test_a_dead_link_fails_the_build(page: str, fails: bool, tmp_path: Path) -> None:
    """With the site's own rules, on a site of two pages."""
    written = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    rules: dict[str, Any] = yaml.safe_load(written[written.index("\nvalidation:") :])
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text(page, encoding="utf-8")
    (docs / "b.md").write_text("# B\n\n## There\n", encoding="utf-8")
    site = {
        "site_name": "x",
        "docs_dir": str(docs),
        "site_dir": str(tmp_path / "site"),
        "theme": "mkdocs",
        "plugins": [],
    }
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(site | rules), encoding="utf-8")
    config = load_config(str(tmp_path / "mkdocs.yml"), strict=True)
    if fails:
        with pytest.raises(Abort):
            build(config)
    else:
        build(config)


def test_every_page_is_in_the_navigation() -> None:
    written = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in DOCS.glob("*.md"):
        assert f" {page.name}\n" in written, page.name
