"""No telemetry: nothing is written under the home folder, and what would send it is out of reach."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fetaledge_runtimes.quiet import ENVIRONMENT, quiet, silenced

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


def printed(code: str, *arguments: str, **changes: str | None) -> list[str]:
    """What a fresh process prints; ``changes``: of its environment, None where a variable is taken out."""
    environment = {**os.environ, **dict.fromkeys(changes, "")}
    for name, value in changes.items():
        environment.pop(name)
        if value is not None:
            environment[name] = value
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


UNSET: dict[str, str | None] = dict.fromkeys((*ENVIRONMENT, "MPLCONFIGDIR"))

IMPORT_EVERYTHING = """
import importlib, os, pkgutil, sys
import cv2, torch  # which set variables of their own
before = dict(os.environ)
import fetaledge_export, fetaledge_runtimes
for module in pkgutil.walk_packages(fetaledge_runtimes.__path__, "fetaledge_runtimes."):
    importlib.import_module(module.name)
import fetaledge_export.export
print(dict(os.environ) == before, None in sys.modules.values())
"""


def test_importing_the_library_changes_nothing() -> None:
    assert printed(IMPORT_EVERYTHING, **UNSET) == ["True False"]


OPEN_AN_ENGINE = """
import os, sys
from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.predictor import Predictor
Predictor(Bundle.open(sys.argv[1]), "onnx-fp32")
print(os.environ["ORT_DISABLE_TELEMETRY"], os.environ["NNCF_CI"], sys.modules["openvino_telemetry"])
"""


def test_the_switches_are_set_before_an_engine_is_imported(bundle_folder: Path) -> None:
    assert printed(OPEN_AN_ENGINE, str(bundle_folder), **UNSET) == ["1 1 None"]


COMMANDS = {
    "device": "from fetaledge_runtimes.__main__ import main; main(['verify', 'nowhere'])",
    "workstation": "import sys; from fetaledge.cli.app import main; sys.argv = ['fetaledge', 'inspect', 'nowhere']; "
    "main()",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_sets_the_switches_and_leaves_those_of_the_user(command: str) -> None:
    code = f"""
import os
try:
    {COMMANDS[command]}
except SystemExit:
    pass
print(os.environ["ORT_DISABLE_TELEMETRY"], os.environ["NNCF_CI"], os.environ["MPLCONFIGDIR"])
"""
    given = printed(code, **{**UNSET, "ORT_DISABLE_TELEMETRY": "0", "MPLCONFIGDIR": "fonts-of-mine"})
    assert given[-1] == "0 1 fonts-of-mine"


def test_a_system_without_user_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no ``os.getuid``; its users have names alone."""
    monkeypatch.delattr(os, "getuid")
    monkeypatch.setenv("USERNAME", "somebody")
    for name in ("LOGNAME", "USER", "LNAME", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, "")  # so that the patch takes back what quiet() sets
        monkeypatch.delenv(name)
    quiet()
    assert os.environ["MPLCONFIGDIR"].endswith("fetaledge-matplotlib-somebody")


def test_silence_leaves_no_file_open() -> None:
    """Warnings are errors in these tests: an unclosed file would be one."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with silenced():
            print("not seen")
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
