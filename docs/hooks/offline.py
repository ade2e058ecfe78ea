"""The site works without a network: a page that would fetch something from another host fails the strict build."""

from __future__ import annotations

import re
from typing import Any

from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.pages import Page

FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio)\b[^>]*?\bsrc=["']?((?:https?:)?//[^\s"'>]+)"""
    r"""|<link\b(?![^>]*\brel=["']?(?:canonical|alternate))[^>]*?\bhref=["']?((?:https?:)?//[^\s"'>]+)""",
    re.IGNORECASE,
)
_log = get_plugin_logger("offline")


def fetched(html: str) -> list[str]:
    """The addresses on other hosts that a browser fetches to show a page; links to follow do not count."""
    return [match[1] or match[2] for match in FETCHED.finditer(html)]


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Called by mkdocs with each page's HTML."""
    for address in fetched(output):
        _log.warning(f"{page.file.src_uri}: the page fetches {address}")
    return output
