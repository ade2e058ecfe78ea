from __future__ import annotations

import getpass
import json
import os
import platform
import shutil
from pathlib import Path

import pytest

from fetaledge_devices.facts.here import read_facts
from fetaledge_devices.targets.local import LocalTarget

pytestmark = pytest.mark.integration


def test_this_machine_is_described_and_not_named() -> None:
    facts = read_facts()
    machine = facts.machine
    assert machine["cpu"] and machine["cores"] >= machine["cores_usable"] >= 1 and machine["memory_mb"] > 100
    assert machine["cores_usable"] == facts.cores == len(os.sched_getaffinity(0)) and not facts.emulated
    assert (machine["python"], machine["architecture"]) == (platform.python_version(), platform.machine())
    assert facts.platform.taskset == (shutil.which("taskset") is not None)
    assert {"model", "soc", "core_max_mhz", "governor", "libc"} <= set(machine)
    words = json.dumps(list(machine.values()))
    assert f'"{platform.node()}"' not in words and f'"{getpass.getuser()}"' not in words


def test_throttling_of_a_pi_that_measures_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real board's ``vcgencmd`` cannot be had: a script answers as it does."""
    program = tmp_path / "vcgencmd"
    program.write_text('#!/bin/sh\n[ "$1" = get_throttled ] && echo throttled=0x50005\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with LocalTarget() as target:
        assert target.facts().conditions.throttled == target.conditions().throttled == 0x50005
