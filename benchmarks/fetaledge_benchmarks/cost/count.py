"""Executed instructions of one inference: the variant in its own engine, on an emulated board, under the plugin."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fetaledge_benchmarks.cost.emulation import RELEASES, pi_root, qemu_command
from fetaledge_benchmarks.cost.qemu_plugin import plugin_path
from fetaledge_devices.deploy.engine_choice import EngineChoice, choose
from fetaledge_devices.facts.model import Platform
from fetaledge_devices.targets.failure_text import error_line, signal_name
from fetaledge_devices.wheels.unpack import unpacked
from fetaledge_runtimes.bundle import Bundle, Variant
from fetaledge_runtimes.errors import TargetError

PROGRAM = Path(__file__).with_name("counted_inference.py")
RELEASE = "bookworm"
WARMUP = 1
TIMEOUT_S = 3600.0
ERROR_LENGTH = 300
# Nothing that differs from run to run may reach the program: its hashes, its user's packages, compiled files beside it.
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "PYTHONNOUSERSITE": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "LANG": "C.UTF-8",
    "HOME": "/nonexistent",
}


class CountingFailed(TargetError):
    """A variant that could not be run in the emulator; the message says why."""


@dataclass(frozen=True)
class Counts:
    """What one inference executed, all threads together.

    Attributes:
        executed: instructions by class, by the names of ``count.c``.
        read: bytes that its loads brought into registers, from whichever cache or memory.
        written: bytes that its stores took.
        threads: that executed anything within the window.
        engine_version: of the engine that ran.
        notes: what is known of this engine on this CPU.
    """

    executed: dict[str, int]
    read: int
    written: int
    threads: int
    engine_version: str
    notes: tuple[str, ...] = ()

    @property
    def instructions(self) -> int:
        return sum(self.executed.values())


@dataclass(frozen=True)
class Prepared:
    """One variant on one CPU, ready to be counted: the processor's root folder and the unpacked wheels."""

    bundle: Bundle
    variant: Variant
    cpu: str
    root: Path
    sites: tuple[Path, ...]
    notes: tuple[str, ...]

    def command(self, frame: Path, plugin: str | None) -> list[str]:
        """The emulator's command line; ``plugin`` as QEMU's ``-plugin`` takes it."""
        environment = {**ENVIRONMENT, "PYTHONPATH": ":".join(str(site) for site in self.sites)}
        model = self.bundle.model_path(self.variant).resolve()
        program = ["/usr/bin/python3", str(PROGRAM), self.variant.format, str(model), str(frame), str(WARMUP)]
        return qemu_command(self.root, self.cpu, environment, program, plugin)


def prepare(bundle: Bundle, variant: Variant, cpu: str) -> Prepared:
    """Fetch what the variant needs to run on ``cpu``: Debian's packages and wheels, each once, into the cache.

    Raises:
        CountingFailed: there is no engine for it.
        TargetError: mmdebstrap is missing, or the network is away.
        OutputError: the cache cannot be written.
    """
    choice: EngineChoice = choose(bundle.manifest, (variant,), _platform(cpu))
    if variant.name in choice.refused:
        raise CountingFailed(choice.refused[variant.name])
    sites = tuple(unpacked(wheel) for wheel in choice.wheels)
    return Prepared(bundle, variant, cpu, pi_root(RELEASE, cpu), sites, choice.notes.get(variant.name, ()))


def count(prepared: Prepared, frame: Path, scratch: Path, processes: Processes | None = None) -> Counts:
    """Run one inference after a warm-up and count it; two calls give the same counts.

    Args:
        prepared: what to run.
        frame: ``uint8 (H, W)`` at the network's size, in numpy's file format.
        scratch: an existing folder.
        processes: lets another thread end the run.

    Raises:
        CountingFailed: the engine refused, crashed, or took over an hour.
        TargetError: QEMU or a compiler is not installed.
    """
    out = scratch / f"{prepared.variant.name}-{prepared.cpu}.jsonl"
    if "," in str(out):
        raise TargetError(f"the folder for temporary files, {scratch}, has a comma in its name", "set TMPDIR")
    command = prepared.command(frame, f"{plugin_path()},out={out}")
    done = (processes or Processes()).run(command)
    windows = out.read_text(encoding="ascii").splitlines() if out.is_file() else []
    if done.returncode != 0 or len(windows) != 1:
        raise CountingFailed(_reason(prepared, done))
    return parse_counts(windows[0], done.stdout.strip(), prepared.notes)


def parse_counts(line: str, engine_version: str, notes: Sequence[str] = ()) -> Counts:
    """The plugin's line for one window."""
    threads: dict[str, dict[str, int]] = json.loads(line)["threads"]
    sums: dict[str, int] = {}
    for counted in threads.values():
        for name, number in counted.items():
            sums[name] = sums.get(name, 0) + number
    read, written = sums.pop("bytes_loaded"), sums.pop("bytes_stored")
    return Counts(sums, read, written, len(threads), engine_version, tuple(notes))


@dataclass
class Processes:
    """The emulators that run now, so that all can be ended at once from another thread."""

    running: list[subprocess.Popen[str]] = field(default_factory=list)
    ended: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, or to the time limit.

        Raises:
            CountingFailed: it took longer, or :meth:`end` was called.
        """
        with self._lock:
            if self.ended:
                raise CountingFailed("it was not run: the counting was ended")
            started = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
            self.running.append(started)
        try:
            said, complained = started.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise CountingFailed(f"it did not end within {TIMEOUT_S:.0f} s in the emulator") from None
        finally:
            started.kill()
            started.wait()
            self.running.remove(started)
        return subprocess.CompletedProcess(list(command), started.returncode, said, complained)

    def end(self) -> None:
        """Kill what runs, and let nothing more begin."""
        with self._lock:
            self.ended = True
            for process in tuple(self.running):
                process.kill()


def _platform(cpu: str) -> Platform:
    """What a board with this CPU and Debian's release would say of itself."""
    return Platform(
        system="linux",
        machine="aarch64",
        libc="glibc 2.36",
        python=RELEASES[RELEASE],
        cpu_parts=(cpu,),
        memory_mb=8000,
        available_mb=None,
        free_mb=None,
        taskset=False,
    )


def _reason(prepared: Prepared, done: subprocess.CompletedProcess[str]) -> str:
    """Why a run gave no counts: its own error, else the signal that ended it, and what is known of the engine."""
    said = error_line(done.stderr).replace(str(prepared.bundle.folder.resolve()), prepared.bundle.manifest.name)
    caught = re.search(r"uncaught target signal (\d+)", done.stderr)
    number = int(caught.group(1)) if caught else -done.returncode
    if number > 0:
        said = f"it was ended by {signal_name(number)} in the emulator"
    elif not said:
        said = f"it ended with exit code {done.returncode} and said nothing"
    return "; ".join([said[:ERROR_LENGTH], *prepared.notes])
