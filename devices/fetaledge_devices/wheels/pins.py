"""The packages that a device is brought, and the versions of them that a user asks for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from fetaledge_runtimes.engines.registry import engine_class, formats
from fetaledge_runtimes.errors import UsageError


def base_requirements() -> dict[str, str]:
    """What fetaledge-runtimes needs beside an engine: package -> the versions that it allows, ``numpy>=1.26``."""
    needed = [Requirement(text) for text in metadata.requires("fetaledge-runtimes") or []]
    return {canonicalize_name(each.name): str(each) for each in needed if each.marker is None}


def engine_package(format_name: str) -> str:
    """The package that runs a model format: ``ai-edge-litert`` of ``tflite``. All that it needs is numpy."""
    return engine_class(format_name).distribution


def package_of(requirement: str) -> str:
    """The package that a requirement names: ``onnxruntime`` of ``onnxruntime==1.31.1``."""
    return canonicalize_name(Requirement(requirement).name)


def pinned_versions(pins: Sequence[str]) -> dict[str, str]:
    """Package -> ``PACKAGE==VERSION``. Raises UsageError where one cannot be read or is of no package that we bring."""
    known = (*(engine_package(name) for name in formats()), *base_requirements())
    pinned = {}
    for pin in pins:
        package, version = _exact(pin)
        if package not in known or version is None:
            raise UsageError(f"the engine {pin!r} was given", f"write PACKAGE==VERSION, with one of {', '.join(known)}")
        pinned[package] = f"{package}=={version}"
    return pinned


def _exact(pin: str) -> tuple[str, str | None]:
    """Package and version; None where it does not name exactly one."""
    try:
        requirement = Requirement(pin)
    except InvalidRequirement:
        return "", None
    package = canonicalize_name(requirement.name)
    specifiers = list(requirement.specifier)
    if len(specifiers) != 1 or requirement.marker or requirement.extras or requirement.url:
        return package, None
    (only,) = specifiers
    exact = only.operator == "==" and not only.version.endswith(".*")
    return package, only.version if exact else None
