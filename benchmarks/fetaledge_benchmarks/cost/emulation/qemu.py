"""The command that runs one 64-bit Arm program here under QEMU's user emulation."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from fetaledge_runtimes.errors import TargetError

DYNAMIC, STATIC = "qemu-aarch64", "qemu-aarch64-static"


def qemu_command(
    root: Path, cpu: str, env: Mapping[str, str], argv: Sequence[str], plugin: str | None = None
) -> list[str]:
    """The command that runs ``argv`` on the processor ``cpu``, without privileges and without a change of root.

    A file that ``root`` has is taken from there, any other from this machine: both can be named by their absolute path.

    Args:
        root: of :func:`pi_root`.
        cpu: QEMU's name of it (``cortex-a72``).
        env: the program's environment, whole: nothing of this process's is passed on.
        argv: the program, by its absolute path in ``root`` or here, and its arguments.
        plugin: a TCG plugin, as QEMU's ``-plugin`` takes it (``FILE.so,KEY=VALUE``).

    Raises:
        TargetError: QEMU is not installed; for a plugin, the dynamically linked one.
    """
    names = (DYNAMIC,) if plugin else (DYNAMIC, STATIC)
    program = next((found for found in map(shutil.which, names) if found), None)
    if program is None:
        raise TargetError(
            f"{names[0]} is not installed; it runs the programs of a board", "run: sudo apt-get install qemu-user"
        )
    there = root / argv[0].lstrip("/")
    plugins = ["-plugin", plugin] if plugin else []
    variables = [f"{name}={value}" for name, value in env.items()]
    executable = str(there) if there.exists() else argv[0]
    options = ["-cpu", cpu, "-L", str(root), "-seed", "0", *plugins]
    return ["env", "-i", *variables, program, *options, executable, *argv[1:]]
