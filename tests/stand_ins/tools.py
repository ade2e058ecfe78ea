"""What the stand-ins and the tests of scripts need on this machine: Debian's packages, QEMU known to the kernel."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

PACKAGES = {
    "mmdebstrap": "mmdebstrap",
    "mount": "mount",
    "qemu-aarch64": "qemu-user",
    "qemu-aarch64-static": "qemu-user-static",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "rsync": "rsync",
    "adb": "adb",
    "ip": "iproute2",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "dash": "dash",
    "mksh": "mksh",
    "busybox": "busybox",
    "toybox": "toybox",
}
LISTS = Path("/var/lib/apt/lists")
BINFMT = Path("/proc/sys/fs/binfmt_misc")
# e_ident, e_type (executable or shared) and e_machine of a 64-bit little-endian Arm file, and which bits of them count
MAGIC = rb"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
MASK = rb"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
SERVICES = Path("/usr/sbin/policy-rc.d")


class Unavailable(Exception):
    """Why there can be no stand-ins on this machine, in one sentence."""


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait for the other processes of this checkout: the workers of a test run begin to install and build together."""
    folder = os.open(Path(__file__).parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def require_tools() -> None:
    """Install the packages that are missing and register QEMU with the kernel. To be called :func:`alone`.

    Where apt's lists were deleted they are fetched: the runner for phones downloads packages by them.

    Raises:
        Unavailable: not root, not Debian, no network, or a kernel without namespaces or binfmt_misc.
    """
    if os.geteuid() != 0:
        raise Unavailable("stand-ins need root: they have namespaces and mounts of their own")
    missing = sorted({package for program, package in PACKAGES.items() if shutil.which(program, path=_path()) is None})
    if missing:
        _install(missing)
    elif LISTS.is_dir() and not any(LISTS.glob("*_Packages*")):
        _apt("update")
    register()
    tried = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        raise Unavailable(f"stand-ins need namespaces of their own: {tried.stderr.strip()}")


def _path() -> str:
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def _install(packages: list[str]) -> None:
    if shutil.which("apt-get") is None:
        raise Unavailable(f"{', '.join(packages)} are missing and there is no apt-get to install them")
    held = not SERVICES.exists()
    if held:  # an sshd of the machine's own is not wanted: nothing that gets installed is started
        SERVICES.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
        SERVICES.chmod(0o755)
    try:
        _apt("update")
        done = _apt("install", "--yes", "--no-install-recommends", *packages)
    finally:
        if held:
            SERVICES.unlink(missing_ok=True)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise Unavailable(f"{', '.join(packages)} cannot be installed: {lines[-1] if lines else 'no reason given'}")


def _apt(*words: str) -> subprocess.CompletedProcess[str]:
    command = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *words]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)


def register() -> None:
    """Let the kernel start aarch64 programs by QEMU. Raises Unavailable where it cannot."""
    if not (BINFMT / "status").exists():
        done = subprocess.run(["mount", "-t", "binfmt_misc", "none", BINFMT], capture_output=True, text=True)
        if done.returncode != 0:
            raise Unavailable(f"the kernel has no binfmt_misc to start QEMU by: {done.stderr.strip()}")
    entry = BINFMT / "qemu-aarch64"
    if not entry.exists():
        program = os.fsencode(shutil.which("qemu-aarch64-static") or "")
        try:
            (BINFMT / "register").write_bytes(b":qemu-aarch64:M::" + MAGIC + b":" + MASK + b":" + program + b":PF")
        except OSError as error:
            raise Unavailable(f"QEMU cannot be registered with the kernel: {error.strerror}") from None
    flags = [line for line in entry.read_text(encoding="utf-8").splitlines() if line.startswith("flags:")]
    if not any("F" in line.removeprefix("flags:") for line in flags):
        raise Unavailable(f"{entry} is not registered with the flag F: QEMU would not be found in another root")
