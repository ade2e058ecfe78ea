"""Deploying: send a bundle and all that it needs to a device, test it there, and only then put it to use."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from fetaledge_devices.deploy.address_book import KnownTarget, remember
from fetaledge_devices.deploy.deployment import Deployment, deploy_locally
from fetaledge_devices.deploy.device_store import Inventory, Store, unpacked_mb
from fetaledge_devices.deploy.engine_choice import EngineChoice, choose, choose_native
from fetaledge_devices.deploy.release import Release, ReleaseRecord
from fetaledge_devices.deploy.self_test import self_test
from fetaledge_devices.facts.model import Platform
from fetaledge_devices.native_runner import build
from fetaledge_devices.native_runner.build import Runner
from fetaledge_devices.targets import open_target
from fetaledge_devices.targets.base import ConnectionLost, Target
from fetaledge_devices.targets.remote import RemoteTarget, is_remote
from fetaledge_devices.wheels.pins import pinned_versions
from fetaledge_devices.wheels.wheel_tags import describe
from fetaledge_runtimes.bundle import Bundle, Variant, choose_variants
from fetaledge_runtimes.errors import GateFailed, InputError, OutputError, TargetError, UsageError
from fetaledge_runtimes.files import sha256
from fetaledge_runtimes.records import from_json, to_text


def deploy(
    bundle_folder: Path,
    target: Target,
    *,
    variants: Sequence[str] | None = None,
    engines: Sequence[str] = (),
    strict: bool = True,
    again: bool = False,
    ignore_memory: bool = False,
    progress: Callable[[str], None] = lambda line: None,
) -> Deployment:
    """Bring a bundle to a target with the engines that it needs, and run its golden frames there.

    Only what changed is sent; hashes are compared on arrival; each variant is tested in a process of its own; only
    then the device switches over, so that whatever fails before leaves the earlier deployment working. Nothing is
    written outside fetaledge's own folder.

    Args:
        variants: their names; all of the bundle's without.
        engines: versions to keep to, ``onnxruntime==1.21.0``.
        strict: False for measuring: what cannot be used is only named in ``refused``, and a deployment that the device
            uses already stays the one it uses.
        again: test again what was tested there before and has not changed since; packages that were damaged there
            are brought again.
        ignore_memory: also try what is estimated to need more memory than the device has available.
        progress: called with one line before each step that takes long.

    Raises:
        UsageError: no such variant; a version that cannot be read, before the target is asked anything; with
            ``strict``, one for this machine, where what is installed is used.
        TargetError: the device is lost, full, or of a kind that nothing runs on; with ``strict``, no variant or not
            every named one can run there.
        GateFailed: with ``strict``, no variant or not every named one passed the self-test.
    """
    pinned = pinned_versions(engines)
    bundle = Bundle.open(bundle_folder)
    chosen = choose_variants(bundle, variants)
    if not is_remote(target):
        if strict:
            check_engines(engines, [target.name])
        return deploy_locally(bundle, chosen, target, pinned)
    with target.session():
        named = tuple(variants or ()) if strict else ()
        try:
            return _Deploying(
                bundle, chosen, target, tuple(engines), named, strict, again, ignore_memory, progress
            ).deploy()
        finally:
            with suppress(TargetError):  # a connection that is lost says so itself
                target.remove()


def check_engines(engines: Sequence[str], targets: Sequence[str]) -> None:
    """Refuse versions of engines that cannot be read, or that none of the targets could be given.

    Raises:
        UsageError: with the one that was given.
    """
    if pinned_versions(engines) and all(open_target(target).is_local for target in targets):
        raise UsageError(
            f"the engine {engines[0]!r} was given for this machine, where what is installed is used",
            "install that version here, or name a device",
        )


@dataclass
class _Deploying:
    """One deployment, step by step; ``named``: the variants that were asked for by name."""

    bundle: Bundle
    chosen: tuple[Variant, ...]
    target: RemoteTarget
    engines: tuple[str, ...]
    named: tuple[str, ...]
    strict: bool
    again: bool
    ignore_memory: bool
    progress: Callable[[str], None]
    sent_mb: float = 0.0
    checked: bool = False  # the packages there were compared with what was unpacked

    def deploy(self) -> Deployment:
        platform = self.target.facts().platform
        self.progress(describe(platform))
        if platform.volatile:
            self.progress("its folder lies in memory or on an overlay: a restart may take the deployment away")
        runner = self._runner(platform)
        choice = self._choose(platform, runner)
        self._raise_if_refused(TargetError, choice.refused, bool(choice.variants))
        release = Release.of(self.bundle, choice, runner, platform)
        if not choice.variants:
            return self._deployment(release, None)
        store = Store(self.target, platform.is_android)
        inventory = self._checked(store, release) if self.again else store.inventory()
        return self._reuse(store, inventory, release) or self._renew(store, inventory, release)

    def _runner(self, platform: Platform) -> Runner | None:
        if not platform.is_android:
            return None
        if platform.machine != "aarch64":
            raise TargetError(
                f"{self.target.name} is a phone with {platform.machine} programs where 64-bit Arm was expected",
                "the native runner has no build for it",
            )
        formats = [name for name in build.LIBRARIES if any(variant.format == name for variant in self.chosen)]
        return build.build_runner(formats, self.engines, self.progress) if formats else None

    def _choose(self, platform: Platform, runner: Runner | None) -> EngineChoice:
        if platform.is_android:
            versions = {} if runner is None else runner.versions
            return choose_native(
                self.bundle.manifest, self.chosen, platform, versions, ignore_memory=self.ignore_memory
            )
        return choose(self.bundle.manifest, self.chosen, platform, self.engines, ignore_memory=self.ignore_memory)

    def _checked(self, store: Store, release: Release) -> Inventory:
        """What lies there, without the unpacked packages that were damaged since."""
        inventory = store.inventory()
        damaged = store.damaged([name for name in release.sites if name in inventory.sites])
        if damaged:
            self.progress(f"damaged there, and brought again: {', '.join(sorted(damaged))}")
        self.checked = True
        return replace(inventory, sites=inventory.sites - damaged)

    def _send(self, store: Store, inventory: Inventory, release: Release) -> None:
        """Bring what is missing: the files of bundle and runner, wheels that are not unpacked yet."""
        wheels = {sha256(wheel): name for name, wheel in release.sites.items() if name not in inventory.sites}
        candidates = [variant.name for variant in release.choice.variants]
        wanted = {**release.files(candidates), **{content: release.sites[name] for content, name in wheels.items()}}
        missing = store.missing(wanted)
        unpacked = sum(unpacked_mb(release.sites[name]) for name in wheels.values())
        size_mb = sum(path.stat().st_size for path in missing.values()) / 1e6
        if missing:
            self.progress(f"sending {len(missing)} files, {size_mb:.1f} MB")
            store.send(missing, size_mb + unpacked, release.platform.free_mb)
            self.sent_mb += size_mb
        if wheels:
            self.progress(f"unpacking {len(wheels)} packages")
            store.unpack(wheels)

    def _reuse(self, store: Store, inventory: Inventory, release: Release) -> Deployment | None:
        """A release of the very same files that was tested on this device before, if it is still whole.

        A variant that failed for a reason that may have passed has no result there, and is tested again.
        """
        identifier = inventory.keys.get(release.key())
        earlier = _earlier(store, identifier) if identifier is not None and not self.again else None
        if identifier is None or earlier is None or not inventory.sites.issuperset(release.sites):
            return None
        passed = earlier.variants
        refused = {name: f"{reason} (tested earlier)" for name, reason in earlier.refused.items()}
        untested = [v for v in release.choice.variants if v.name not in passed and v.name not in refused]
        if untested or any(name in refused for name in self.named) or store.missing(release.files(passed)):
            return None
        current = self.strict or identifier == inventory.current
        if self.strict and identifier != inventory.current:
            store.switch(identifier, inventory.current)
        return self._deployment(release, identifier, passed, refused, False, current)

    def _renew(self, store: Store, inventory: Inventory, release: Release) -> Deployment:
        """Build a release beside what is there, test it, give it its name, and switch over."""
        self._send(store, inventory, release)
        key = release.key()
        identifier = next(
            name
            for name in (f"{key[:12]}-{number}" for number in range(len(inventory.releases) + 1))
            if name not in inventory.releases
        )
        partial = f"{identifier}.partial"
        runner = {} if release.runner is None else {"runner": release.for_runner()}
        tests = {f"tests/{n}": release.for_test(v.name) for n, v in enumerate(release.choice.variants)}
        store.begin(partial, {**runner, **tests})
        failed = self_test(self.bundle, self.target, release, partial, self.progress)
        lasting = {name: refusal.reason for name, refusal in failed.items() if refusal.lasting}
        if len(lasting) < len(failed) and not self.checked:
            sound = self._checked(store, release)
            if not sound.sites.issuperset(release.sites):
                return self._renew(store, sound, release)
        refused = {name: refusal.reason for name, refusal in failed.items()}
        passed = [variant.name for variant in release.choice.variants if variant.name not in refused]
        if not passed or any(name in refused for name in self.named):
            store.script(f"rm -rf releases/{partial}")
            self._raise_if_refused(GateFailed, refused, bool(passed))
            return self._deployment(release, None, refused=refused)
        texts = {
            "needs": release.needs(passed),
            "release.json": to_text(ReleaseRecord(variants=tuple(passed), refused=lasting)),
            "key": key,
        }
        if release.runner is None:
            texts["run"] = f'#!/bin/sh\nexec {shlex.join(release.worker(self.target.root, identifier))} "$@"\n'
        store.finish(partial, identifier, release.for_use(passed), texts)
        current = self.strict or inventory.current is None
        if current:
            store.switch(identifier, inventory.current)
        before = inventory.current if current else inventory.previous
        store.prune([name for name in (identifier, inventory.current, before) if name])
        return self._deployment(release, identifier, passed, refused, True, current)

    def _raise_if_refused(
        self, kind: type[TargetError] | type[GateFailed], refused: dict[str, str], any_left: bool
    ) -> None:
        """Raise where a variant that the user named is refused, or where none is left."""
        if not self.strict or not refused:
            return
        one, none = ("failed its self-test", "passed") if kind is GateFailed else ("cannot run", "can run")
        asked = [name for name in self.named if name in refused]
        if not asked and any_left:
            return
        sentence = f"{asked[0]} {one}" if asked else f"no variant {none}"
        reasons = [refused[asked[0]]] if asked else list(dict.fromkeys(refused.values()))
        raise kind(f"{sentence} on {self.target.name}: {'; '.join(reasons)}", "what was deployed there is as it was")

    def _deployment(
        self,
        release: Release,
        identifier: str | None,
        variants: Sequence[str] = (),
        refused: dict[str, str] | None = None,
        tested: bool = True,
        current: bool = False,
    ) -> Deployment:
        if identifier is not None:
            try:
                remember(
                    KnownTarget(address=self.target.name, bundle=self.bundle.manifest.name, variants=tuple(variants))
                )
            except OutputError as error:  # the device has switched over already
                self.progress(f"deployed, but `fetaledge devices` will not list it: {error}")
        choice = release.choice
        return Deployment(
            target=self.target,
            place=f"{self.target.root}/releases/{identifier}/bundle" if identifier else "",
            worker=release.worker(self.target.root, identifier or ""),
            native=release.platform.is_android,
            variants=tuple(variants),
            refused={**choice.refused, **(refused or {})},
            versions=choice.versions,
            notes=choice.notes,
            sent_mb=round(self.sent_mb, 3),
            tested=tested,
            current=current,
        )


def _earlier(store: Store, identifier: str) -> ReleaseRecord | None:
    """What the self-test of a release found; None where that is missing or cannot be read."""
    try:
        text = store.script(f"cat releases/{identifier}/release.json")
        return from_json(json.loads(text), ReleaseRecord, "release.json")
    except ConnectionLost:
        raise
    except (TargetError, InputError, ValueError):
        return None
