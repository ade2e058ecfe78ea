"""The five wheels of ``make wheels``, installed into an empty environment: no checkout, no editable install."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import cv2
import pytest

import fetaledge
import fetaledge_export
import fetaledge_runtimes
from tests.bright_bundle import Heads, write_bundle

ROOT = Path(__file__).parents[2]
FOLDERS = ("runtimes", "export", "devices", "benchmarks", "fetaledge")
PACKAGES = ("fetaledge_runtimes", "fetaledge_export", "fetaledge_devices", "fetaledge_benchmarks", "fetaledge")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheels as ``make wheels`` builds them, with the environment that runs this test."""
    dist = tmp_path_factory.mktemp("wheels") / "dist"
    subprocess.run(
        ["make", "--assume-old=.venv/ready", "wheels", f"BIN={Path(sys.executable).parent}", f"DIST={dist}"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return dist


@pytest.fixture(scope="module")
def installed(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the five wheels; third-party packages are lent to it by path."""
    place = tmp_path_factory.mktemp("stranger") / "env"
    venv.create(place, with_pip=False, symlinks=True)
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "install", "--quiet", "--no-index"]
        + ["--disable-pip-version-check", "--no-deps", "--find-links", str(wheels)]
        + [package.replace("_", "-") for package in PACKAGES],
        check=True,
        capture_output=True,
    )
    (site,) = place.glob("lib/python*/site-packages")
    lent = dict.fromkeys(str(path) for path in sys.path if path.endswith("site-packages"))
    (site / "lent.pth").write_text("\n".join(lent) + "\n", encoding="utf-8")
    return place


def _run(place: Path, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [str(place / "bin" / arguments[0]), *map(str, arguments[1:])],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.integration
def test_the_packages_come_from_the_wheels_and_are_typed(installed: Path, tmp_path: Path) -> None:
    script = "import importlib, sys; [print(importlib.import_module(name).__file__) for name in sys.argv[1:]]"
    done = _run(installed, "python", "-c", script, *PACKAGES, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    homes = [Path(line).parent for line in done.stdout.split()]
    assert [home.name for home in homes] == list(PACKAGES)
    for home in homes:
        assert home.is_relative_to(installed) and (home / "py.typed").is_file()


@pytest.mark.integration
def test_the_command_runs_and_predicts_a_picture(installed: Path, tmp_path: Path) -> None:
    version = _run(installed, "fetaledge", "--version", cwd=tmp_path)
    assert version.returncode == 0, version.stderr
    assert version.stdout.startswith(f"fetaledge {fetaledge_runtimes.__version__} ")

    bundle = write_bundle(tmp_path / "bundle")
    assert cv2.imwrite(str(tmp_path / "head.png"), Heads().draw(0).frame.pixels)
    done = _run(installed, "fetaledge", "predict", bundle, "head.png", "--pixel-mm", 0.5, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (frame,) = json.loads(done.stdout)["frames"]
    assert frame["status"] == "ok"


@pytest.mark.integration
@pytest.mark.parametrize("package", PACKAGES)
def test_every_wheel_states_what_it_is(wheels: Path, package: str) -> None:
    (wheel,) = wheels.glob(f"{package}-{fetaledge_runtimes.__version__}-py3-none-any.whl")
    metadata = importlib.metadata.Distribution.at(_unpacked(wheel)).metadata
    assert metadata["Version"] == fetaledge_runtimes.__version__
    assert "not a medical device" in metadata["Summary"]
    for key in ("Author", "License-Expression", "Keywords", "Project-URL", "Classifier", "Description-Content-Type"):
        assert metadata[key], key


def _unpacked(wheel: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(wheel.with_suffix(""))
    (info,) = wheel.with_suffix("").glob("*.dist-info")
    return info


def test_the_version_is_written_once() -> None:
    for folder in FOLDERS:
        project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))
        assert "version" not in project["project"] and project["project"]["dynamic"] == ["version"]
        path = ROOT / folder / project["tool"]["hatch"]["version"]["path"]
        assert path.resolve() == ROOT / "runtimes" / "fetaledge_runtimes" / "__init__.py"
    assert fetaledge.__version__ == fetaledge_export.__version__ == fetaledge_runtimes.__version__
