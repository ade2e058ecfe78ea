"""The frames that the workers get: pictures and their spacing, never the labels."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2

from fetaledge_devices.native_runner.exchange import write_prepared
from fetaledge_runtimes.errors import InputError, OutputError
from fetaledge_runtimes.frames.frame import LabelledFrame, LabelledFrames

TIMING_FRAMES = 8


@dataclass(frozen=True)
class Workload:
    """The frames written for the workers.

    Attributes:
        accuracy_frames: the folder with every frame, for accuracy.
        timing_frames: the folder with the frames that samples cycle through.
        timing_names: names of those frames.
        timing_sizes: their (height, width).
        frames: number of frames.
        subjects: number of subjects.
        with_spacing: number of frames with a known spacing.
        synthetic: number of frames that are phantoms.
        prepared_accuracy_frames: every frame on the network's grid, for native runners; None: not written.
        prepared_timing_frames: the timing frames on it; None: not written.
    """

    accuracy_frames: Path
    timing_frames: Path
    timing_names: tuple[str, ...]
    timing_sizes: tuple[tuple[int, int], ...]
    frames: int
    subjects: int
    with_spacing: int
    synthetic: int
    prepared_accuracy_frames: Path | None = None
    prepared_timing_frames: Path | None = None

    def folders(self, native: bool) -> tuple[Path, Path]:
        """The folders with every frame and with the timing frames, as this kind of worker takes them."""
        if not native:
            return self.accuracy_frames, self.timing_frames
        if self.prepared_accuracy_frames is None or self.prepared_timing_frames is None:
            raise ValueError("the frames were not prepared for a native runner")
        return self.prepared_accuracy_frames, self.prepared_timing_frames


def write_workload(data: LabelledFrames, folder: Path, prepare: tuple[int, int] | None = None) -> Workload:
    """Write every frame as ``NAME.png`` with ``pixels.csv`` into ``folder/every``, a few also into ``folder/timing``.

    With ``prepare`` = (height, width) of the network's grid, each is also written as a native runner takes it.

    The timing frames are evenly spaced over the data set, so that its frame sizes are those of the samples.

    Raises:
        InputError: the data set is empty, or two frames share a name.
        OutputError: the disk is full, …
    """
    total = len(data)
    if total == 0:
        raise InputError(f"{data.name} holds no labelled frame", "name a folder with frames and their labels")
    count = min(TIMING_FRAMES, total)
    timed = {round(index * (total - 1) / max(1, count - 1)) for index in range(count)}
    every, timing = folder / "every", folder / "timing"
    timing_cases: list[LabelledFrame] = []
    spacing: dict[str, tuple[float, float] | None] = {}
    subjects: set[str] = set()
    synthetic = 0
    try:
        every.mkdir()
        timing.mkdir()
        for index, case in enumerate(data):
            if case.name in spacing:
                raise InputError(f"{data.name} holds two frames of the name {case.name}", "give each its own file name")
            spacing[case.name] = case.frame.pixel_mm
            subjects.add(case.subject)
            synthetic += case.synthetic
            _write_frame(every, case)
            if prepare is not None:
                write_prepared([(case.name, case.frame)], prepare, folder / "prepared-every")
            if index in timed:
                _write_frame(timing, case)
                timing_cases.append(case)
        _write_spacing(every, spacing)
        _write_spacing(timing, {case.name: case.frame.pixel_mm for case in timing_cases})
        if prepare is not None:
            write_prepared([(case.name, case.frame) for case in timing_cases], prepare, folder / "prepared-timing")
    except OSError as error:
        raise OutputError(f"cannot write frames into {folder}: {error.strerror}", "free some space") from error
    return Workload(
        accuracy_frames=every,
        timing_frames=timing,
        timing_names=tuple(case.name for case in timing_cases),
        timing_sizes=tuple((case.frame.pixels.shape[0], case.frame.pixels.shape[1]) for case in timing_cases),
        frames=total,
        subjects=len(subjects),
        with_spacing=sum(value is not None for value in spacing.values()),
        synthetic=synthetic,
        prepared_accuracy_frames=folder / "prepared-every" if prepare is not None else None,
        prepared_timing_frames=folder / "prepared-timing" if prepare is not None else None,
    )


def _write_frame(folder: Path, case: LabelledFrame) -> None:
    _, data = cv2.imencode(".png", case.frame.pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    (folder / f"{case.name}.png").write_bytes(data.tobytes())


def _write_spacing(folder: Path, spacing: dict[str, tuple[float, float] | None]) -> None:
    with (folder / "pixels.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["filename", "row_mm", "column_mm"])
        for name, pixel_mm in spacing.items():
            if pixel_mm is not None:
                table.writerow([f"{name}.png", *pixel_mm])
