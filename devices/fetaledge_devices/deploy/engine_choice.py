"""What a device can run of a bundle, in which versions, and what has to be brought there for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from fetaledge_devices.deploy.known_faults import known_faults, sound_version
from fetaledge_devices.deploy.memory_estimate import estimate
from fetaledge_devices.facts.model import Platform
from fetaledge_devices.wheels.pins import base_requirements, engine_package, package_of, pinned_versions
from fetaledge_devices.wheels.resolve import NoSuchWheel, name_and_version, resolve
from fetaledge_devices.wheels.runtimes_wheel import runtimes_wheel
from fetaledge_devices.wheels.wheel_tags import wheel_tags
from fetaledge_runtimes.bundle import Manifest, Variant
from fetaledge_runtimes.engines.registry import formats


@dataclass(frozen=True)
class EngineChoice:
    """What is to be tried on a device.

    Attributes:
        variants: those that may run there; the self-test decides.
        refused: the others, each with the reason.
        wheels: everything to unpack there; empty for a native runner.
        versions: engine package -> version there.
        notes: variant -> what is known or unusual about it there.
    """

    variants: tuple[Variant, ...]
    refused: dict[str, str]
    wheels: tuple[Path, ...]
    versions: dict[str, str]
    notes: dict[str, tuple[str, ...]]


def choose(
    manifest: Manifest,
    variants: Sequence[Variant],
    platform: Platform,
    pins: Sequence[str] = (),
    *,
    ignore_memory: bool = False,
) -> EngineChoice:
    """What a device with a Python of its own can run, with wheels from the cache or the package index.

    An engine comes in the version that the bundle's gate was passed with, unless the table of known faults names a
    better one for this CPU, or there is no wheel of it for this device's Python: then the newest that fits.

    Args:
        manifest, variants: of the bundle, and what is wanted of it.
        platform: of the device.
        pins: ``onnxruntime==1.21.0``; kept to, whatever the table says.
        ignore_memory: keep a variant that is estimated to need more memory than is available, and note it.

    Raises:
        UsageError: a pin that cannot be read.
        TargetError: the device cannot be served at all, or the package index cannot be reached.
        NoSuchWheel: there is no wheel of a pinned version, or none of what fetaledge-runtimes itself needs.
    """
    pinned = pinned_versions(pins)
    wheel_tags(platform)
    large = _too_large(manifest, variants, platform)
    refused = {} if ignore_memory else dict(large)
    candidates = [variant for variant in variants if variant.name not in refused]
    base = base_requirements()
    wishes = {name: _base_wishes(name, allowed, pinned) for name, allowed in base.items()}
    for format_name in formats():
        wanting = [variant for variant in candidates if variant.format == format_name]
        if wanting:
            package = engine_package(format_name)
            wishes[package] = _engine_wishes(package, wanting, platform, pinned)
    wheels = _resolve(platform, wishes, refused, candidates, keep=(*base, *pinned))
    candidates = [variant for variant in candidates if variant.name not in refused]
    versions = dict(name_and_version(wheel) for wheel in wheels)
    engines = {package: versions[package] for package in wishes if package not in base and package in versions}
    return EngineChoice(
        variants=tuple(candidates),
        refused=refused,
        wheels=(*wheels, runtimes_wheel()) if candidates else (),
        versions=engines,
        notes=_notes(candidates, engines, platform, large),
    )


def choose_native(
    manifest: Manifest,
    variants: Sequence[Variant],
    platform: Platform,
    versions: dict[str, str],
    *,
    ignore_memory: bool = False,
) -> EngineChoice:
    """What a phone can run: variants whose engine the native runner holds.

    Args:
        manifest, variants, platform, ignore_memory: as for :func:`choose`.
        versions: engine package -> version in the native runner.
    """
    large = _too_large(manifest, variants, platform, native=True)
    refused = {} if ignore_memory else dict(large)
    for variant in variants:
        if engine_package(variant.format) not in versions:
            refused[variant.name] = f"the native runner has no {engine_package(variant.format)}"
    candidates = [variant for variant in variants if variant.name not in refused]
    return EngineChoice(tuple(candidates), refused, (), versions, _notes(candidates, versions, platform, large))


def _too_large(
    manifest: Manifest, variants: Sequence[Variant], platform: Platform, native: bool = False
) -> dict[str, str]:
    """Variant -> why it is estimated not to fit the memory that is available there."""
    reasons = {v.name: estimate(manifest, v, native).too_little(platform.available_mb) for v in variants}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _base_wishes(package: str, allowed: str, pinned: dict[str, str]) -> list[str]:
    """This machine's version of numpy, OpenCV, …, else any that fetaledge-runtimes allows."""
    if package in pinned:
        return [pinned[package]]
    return [f"{package}=={metadata.version(package)}", allowed]


def _engine_wishes(package: str, variants: Sequence[Variant], platform: Platform, pinned: dict[str, str]) -> list[str]:
    """The gate's version or the sound one instead of it; then any that is known to run the file."""
    if package in pinned:
        return [pinned[package]]
    gated = variants[0].engine_version.split()[0]  # "2.14.0 (tflite-runtime)"
    precisions = [variant.precision for variant in variants]
    version = sound_version(package, gated, platform.machine, platform.cpu_parts, precisions)
    return [f"{package}=={version}", f"{package}>={variants[0].engine_oldest}"]


def _resolve(
    platform: Platform,
    wishes: dict[str, list[str]],
    refused: dict[str, str],
    candidates: Sequence[Variant],
    keep: Sequence[str],
) -> tuple[Path, ...]:
    """A wheel for the first wish of each package that has one; an engine without any is refused with its variants."""
    wishes = {package: list(texts) for package, texts in wishes.items()}
    while True:
        try:
            return resolve(platform, [texts[0] for texts in wishes.values()])
        except NoSuchWheel as error:
            package = package_of(error.requirement)
            if package not in wishes:
                raise
            del wishes[package][0]
            if wishes[package]:
                continue
            if package in keep:
                raise
            del wishes[package]
            concerned = [variant for variant in candidates if engine_package(variant.format) == package]
            refused.update({variant.name: error.message for variant in concerned})


def _notes(
    variants: Sequence[Variant], versions: dict[str, str], platform: Platform, large: dict[str, str]
) -> dict[str, tuple[str, ...]]:
    notes = {}
    for variant in variants:
        package = engine_package(variant.format)
        version, gated = versions[package], variant.engine_version
        said = [str(f) for f in known_faults(package, version, platform.machine, platform.cpu_parts, variant.precision)]
        if gated != version:
            avoided = known_faults(package, gated, platform.machine, platform.cpu_parts, variant.precision)
            reasons = [str(fault) for fault in avoided if fault.instead is not None]
            said += [f"runs in {package} {version}, its gate was passed in {gated}", *reasons]
        if variant.name in large:
            said.append(f"tried although {large[variant.name]}")
        if said:
            notes[variant.name] = tuple(dict.fromkeys(said))
    return notes
