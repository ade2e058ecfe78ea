"""Count the cost of a bundle's variants on several CPUs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from fetaledge_benchmarks.cost.bound import WHAT, Core, bound, core_named
from fetaledge_benchmarks.cost.count import WARMUP, CountingFailed, Counts, Prepared, Processes, count, prepare
from fetaledge_benchmarks.cost.emulation.qemu import qemu_command
from fetaledge_benchmarks.cost.qemu_plugin import plugin_path
from fetaledge_benchmarks.cost.record import CostRecord, CostResult, core_facts, least_time
from fetaledge_runtimes.bundle import MANIFEST, Bundle, Variant, choose_variants
from fetaledge_runtimes.preprocess import network_input
from fetaledge_runtimes.selftest import golden_frames

NOTE = (
    f"Every time here is a {WHAT}: the least that the counted instructions can take on one core with no cache miss, no "
    "dependency and no misprediction. A real board takes longer. Instructions and bytes are counted in an emulator, of "
    "one inference on one thread after a warm-up, around the engine's call alone; two runs give the same counts."
)
BYTES_NOTE = "bytes that load instructions brought into registers, from whichever cache or memory held them"


def measure_cost(
    bundle_folder: Path | str,
    *,
    cpus: Sequence[str],
    variants: Sequence[str] | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> CostRecord:
    """Count one inference of each variant on each CPU, as many at once as this machine has cores.

    The frame is the bundle's first golden frame: a phantom. A variant that cannot run there has a ``failure`` instead
    of counts. Times are bounds, not measurements.

    Raises:
        BundleError: not a bundle, or one without golden frames.
        UsageError: an unknown CPU or variant.
        TargetError: QEMU, mmdebstrap or a compiler is missing, or the network is away at the first call.
        CountingFailed: nothing could be counted.
    """
    cores = [core_named(name) for name in dict.fromkeys(cpus)]
    bundle = Bundle.open(bundle_folder)
    chosen = choose_variants(bundle, variants or None)
    frame = golden_frames(bundle, chosen[0].name)[0]
    qemu_command(Path("/"), cores[0].name, {}, ["/"], plugin="any")  # a missing QEMU is said before anything is fetched
    plugin_path()
    rows: list[tuple[Variant, Core]] = [(variant, core) for variant in chosen for core in cores]
    with tempfile.TemporaryDirectory(prefix="fetaledge-cost-") as scratch:
        pixels = Path(scratch) / "frame.npy"
        np.save(pixels, network_input(frame.pixels, (bundle.manifest.input.height, bundle.manifest.input.width))[0])
        outcomes = _count_all(bundle, rows, pixels, Path(scratch), progress)
    if all(isinstance(outcome, CountingFailed) for outcome in outcomes):
        raise CountingFailed(f"no variant could be counted: {outcomes[0]}")
    results = [_result(bundle, variant, core, outcome) for (variant, core), outcome in zip(rows, outcomes, strict=True)]
    return CostRecord(
        bundle=bundle.manifest.name,
        note=NOTE,
        bytes_read_note=BYTES_NOTE,
        threads=1,
        warmup=WARMUP,
        frame=frame.source,
        multiply_adds_from=None if bundle.manifest.multiply_adds is None else MANIFEST,
        cpus=tuple(core_facts(core) for core in cores),
        results=tuple(results),
    )


def _count_all(
    bundle: Bundle, rows: Sequence[tuple[Variant, Core]], frame: Path, scratch: Path, progress: Callable[[str], None]
) -> list[Counts | CountingFailed]:
    outcomes: list[Counts | CountingFailed] = [CountingFailed("it was not run")] * len(rows)
    prepared: dict[int, Prepared] = {}
    for index, (variant, core) in enumerate(rows):
        progress(f"preparing {variant.name} for {core.name} ({index + 1} of {len(rows)})")
        try:
            prepared[index] = prepare(bundle, variant, core.name)
        except CountingFailed as failure:
            outcomes[index] = failure
    processes = Processes()
    with ThreadPoolExecutor(max(1, len(os.sched_getaffinity(0)))) as pool:
        pending: dict[Future[Counts], int] = {
            pool.submit(count, ready, frame, scratch, processes): index for index, ready in prepared.items()
        }
        try:
            for number, done in enumerate(as_completed(pending), 1):
                index = pending[done]
                variant, core = rows[index]
                try:
                    outcomes[index] = done.result()
                    said = "counted"
                except CountingFailed as failure:
                    outcomes[index] = failure
                    said = "failed"
                progress(f"{said} {variant.name} on {core.name} ({number} of {len(pending)})")
        except BaseException:
            processes.end()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return outcomes


def _result(bundle: Bundle, variant: Variant, core: Core, outcome: Counts | CountingFailed) -> CostResult:
    size = sum(stored.bytes for stored in variant.files if not stored.file.endswith(".xml"))
    row = CostResult(
        variant=variant.name,
        cpu=core.name,
        engine=variant.engine,
        multiply_adds=bundle.manifest.multiply_adds,
        model_bytes=size,
    )
    if isinstance(outcome, CountingFailed):
        return replace(row, failure=outcome.message)
    least = bound(core, outcome.executed, outcome.read, outcome.written, size)
    return replace(
        row,
        engine_version=outcome.engine_version,
        instructions=outcome.instructions,
        by_class=outcome.executed,
        bytes_read=outcome.read,
        bytes_written=outcome.written,
        threads_seen=outcome.threads,
        bound=least_time(least),
        notes=outcome.notes,
    )
