"""``--json FILE`` of earlier versions, still taken where ``--json`` is now a flag and ``--out`` names the file."""

from __future__ import annotations

import typer
from typer.core import TyperCommand

from fetaledge.cli.output import say

FLAG, FILE = "--json", "--out"
NOTE = f"note: {FLAG} FILE is now {FILE} FILE; {FLAG} alone prints the document"


class JsonFileCommand(TyperCommand):
    """A command with one positional argument, the flag ``--json`` and the option ``--out FILE``."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse the command line, ``--json FILE`` and ``--json=FILE`` as ``--out FILE``; ``-`` is standard output."""
        return super().parse_args(ctx, self._modern(ctx, args))

    def _modern(self, ctx: typer.Context, args: list[str]) -> list[str]:
        for place, word in enumerate(args):
            before, after = args[:place], args[place + 1 :]
            if word == "--":
                break
            if word.startswith(f"{FLAG}="):
                name = word.removeprefix(f"{FLAG}=")
            elif word == FLAG and after and (after[0] == "-" or not after[0].startswith("-")):
                name, after = after[0], after[1:]
                if not self._complete(ctx, [*before, FLAG, *after]):
                    break  # the word is the positional argument itself
            else:
                continue
            if name == "-":
                return [*before, FLAG, *after]
            say(NOTE)
            return [*before, FILE, name, *after]
        return args

    def _complete(self, ctx: typer.Context, args: list[str]) -> bool:
        """Whether these words hold the positional argument."""
        positional = {parameter.name for parameter in self.params if parameter.param_type_name == "argument"}
        given, _, _ = self.make_parser(ctx).parse_args(list(args))
        return all(isinstance(given.get(name), str) for name in positional)
