"""A benchmark on one target: deploy the bundle, predict every frame, take the samples."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from fetaledge_benchmarks.benchmark_frames import Workload
from fetaledge_benchmarks.options import BenchmarkOptions
from fetaledge_benchmarks.plan import Reference, plan_rows
from fetaledge_benchmarks.row_measurement import Measurement
from fetaledge_benchmarks.sustained import sustain
from fetaledge_benchmarks.target_session import FRAME_TIMEOUT_S, START_TIMEOUT_S, TargetSession
from fetaledge_benchmarks.tflite_benchmark_model import time_with_benchmark_model
from fetaledge_benchmarks.worker_client import WorkerFailed
from fetaledge_devices.deploy.deploy import deploy
from fetaledge_devices.deploy.deployment import Deployment
from fetaledge_devices.facts.cores import pinned_cores
from fetaledge_devices.facts.model import Conditions
from fetaledge_devices.targets.base import Target
from fetaledge_runtimes.bundle import Bundle, choose_variants
from fetaledge_runtimes.errors import FetalEdgeError, OutputError, TargetError


@dataclass
class TargetRun:
    """State and results of a benchmark on one target. Where the target dropped out, the results so far.

    Attributes:
        session: the connection.
        bundle: its variants are measured.
        workload: the frames.
        work: a folder of this machine for temporary files, not yet made.
        measurements: one a row.
        masks: model -> the folder here with its masks, ``NAME.png`` or, from a native runner, ``NAME.logits``.
        after: the target's state after the last process.
        deployment: the bundle on the target; None before it is there.
        lost: the sentence why the target dropped out; None: it did not.
        order: the rows' labels in the order their processes ran, a list a round; None: no round was begun.
    """

    session: TargetSession
    bundle: Bundle
    workload: Workload
    work: Path
    measurements: list[Measurement] = field(default_factory=list)
    masks: dict[str, Path] = field(default_factory=dict)
    after: Conditions | None = None
    deployment: Deployment | None = None
    lost: str | None = None
    order: list[list[str]] | None = None

    @property
    def target(self) -> Target:
        """The machine."""
        return self.session.target

    @property
    def native(self) -> bool:
        """Whether the worker there takes prepared frames and gives logits."""
        return self.deployment is not None and self.deployment.native

    def take(self, options: BenchmarkOptions, reference: Reference | None, *, alone: bool = False) -> None:
        """Measure everything, in order, and remove what was sent to the target for it.

        A target that cannot be reached, drops out or fails ends its own run: ``lost`` says why.

        Args:
            options: of the benchmark.
            reference: also measured; None: no reference.
            alone: where the target is this machine, raise instead: there are no other results to save.

        Raises:
            OutputError: this machine's disk is full or read-only.
            FetalEdgeError, OSError: the run failed, and it is ``alone`` on this machine.
        """
        try:
            with self.target.session():
                try:
                    self._take(options, reference)
                finally:
                    with suppress(TargetError):  # the next session there removes it
                        self.target.remove()
        except OutputError:  # this machine's disk, which every target's results need
            raise
        except (FetalEdgeError, OSError) as error:
            if alone and self.target.is_local:
                raise
            self.lost = str(error)

    def _take(self, options: BenchmarkOptions, reference: Reference | None) -> None:
        chosen = choose_variants(self.bundle, options.variants)
        session = self.session
        session.facts = session.retry_on_reconnect(self.target.facts)
        deployment = self.deployment = session.retry_on_reconnect(
            partial(
                deploy,
                self.bundle.folder,
                self.target,
                variants=[variant.name for variant in chosen],
                engines=options.engines,
                ignore_memory=options.ignore_memory,
                progress=session.progress,
                strict=False,
            )
        )
        session.hidden = _hidden(deployment.place, self.bundle, self.work)
        self.measurements += [
            Measurement(row, failure=deployment.refused.get(row.name))
            for row in plan_rows(
                chosen, options.threads, deployment.worker, deployment.place, reference, native=deployment.native
            )
        ]
        if self._usable:
            self._predict()
        if self._usable and not self.target.emulated and not options.accuracy_only:
            self._measure(options)
        with suppress(TargetError):
            self.after = self.target.conditions()

    @property
    def _usable(self) -> bool:
        """Whether any row is left; else no frame needs to be sent."""
        return any(measurement.failure is None for measurement in self.measurements)

    def _predict(self) -> None:
        """Let the first row of each model predict every frame; drop a model that cannot."""
        retry = self.session.retry_on_reconnect
        frames = retry(partial(self.target.send, self.workload.folders(self.native)[0]))
        into = self.work / "masks"
        into.mkdir(parents=True)
        masks_place = retry(partial(self.target.send, into))
        firsts = list({m.row.name: m for m in reversed(self.measurements)}.values())[::-1]
        for number, first in enumerate(firsts, 1):
            if first.failure is not None:
                continue
            self.session.progress(f"accuracy {number} of {len(firsts)}: {first.row.name}")
            folder = into / first.row.name
            place = f"{masks_place}/{first.row.name}"
            timeout_s = START_TIMEOUT_S + FRAME_TIMEOUT_S * self.workload.frames
            begun = time.monotonic()
            try:
                first.accuracy_result = self.session.run_process(first, frames, 0, 0, timeout_s, place)
            except WorkerFailed as failure:
                for measurement in self.measurements:
                    if measurement.row.name == first.row.name:
                        measurement.failure = str(failure)
                continue
            self.session.pace_s[first.row.name] = (time.monotonic() - begun) / self.workload.frames
            retry(partial(self.target.fetch, place, folder))
            self.masks[first.row.name] = folder

    def _measure(self, options: BenchmarkOptions) -> None:
        self.pin()
        frames = self.session.retry_on_reconnect(partial(self.target.send, self.workload.folders(self.native)[1]))
        sampling = options.sampling
        self.order = [
            [self.measurements[index].row.label for index in order] for order in sampling.order(len(self.measurements))
        ]
        self._time(options, frames)
        if options.benchmark_model is not None and self.native:
            time_with_benchmark_model(self.session, self.measurements, options.benchmark_model, self.work, sampling)
        if options.sustained_minutes is not None:
            sustain(self.session, self.measurements, options.sustained_minutes, options.cool_down_s, frames)

    def pin(self) -> None:
        """Hold each row's processes to the fastest cores that its threads fill, where the cores are not all alike."""
        facts = self.session.facts
        if facts is None or not facts.platform.taskset:
            return
        for measurement in self.measurements:
            cores = pinned_cores(facts, measurement.row.threads)
            if cores:
                measurement.pinned = cores

    def _time(self, options: BenchmarkOptions, frames: str) -> None:
        """Take the samples, round by round; drop a row that fails once."""
        sampling = options.sampling
        total = sampling.rounds * len(self.measurements)
        done = 0
        for number, (order, samples) in enumerate(
            zip(sampling.order(len(self.measurements)), sampling.per_round(), strict=True), 1
        ):
            for index in order:
                measurement = self.measurements[index]
                done += 1
                if measurement.failure is not None:
                    continue
                label = measurement.row.label
                self.session.progress(f"round {number} of {sampling.rounds}: {label} ({done} of {total})")
                before = self.session.wait_until_cool(options.cool_down_s)
                try:
                    result = self.session.take_samples(measurement, frames, samples, sampling.warmup)
                except WorkerFailed as failure:
                    measurement.failure = str(failure)
                else:
                    measurement.results.append(result)
                measurement.conditions += [before, self.session.conditions()]


def _hidden(place: str, bundle: Bundle, work: Path) -> dict[str, str]:
    """Paths of a machine that an error's text may hold -> their replacements in a record that people pass on."""
    hidden = {place: bundle.manifest.name, str(bundle.folder): bundle.manifest.name, str(work): "."}
    if str(Path.home()) != Path.home().anchor:
        hidden[str(Path.home())] = "~"
    return hidden
