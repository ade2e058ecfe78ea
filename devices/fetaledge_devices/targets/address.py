"""Addresses of targets: ``local``, ``ssh://[user@]host[:port]``, ``adb://SERIAL``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from fetaledge_runtimes.errors import UsageError

KNOWN = "known are: local, ssh://[user@]host[:port], adb://SERIAL"


@dataclass(frozen=True)
class Address:
    """``host``: a host name, an alias of ssh_config, an IP address, or the serial of a phone; nothing is decoded."""

    kind: Literal["local", "ssh", "adb"]
    host: str = ""
    user: str | None = None
    port: int | None = None


def parse_address(text: str) -> Address:
    """The parts of an address.

    Raises:
        UsageError: of no known kind, a part is empty, begins with ``-`` or holds a control character, no such port.
    """
    if text == "local":
        return Address("local")
    kind, separator, rest = text.partition("://")
    if not separator or kind not in ("ssh", "adb"):
        raise UsageError(f"the target {text!r} is of no known kind", KNOWN)
    if kind == "adb":
        return Address("adb", _part(text, "serial", rest))
    user, at, host = rest.rpartition("@")
    host, port = _split_port(text, host)
    return Address("ssh", _part(text, "host", host), _part(text, "user", user) if at else None, port)


def _split_port(text: str, host: str) -> tuple[str, int | None]:
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", host, re.DOTALL)
    if bracketed:
        name, digits = bracketed.groups()
    elif host.count(":") == 1:
        name, _, digits = host.partition(":")
    else:
        name, digits = host, None
    if digits is None:
        return name, None
    if not re.fullmatch(r"[0-9]{1,5}", digits) or not 1 <= int(digits) <= 65535:
        raise UsageError(f"the target {text!r} has no port between 1 and 65535 behind the colon", KNOWN)
    return name, int(digits)


def _part(text: str, what: str, part: str) -> str:
    if not part:
        raise UsageError(f"the target {text!r} names no {what}", KNOWN)
    if part.startswith("-") or any(ord(letter) < 32 or ord(letter) == 127 for letter in part):
        raise UsageError(f"the target {text!r} has a {what} that begins with '-' or holds a control character", KNOWN)
    return part
