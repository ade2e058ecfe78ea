"""A folder with the userland of a 64-bit Raspberry Pi, from Debian's packages; none of their scripts is run."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fetaledge_benchmarks.cost.emulation.boards import BOARDS
from fetaledge_devices import cache
from fetaledge_runtimes.errors import TargetError, UsageError

RELEASES = {"bookworm": (3, 11), "trixie": (3, 13)}
PACKAGES = ("python3", "libgomp1", "libstdc++6", "ca-certificates")
MERGED = ("bin", "sbin", "lib")
LAYOUT = 1
HINT = "run: sudo apt-get install mmdebstrap debian-archive-keyring"


def pi_root(release: str = "bookworm", cpu: str = "cortex-a72") -> Path:
    """The root of a Debian ``release`` with its python3, made once and kept in the cache (75 MB a processor).

    In it lies only what a program needs: ``etc``, ``usr``, libraries, what the kernel says of the processor. What
    it lacks (``/tmp``, the working folder) is this machine's when QEMU is told ``-L``.

    Raises:
        UsageError: the release or the processor is not one of those known.
        TargetError: it cannot be made (no mmdebstrap, no network, no space).
    """
    if release not in RELEASES:
        raise UsageError(f"the Debian release {release!r} is not known", f"known are {', '.join(RELEASES)}")
    if cpu not in BOARDS:
        raise UsageError(f"the processor {cpu!r} is not known", f"known are {', '.join(BOARDS)}")
    told = [(board.cpuinfo(), board.cpu_files()) for board in BOARDS.values()]
    key = hashlib.sha256(repr((LAYOUT, PACKAGES, told)).encode()).hexdigest()[:12]
    place = cache.folder("emulation") / f"{release}-{key}"
    if not place.is_dir():
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=f"{release}-", suffix=".partial") as made:
            beside = Path(made) / "roots"
            _make(beside, release)
            try:
                beside.rename(place)
            except OSError as error:
                if not place.is_dir():  # else another process was faster, and made the same
                    raise TargetError(f"{place} cannot be written: {error.strerror}", "free some space") from None
    return place / cpu


def unpack_packages(packages: Sequence[str], release: str, root: Path) -> None:
    """Make ``root`` and unpack arm64 packages and what they depend on into it, without running any of their scripts.

    Needs no privileges; as root, owners are kept.

    Raises:
        TargetError: mmdebstrap is missing or fails.
    """
    program = shutil.which("mmdebstrap")
    if program is None:
        raise TargetError("mmdebstrap is not installed; it makes the root folder of the emulated board", HINT)
    command = [
        program,
        "--quiet",
        "--architectures=arm64",
        "--variant=extract",
        f"--mode={'root' if os.geteuid() == 0 else 'chrootless'}",
        f"--include={','.join(packages)}",
        "--format=tar",
        release,
    ]
    root.mkdir(parents=True)
    archive = root.with_name(f"{root.name}.tar")
    try:
        _run([*command, str(archive)], f"the arm64 packages of Debian {release} cannot be had")
        _run(["tar", "-C", str(root), "--exclude=./dev", "-xf", str(archive)], f"{root} cannot be written")
    finally:
        archive.unlink(missing_ok=True)
    for name in MERGED:
        if not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")


def _make(roots: Path, release: str) -> None:
    first, *others = (roots / cpu for cpu in BOARDS)
    unpack_packages(PACKAGES, release, first)
    for path in first.iterdir():
        if path.name not in (*MERGED, "etc", "usr"):
            shutil.rmtree(path)
    for waste in ("usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(first / waste, ignore_errors=True)
    for other in others:
        shutil.copytree(first, other, symlinks=True)
    for cpu, board in BOARDS.items():
        _write(roots / cpu / "proc/cpuinfo", board.cpuinfo())
        for name, text in board.cpu_files().items():
            _write(roots / cpu / "sys/devices/system/cpu" / name, text)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _run(command: Sequence[str], failure: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise TargetError(f"{failure}: {command[0]}: {error.strerror}", HINT) from None
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise TargetError(f"{failure}: {next((s for s in said if s.startswith('E:')), said[-1] if said else '')}", HINT)
