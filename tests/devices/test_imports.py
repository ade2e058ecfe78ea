"""Deploying is for small machines too: it loads nothing that draws, trains or reads a command line."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("matplotlib", "torch", "typer", "jinja2", "rich", "scipy", "onnxruntime", "openvino", "ai_edge_litert")
ABOVE = ("fetaledge", "fetaledge_benchmarks", "fetaledge_export")


@pytest.mark.parametrize("module", ["deploy", "deploy.deploy", "device_list", "native_runner.build", "targets"])
def test_it_loads_nothing_heavy(module: str) -> None:
    program = f"import sys, fetaledge_devices.{module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "fetaledge_devices" in loaded and not loaded & {*HEAVY, *ABOVE}
