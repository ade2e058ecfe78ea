"""The benchmark itself: every row in fresh processes, interleaved, on one target."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fetaledge_benchmarks.plan import Reference, Sampling, choose_variants, plan_rows
from fetaledge_benchmarks.record import Measurement, build_record
from fetaledge_benchmarks.targets.base import Target
from fetaledge_benchmarks.worker import Answer, WorkerFailed, run_worker
from fetaledge_benchmarks.workload import Workload, write_workload
from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.errors import FetalEdgeError
from fetaledge_runtimes.evaluation import CaseScore, score_case
from fetaledge_runtimes.frame import Image, LabelledFrames

SAMPLES = 60
ROUNDS = 6
TIMEOUT_S = 300.0
TIMEOUT_PER_FRAME_S = 60.0


def run_benchmark(
    bundle_folder: Path,
    data: LabelledFrames,
    *,
    threads: Sequence[int],
    variants: Sequence[str] | None,
    reference: Reference | None,
    samples: int = SAMPLES,
    rounds: int = ROUNDS,
    seed: int = 0,
    target: Target,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Measure a bundle's variants, and a reference, in one run; the record ``fetaledge/benchmark/1``.

    First each model predicts every labelled frame once, in a process of its own, for its accuracy. Then come the
    rounds: in each, every row (model and thread count) loads its model in a fresh process and takes its share of the
    samples over the same few frames; the rows' order is shuffled anew in every round, so that a noisy neighbour hits
    all alike. A row whose worker fails stays in the record, invalid, with the reason. No process and no temporary
    folder stays behind, also after Ctrl-C.

    Args:
        threads: the thread counts of the variants' rows.
        variants: their names; all of the bundle's without.
        samples: of each row, in all; ``rounds``: the processes that they are spread over.
        seed: of the rows' order.
        progress: called with one line before each process.

    Raises:
        UsageError: no such variant, a thread count below 1, fewer samples than rounds.
        BundleError, InputError: the bundle or the data set cannot be used.
        TargetError: the target was lost.
    """
    sampling = Sampling(samples, rounds, seed)
    bundle = Bundle.open(bundle_folder)
    chosen = choose_variants(bundle, variants)
    with tempfile.TemporaryDirectory(prefix="fetaledge-benchmark-") as name:
        work = Path(name)
        try:
            place = target.send(bundle.folder)
            rows = plan_rows(chosen, threads, target.worker, place, reference)
            progress(f"writing {len(data)} frames")
            run = _Run(target, write_workload(data, work), work, progress, _hidden(place, bundle, work))
            measurements = [Measurement(row) for row in rows]
            run.predict(measurements)
            run.time(measurements, sampling)
            progress(f"scoring the masks of {len(data)} frames")
            run.score(measurements, data, bundle.manifest.task)
        finally:
            target.remove()
        return build_record(bundle, data.name, run.workload, target, sampling, measurements)


@dataclass
class _Run:
    target: Target
    workload: Workload
    work: Path
    progress: Callable[[str], None]
    hidden: dict[str, str]
    masks: dict[str, Path] = field(default_factory=dict)

    def predict(self, measurements: Sequence[Measurement]) -> None:
        """Let the first row of each model write its masks of every frame; a model that cannot is given up."""
        every = self.target.send(self.workload.every)
        into = self.work / "masks"
        into.mkdir()
        masks_place = self.target.send(into)
        firsts = list({m.row.name: m for m in reversed(measurements)}.values())[::-1]
        for number, first in enumerate(firsts, 1):
            self.progress(f"accuracy {number} of {len(firsts)}: {first.row.name}")
            folder = into / first.row.name
            place = f"{masks_place}/{first.row.name}"
            timeout_s = TIMEOUT_S + TIMEOUT_PER_FRAME_S * self.workload.frames
            try:
                self._worker(first, every, 0, 0, timeout_s, place)
            except WorkerFailed as failure:
                for measurement in measurements:
                    if measurement.row.name == first.row.name:
                        measurement.failure = str(failure)
                continue
            self.target.fetch(place, folder)
            self.masks[first.row.name] = folder

    def time(self, measurements: Sequence[Measurement], sampling: Sampling) -> None:
        """Take the samples, round by round; a row that fails once is given up."""
        timing = self.target.send(self.workload.timing)
        total = sampling.rounds * len(measurements)
        done = 0
        for number, (order, share) in enumerate(
            zip(sampling.order(len(measurements)), sampling.per_round(), strict=True), 1
        ):
            for index in order:
                measurement = measurements[index]
                done += 1
                if measurement.failure is not None:
                    continue
                self.progress(f"round {number} of {sampling.rounds}: {measurement.row.label} ({done} of {total})")
                timeout_s = TIMEOUT_S + TIMEOUT_PER_FRAME_S * (share + sampling.warmup)
                before = self.target.facts().conditions
                try:
                    answer = self._worker(measurement, timing, share, sampling.warmup, timeout_s, None)
                except WorkerFailed as failure:
                    measurement.failure = str(failure)
                else:
                    measurement.answers.append(answer)
                measurement.conditions += [before, self.target.facts().conditions]

    def score(self, measurements: Sequence[Measurement], data: LabelledFrames, task: str) -> None:
        """Compare the masks with the labels, reading each labelled frame once."""
        scores: dict[str, list[CaseScore]] = {name: [] for name in self.masks}
        failures: dict[str, str] = {}
        for case in data:
            for name, folder in self.masks.items():
                if name in failures:
                    continue
                try:
                    scores[name].append(score_case(case, _read_mask(folder / f"{case.name}.png"), task))
                except FetalEdgeError as error:
                    failures[name] = error.message
        for measurement in measurements:
            name = measurement.row.name
            if name in failures:
                measurement.failure = measurement.failure or failures[name]
            elif name in scores:
                measurement.scores = tuple(scores[name])

    def _worker(
        self, measurement: Measurement, frames: str, samples: int, warmup: int, timeout_s: float, masks: str | None
    ) -> Answer:
        return run_worker(
            self.target,
            measurement.row,
            frames=frames,
            samples=samples,
            warmup=warmup,
            timeout_s=timeout_s,
            masks=masks,
            hidden=self.hidden,
        )


def _hidden(place: str, bundle: Bundle, work: Path) -> dict[str, str]:
    """Machine paths that an error's text may hold, and what stands for them in a record that people pass on."""
    hidden = {place: bundle.manifest.name, str(bundle.folder): bundle.manifest.name, str(work): "."}
    if str(Path.home()) != Path.home().anchor:
        hidden[str(Path.home())] = "~"
    return hidden


def _read_mask(path: Path) -> Image:
    data = np.frombuffer(path.read_bytes(), np.uint8) if path.is_file() else np.empty(0, np.uint8)
    mask = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
    if mask is None or mask.dtype != np.uint8 or mask.ndim != 2:
        raise FetalEdgeError(f"the worker wrote no mask for the frame {path.stem}")
    return mask  # type: ignore[return-value]
