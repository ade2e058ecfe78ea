"""Wheels for a device: fetched once, kept, and refused in a sentence; fetaledge's own is made here."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import fetaledge_runtimes
from fetaledge_devices.deploy.device_store import unpacked_mb
from fetaledge_devices.facts.model import Platform
from fetaledge_devices.wheels.pins import base_requirements, package_of
from fetaledge_devices.wheels.resolve import NoSuchWheel, Unreachable, name_and_version, resolve
from fetaledge_devices.wheels.runtimes_wheel import runtimes_wheel
from fetaledge_devices.wheels.unpack import site_name, unpacked
from fetaledge_runtimes.errors import FetalEdgeError, OutputError, TargetError

PI4 = Platform("linux", "aarch64", "glibc 2.36", (3, 11), ("cortex-a72",), 3978, 2983, 1500, True)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("FETALEDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "wheels"


def write_wheel(folder: Path, name: str, version: str, tag: str) -> Path:
    """A wheel with nothing in it."""
    wheel = folder / f"{name}-{version}-{tag}.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}/__init__.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of wheels in place of the package index."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    for version in ("1.0", "2.0"):
        write_wheel(folder, "some_engine", version, "cp311-cp311-manylinux_2_28_aarch64")
    write_wheel(folder, "some_engine", "3.0", "cp311-cp311-manylinux_2_39_aarch64")
    write_wheel(folder, "some_engine", "4.0", "cp311-cp311-manylinux_2_28_x86_64")
    write_wheel(folder, "any_base", "1.5", "cp37-abi3-manylinux2014_aarch64")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return folder


def take_away(shelf: Path) -> None:
    for wheel in shelf.iterdir():
        wheel.unlink()


@pytest.mark.integration
def test_wheels_of_the_device_are_found_once_and_kept(shelf: Path, cache: Path) -> None:
    found = resolve(PI4, ["some-engine>=1", "any_base==1.5"])
    assert [name_and_version(wheel) for wheel in found] == [("some-engine", "2.0"), ("any-base", "1.5")]
    take_away(shelf)
    assert resolve(PI4, ["any_base==1.5", "some-engine>=1"]) == found[::-1]  # in the order they are asked for

    found[0].write_bytes(b"altered")
    with pytest.raises(Unreachable, match="some-engine>=1"):
        resolve(PI4, ["any_base==1.5", "some-engine>=1"])


@pytest.mark.integration
def test_the_hosts_constraints_do_not_bind_a_device(
    shelf: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "constraints.txt").write_text("some-engine==2.0\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "constraints.txt"))
    (wheel,) = resolve(PI4, ["some-engine==1.0"])
    assert name_and_version(wheel) == ("some-engine", "1.0")


@pytest.mark.integration
def test_no_such_wheel_names_those_that_there_are_also_without_a_network(shelf: Path) -> None:
    with pytest.raises(NoSuchWheel, match="no wheel of some-engine==9 for Python 3.11 on manylinux_2_36_aarch64") as no:
        resolve(PI4, ["any_base", "some-engine==9"])
    assert no.value.requirement == "some-engine==9" and no.value.versions == ("1.0", "2.0")
    assert no.value.hint == "there are wheels of 1.0, 2.0" and no.value.exit_code == 4
    take_away(shelf)
    with pytest.raises(NoSuchWheel, match="some-engine==9"):
        resolve(PI4, ["some-engine==9"])


@pytest.mark.integration
def test_a_network_that_is_away_is_one_sentence(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # where nothing listens
    with pytest.raises(Unreachable) as away:
        resolve(PI4, ["some-engine==1.0"])
    assert away.value.message == "the package index cannot be reached for some-engine==1.0"
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    ("said", "kind", "sentence"),
    [
        ("/usr/bin/python3: No module named pip", TargetError, "this Python has no pip"),
        (
            "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError'\n"
            "ERROR: Could not find a version that satisfies the requirement numpy==1 (from versions: none)",
            Unreachable,
            "cannot be reached for numpy==1",
        ),
        (
            "ERROR: Could not find a version that satisfies the requirement Numpy == 1 (from versions: 2.0, 2.1)",
            NoSuchWheel,
            "no wheel of numpy==1 for",
        ),
        ("OSError: [Errno 28] No space left on device", FetalEdgeError, "no space left"),
        ("ERROR: something else\n", TargetError, "pip cannot fetch numpy==1: something else"),
        ("", TargetError, "it said nothing"),
    ],
)
def test_what_pip_says_becomes_one_sentence(
    monkeypatch: pytest.MonkeyPatch, said: str, kind: type[FetalEdgeError], sentence: str
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1, "", said))
    with pytest.raises(kind) as refused:
        resolve(PI4, ["numpy==1"])
    assert sentence in refused.value.message and "\n" not in str(refused.value)


def test_names_of_packages() -> None:
    assert package_of("ai_edge.litert==1.0") == "ai-edge-litert"
    assert package_of("numpy>=1.26") == package_of("NumPy ~= 2.0") == "numpy"
    build = Path("openvino-2026.4.1-22982-cp311-cp311-manylinux_2_35_aarch64.whl")
    assert name_and_version(build) == ("openvino", "2026.4.1")


def test_fetaledges_own_wheel_is_the_same_bytes_each_time() -> None:
    wheel = runtimes_wheel()
    content = wheel.read_bytes()
    assert runtimes_wheel() == wheel and wheel.read_bytes() == content
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {"fetaledge_runtimes/__main__.py", "fetaledge_runtimes/engines/onnxruntime.py"} <= names
    assert not any("__pycache__" in name for name in names)
    assert site_name(wheel).startswith("fetaledge_runtimes-") and 0.05 < unpacked_mb(wheel) < 5


def test_fetaledges_own_wheel_says_how_its_parts_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = "[fetaledge.engines]\nsome = package.module:Engine\n"
    installed = metadata.distribution("fetaledge-runtimes")
    monkeypatch.setattr(metadata, "distribution", lambda name: installed)
    monkeypatch.setattr(
        installed, "read_text", lambda name: told if name == "entry_points.txt" else None, raising=False
    )
    (found,) = metadata.distributions(path=[str(unpacked(runtimes_wheel()))])
    (point,) = found.entry_points
    assert (point.group, point.name, point.value) == ("fetaledge.engines", "some", "package.module:Engine")


def test_a_device_is_brought_all_that_the_runtimes_need() -> None:
    base = base_requirements()
    assert set(base) >= {"numpy", "opencv-python-headless", "msgspec", "pillow"}
    assert not set(base) & {"onnxruntime", "openvino", "ai-edge-litert", "pydicom"}
    assert base["numpy"].startswith("numpy>=")


def test_a_wheel_is_unpacked_once(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, "some_engine", "1.0", "py3-none-any")
    place = unpacked(wheel)
    assert (place / "some_engine" / "__init__.py").is_file() and place.name == site_name(wheel)
    (place / "mark").touch()
    assert unpacked(wheel) == place and (place / "mark").exists()
    (tmp_path / "other-1.0-py3-none-any.whl").write_bytes(b"damaged")
    with pytest.raises(OutputError, match="other-1.0-py3-none-any.whl cannot be unpacked"):
        unpacked(tmp_path / "other-1.0-py3-none-any.whl")


@pytest.mark.integration
def test_fetaledges_own_wheel_can_be_installed(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "install", "--no-deps", "--no-index", "--target"]
    subprocess.run([*pip, str(tmp_path / "site"), str(runtimes_wheel())], check=True, capture_output=True)
    program = "import fetaledge_runtimes, importlib.metadata as m; print(m.version('fetaledge-runtimes'))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": str(tmp_path / "site")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == fetaledge_runtimes.__version__
