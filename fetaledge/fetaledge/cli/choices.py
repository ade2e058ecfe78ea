"""Enumerations of names that are known only when the command starts, such as those of plug-ins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any


def choices(name: str, values: Iterable[str]) -> Any:
    """A ``StrEnum`` of these values: help lists them, the shell completes them, another value is refused."""
    make: Callable[..., Any] = StrEnum
    return make(name, {value: value for value in values})
