"""A bundle of the small run in every variant, and the command as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def fetaledge() -> Command:
    """Run ``fetaledge …`` in a process of its own, with no terminal."""

    def run(*arguments: object, timeout: float = 600, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fetaledge", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, **options)  # type: ignore[call-overload,no-any-return]

    return run


@pytest.fixture(scope="session")
def exported(
    small_run: Path, phantoms: Path, tmp_path_factory: pytest.TempPathFactory, fetaledge: Command
) -> tuple[Path, str]:
    """(bundle, what the export printed): nine variants, with limits wide enough for a network this small."""
    bundle = tmp_path_factory.mktemp("bundles") / "small"
    wide = (
        "--max-hc-mean-mm",
        9,
        "--max-hc-bias-mm",
        9,
        "--max-hc-p95-mm",
        30,
        "--max-dice-drop",
        0.05,
        "--max-new-failures",
        9,
    )
    done = fetaledge("export", small_run, "--out", bundle, "--data", phantoms, "--int8", "--fp16", *wide)
    assert done.returncode == 0, done.stderr
    return bundle, done.stdout


@pytest.fixture(scope="session")
def bundle(exported: tuple[Path, str]) -> Path:
    return exported[0]


@pytest.fixture(scope="session")
def reference_bundle(phantoms: Path, tmp_path_factory: pytest.TempPathFactory, fetaledge: Command) -> Path:
    """The repository's reference model as TFLite, gated on phantoms by the default limits."""
    bundle = tmp_path_factory.mktemp("bundles") / "reference"
    run = Path(__file__).resolve().parents[2] / "reference"
    done = fetaledge("export", run, "--out", bundle, "--data", phantoms, "--int8", "--format", "tflite")
    assert done.returncode == 0, done.stdout + done.stderr
    return bundle
