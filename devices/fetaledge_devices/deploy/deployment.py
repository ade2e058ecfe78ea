"""A bundle on a target, ready to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata

from fetaledge_devices.targets.base import Target
from fetaledge_devices.wheels.pins import engine_package
from fetaledge_runtimes.bundle import Bundle, Variant
from fetaledge_runtimes.engines.registry import is_installed


@dataclass(frozen=True)
class Deployment:
    """A bundle on a target.

    Attributes:
        target: where.
        place: the bundle's folder there; empty where nothing of it can be used.
        worker: the start of its worker's command line: ``… verify PLACE``; of a native one: ``… MODEL``.
        native: whether the worker takes prepared frames and gives logits.
        variants: that passed the self-test there.
        refused: variant -> why it cannot be used there.
        versions: engine package -> version there.
        notes: variant -> what is known or unusual about it there, with its source.
        sent_mb: megabytes (10⁶ bytes) that had to be sent.
        tested: False where the self-test of an earlier deployment of the very same files was believed.
        current: whether it is what the device uses from now on.
    """

    target: Target
    place: str
    worker: tuple[str, ...]
    native: bool
    variants: tuple[str, ...]
    refused: dict[str, str]
    versions: dict[str, str]
    notes: dict[str, tuple[str, ...]]
    sent_mb: float = 0.0
    tested: bool = True
    current: bool = True


def deploy_locally(
    bundle: Bundle, variants: Sequence[Variant], target: Target, pinned: Mapping[str, str] | None = None
) -> Deployment:
    """A deployment on this machine: nothing is copied, and what is installed is used.

    Args:
        pinned: package -> ``PACKAGE==VERSION``, of the devices beside it; a variant that runs in another is noted.
    """
    usable = [variant for variant in variants if is_installed(variant.format)]
    versions = {}
    for package in sorted({engine_package(variant.format) for variant in usable}):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # a predecessor provides the engine
            continue
    notes: dict[str, tuple[str, ...]] = {}
    for variant in usable:
        package = engine_package(variant.format)
        pin, installed = (pinned or {}).get(package), versions.get(package)
        if pin is not None and pin != f"{package}=={installed}":
            here = f"{package} {installed}" if installed else "another package"
            notes[variant.name] = (f"runs in what is installed here, {here}, not in {pin}",)
    return Deployment(
        target=target,
        place=target.send(bundle.folder),
        worker=target.worker,
        native=False,
        variants=tuple(variant.name for variant in usable),
        refused={v.name: "its engine is not installed" for v in variants if v not in usable},
        versions=versions,
        notes=notes,
        tested=False,
    )
