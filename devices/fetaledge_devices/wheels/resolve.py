"""Wheels for a device, resolved on this machine and kept, so that the internet is needed once."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from packaging.utils import parse_wheel_filename

from fetaledge_devices.cache import folder
from fetaledge_devices.facts.model import Platform
from fetaledge_devices.wheels.pins import package_of
from fetaledge_devices.wheels.wheel_tags import WheelTags, wheel_tags
from fetaledge_runtimes.errors import FetalEdgeError, InputError, OutputError, TargetError
from fetaledge_runtimes.files import sha256
from fetaledge_runtimes.records import Document, read_document, write_document

PIP_TIMEOUT_S = 1800.0
# Settings of pip that speak of this machine's packages, not of a device's.
NOT_FOR_DEVICES = ("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT", "PIP_NO_BINARY", "PIP_PRE", "PIP_USER", "PIP_REQUIREMENT")
NO_NETWORK = re.compile(
    r"connection broken|connection error|max retries|name resolution|could not fetch|proxyerror|timed? ?out|"
    r"unreachable|sslerror|newconnectionerror|5\d\d (?:server|bad|service|gateway)",
    re.IGNORECASE,
)
UNSATISFIED = re.compile(r"Could not find a version that satisfies the requirement (\S+).*?\(from versions: (.*?)\)")
_ONE_AT_A_TIME = threading.Lock()  # devices side by side share one download


class ResolvedWheel(Document, kw_only=True, frozen=True, rename={"tags": "for"}):
    """What is known of one requirement on one kind of device.

    Attributes:
        tags: of the device, for people.
        file, sha256: of the wheel beside the note that fulfils it.
        versions: where there is no such wheel, those that there were instead.
    """

    schema: str = "fetaledge/wheels/1"
    requirement: str
    tags: str
    file: str | None = None
    sha256: str | None = None
    versions: tuple[str, ...] | None = None


class NoSuchWheel(TargetError):
    """No wheel of ``requirement`` fits the device; ``versions`` are those that do."""

    def __init__(self, requirement: str, tags: WheelTags, versions: Sequence[str]) -> None:
        offered = f"there are wheels of {', '.join(versions[-4:])}" if versions else "choose another engine or device"
        super().__init__(f"there is no wheel of {requirement} for {tags}", offered)
        self.requirement = requirement
        self.versions = tuple(versions)


class Unreachable(TargetError):
    """The package index could not be asked."""


def resolve(platform: Platform, requirements: Sequence[str]) -> tuple[Path, ...]:
    """One wheel for each requirement (``onnxruntime==1.31.1``), without their dependencies, in the cache.

    What was found once is used again without asking, and without a network.

    Raises:
        TargetError: the device cannot be served, or the network is away.
        NoSuchWheel: no wheel of a requirement fits.
        OutputError: the cache cannot be written.
    """
    tags = wheel_tags(platform)
    with _ONE_AT_A_TIME:
        return _resolve(tags, requirements)


def _resolve(tags: WheelTags, requirements: Sequence[str]) -> tuple[Path, ...]:
    notes = {requirement: _note(tags, requirement) for requirement in dict.fromkeys(requirements)}
    found = {requirement: _kept(note) for requirement, note in notes.items()}
    missing = [requirement for requirement, wheel in found.items() if wheel is None]
    try:
        for requirement, wheel in _download(tags, missing).items() if missing else ():
            note = ResolvedWheel(requirement=requirement, tags=str(tags), file=wheel.name, sha256=sha256(wheel))
            write_document(notes[requirement], note)
            found[requirement] = wheel
    except NoSuchWheel as error:
        absent = ResolvedWheel(requirement=error.requirement, tags=str(tags), versions=error.versions)
        write_document(_note(tags, error.requirement), absent)
        raise
    except Unreachable:
        for requirement in missing:
            versions = _absent(notes[requirement])
            if versions is not None:
                raise NoSuchWheel(requirement, tags, versions) from None
        raise
    return tuple(wheel for wheel in found.values() if wheel is not None)


def name_and_version(wheel: Path) -> tuple[str, str]:
    """The package's name, with dashes, and its version, from a wheel's file name (PEP 427)."""
    name, version, _, _ = parse_wheel_filename(wheel.name)
    return name, str(version)


def _note(tags: WheelTags, requirement: str) -> Path:
    """Where it is written down which wheel fulfils a requirement."""
    key = hashlib.sha256("\n".join((tags.python, *tags.platforms, requirement)).encode()).hexdigest()
    return folder("wheels") / f"{key[:32]}.json"


def _read(path: Path) -> ResolvedWheel | None:
    try:
        return read_document(path, ResolvedWheel, "note of a wheel")
    except InputError:
        return None


def _kept(path: Path) -> Path | None:
    """The wheel that an earlier call noted, if it is still there and unaltered."""
    note = _read(path)
    if note is None or note.file is None:
        return None
    wheel = path.parent / note.file
    return wheel if wheel.is_file() and sha256(wheel) == note.sha256 else None


def _absent(path: Path) -> tuple[str, ...] | None:
    """What an earlier call found instead where there was no such wheel; believed while nobody can be asked."""
    note = _read(path)
    return None if note is None else note.versions


def _download(tags: WheelTags, requirements: Sequence[str]) -> dict[str, Path]:
    kept = folder("wheels")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
    command += ["--retries", "1", "--no-deps", "--only-binary=:all:", "--progress-bar", "off"]
    command += ["--python-version", tags.python, "--implementation", "cp"]
    command += [option for abi in tags.abis for option in ("--abi", abi)]
    command += [option for name in tags.platforms for option in ("--platform", name)]
    environment = {name: value for name, value in os.environ.items() if name not in NOT_FOR_DEVICES}
    environment["PYTHONWARNINGS"] = "ignore"
    try:
        with tempfile.TemporaryDirectory(prefix=".download-", dir=kept) as name:
            done = subprocess.run(
                [*command, "--dest", name, *requirements],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PIP_TIMEOUT_S,
                check=False,
            )
            wheels = {name_and_version(wheel)[0]: wheel for wheel in Path(name).glob("*.whl")}
            if done.returncode != 0 or any(package_of(text) not in wheels for text in requirements):
                raise _refusal(done.stderr + done.stdout, tags, requirements)
            return {
                text: wheels[package_of(text)].replace(kept / wheels[package_of(text)].name) for text in requirements
            }
    except subprocess.TimeoutExpired:
        raise TargetError(f"no answer from the package index within {PIP_TIMEOUT_S:.0f} s", "try again") from None
    except OSError as error:
        raise OutputError(f"cannot write {kept}: {error.strerror}", "free some space, or set FETALEDGE_CACHE") from None


def _refusal(said: str, tags: WheelTags, requirements: Sequence[str]) -> FetalEdgeError:
    """Why pip failed, in one sentence."""
    if "No module named pip" in said:
        return TargetError("this Python has no pip, which fetches a device's wheels", "run: python -m ensurepip")
    found = UNSATISFIED.search(said)
    versions = [] if found is None or found.group(2) == "none" else [v.strip() for v in found.group(2).split(",")]
    if NO_NETWORK.search(said) or (not versions and os.environ.get("PIP_NO_INDEX")):
        return Unreachable(
            f"the package index cannot be reached for {', '.join(requirements)}",
            "connect to the internet once: what was fetched for a device is kept",
        )
    if found is not None:
        return NoSuchWheel(_asked(found.group(1), requirements), tags, versions)
    if "No space left" in said:
        return OutputError(f"cannot write {folder('wheels')}: no space left", "free some space, or set FETALEDGE_CACHE")
    errors = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR")]
    return TargetError(f"pip cannot fetch {', '.join(requirements)}: {errors[-1] if errors else 'it said nothing'}")


def _asked(said: str, requirements: Sequence[str]) -> str:
    """The requirement as it was asked for, where pip writes it differently."""
    return next((text for text in requirements if package_of(text) == package_of(said)), said)
