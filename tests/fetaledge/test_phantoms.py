"""Phantoms are found by their task's name, those of a plug-in package like ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fetaledge.phantoms.head import head_phantom
from fetaledge.phantoms.ps_fh import psfh_phantom
from fetaledge.phantoms.registry import phantom_of
from fetaledge_runtimes.errors import UsageError

PLUGIN = """
from pathlib import Path
import numpy as np
from fetaledge.phantoms.phantom import Phantom
from fetaledge_runtimes.frames.frame import Frame, LabelledFrame

class Discs(Phantom):
    task = "disc"

    def labelled(self, seed):
        pixels = np.full((8, 8), seed, np.uint8)
        return LabelledFrame(Frame(pixels, None, "d"), (pixels > 0).astype(np.uint8), "d", "d", synthetic=True)

    def write(self, folder, count, seed, *, force=False):
        Path(folder).mkdir(exist_ok=force)
        (Path(folder) / "made").write_text(f"{count} {seed}")

DISC = Discs()
"""


def test_our_phantoms_by_task() -> None:
    for task, labelled in (("head", head_phantom(5)), ("ps-fh", psfh_phantom(5).labelled)):
        phantom = phantom_of(task)
        assert phantom.task == task
        made = phantom.labelled(5)
        assert np.array_equal(made.frame.pixels, labelled.frame.pixels) and np.array_equal(made.mask, labelled.mask)


def test_a_task_without_phantoms() -> None:
    with pytest.raises(UsageError, match="no phantoms of the task 'fundus'; choose head or ps-fh"):
        phantom_of("fundus")


USE = """
import sys
from fetaledge.phantoms.registry import phantom_of
phantom = phantom_of("disc")
assert phantom.labelled(3).frame.pixels.max() == 3
phantom.write(sys.argv[1], 2, 1, force=False)
"""


def test_a_plug_in_registers_its_phantom(tmp_path: Path) -> None:
    (tmp_path / "disc_plugin.py").write_text(PLUGIN)
    facts = tmp_path / "disc_plugin-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: disc-plugin\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[fetaledge.phantoms]\ndisc = disc_plugin:DISC\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", USE, str(tmp_path / "out")], check=True, env=environment)
    assert (tmp_path / "out/made").read_text() == "2 1"
