"""No telemetry: nothing is written under the home folder, and what would send it is out of reach."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fetaledge_runtimes.quiet import silenced

USE_EVERYTHING = """
import sys
import fetaledge_runtimes
import numpy as np
from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.frames.frame import Frame
from fetaledge_runtimes.predictor import Predictor

bundle = Bundle.open(sys.argv[1])
for variant in bundle.manifest.variants:
    Predictor(bundle, variant.name)(Frame(np.zeros((100, 100), np.uint8), None, "zeros"))
import nncf
import openvino
model = openvino.convert_model(sys.argv[1] + "/onnx-fp32.onnx")
nncf.quantize(model, nncf.Dataset([np.zeros((1, 1, 64, 96), np.uint8)]), subset_size=1)
print("openvino_telemetry" in sys.modules and sys.modules["openvino_telemetry"] is None)
"""


@pytest.mark.integration
def test_nothing_is_written_under_the_home_folder(bundle_folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith("XDG_") and k not in ("CI", "NNCF_CI", "ORT_DISABLE_TELEMETRY")
    }
    done = subprocess.run(
        [sys.executable, "-c", USE_EVERYTHING, str(bundle_folder)],
        env={**kept, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "True"
    assert list(home.rglob("*")) == []


def test_the_switches_are_set_at_import() -> None:
    code = "import os, fetaledge_runtimes; print(os.environ['ORT_DISABLE_TELEMETRY'], os.environ['NNCF_CI'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1"]


def test_silence_leaves_no_file_open() -> None:
    """Warnings are errors in these tests: an unclosed file would be one."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with silenced():
            print("not seen")
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
