"""What ssh, rsync, scp and adb say when something goes wrong, in one sentence each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """``sentence`` and ``hint`` hold ``{name}``, ``{where}``, ``{program}`` and groups of the pattern; ``passing``: the
    device may come back."""

    pattern: str
    sentence: str
    hint: str
    passing: bool = False


SSH = (
    Failure(
        r"Host key for (\S+) has changed",
        "{name} shows another host key than the one this computer knows",
        "if the device was set up anew, forget its old key: ssh-keygen -R {1}",
    ),
    Failure(
        r"Host key verification failed|No .* host key is known",
        "the host key of {name} is not known to this computer",
        "connect once by hand and compare the key: ssh {where}",
    ),
    Failure(
        r"Could not resolve hostname",
        "the host of {name} is unknown",
        "check the name, or add it to ~/.ssh/config",
        True,
    ),
    Failure(
        r"Permission denied \([a-z,-]*\)|Too many authentication failures|no mutual signature",
        "{name} refuses every key of this user",
        "copy a key there: ssh-copy-id {where}",
    ),
    Failure(
        r"(?:host|user) ?name contains invalid characters",
        "ssh refuses the characters in the address {name}",
        "give the host a plain name in ~/.ssh/config",
    ),
    Failure(r"Bad configuration option|Bad owner or permissions|terminating, \d+ bad", "ssh does not run: {line}", ""),
    Failure(r"Connection refused", "{name} refuses the connection", "is its ssh server running, on this port?", True),
    Failure(r"timed out", "{name} does not answer", "is the device on, and in this network?", True),
    Failure(r"No route to host|is unreachable", "there is no way to {name}", "is the device in this network?", True),
    Failure(
        r"onnection (?:to \S+ )?(?:unexpectedly )?(?:closed|reset)|Broken pipe|not responding|closed by remote",
        "{name} closed the connection",
        "is the device still on, and in this network?",
        True,
    ),
)

ADB = (
    Failure(
        r"device (?:still )?(?:unauthorized|authorizing)|^(?:unauthorized|authorizing)$",
        "the phone {name} has not authorized this computer",
        "unlock it and accept the question about USB debugging",
    ),
    Failure(
        r"^no permissions|insufficient permissions",
        "this user may not use the USB device of the phone {name}",
        "install the udev rules (Debian: apt install android-sdk-platform-tools-common), then plug it in again",
    ),
    Failure(
        r"device offline|^offline$",
        "the phone {name} is offline",
        "plug it in again, or switch USB debugging off and on",
        True,
    ),
    Failure(
        r"^(recovery|sideload|bootloader|rescue|host|connecting|detached)$",
        "the phone {name} is in the state {1!r}, not in Android",
        "start it into Android",
        True,
    ),
    Failure(
        r"not found|no devices|no such device",
        "adb shows no phone with the serial of {name}",
        "see `adb devices`; is USB debugging switched on?",
        True,
    ),
    Failure(
        r"PTY args|shell_v2|does not support",
        "the phone {name} is too old for adb's exit codes",
        "a newer release of Android is needed",
    ),
    Failure(
        r"cannot connect to daemon|failed to start|cannot bind|ADB server didn't ACK",
        "adb does not run: {line}",
        "try `adb kill-server`, then `adb devices`",
    ),
    Failure(
        r"onnection (?:reset|refused)|failed to (?:connect|read)|error: closed|n't read from device|protocol fault",
        "{name} closed the connection",
        "is it still plugged in, or in this network?",
        True,
    ),
)

NO_SPACE = r"No space left on device|not enough space|Disk quota exceeded"

# What the file system of a device says, to any program.
DEVICE = (
    Failure(NO_SPACE, "no space is left on {name}", "free some"),
    Failure(r"Read-only file system", "{root} on {name} is on a read-only file system", "make it writable"),
    Failure(
        r"Permission denied(?! \([a-z])|Operation not permitted",
        "this user may not write in {root} on {name}",
        "fetaledge needs that folder, and no other",
    ),
)


def explain(kinds: Sequence[Failure], text: str, **words: str) -> tuple[str, str, bool] | None:
    """Sentence, hint, and whether it may pass, of the first kind that a program's messages are of; None of none."""
    for kind in kinds:
        found = re.search(kind.pattern, text, re.MULTILINE)
        if found:
            line = next((line.strip() for line in text.splitlines() if re.search(kind.pattern, line)), text.strip())
            groups = (found.group(0), *found.groups())
            given = words | {"line": line}
            return kind.sentence.format(*groups, **given), kind.hint.format(*groups, **given), kind.passing
    return None


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
