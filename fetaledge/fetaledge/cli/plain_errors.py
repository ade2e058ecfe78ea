"""Errors of the command line as one plain sentence on stderr, though help is set in panels."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup


class PlainErrors(TyperGroup):
    """A group of commands whose usage errors read like all others: ``error: …; see COMMAND --help``."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command and, in ``standalone_mode``, leave with its exit code: 2 for wrong usage, 130 after Ctrl-C.

        Args:
            args: words of the command line; None: this process's.
            prog_name: the command's name in help and messages; None: found out.
            complete_var: environment variable of the shell's completion; None: by the name.
            standalone_mode: whether to print errors and leave.
            windows_expand_args: whether to expand patterns on Windows.
            extra: passed on to the context.
        """
        try:
            code = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        except typer.TyperException as error:
            if not standalone_mode:
                raise
            if sentence := _sentence(error):
                print(f"error: {sentence}", file=sys.stderr)
            sys.exit(error.exit_code)
        if not standalone_mode:
            return code
        sys.exit(code if isinstance(code, int) else 0)


def _sentence(error: typer.TyperException) -> str:
    """An error as a sentence without its full stop; empty where only help was wanted, which is printed already."""
    text = " ".join(error.format_message().split()).removesuffix(".").replace(": Value error, ", ": ")
    text = re.sub(r"\. Did you mean (.*)\?$", r" (did you mean \1?)", text)
    if not text:
        return ""
    context = getattr(error, "ctx", None)
    hint = "" if context is None else f"; see {context.command_path} --help"
    return text[0].lower() + text[1:] + hint
