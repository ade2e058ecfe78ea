"""The native runner's build, without building: what is kept, what is refused, what is said of what is missing."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from fetaledge_devices.facts.model import Platform
from fetaledge_devices.native_runner import __main__, build, glibc
from fetaledge_devices.native_runner.__main__ import main
from fetaledge_devices.native_runner.build import LIBRARIES, Runner, build_runner
from fetaledge_runtimes.errors import TargetError, UsageError


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FETALEDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def wheel_of(folder: Path, package: str) -> Path:
    """A wheel with nothing in it but the library of an engine, which holds its own path."""
    (member,) = (library.member for library in LIBRARIES.values() if library.package == package)
    wheel = folder / f"{package}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(member, member)
    return wheel


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The packages of each build, in place of the builds' programs and downloads."""
    seen: list[list[str]] = []

    def resolve(platform: Platform, requirements: list[str]) -> tuple[Path, ...]:
        seen.append(requirements)
        return tuple(wheel_of(tmp_path, requirement.partition("==")[0]) for requirement in requirements)

    def gather(place: Path) -> dict[str, str]:
        (place / glibc.LOADER).write_bytes(b"loader")
        return dict.fromkeys(glibc.PACKAGES, "1")

    monkeypatch.setattr(build, "compile_runner", lambda binary: binary.write_bytes(b"runner"))
    monkeypatch.setattr(build, "resolve", resolve)
    monkeypatch.setattr(glibc, "gather", gather)
    return seen


def test_a_build_is_kept_by_what_went_into_it(own_cache: Path, builds: list[list[str]]) -> None:
    runner = build_runner(["tflite"])
    assert runner.versions == {"ai-edge-litert": LIBRARIES["tflite"].version}
    assert set(runner.files) == {"runner", "libLiteRt.so", glibc.LOADER, "NOTICE.txt"}
    assert runner.files["libLiteRt.so"].read_text(encoding="utf-8") == "ai_edge_litert/libLiteRt.so"
    assert build_runner(["tflite", "tflite"]) == runner and len(builds) == 1
    assert build_runner(["tflite", "onnx"]) != runner
    assert build_runner(["onnx"], ["ONNXRuntime==1.25.0", "openvino==2025.4.1"]).versions == {"onnxruntime": "1.25.0"}
    assert builds[1:] == [["ai-edge-litert==2.3.0", "onnxruntime==1.31.1"], ["onnxruntime==1.25.0"]]
    assert "LGPL-2.1" in runner.files["NOTICE.txt"].read_text(encoding="utf-8")


@pytest.mark.parametrize("damage", ["file", "missing", "record"])
def test_a_damaged_build_is_made_again(own_cache: Path, builds: list[list[str]], damage: str) -> None:
    runner = build_runner(["tflite"])
    if damage == "missing":
        runner.files["runner"].unlink()
    else:
        runner.files["runner"].with_name("runner" if damage == "file" else "runner.json").write_bytes(b"{}")
    assert build_runner(["tflite"]).files["runner"].read_bytes() == b"runner" and len(builds) == 2


def test_a_build_that_fails_leaves_nothing(
    own_cache: Path, builds: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(place: Path) -> dict[str, str]:
        raise TargetError("no packages")

    monkeypatch.setattr(glibc, "gather", fails)
    with pytest.raises(TargetError, match="no packages"):
        build_runner(["tflite"])
    assert list((own_cache / "android-runner").iterdir()) == []


def test_what_the_runner_cannot_run_is_refused(own_cache: Path) -> None:
    with pytest.raises(UsageError, match="no engine for 'openvino'; it runs tflite and onnx"):
        build_runner(["openvino"])
    for pin in ("ai-edge-litert==2.1.0", "ai_edge_litert==2.1.0"):
        with pytest.raises(UsageError, match=r"written for ai-edge-litert 2\.3\.0, not 2\.1\.0"):
            build_runner(["tflite"], [pin])


def test_what_a_build_needs_is_named(own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "find_spec", lambda name: None)
    with pytest.raises(TargetError, match="zig, which is not installed; run: pip install ziglang"):
        build_runner(["tflite"])
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(TargetError, match=r"no apt-get here; run python -m fetaledge_devices\.native_runner on Debian"):
        glibc.gather(tmp_path)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("E: Unable to locate package libc6-arm64-cross", "knows no libc6-arm64-cross.*run apt-get update as root"),
        ("Err:1 x\nE: Failed to fetch http://x  Could not connect", "cannot download.*connect to the internet once"),
        ("", "cannot download.*it said nothing"),
    ],
)
def test_an_archive_that_cannot_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, sentence: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(
        glibc, "run_tool", lambda command, *_, **__: subprocess.CompletedProcess(command, 100, "", said)
    )
    with pytest.raises(TargetError, match=sentence):
        glibc.gather(tmp_path)


def test_the_command_brings_its_own_loader() -> None:
    assert Runner({}, {}).command("/data/local/tmp/x") == (
        "/data/local/tmp/x/ld-linux-aarch64.so.1",
        "--library-path",
        "/data/local/tmp/x",
        "/data/local/tmp/x/runner",
    )


def test_the_engines_are_those_that_this_project_is_tested_with() -> None:
    assert {library.package: library.version for library in LIBRARIES.values()} == {
        library.package: version(library.package) for library in LIBRARIES.values()
    }


def test_the_command_says_what_was_built(
    own_cache: Path, builds: list[list[str]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main() == 0
    output = capsys.readouterr().out.splitlines()
    assert len(output) == 6 and output[-1].endswith(str(next((own_cache / "android-runner").iterdir())))
    monkeypatch.setattr(__main__, "build_runner", build_runner_that_fails)
    assert main() == 4
    assert capsys.readouterr().err == "error: no network\n"


def build_runner_that_fails(**_: Any) -> Runner:
    raise TargetError("no network")
