"""The native runner: compiled here, gathered with its engines and the C libraries that they need, kept in the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import threading
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from fetaledge_devices.cache import folder
from fetaledge_devices.facts.model import Platform
from fetaledge_devices.native_runner import glibc
from fetaledge_devices.native_runner.build_tools import run_tool
from fetaledge_devices.wheels.pins import pinned_versions
from fetaledge_devices.wheels.resolve import resolve
from fetaledge_runtimes.errors import InputError, OutputError, TargetError, UsageError
from fetaledge_runtimes.files import atomic_folder, sha256
from fetaledge_runtimes.records import Document, read_document, schema_of, write_document

SOURCES = (
    "engine.h", "errors.h", "frames.h", "runner.c", "engine.c", "errors.c", "frames.c", "litert.c", "onnx.c",
)  # fmt: skip
BINARY = "runner"
RECORD = "runner.json"
NOTICE = "NOTICE.txt"
TRIPLE = "aarch64-linux-gnu.2.28"
PYTHON = (3, 11)  # of the wheels; the libraries in them are the same for each Python
COMPILE_TIMEOUT_S = 900.0
_ONE_AT_A_TIME = threading.Lock()  # phones side by side share one build


@dataclass(frozen=True)
class EngineLibrary:
    """Where an engine's library lies in its wheel (the beginning of its path), and what it is called on the phone."""

    package: str
    version: str
    member: str
    name: str
    licence: str


LIBRARIES: Mapping[str, EngineLibrary] = {
    "tflite": EngineLibrary("ai-edge-litert", "2.3.0", "ai_edge_litert/libLiteRt.so", "libLiteRt.so", "Apache-2.0"),
    "onnx": EngineLibrary("onnxruntime", "1.31.1", "onnxruntime/capi/libonnxruntime.so.", "libonnxruntime.so", "MIT"),
}
"""By a model's format. litert.c declares the functions of this very version of LiteRT; onnx.c runs from 1.21 on."""


class RunnerRecord(Document, kw_only=True, frozen=True):
    """``runner.json`` beside a runner that was built.

    Attributes:
        files: name -> hex SHA-256.
        versions: engine package -> version.
        runtime: Debian package -> version, of the C libraries.
    """

    schema: str = "fetaledge/android-runner/1"
    files: dict[str, str]
    versions: dict[str, str]
    runtime: dict[str, str] = {}


@dataclass(frozen=True)
class Runner:
    """What a phone is sent so that it can run models.

    Attributes:
        files: name there, in one folder, and the file here. All are to be executable.
        versions: of each engine's package.
    """

    files: dict[str, Path]
    versions: dict[str, str]

    def command(self, place: str) -> tuple[str, ...]:
        """What starts the runner in the folder ``place``; ``MODEL --frames DIR …`` follow.

        Android has another C library than the engines were built for: theirs comes along, with its own loader.
        """
        return (f"{place}/{glibc.LOADER}", "--library-path", place, f"{place}/{BINARY}")


def build_runner(
    formats: Sequence[str] = tuple(LIBRARIES),
    engines: Sequence[str] = (),
    progress: Callable[[str], None] = lambda line: None,
) -> Runner:
    """The runner for models of these formats; built once, then taken from the cache, without a network.

    Args:
        engines: pins such as ``onnxruntime==1.25.0`` in place of :data:`LIBRARIES`' versions.

    Raises:
        UsageError: a format that the runner has no engine for, or a version of LiteRT that it does not know.
        TargetError: the compiler, the network or Debian's packages are missing.
        OutputError: the cache cannot be written.
    """
    libraries = {name: _pinned(_library(name), engines) for name in dict.fromkeys(formats)}
    kept = folder("android-runner") / _key(libraries.values())
    with _ONE_AT_A_TIME:
        found = _kept(kept)
        if found is None:
            progress("building the native runner; this takes up to a minute")
            with atomic_folder(kept, force=True, marker=RECORD) as partial:
                _build(partial, libraries)
            found = _kept(kept)
    if found is None:
        raise OutputError(f"{kept} changed while it was written", "try again")
    return found


def _library(format_name: str) -> EngineLibrary:
    if format_name not in LIBRARIES:
        known = " and ".join(LIBRARIES)
        raise UsageError(f"the native runner has no engine for {format_name!r}", f"it runs {known}")
    return LIBRARIES[format_name]


def _pinned(library: EngineLibrary, engines: Sequence[str]) -> EngineLibrary:
    pin = pinned_versions(engines).get(library.package)
    version = pin.partition("==")[2] if pin else library.version
    if library.package == LIBRARIES["tflite"].package and version != library.version:
        raise UsageError(f"the native runner is written for {library.package} {library.version}, not {version}")
    return replace(library, version=version)


def _key(libraries: Iterable[EngineLibrary]) -> str:
    """The name of a build: a digest of all that goes into it, apart from what :mod:`glibc` finds."""
    packages = [f"{each.package}=={each.version}" for each in libraries]
    parts = [schema_of(RunnerRecord), TRIPLE, *glibc.PACKAGES, *packages]
    digest = hashlib.sha256("\n".join(parts).encode())
    for name in SOURCES:
        digest.update(_source(name).read_bytes())
    return digest.hexdigest()[:16]


def _source(name: str) -> Path:
    return Path(__file__).with_name(name)


def _kept(place: Path) -> Runner | None:
    """The runner of an earlier build, if it is whole and unaltered."""
    try:
        record = read_document(place / RECORD, RunnerRecord, "native runner")
        if any(sha256(place / name) != digest for name, digest in record.files.items()):
            return None
    except (InputError, OSError):
        return None
    return Runner({name: place / name for name in record.files}, record.versions)


def _build(place: Path, libraries: Mapping[str, EngineLibrary]) -> None:
    compile_runner(place / BINARY)
    for library, wheel in zip(libraries.values(), _wheels(list(libraries.values())), strict=True):
        _extract(wheel, library.member, place / library.name)
    packages = glibc.gather(place)
    names = sorted(path.name for path in place.iterdir())
    _write_notice(place / NOTICE, list(libraries.values()), packages)
    record = RunnerRecord(
        files={name: sha256(place / name) for name in (*names, NOTICE)},
        versions={library.package: library.version for library in libraries.values()},
        runtime=packages,
    )
    write_document(place / RECORD, record)


def compile_runner(binary: Path, triple: str = TRIPLE) -> None:
    """Compile the runner, with all engines in it: a library that was not sent is missed when a model needs it.

    Args:
        triple: the machine and the oldest glibc that it is for, as zig names them.

    Raises:
        TargetError: zig is not installed, or fails.
    """
    if find_spec("ziglang") is None:
        raise TargetError("the native runner is compiled with zig, which is not installed", "run: pip install ziglang")
    command = [sys.executable, "-m", "ziglang", "cc", "-target", triple, "-std=gnu11", "-O2", "-s", "-Wall", "-Wextra"]
    command += [f'-DLITERT_VERSION="{LIBRARIES["tflite"].version}"', "-ldl", "-o", str(binary)]
    command += [str(_source(name)) for name in SOURCES if name.endswith(".c")]
    zig = str(folder("zig"))
    environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": zig, "ZIG_LOCAL_CACHE_DIR": zig}
    done = run_tool(command, COMPILE_TIMEOUT_S, environment)
    if done.returncode != 0 or not binary.is_file():
        said = done.stderr.splitlines() or ["nothing"]
        first = next((line for line in said if "error" in line), said[0])
        raise TargetError(f"zig cannot compile the native runner, it said: {first}", "try another version of ziglang")


def _wheels(libraries: Sequence[EngineLibrary]) -> tuple[Path, ...]:
    brought = Platform(
        system="linux",
        machine="aarch64",
        libc=glibc.VERSION,
        python=PYTHON,
        cpu_parts=(),
        memory_mb=0,
        available_mb=None,
        free_mb=None,
        taskset=False,
    )
    return resolve(brought, [f"{library.package}=={library.version}" for library in libraries])


def _extract(wheel: Path, beginning: str, file: Path) -> None:
    """The member of a wheel whose path begins so."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [name for name in archive.namelist() if name.startswith(beginning)]
            if len(members) != 1:
                raise TargetError(f"{wheel.name} holds {len(members)} files {beginning}*, expected was one")
            with archive.open(members[0]) as source, file.open("wb") as sink:
                shutil.copyfileobj(source, sink)
    except zipfile.BadZipFile:
        raise TargetError(f"{wheel} is damaged", "delete it: it will be fetched again") from None
    file.chmod(0o755)


def _write_notice(file: Path, libraries: Sequence[EngineLibrary], packages: Mapping[str, str]) -> None:
    lines = ["What lies in this folder, and under which licence.", f"{BINARY}: fetaledge, Apache-2.0"]
    lines += [f"{each.name}: from {each.package} {each.version} (PyPI), {each.licence}" for each in libraries]
    for package, licence in glibc.PACKAGES.items():
        names = ", ".join(name for name, owner in glibc.FILES.items() if owner == package)
        lines.append(f"{names}: from Debian's {package} {packages[package]}, {licence}")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
