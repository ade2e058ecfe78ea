"""This machine, asked by the same scripts as a device that is reached by a shell."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import replace
from typing import Any

from fetaledge_devices.facts.model import Conditions, Facts
from fetaledge_devices.facts.parse import EMULATED_BOARDS, parse_conditions, parse_facts
from fetaledge_devices.facts.scripts import CONDITIONS_SCRIPT, FACTS_SCRIPT
from fetaledge_runtimes.errors import TargetError

SHELL_TIMEOUT_S = 60.0


def read_facts() -> Facts:
    """What this machine is, and how it is doing now; nothing in ``machine`` names it or its user.

    Emulated is where another processor's instructions are translated, as in a container of another architecture; a
    virtual machine is not.

    Raises:
        TargetError: no shell answers.
    """
    facts = parse_facts(_ask(FACTS_SCRIPT))
    cores = os.cpu_count() or 1
    own: dict[str, Any] = {"python": platform.python_version(), "cores": cores}
    if platform.system() != "Linux":
        facts = replace(facts, cores=cores)
        own |= {"cpu": platform.processor(), "architecture": platform.machine(), "os": platform.platform()}
        own |= {"cores_usable": cores}
    emulated = facts.emulated and facts.machine["model"] not in EMULATED_BOARDS
    return replace(facts, machine=facts.machine | own, emulated=emulated)


def read_conditions() -> Conditions:
    """How this machine is doing now.

    Raises:
        TargetError: no shell answers.
    """
    return parse_conditions(_ask(CONDITIONS_SCRIPT))


def _ask(script: str) -> str:
    try:
        return subprocess.run(
            ["/bin/sh", "-s"],
            input=script,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SHELL_TIMEOUT_S,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TargetError(f"this machine's shell does not tell what it is: {error}") from None
