"""The counting plugin, built from ``count.c`` by this machine's compiler and kept in the cache."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from fetaledge_devices.cache import folder
from fetaledge_runtimes.errors import TargetError
from fetaledge_runtimes.files import atomic_path

SOURCE = Path(__file__).with_name("count.c")
DECODER = SOURCE.with_name("a64_classes.h")
OPTIONS = ("-O2", "-std=c11", "-Wall", "-Wextra", "-shared", "-fPIC", "-fvisibility=hidden")


def plugin_path() -> Path:
    """The shared object that qemu's ``-plugin`` takes, built where the cache has none.

    Raises:
        TargetError: there is no C compiler, or it fails.
        OutputError: the cache cannot be written.
    """
    key = hashlib.sha256(SOURCE.read_bytes() + DECODER.read_bytes() + repr(OPTIONS).encode()).hexdigest()[:16]
    path = folder("cost") / f"counting-{key}.so"
    if path.is_file():
        return path
    command = compiler()
    with atomic_path(path) as partial:
        done = subprocess.run(
            [*command, *OPTIONS, "-o", str(partial), str(SOURCE)],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            said = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()[:200])
            raise TargetError(f"{SOURCE.name} cannot be compiled by {command[0]}: {said}", "install gcc")
    path.chmod(0o755)
    return path


def compiler() -> tuple[str, ...]:
    """The C compiler of this machine: ``cc``, ``gcc``, ``clang``, else the one in the package ziglang.

    Raises:
        TargetError: there is none.
    """
    for name in ("cc", "gcc", "clang"):
        program = shutil.which(name)
        if program is not None:
            return (program,)
    if importlib.util.find_spec("ziglang") is not None:
        return (sys.executable, "-m", "ziglang", "cc")
    raise TargetError(
        "no C compiler (cc, gcc, clang or ziglang) was found to build the counting plugin", "run: pip install ziglang"
    )
