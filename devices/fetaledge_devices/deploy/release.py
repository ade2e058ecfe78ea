"""What a release on a device consists of: files of a bundle, unpacked wheels, or a native runner."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from fetaledge_devices.deploy.device_store import Folder
from fetaledge_devices.deploy.engine_choice import EngineChoice
from fetaledge_devices.facts.model import Platform
from fetaledge_devices.native_runner.build import Runner
from fetaledge_devices.wheels.unpack import site_name
from fetaledge_runtimes.bundle import MANIFEST, Bundle, StoredFile
from fetaledge_runtimes.files import sha256
from fetaledge_runtimes.records import Document, to_text
from fetaledge_runtimes.selftest import GOLDEN


class ReleaseRecord(Document, kw_only=True, frozen=True):
    """``release.json`` on a device: what the self-test of a release found.

    Attributes:
        variants: that passed, at least one.
        refused: variant -> why it failed, where it would fail again.
    """

    schema: str = "fetaledge/release/1"
    variants: Annotated[tuple[str, ...], Meta(min_length=1)]
    refused: dict[str, str] = {}


@dataclass(frozen=True)
class Release:
    """The parts of a release of ``bundle`` with the variants of ``choice`` for a device.

    Attributes:
        sites: name of its unpacked folder -> wheel here.
        runner_files: hex SHA-256 -> file here, of the native runner.
    """

    bundle: Bundle
    choice: EngineChoice
    runner: Runner | None
    platform: Platform
    sites: dict[str, Path]
    runner_files: dict[str, Path]

    @classmethod
    def of(cls, bundle: Bundle, choice: EngineChoice, runner: Runner | None, platform: Platform) -> Release:
        sites = {site_name(wheel): wheel for wheel in choice.wheels}
        files = {} if runner is None else {sha256(path): path for path in runner.files.values()}
        return cls(bundle, choice, runner, platform, sites, files)

    def key(self) -> str:
        """All of it as one hash: the same key means the same files, started alike on the same kind of processor."""
        variants = [variant.name for variant in self.choice.variants]
        files = [self._part(variants).texts[MANIFEST], sorted(self.sites), sorted(self.runner_files)]
        machine = [self.platform.machine, sorted(self.platform.cpu_parts), self.platform.python_path]
        return hashlib.sha256(json.dumps([files, machine]).encode()).hexdigest()

    def files(self, variants: Sequence[str]) -> dict[str, Path]:
        """Everything but wheels that a release with these variants needs: hex SHA-256 -> file here."""
        stored = self._stored(variants, whole=True)
        return {**{each.sha256: self.bundle.folder / each.file for each in stored}, **self.runner_files}

    def for_use(self, variants: Sequence[str]) -> Folder:
        """The bundle with these variants alone."""
        return self._part(variants)

    def for_test(self, variant: str) -> Folder:
        """A bundle of one variant, its golden frames and its view check: a process that tests it reads nothing else."""
        return self._part([variant], whole=False)

    def for_runner(self) -> Folder:
        files = {} if self.runner is None else self.runner.files
        hashes = {path: content for content, path in self.runner_files.items()}
        return Folder({name: hashes.get(path) or sha256(path) for name, path in files.items()})

    def needs(self, variants: Sequence[str]) -> str:
        """What a release with these variants refers to, one path a line."""
        contents = [*(each.sha256 for each in self._stored(variants, whole=True)), *self.runner_files]
        return "".join(f"{path}\n" for path in (*(f"store/{c}" for c in contents), *(f"site/{s}" for s in self.sites)))

    def worker(self, root: str, release: str) -> tuple[str, ...]:
        """Starts the worker of a release: the native runner, or the device's own Python with what was brought alone.

        Neither writes outside ``root``.
        """
        if self.runner is not None:
            return self.runner.command(f"{root}/releases/{release}/runner")
        path = ":".join(f"{root}/site/{name}" for name in self.sites)
        python = self.platform.python_path or "python3"
        return ("env", f"PYTHONPATH={path}", f"TMPDIR={root}", python, "-S", "-P", "-m", "fetaledge_runtimes")

    def _stored(self, variants: Sequence[str], whole: bool) -> list[StoredFile]:
        models = [stored for v in self.choice.variants if v.name in variants for stored in v.files]
        return [*models, *self._others(whole)]

    def _others(self, whole: bool) -> tuple[StoredFile, ...]:
        manifest = self.bundle.manifest
        return tuple(stored for stored in manifest.others if whole or stored.file in (GOLDEN, manifest.view))

    def _part(self, variants: Sequence[str], whole: bool = True) -> Folder:
        manifest = replace(
            self.bundle.manifest,
            variants=tuple(v for v in self.choice.variants if v.name in variants),
            others=self._others(whole),
        )
        links = {stored.file: stored.sha256 for stored in self._stored(variants, whole)}
        return Folder(links, {MANIFEST: to_text(manifest) + "\n"})
