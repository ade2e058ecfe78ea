from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from fetaledge_benchmarks.targets import open_target
from fetaledge_runtimes.errors import TargetError, UsageError

SLEEPER = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"


def test_the_five_verbs_on_this_machine(tmp_path: Path) -> None:
    target = open_target("local")
    assert target.facts().cores >= 1 and not target.emulated
    sent = tmp_path / "sent"
    sent.mkdir()
    place = target.send(sent)
    write = "import sys; open(sys.argv[1], 'w').write('x'); print('out'); print('err', file=sys.stderr); sys.exit(3)"
    completed = target.run([sys.executable, "-c", write, f"{place}/written"], 60)
    assert (completed.returncode, completed.stdout, completed.stderr) == (3, "out\n", "err\n")
    fetched = tmp_path / "fetched"
    target.fetch(place, fetched)
    assert (fetched / "written").read_text() == "x"
    target.remove()
    assert sent.is_dir()


@pytest.mark.slow
def test_a_command_that_hangs_is_killed(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with pytest.raises(TimeoutError, match="did not finish within 2 s"):
        open_target("local").run([sys.executable, "-c", SLEEPER, str(note)], 2)
    assert not alive(int(note.read_text()))


def test_a_command_that_does_not_exist() -> None:
    with pytest.raises(TargetError, match="no-such-program"):
        open_target("local").run(["/no-such-program"], 5)


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(UsageError, match="gopher://x"):
        open_target("gopher://x")


def alive(pid: int) -> bool:
    for _ in range(20):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.05)
    return True
