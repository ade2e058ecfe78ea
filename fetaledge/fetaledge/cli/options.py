"""Options that several commands share, and choices that the help lists."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import typer


class Bits(StrEnum):
    """Bit depths that pictures stored in 16 bits may have."""

    EIGHT = "8"
    TEN = "10"
    TWELVE = "12"
    SIXTEEN = "16"


TASK: Any = typer.Option(
    None, "--task", help="What the labels of images/ + masks/ mark: head or ps-fh. Default: inferred from their values."
)
