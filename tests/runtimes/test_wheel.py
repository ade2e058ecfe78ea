"""What a device gets: the runtimes wheel, numpy, OpenCV, msgspec and Pillow, and nothing else."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import venv
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "runtimes"

IMPORT_ALL = """
import importlib, pkgutil, sys
import fetaledge_runtimes
names = [m.name for m in pkgutil.walk_packages(fetaledge_runtimes.__path__, "fetaledge_runtimes.")]
for name in names:
    importlib.import_module(name)
for absent in ("torch", "scipy", "typer", "onnxruntime", "openvino", "ai_edge_litert", "pydicom"):
    try:
        importlib.import_module(absent)
    except ImportError:
        continue
    raise SystemExit(f"{absent} can be imported: this environment is not empty")
print(len(names), fetaledge_runtimes.__file__)
"""


@pytest.mark.integration
def test_installs_and_imports_alone(bundle_folder: Path, frame_folder: Path, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheels = tmp_path / "wheels"
    subprocess.run(
        [*pip, "wheel", str(SOURCE), "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels)],
        check=True,
        capture_output=True,
    )
    (wheel,) = wheels.iterdir()
    place = tmp_path / "device"
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin" / "python"
    (site,) = place.glob("lib/python*/site-packages")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(site), str(wheel)], check=True, capture_output=True)
    for package in ("numpy", "numpy.libs", "cv2", "opencv_python_headless.libs", "msgspec", "PIL", "pillow.libs"):
        installed = _installed(package)
        if installed.is_dir():
            (site / package).symlink_to(installed, target_is_directory=True)

    def alone(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(python), "-I", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    done = alone("-c", IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    count, file = done.stdout.split()
    assert int(count) == len(list((SOURCE / "fetaledge_runtimes").rglob("*.py"))) - 1  # the root itself
    assert str(place) in file

    refused = alone("-m", "fetaledge_runtimes", "predict", str(bundle_folder), str(frame_folder))
    assert refused.returncode == 3
    assert refused.stderr.startswith("error: none of the bundle's engines is installed; run: pip install")
    assert refused.stderr.count("\n") == 1


def _installed(package: str) -> Path:
    """Where a package of this environment lies; a ``.libs`` folder lies beside its package."""
    beside = {"numpy.libs": "numpy", "opencv_python_headless.libs": "cv2", "pillow.libs": "PIL"}
    spec = importlib.util.find_spec(beside.get(package, package))
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parents[1] / package
