"""The self-test on a device, each variant in a process of its own: a crash becomes a sentence."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fetaledge_devices.deploy.known_faults import Fault, known_faults
from fetaledge_devices.deploy.release import Release
from fetaledge_devices.native_runner.exchange import read_logits, write_prepared
from fetaledge_devices.targets.base import Completed, Target
from fetaledge_devices.targets.failure_text import failure_text
from fetaledge_devices.targets.remote import RemoteTarget
from fetaledge_devices.targets.transfer import temporary_folder
from fetaledge_devices.wheels.pins import engine_package
from fetaledge_runtimes.bundle import Bundle, Variant
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.scan import find_scan
from fetaledge_runtimes.predictor import interpret
from fetaledge_runtimes.selftest import compare_golden, golden_frames
from fetaledge_runtimes.tasks.registry import task_named

SELF_TEST_TIMEOUT_S = 1800.0
SHOWN = 3  # golden frames that differ


@dataclass(frozen=True)
class Refusal:
    """Why a variant failed its self-test.

    Attributes:
        lasting: it would fail again, as golden frames differ or a fault is known; what ran out of memory or time, or
            could not be loaded, may pass the next time.
    """

    reason: str
    lasting: bool


def self_test(
    bundle: Bundle, target: RemoteTarget, release: Release, identifier: str, progress: Callable[[str], None]
) -> dict[str, Refusal]:
    """Test each variant of a release that lies in ``releases/IDENTIFIER`` there; why those that fail do.

    Raises:
        TargetError: the target was lost.
    """
    refused = {}
    variants, platform = release.choice.variants, release.platform
    worker = release.worker(target.root, identifier)
    for number, variant in enumerate(variants):
        progress(f"self-test {number + 1} of {len(variants)}: {variant.name}")
        place = f"{target.root}/releases/{identifier}/tests/{number}"
        package = engine_package(variant.format)
        version = release.choice.versions[package]
        faults = known_faults(package, version, platform.machine, platform.cpu_parts, variant.precision)
        if release.runner is not None:
            model = f"{place}/{variant.files[0].file}"
            refusal = probe_native(target, worker, model, bundle, variant, f"{package} {version}", faults)
        else:
            refusal = probe(target, worker, place, variant, f"{package} {version}", faults)
        if refusal is not None:
            refused[variant.name] = refusal
    return refused


def probe(
    target: Target, worker: Sequence[str], place: str, variant: Variant, engine: str, faults: Sequence[Fault]
) -> Refusal | None:
    """Run the golden frames of the bundle at ``place`` there; None where they pass, else why they do not.

    Args:
        engine: ``onnxruntime 1.31.1``, for the sentence.
        faults: known of this engine on this CPU.

    Raises:
        TargetError: the target was lost.
    """
    try:
        done = target.run([*worker, "verify", place, "--variant", variant.name, "--json"], SELF_TEST_TIMEOUT_S)
    except TimeoutError as error:
        return Refusal(f"the self-test {error}", False)
    if done.returncode < 0:
        return _crashed(done, engine, faults)
    try:
        (result,) = json.loads(done.stdout)["variants"]
    except (ValueError, KeyError, TypeError):
        return Refusal(failure_text(done).replace(place, variant.name), False)
    if result["result"] == "ok":
        return None
    details = [text.replace(place, "the bundle") for text in result["details"]]
    return Refusal(_listed(details, faults), result["result"] == "differs" or bool(faults))


def probe_native(
    target: Target,
    worker: Sequence[str],
    model: str,
    bundle: Bundle,
    variant: Variant,
    engine: str,
    faults: Sequence[Fault],
) -> Refusal | None:
    """The same on a device without Python: prepared frames go there, and the logits are judged here.

    Raises:
        TargetError: the target was lost.
    """
    grid, output = bundle.manifest.input, bundle.manifest.output
    frames = golden_frames(bundle, variant.name)
    with temporary_folder("fetaledge-golden-") as folder:
        given, answered = folder / "frames", folder / "logits"
        given.mkdir()
        answered.mkdir()
        named = [(f"{number:03d}", frame) for number, frame in enumerate(frames)]
        write_prepared(named, (grid.height, grid.width), given)
        place, into = target.send(given), target.send(answered)
        command = [*worker, model, "--frames", place, "--threads", "1", "--samples", "0", "--warmup", "0"]
        try:
            done = target.run([*command, "--masks", into], SELF_TEST_TIMEOUT_S)
        except TimeoutError as error:
            return Refusal(f"the self-test {error}", False)
        if done.returncode < 0:
            return _crashed(done, engine, faults)
        if done.returncode != 0:
            return Refusal(failure_text(done), False)
        target.fetch(into, answered)
        shape = (output.channels, output.height, output.width)
        task = task_named(bundle.manifest.task)
        try:
            predictions = [
                interpret(frame, read_logits(answered / f"{name}.logits", shape), task, crop=find_scan(frame.pixels))
                for name, frame in named
            ]
        except InputError as error:
            return Refusal(f"{engine} gave no usable logits: {error.message}", False)
    details = compare_golden(bundle, variant.name, predictions)
    return Refusal(_listed(details, faults), True) if details else None


def _crashed(done: Completed, engine: str, faults: Sequence[Fault]) -> Refusal:
    """Why a process was killed there: the known fault if there is one, else what its signal means."""
    known = [f"known: {fault}" for fault in faults]
    if done.returncode == -signal.SIGILL:
        meaning = known or ["it was built for another kind of core"]
        return Refusal("; ".join([f"{engine} ended with an illegal instruction", *meaning]), bool(known))
    if done.returncode == -signal.SIGKILL:
        return Refusal(f"{engine} was killed by the system, as happens when memory runs out", False)
    text = failure_text(done).removeprefix("the worker ")
    return Refusal("; ".join([f"{engine} {text}", *known]), bool(known))


def _listed(details: Sequence[str], faults: Sequence[Fault]) -> str:
    more = [f"and {len(details) - SHOWN} more"] if len(details) > SHOWN else []
    return "; ".join([*details[:SHOWN], *more, *(f"known: {fault}" for fault in faults)])
