"""One variant: converted, run in its real engine, judged, and let in or left out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fetaledge_export.calibration import Calibration
from fetaledge_export.conversion import Conversion, StepFailed, WatchedEngine
from fetaledge_export.device_model import DeviceModel
from fetaledge_export.formats.registry import format_named
from fetaledge_export.gate import FAILED, PASSED, UNMEASURED, Limits, judge
from fetaledge_export.parity import Parity, ParityCheck
from fetaledge_export.results import VariantResult
from fetaledge_runtimes.bundle import Manifest, ModelInput, ModelOutput, StoredFile, Variant
from fetaledge_runtimes.engines.base import Engine
from fetaledge_runtimes.engines.registry import engine_class
from fetaledge_runtimes.errors import OutputError
from fetaledge_runtimes.frames.frame import Frame, LabelledFrame
from fetaledge_runtimes.predictor import Prediction, Predictor
from fetaledge_runtimes.records import Part, to_json
from fetaledge_runtimes.scores.case import CaseScore, score_case
from fetaledge_runtimes.scores.change import paired_change
from fetaledge_runtimes.tasks.task import Task

FULL_DISK_BYTES = 1_000_000


class ModelMetadata(Part, kw_only=True, frozen=True):
    """What stands inside each model file."""

    schema: str = "fetaledge/model/1"
    notice: str
    name: str
    variant: str
    task: str
    classes: tuple[str, ...]
    input: ModelInput
    output: ModelOutput
    source: dict[str, Any]


@dataclass(frozen=True)
class VariantExport:
    """Makes variants one by one; what they share."""

    folder: Path
    conversion: Conversion
    model: DeviceModel
    task: Task
    manifest: Manifest
    ranges: Calibration
    cases: Sequence[LabelledFrame]
    reference: tuple[CaseScore, ...]
    limits: Limits
    allow_unmeasured: bool
    golden: Sequence[Frame]
    threads: int
    progress: Callable[[str], None]
    check: ParityCheck

    def variant(self, format_name: str, precision: str) -> tuple[VariantResult, Variant | None, list[Prediction]]:
        """Convert, run, judge. The variant is None, and its files are gone, where it is not let in."""
        name = f"{format_name}-{precision}"
        files: tuple[Path, ...] = ()
        try:
            self.progress(f"{name}: converting")
            files = self._write(format_name, precision, name)
            engine = WatchedEngine.open(format_name, files[0], self.threads)
            self.progress(f"{name}: {engine.name} on {len(self.cases)} frames")
            scores = scores_of(engine, self.size, self.task, self.cases)
            parity = self.check(engine, name, self.ranges.pixels)
            predictor = Predictor.from_engine(engine, self.size, self.task)
            predictions = [predictor(frame) for frame in self.golden]
        except StepFailed as error:
            if shutil.disk_usage(self.folder).free < FULL_DISK_BYTES:
                hint = "free some space or choose another folder"
                raise OutputError(f"cannot write {name} under {self.folder.parent}: the disk is full", hint) from error
            reasons = (f"{error.message} ({self.conversion.keep_log(name, error)})",)
            size = _bytes(files)
            self._remove(name)
            return VariantResult.not_run(name, engine_class(format_name).name, size, reasons), None, []
        self.conversion.drop_log(name)
        return self._judged(format_name, precision, files, engine, scores, parity, predictions)

    def _judged(
        self,
        format_name: str,
        precision: str,
        files: tuple[Path, ...],
        engine: Engine,
        scores: tuple[CaseScore, ...],
        parity: Parity,
        predictions: list[Prediction],
    ) -> tuple[VariantResult, Variant | None, list[Prediction]]:
        name = f"{format_name}-{precision}"
        change = paired_change(self.reference, scores)
        judgement = judge(change, self.limits, self.task)
        reasons = judgement.reasons
        if format_named(format_name).exact:
            reasons += parity.refusals(precision)
        verdict = FAILED if reasons else judgement.verdict
        kept = verdict == PASSED or (verdict == UNMEASURED and self.allow_unmeasured)
        notes = judgement.unmeasured
        meaning = format_named(format_name).int8_of_transformers
        if precision == "int8" and self.model.transformer and meaning:
            notes += (meaning,)
        result = VariantResult(
            name, engine.name, engine.version, _bytes(files), scores, change, verdict, kept, reasons, notes, parity
        )
        if not kept:
            self._remove(name)
            return result, None, []
        stored = tuple(StoredFile.of(file) for file in files)
        oldest = engine_class(format_name).oldest
        variant = Variant(name, format_name, precision, stored, engine.name, engine.version, oldest)
        return result, variant, predictions

    @property
    def size(self) -> tuple[int, int]:
        return self.manifest.input.height, self.manifest.input.width

    def _remove(self, name: str) -> None:
        for leftover in self.folder.glob(f"{name}.*"):
            leftover.unlink()

    def _write(self, format_name: str, precision: str, name: str) -> tuple[Path, ...]:
        source = {key: value for key, value in self.manifest.source.items() if key not in ("split", "trained_on")}
        metadata = ModelMetadata(
            notice=self.manifest.notice,
            name=self.manifest.name,
            variant=name,
            task=self.manifest.task,
            classes=self.manifest.classes,
            input=self.manifest.input,
            output=self.manifest.output,
            source=source,
        )
        path = self.folder / f"{name}{engine_class(format_name).suffix}"
        base = self.conversion.convert(name, self.model, self.size)
        return self.conversion.write(name, base, path, self.ranges.pixels, to_json(metadata))


def _bytes(files: Sequence[Path]) -> int | None:
    return sum(file.stat().st_size for file in files) if files else None


def scores_of(
    engine: Engine, size: tuple[int, int], task: Task, cases: Sequence[LabelledFrame]
) -> tuple[CaseScore, ...]:
    predictor = Predictor.from_engine(engine, size, task)
    return tuple(score_case(case, predictor(case.frame).mask, task) for case in cases)
