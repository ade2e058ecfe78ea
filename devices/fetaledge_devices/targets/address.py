"""Addresses of targets: ``local``, or ``KIND://`` and what a kind of target reads there itself."""

from __future__ import annotations

from fetaledge_runtimes.errors import UsageError


def kind_of(address: str) -> str:
    """The kind of target that an address names; the whole address where it has no ``://``."""
    return address.partition("://")[0]


def behind_kind(address: str) -> str:
    """What stands behind ``KIND://``; nothing is decoded."""
    return address.partition("://")[2]


def check_part(address: str, name: str, part: str, form: str) -> str:
    """``part`` of an address, which may become an argument of a program.

    Args:
        address: the whole of it, for the message.
        name: of the part: ``host``, ``user``, ``serial``.
        form: how such an address is written.

    Raises:
        UsageError: the part is empty, begins with ``-`` or holds a control character.
    """
    if not part:
        raise UsageError(f"the target {address!r} names no {name}", f"write {form}")
    if part.startswith("-") or any(ord(letter) < 32 or ord(letter) == 127 for letter in part):
        raise UsageError(
            f"the target {address!r} has a {name} that begins with '-' or holds a control character", f"write {form}"
        )
    return part
