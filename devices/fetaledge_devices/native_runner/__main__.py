"""``python -m fetaledge_devices.native_runner``: build the native runner, and say where it lies."""

from __future__ import annotations

import sys

from fetaledge_devices.native_runner.build import build_runner
from fetaledge_runtimes.errors import FetalEdgeError


def main() -> int:
    """The exit code of ``errors.py``."""
    try:
        runner = build_runner(progress=lambda line: print(line, file=sys.stderr))
    except FetalEdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    for name, path in sorted(runner.files.items()):
        print(f"{path.stat().st_size / 1e6:7.3f} MB  {name}")
    engines = ", ".join(f"{package} {version}" for package, version in runner.versions.items())
    total = sum(path.stat().st_size for path in runner.files.values()) / 1e6
    print(f"{total:7.3f} MB  {engines}: {next(iter(runner.files.values())).parent}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
