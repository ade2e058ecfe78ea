"""The C and C++ libraries that the engines need and Android has not, out of Debian's packages for cross-compiling.

These packages are for every architecture of the host and hold arm64 libraries: no foreign architecture has to be added
and nothing is installed.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from fetaledge_devices.native_runner.build_tools import run_tool
from fetaledge_runtimes.errors import TargetError

VERSION = "glibc 2.36"
"""The oldest that is gathered here (Debian 12); it decides which of an engine's wheels are taken."""
LOADER = "ld-linux-aarch64.so.1"
PACKAGES = {
    "libc6-arm64-cross": "LGPL-2.1-or-later (glibc)",
    "libstdc++6-arm64-cross": "GPL-3.0-or-later with the GCC Runtime Library Exception",
    "libgcc-s1-arm64-cross": "GPL-3.0-or-later with the GCC Runtime Library Exception",
}
FILES = {
    **dict.fromkeys(
        (LOADER, "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1"), "libc6-arm64-cross"
    ),
    "libstdc++.so.6": "libstdc++6-arm64-cross",
    "libgcc_s.so.1": "libgcc-s1-arm64-cross",
}
INSIDE = "usr/aarch64-linux-gnu/lib"
PACKAGES_TIMEOUT_S = 600.0
ELSEWHERE = (
    "run python -m fetaledge_devices.native_runner on Debian 12 or newer, or Ubuntu (a container will do), "
    "and copy the cache's folder android-runner from there"
)


def gather(place: Path) -> dict[str, str]:
    """Put :data:`FILES` into ``place``; the version of each package they came from.

    Raises:
        TargetError: this machine has no such packages, or the archive cannot be reached.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise TargetError(
                f"the native runner takes its C library from Debian's packages: no {tool} here", ELSEWHERE
            )
    with tempfile.TemporaryDirectory(prefix="fetaledge-") as name:
        folder = Path(name)
        fetched = run_tool(["apt-get", "download", "-qq", *PACKAGES], PACKAGES_TIMEOUT_S, cwd=folder)
        archives = {path.name.split("_")[0]: path for path in sorted(folder.glob("*.deb"))}
        if missing := [package for package in PACKAGES if package not in archives]:
            raise _refusal(missing, fetched.stderr)
        for package, archive in archives.items():
            unpacked = run_tool(["dpkg-deb", "--extract", str(archive), str(folder / "root")], PACKAGES_TIMEOUT_S)
            if unpacked.returncode != 0:
                raise TargetError(f"{package} cannot be unpacked: {unpacked.stderr.strip()}", "free some space")
        for file in FILES:
            source = folder / "root" / INSIDE / file
            if not source.is_file():
                raise TargetError(f"{FILES[file]} holds no {file} in {INSIDE}", ELSEWHERE)
            shutil.copyfile(source, place / file)
            (place / file).chmod(0o755)
    return {package: archive.name.split("_")[1] for package, archive in archives.items()}


def _refusal(missing: list[str], said: str) -> TargetError:
    names = ", ".join(missing)
    if "Unable to locate" in said or "no longer be downloaded" in said or "404" in said:
        return TargetError(
            f"apt-get knows no {names} that can be fetched", f"run apt-get update as root; or {ELSEWHERE}"
        )
    lines = [line for line in said.splitlines() if line.startswith("E:")] or ["it said nothing"]
    return TargetError(
        f"apt-get cannot download {names}: {lines[0]}", "connect to the internet once; the build is kept"
    )
