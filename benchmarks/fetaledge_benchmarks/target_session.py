"""One target's share of a benchmark: deploy, predict every frame, take the samples; keep what was had if it is lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from fetaledge_benchmarks.benchmark_frames import Workload
from fetaledge_benchmarks.mask_agreement import LOCAL
from fetaledge_benchmarks.plan import Reference, Sampling, plan_rows
from fetaledge_benchmarks.row_measurement import Measurement
from fetaledge_benchmarks.worker_client import Answer, WorkerFailed, run_worker
from fetaledge_devices.deploy.deploy import deploy
from fetaledge_devices.deploy.deployment import Deployment
from fetaledge_devices.facts.cores import pinned_cores
from fetaledge_devices.facts.model import Conditions, Facts
from fetaledge_devices.targets.base import ConnectionLost, Target
from fetaledge_runtimes.bundle import Bundle, choose_variants
from fetaledge_runtimes.errors import FetalEdgeError, TargetError

TIMEOUT_S = 300.0
TIMEOUT_PER_FRAME_S = 60.0
SLOWEST_PACE = 20.0
"""How many times longer a frame may take in a timed process than it took on average in the one for accuracy."""
ATTEMPTS = 3
"""How often one process is begun on a target whose connection drops."""
RECONNECT_S = 120.0
COOL_WITHIN_C = 2.0
COOL_POLL_S = 5.0

T = TypeVar("T")


@dataclass(frozen=True)
class Wanted:
    """What is asked of every target.

    Attributes:
        threads, variants, sampling: of the rows.
        engines: pins such as ``onnxruntime==1.22.0`` for deploying.
        sustained_minutes: how long each row then runs on, for latency over time; None: not at all.
        cool_down_s: the longest wait before a process for the temperature that the target began with; None: none.
        benchmark_model: Google's program of that name, for the TFLite variants on phones; None: not there.
    """

    threads: tuple[int, ...]
    variants: tuple[str, ...] | None
    sampling: Sampling
    engines: tuple[str, ...] = ()
    sustained_minutes: float | None = None
    cool_down_s: float | None = None
    benchmark_model: Path | None = None


@dataclass
class Share:
    """What gathers about one target; ``lost`` is the sentence why it dropped out, its other fields hold what was had.

    Attributes:
        masks: per model, the folder here with its masks, ``NAME.png`` or, from a native runner, ``NAME.logits``.
        order: the rows' labels in the order their processes ran, a list a round; None: no round was begun.
        interruptions: how often the connection dropped.
        pace_s: per model, how long a frame took in its process for accuracy, start and load included.
        hidden: paths that an error's text may hold -> what stands for them in a record that people pass on.
    """

    target: Target
    bundle: Bundle
    workload: Workload
    work: Path
    progress: Callable[[str], None]
    measurements: list[Measurement] = field(default_factory=list)
    masks: dict[str, Path] = field(default_factory=dict)
    facts: Facts | None = None
    after: Conditions | None = None
    deployment: Deployment | None = None
    lost: str | None = None
    order: list[list[str]] | None = None
    interruptions: int = 0
    hidden: dict[str, str] = field(default_factory=dict)
    pace_s: dict[str, float] = field(default_factory=dict)

    @property
    def emulated(self) -> bool:
        return self.target.emulated

    def take(
        self, wanted: Wanted, reference: Reference | None, *, accuracy_only: bool = False, alone: bool = False
    ) -> None:
        """Everything, in order. What the target was sent for this is gone from it afterwards.

        A target that cannot be reached, drops out or fails ends its own share: ``lost`` says why. One that is ``alone``
        raises instead, where it is this machine: there is nothing else to save.
        """
        try:
            with self.target.session():
                try:
                    self._take(wanted, reference, accuracy_only)
                finally:
                    with suppress(TargetError):  # whoever comes next sweeps it away
                        self.target.remove()
        except (FetalEdgeError, OSError) as error:
            if alone and self.target.name == LOCAL:
                raise
            self.lost = str(error)

    def _take(self, wanted: Wanted, reference: Reference | None, accuracy_only: bool) -> None:
        chosen = choose_variants(self.bundle, wanted.variants)
        self.facts = self.steady(self.target.facts)
        deployment = self.deployment = self.steady(
            partial(
                deploy,
                self.bundle.folder,
                self.target,
                variants=[variant.name for variant in chosen],
                engines=wanted.engines,
                progress=self.progress,
                strict=False,
            )
        )
        self.hidden = _hidden(deployment.place, self.bundle, self.work)
        self.measurements += [
            Measurement(row, failure=deployment.refused.get(row.name))
            for row in plan_rows(
                chosen, wanted.threads, deployment.worker, deployment.place, reference, native=deployment.native
            )
        ]
        if self._runs:
            self._predict()
        if self._runs and not self.emulated and not accuracy_only:
            self._measure(wanted, deployment.native)
        with suppress(TargetError):
            self.after = self.target.conditions()

    def _measure(self, wanted: Wanted, native: bool) -> None:
        self._pin()
        timing = self.steady(partial(self.target.send, self._frames[1]))
        self.order = [
            [self.measurements[index].row.label for index in order]
            for order in wanted.sampling.order(len(self.measurements))
        ]
        self._time(wanted, timing)
        from fetaledge_benchmarks.sustained import sustain
        from fetaledge_benchmarks.tflite_benchmark_model import time_with_googles_tool

        if wanted.benchmark_model is not None and native:
            time_with_googles_tool(self, wanted.benchmark_model, wanted.sampling)
        if wanted.sustained_minutes is not None:
            sustain(self, wanted.sustained_minutes, wanted.cool_down_s, timing)

    def steady(self, call: Callable[[], T]) -> T:
        """What ``call`` gives; it is called again where the connection dropped and the target came back."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return call()
            except ConnectionLost as error:
                self.interruptions += 1
                self.progress(f"the connection was lost ({error.message}); waiting for it")
                if attempt == ATTEMPTS or not self.target.wait(RECONNECT_S):
                    raise
                self.progress("connected again: what was interrupted begins anew")
        raise AssertionError("unreachable")

    @property
    def _runs(self) -> bool:
        """Whether any row is left; else there is nothing to send frames for."""
        return any(measurement.failure is None for measurement in self.measurements)

    @property
    def _frames(self) -> tuple[Path, Path]:
        return self.workload.folders(self.deployment is not None and self.deployment.native)

    def _predict(self) -> None:
        """Let the first row of each model predict every frame; a model that cannot is given up."""
        every = self.steady(partial(self.target.send, self._frames[0]))
        into = self.work / "masks"
        into.mkdir(parents=True)
        masks_place = self.steady(partial(self.target.send, into))
        firsts = list({m.row.name: m for m in reversed(self.measurements)}.values())[::-1]
        for number, first in enumerate(firsts, 1):
            if first.failure is not None:
                continue
            self.progress(f"accuracy {number} of {len(firsts)}: {first.row.name}")
            folder = into / first.row.name
            place = f"{masks_place}/{first.row.name}"
            timeout_s = TIMEOUT_S + TIMEOUT_PER_FRAME_S * self.workload.frames
            begun = time.monotonic()
            try:
                first.answer_of_accuracy = self._worker(first, every, 0, 0, timeout_s, place)
            except WorkerFailed as failure:
                for measurement in self.measurements:
                    if measurement.row.name == first.row.name:
                        measurement.failure = str(failure)
                continue
            self.pace_s[first.row.name] = (time.monotonic() - begun) / self.workload.frames
            self.steady(partial(self.target.fetch, place, folder))
            self.masks[first.row.name] = folder

    def _pin(self) -> None:
        """Hold each row's workers to the fastest cores that its threads fill, where the cores are not all alike."""
        if self.facts is None or not self.facts.platform.taskset:
            return
        for measurement in self.measurements:
            cores = pinned_cores(self.facts, measurement.row.threads)
            if cores:
                measurement.pinned = cores

    def _time(self, wanted: Wanted, timing: str) -> None:
        """Take the samples, round by round; a row that fails once is given up."""
        sampling = wanted.sampling
        total = sampling.rounds * len(self.measurements)
        done = 0
        for number, (order, share) in enumerate(
            zip(sampling.order(len(self.measurements)), sampling.per_round(), strict=True), 1
        ):
            for index in order:
                measurement = self.measurements[index]
                done += 1
                if measurement.failure is not None:
                    continue
                self.progress(f"round {number} of {sampling.rounds}: {measurement.row.label} ({done} of {total})")
                before = self.cooled(wanted.cool_down_s)
                try:
                    answer = self.sampled(measurement, timing, share, sampling.warmup)
                except WorkerFailed as failure:
                    measurement.failure = str(failure)
                else:
                    measurement.answers.append(answer)
                measurement.conditions += [before, self.conditions()]

    def conditions(self) -> Conditions:
        """How the target is now."""
        return self.steady(self.target.conditions)

    def sampled(self, measurement: Measurement, timing: str, samples: int, warmup: int) -> Answer:
        """One process of a row that takes so many samples over the frames at ``timing`` there."""
        per_frame_s = min(TIMEOUT_PER_FRAME_S, SLOWEST_PACE * self.pace_s[measurement.row.name])
        timeout_s = TIMEOUT_S + per_frame_s * (samples + warmup)
        return self._worker(measurement, timing, samples, warmup, timeout_s, None)

    def cooled(self, longest_s: float | None) -> Conditions:
        """The conditions, after waiting until the target is about as cool as when it began."""
        conditions = self.conditions()
        start_c = self.facts.conditions.temperature_c if self.facts is not None else None
        if start_c is None or longest_s is None:
            return conditions
        end = time.monotonic() + longest_s
        while (conditions.temperature_c or start_c) > start_c + COOL_WITHIN_C and time.monotonic() < end:
            self.progress(f"cooling down: {conditions.temperature_c:.0f} °C, began at {start_c:.0f} °C")
            self.target.pause(min(COOL_POLL_S, max(0.0, end - time.monotonic())))
            conditions = self.conditions()
        return conditions

    def _worker(
        self, measurement: Measurement, frames: str, samples: int, warmup: int, timeout_s: float, masks: str | None
    ) -> Answer:
        """One process; begun again where the connection dropped and the target came back."""
        before = self.interruptions
        try:
            return self.steady(
                partial(
                    run_worker,
                    self.target,
                    measurement.row,
                    prefix=measurement.prefix,
                    frames=frames,
                    samples=samples,
                    warmup=warmup,
                    timeout_s=timeout_s,
                    masks=masks,
                    hidden=self.hidden,
                )
            )
        finally:
            measurement.interruptions += self.interruptions - before


def _hidden(place: str, bundle: Bundle, work: Path) -> dict[str, str]:
    """Machine paths that an error's text may hold, and what stands for them in a record that people pass on."""
    hidden = {place: bundle.manifest.name, str(bundle.folder): bundle.manifest.name, str(work): "."}
    if str(Path.home()) != Path.home().anchor:
        hidden[str(Path.home())] = "~"
    return hidden
