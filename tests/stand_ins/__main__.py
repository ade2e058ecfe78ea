"""``python -m tests.stand_ins build`` and ``run NAME...``."""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys

from tests.stand_ins.host import Host
from tests.stand_ins.phone import Phone
from tests.stand_ins.pi import CPUS, Pi
from tests.stand_ins.roots import build
from tests.stand_ins.tools import Unavailable


def main(words: list[str]) -> int:
    try:
        root = build()
    except Unavailable as reason:
        print(f"error: {reason}", file=sys.stderr)
        return 1
    if words == ["build"]:
        print(root)
        return 0
    if words[:1] != ["run"] or not set(words[1:]) <= {*CPUS, "phone"}:
        print(__doc__, file=sys.stderr)
        return 2
    with contextlib.ExitStack() as devices:
        host = devices.enter_context(Host())
        for name in words[1:]:
            device = devices.enter_context(Phone(root, host=host) if name == "phone" else Pi(root, name, host=host))
            print(f"# {device.address}", flush=True)
        for variable, value in host.environment.items():
            print(f"export {variable}={shlex.quote(value)}", flush=True)
        ends = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
        signal.sigwait(ends)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ends)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
