"""The root folders, made once: two Raspberry Pi OS-like Debians, and a phone with nothing but a shell and adbd."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.stand_ins.tools import Unavailable, alone, require_tools

FOLDER = Path(__file__).resolve().parents[2] / ".stand-ins"
PI_RELEASES = {"pi": "bookworm", "pi-trixie": "trixie"}
PI_PACKAGES = (
    "bash", "ca-certificates", "coreutils", "dash", "debianutils", "diffutils", "dpkg", "findutils", "gawk",
    "grep", "gzip", "hostname", "libc-bin", "libgomp1", "libstdc++6", "openssh-client", "procps", "python3",
    "rsync", "sed", "tar", "util-linux",
)  # fmt: skip
PHONE_RELEASE = "trixie"
PHONE_PACKAGES = ("adbd", "busybox-static", "mksh")
APPLETS = (
    "awk", "base64", "basename", "cat", "chmod", "chown", "cmp", "cp", "cut", "date", "dd", "df", "dirname",
    "du", "echo", "env", "expr", "false", "find", "free", "grep", "gunzip", "gzip", "head", "hostname", "id",
    "kill", "ln", "ls", "md5sum", "mkdir", "mktemp", "mount", "mv", "nproc", "od", "pidof", "printf", "ps",
    "pwd", "readlink", "realpath", "rm", "rmdir", "sed", "seq", "setsid", "sha1sum", "sha256sum", "sleep",
    "sort", "stat", "sync", "tail", "tar", "taskset", "tee", "test", "timeout", "top", "touch", "tr", "true",
    "truncate", "uname", "uniq", "uptime", "wc", "which", "whoami", "xargs", "zcat",
)  # fmt: skip
ANSWERS = "etc/stand-in"

VCGENCMD = f"""#!/bin/sh
case "$1" in
get_throttled) echo "throttled=$(cat /{ANSWERS}/throttled)" ;;
measure_temp) echo "temp=$(cat /{ANSWERS}/temperature_c)'C" ;;
*) echo 'error=1 error_msg="Command not registered"' ;;
esac
"""
GETPROP = f"""#!/system/bin/sh
if [ $# -eq 0 ]; then cat /{ANSWERS}/properties; exit; fi
while IFS= read -r line; do
    case "$line" in "[$1]: "*) line="${{line#*: [[]}}"; echo "${{line%]}}"; exit ;; esac
done < /{ANSWERS}/properties
echo "$2"
"""
SETTINGS = f"""#!/system/bin/sh
case "$*" in
"get global low_power") cat /{ANSWERS}/low_power ;;
*) echo null ;;
esac
"""
DUMPSYS = f"""#!/system/bin/sh
case "$1" in
battery | thermalservice | power) cat "/{ANSWERS}/$1" ;;
*) echo "Can't find service: $1" >&2 ;;
esac
"""


def build() -> Path:
    """The folder with ``pi``, ``pi-trixie`` and ``phone``, made where it does not exist; everything installed.

    Raises:
        Unavailable: with the reason.
    """
    place = FOLDER / hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    with alone():
        require_tools()
        if not place.is_dir():
            _make(place)
    return place


def _make(place: Path) -> None:
    # Here, not above: the package that the roots are unpacked by is under test too.
    from fetaledge_runtimes.errors import FetalEdgeError

    FOLDER.mkdir(exist_ok=True)
    (FOLDER / ".gitignore").write_text("*\n", encoding="utf-8")
    with tempfile.TemporaryDirectory(dir=FOLDER, suffix=".partial") as made:
        beside = Path(made) / "roots"
        try:
            with ThreadPoolExecutor() as pool:
                roots = [pool.submit(build_pi, beside / name, release) for name, release in PI_RELEASES.items()]
                roots.append(pool.submit(build_phone, beside / "phone", Path(made) / "unpacked"))
            for root in roots:
                root.result()
        except FetalEdgeError as error:
            raise Unavailable(str(error)) from None
        beside.chmod(0o755)
        beside.rename(place)


def build_pi(root: Path, release: str) -> None:
    """A Raspberry Pi's root folder of a Debian release."""
    from fetaledge_benchmarks.cost.emulation.pi_root import unpack_packages

    unpack_packages(PI_PACKAGES, release, root)
    for name in ("boot", "dev", "home/pi", "mnt", "opt", "proc", "root", "run", ANSWERS, "tmp", "usr/local/bin"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    for name, target in (("bin/sh", "dash"), ("usr/bin/awk", "gawk"), ("usr/bin/which", "which.debianutils")):
        if not (root / name).exists():
            (root / name).symlink_to(target)
    passwd = "root:x:0:0:root:/root:/bin/bash\npi:x:1000:1000:,,,:/home/pi:/bin/bash\n"
    _write(root, "etc/passwd", passwd)
    _write(root, "etc/group", "root:x:0:\nvideo:x:44:pi\npi:x:1000:\n")
    _write(root, "etc/hostname", "raspberrypi\n")
    _write(root, "usr/bin/vcgencmd", VCGENCMD, 0o755)
    for waste in ("doc", "man", "locale"):
        shutil.rmtree(root / "usr/share" / waste, ignore_errors=True)


def build_phone(root: Path, unpacked: Path) -> None:
    """A phone's root folder.

    No libraries where a linker looks for them: adbd brings its own, as everything else on the phone has to.
    """
    from fetaledge_benchmarks.cost.emulation.pi_root import unpack_packages

    unpack_packages(PHONE_PACKAGES, PHONE_RELEASE, unpacked)
    for name in (ANSWERS, "apex/lib", "bin", "data", "dev", "proc", "sdcard", "sys", "system/bin", "tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
    libraries = unpacked / "usr/lib/aarch64-linux-gnu"
    for library in (*libraries.glob("*.so*"), *libraries.glob("android/*.so*")):
        shutil.copy2(library, root / "apex/lib", follow_symlinks=False)
    shutil.copy2(libraries / "ld-linux-aarch64.so.1", root / "apex/ld.so")
    shutil.copy2(unpacked / "usr/lib/android-sdk/platform-tools/adbd", root / "apex/adbd")
    shutil.copy2(unpacked / "usr/lib/aarch64-linux-musl/bin/mksh", root / "system/bin/sh")
    shutil.copy2(unpacked / "usr/bin/busybox", root / "system/bin/busybox")
    (root / "bin/sh").symlink_to("/system/bin/sh")
    for applet in APPLETS:
        (root / "system/bin" / applet).symlink_to("busybox")
    for name, script in (("getprop", GETPROP), ("settings", SETTINGS), ("dumpsys", DUMPSYS)):
        _write(root, f"system/bin/{name}", script, 0o755)
    _write(root, "etc/passwd", "root:x:0:0::/:/system/bin/sh\nshell:x:2000:2000::/:/system/bin/sh\n")
    _write(root, "etc/group", "root:x:0:\nshell:x:2000:\n")


def _write(root: Path, name: str, text: str, mode: int = 0o644) -> None:
    (root / name).write_text(text, encoding="utf-8")
    (root / name).chmod(mode)
