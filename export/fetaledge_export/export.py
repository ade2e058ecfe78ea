"""A trained network to a bundle: convert, gate each variant in its real engine, keep what passes, say why not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import nn

import fetaledge_runtimes
from fetaledge_export.calibration import Calibration
from fetaledge_export.conversion import Conversion, first_line
from fetaledge_export.device_model import DeviceModel
from fetaledge_export.formats.format import PRECISIONS
from fetaledge_export.formats.registry import format_named, format_names
from fetaledge_export.gate import Limits
from fetaledge_export.model_card import card
from fetaledge_export.multiply_adds import multiply_adds
from fetaledge_export.parity import FRAMES, ParityCheck
from fetaledge_export.results import ExportResult, gate_record
from fetaledge_export.torch_engine import TorchEngine
from fetaledge_export.variant_export import VariantExport, scores_of
from fetaledge_runtimes.bundle import MANIFEST, Manifest, ModelInput, ModelOutput, StoredFile
from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.files import atomic_folder
from fetaledge_runtimes.frames.frame import Frame, LabelledFrame
from fetaledge_runtimes.preprocess import network_input
from fetaledge_runtimes.quiet import quiet
from fetaledge_runtimes.records import write_document
from fetaledge_runtimes.selftest import GOLDEN, write_golden
from fetaledge_runtimes.tasks.task import Task
from fetaledge_runtimes.view.check import FILE as VIEW
from fetaledge_runtimes.view.check import ViewCheck

EVALUATION, CARD, LOGS = "evaluation.json", "card.md", "logs"


def export_bundle(
    network: nn.Module,
    *,
    out: Path,
    name: str,
    task: Task,
    size: tuple[int, int],
    scale: float,
    offset: float,
    calibration: Iterable[LabelledFrame],
    validation: Iterable[LabelledFrame],
    golden: Sequence[Frame],
    source: Mapping[str, Any],
    view: Path | None = None,
    data: str = "validation frames",
    data_note: str = "",
    formats: Sequence[str] | None = None,
    precisions: Sequence[str] = ("int8", "fp32"),
    limits: Limits | None = None,
    allow_unmeasured: bool = False,
    force: bool = False,
    progress: Callable[[str], None] = lambda step: None,
    threads: int | None = None,
) -> ExportResult:
    """Write the bundle ``out``; a variant that breaks a limit, or cannot be converted, is left out and reported.

    The folder is written even where no variant passes: then it holds ``evaluation.json``, ``card.md`` and a manifest
    without variants, which say why. Nothing is left behind by an error or Ctrl-C.

    Args:
        network: takes ``float32 (1, 1 or 3, H, W)`` of ``pixels * scale + offset``, gives logits ``(1, C, h, w)``.
        size: (height, width) of the network's grid.
        calibration: frames for int8 ranges; used only where ``precisions`` holds ``int8``, each read once.
        validation: frames of other subjects, held in memory together (0.9 MB for one of 800×540).
        golden: synthetic frames for the self-test; no patient's frame may be among them.
        view: the file of the run's view check, which the bundle holds too.
        source: plain facts about the run and its data, for manifest and model files.
        formats: default: all that are installed, of those that can store each precision.
        allow_unmeasured: let a variant in of which the gate could not judge a measure.
        data: what the validation frames are, for the records; ``data_note``: licence and attribution, for the card.
        progress: called with one line before each long step.
        threads: of the engines while they are gated; the masks do not depend on it. Default: the cores, at most 4.

    Raises:
        UsageError: an unknown format or precision, or int8 without calibration frames.
        InputError: calibration and validation share a subject, no validation frame, or a network that cannot be used.
        BundleError: ``view`` is damaged, or no view check.
        OutputError: ``out`` exists without ``force``, or cannot be written.
    """
    limits = limits or Limits()
    limits.document(task)
    wanted = _wanted(formats, precisions)
    check = None if view is None else ViewCheck.read(view)
    quiet()
    threads = threads or min(os.cpu_count() or 1, 4)
    with atomic_folder(out, force=force, marker=MANIFEST) as folder:
        progress("reading the frames")
        ranges = Calibration.of(calibration if "int8" in precisions else (), size)
        cases = list(validation)
        _check_frames(ranges, cases, int8="int8" in precisions)
        model = DeviceModel(network, scale, offset)
        torch_engine = TorchEngine(network, scale, offset, threads)
        manifest = Manifest(
            name=name,
            task=task.name,
            classes=task.classes,
            input=ModelInput(size[0], size[1], scale, offset),
            output=_probe(model, torch_engine, size),
            multiply_adds=multiply_adds(model, torch.zeros((1, 1, *size), dtype=torch.uint8)),
            variants=(),
            others=(),
            view=None if check is None else VIEW,
            source=dict(source),
            calibration=ranges.facts if ranges.pixels else None,
            fetaledge=fetaledge_runtimes.__version__,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        progress(f"torch-fp32: the reference, on {len(cases)} frames")
        reference = scores_of(torch_engine, size, task, cases)

        work = folder / ".work"
        work.mkdir()
        conversion = Conversion(work, folder / LOGS, model.transformer)
        frames = [network_input(case.frame.pixels, size)[0] for case in cases[:FRAMES]]
        parity = ParityCheck(network, model, torch_engine, frames, conversion)
        job = VariantExport(
            folder, conversion, model, task, manifest, ranges, cases, reference, limits, allow_unmeasured, golden,
            threads, progress, parity,
        )  # fmt: skip
        outcomes = [job.variant(format_name, precision) for format_name, precision in wanted]
        shutil.rmtree(work)

        passed = {variant.name: predictions for _, variant, predictions in outcomes if variant is not None}
        if passed and golden:
            progress("writing the self-test")
            write_golden(folder / GOLDEN, task, golden, passed)
        results = tuple(result for result, _, _ in outcomes)
        record = gate_record(
            reference,
            results,
            limits=limits,
            task=task,
            data=data,
            synthetic=any(case.synthetic for case in cases),
            reference_engine=f"{torch_engine.name} {torch_engine.version}",
        )
        write_document(folder / EVALUATION, record)
        text = card(manifest, task, record, results, reference, data_note, () if check is None else check.statuses)
        (folder / CARD).write_text(text, encoding="utf-8")
        if check is not None:
            check.write(folder / VIEW)
        manifest = msgspec.structs.replace(
            manifest,
            variants=tuple(variant for _, variant, _ in outcomes if variant is not None),
            others=tuple(
                StoredFile.of(folder / file) for file in (GOLDEN, EVALUATION, CARD, VIEW) if (folder / file).is_file()
            ),
        )
        manifest.write(folder)
    return ExportResult(out, manifest, task, reference, results, record.synthetic)


def _wanted(formats: Sequence[str] | None, precisions: Sequence[str]) -> list[tuple[str, str]]:
    """(format, precision) pairs, the one that a device should take by default first."""
    chosen = format_names() if formats is None else tuple(formats)
    for what, given, known in (("format", chosen, format_names()), ("precision", precisions, PRECISIONS)):
        for value in given:
            if value not in known:
                raise UsageError(f"{value!r} is no {what} that can be exported", f"choose from {', '.join(known)}")
        if not given:
            raise UsageError(f"no {what} was asked for", f"choose from {', '.join(known)}")
    return [
        (name, precision)
        for precision in PRECISIONS
        if precision in precisions
        for name in format_names()
        if name in chosen and precision in format_named(name).precisions
    ]


def _check_frames(ranges: Calibration, cases: Sequence[LabelledFrame], *, int8: bool) -> None:
    if int8 and not ranges.pixels:
        raise UsageError("int8 needs calibration frames, and there is none", "give frames of the training subjects")
    if not cases:
        raise InputError("there is no validation frame to gate the variants on", "give frames of other subjects")
    shared = sorted(set(ranges.subjects) & {case.subject for case in cases})
    if shared:
        names = ", ".join(shared[:5]) + (", …" if len(shared) > 5 else "")
        raise InputError(
            f"{len(shared)} subjects are among both the calibration and the validation frames: {names}",
            "split the frames by subject",
        )


def _probe(model: DeviceModel, engine: TorchEngine, size: tuple[int, int]) -> ModelOutput:
    """The output's shape; and that the device's model computes what the trained network computes."""
    pixels = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    try:
        expected = engine(pixels)
        with torch.inference_mode():
            given = model(torch.from_numpy(pixels)[None, None])[0].numpy()
    except Exception as error:
        raise InputError(
            f"the network cannot run on a frame of {size[0]}x{size[1]}: {first_line(error)}",
            "export it at the size it was trained at",
        ) from error
    if expected.ndim != 3 or not np.isfinite(expected).all():
        raise InputError(
            f"the network gives {expected.shape} values, or not finite ones", "it must give logits (1, C, h, w)"
        )
    if not np.allclose(given, expected, rtol=0, atol=1e-3 * float(np.abs(expected).max())):
        raise InputError(
            "folding the three equal channels into one changes what the network computes",
            "its first convolution must be the one that reads the frame",
        )
    return ModelOutput(*expected.shape)
