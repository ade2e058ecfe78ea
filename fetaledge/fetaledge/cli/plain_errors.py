"""Errors of the command line as one plain sentence on stderr, though help is set in panels."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup


class PlainErrors(TyperGroup):
    """A group of commands whose usage errors read like all others: ``error: …; see COMMAND --help``."""

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the command and leave with its exit code: 2 for wrong usage, 130 after Ctrl-C."""
        if not standalone_mode:
            return super().main(*args, standalone_mode=False, **extra)
        try:
            code = super().main(*args, standalone_mode=False, **extra)
        except typer.TyperException as error:
            if sentence := _sentence(error):
                print(f"error: {sentence}", file=sys.stderr)
            sys.exit(error.exit_code)
        sys.exit(code if isinstance(code, int) else 0)


def _sentence(error: typer.TyperException) -> str:
    """An error as a sentence without its full stop; empty where only help was wanted, which is printed already."""
    text = " ".join(error.format_message().split()).rstrip(".")
    if not text:
        return ""
    context = getattr(error, "ctx", None)
    hint = "" if context is None else f"; see {context.command_path} --help"
    return text[0].lower() + text[1:] + hint
