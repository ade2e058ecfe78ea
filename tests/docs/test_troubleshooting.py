"""The page of messages quotes messages that the sources still hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"
FOLDERS = ("runtimes", "export", "devices", "benchmarks", "fetaledge")
QUOTED = re.findall(r"^error: (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def _template(node: ast.expr) -> str | None:
    """A string of the sources, with ``…`` in place of what it is filled with."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return None


def _messages() -> Iterator[str]:
    """Every call's leading texts as an error prints them: the message, and the message with its hint."""
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and node.args:
                    texts = [_template(argument) for argument in node.args[:2]]
                    if texts[0]:
                        yield texts[0]
                        if len(texts) > 1 and texts[1]:
                            yield f"{texts[0]}; {texts[1]}"


@pytest.fixture(scope="module")
def messages() -> set[str]:
    return set(_messages())


def test_the_page_quotes_messages() -> None:
    assert len(QUOTED) >= 15


@pytest.mark.parametrize("quoted", QUOTED)
def test_each_quoted_message_is_in_the_sources(quoted: str, messages: set[str]) -> None:
    assert quoted in messages


def test_every_exit_code_is_explained() -> None:
    from fetaledge_runtimes import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)}
    assert {0, 130, 141} | {kind("").exit_code for kind in kinds} == listed
