"""Train a U-Net on labelled frames."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning_utilities.core.rank_zero import rank_zero_only
from msgspec.structs import replace
from torch import nn

from fetaledge.data.dataset import Dataset
from fetaledge.data.looks import group_by_look, split_by_look
from fetaledge.data.split import draw_frames, seen_subjects, split_by_subject, split_into_folds
from fetaledge.models.strategies import Strategy, apply_strategy, strategy_named
from fetaledge.models.unet import Architecture, load_body, logits_of
from fetaledge.phantoms.registry import phantom_of
from fetaledge.runs.evaluate import evaluate_run
from fetaledge.runs.imported_run import ImportedRun
from fetaledge.runs.network_file import write_weights
from fetaledge.runs.run import CURVE, DOCUMENT, RESUME, WEIGHTS, Intensity, Run, RunData, Split
from fetaledge.runs.run_folder import check_folder, prepare_folder
from fetaledge.runs.unet_recipe import AS_IMPORTED, SIZE, FoldBy, IntensityScale, Recipe
from fetaledge.runs.unet_run import Origin, UnetRun, UnetRunDocument
from fetaledge.training.checkpoints import CheckpointCallback
from fetaledge.training.curve import draw_curve
from fetaledge.training.trainer import TrainerHardware, fit, make_trainer
from fetaledge.training.unet.distillation import SOFT_WEIGHT, Teachers, Unlabelled, teacher_facts
from fetaledge.training.unet.frames import PreparedFrames, TrainingFrames, ValidationFrames
from fetaledge.training.unet.module import SegmentationModule
from fetaledge_export.multiply_adds import multiply_adds
from fetaledge_runtimes.errors import UsageError
from fetaledge_runtimes.frames.frame import LabelledFrame
from fetaledge_runtimes.records import write_document
from fetaledge_runtimes.tasks.task import Task

PHANTOM_SEED_STEP = 1_000_000

Start = UnetRun | ImportedRun
"""What a U-Net's training can start from."""


def train_unet(
    dataset: Dataset,
    out: Path,
    recipe: Recipe,
    *,
    init: Run | None = None,
    teachers: Sequence[Run] = (),
    unlabelled: Path | None = None,
    resume: bool = False,
    force: bool = False,
    hardware: TrainerHardware = TrainerHardware(),
    progress: Callable[[str], None] = lambda _: None,
    bar: bool = False,
) -> UnetRun | None:
    """Train and write a run folder; the best epoch by validation Dice is kept.

    The run is returned by the first process alone; the others of several return None.

    Args:
        dataset: the labelled frames.
        out: the run's folder.
        recipe: the values of the training.
        init: the run to start from. Architecture and intensity come from it, the size where the recipe has none, and
            the split too where the data are the same and the recipe names no fold; of a run of another task all but the
            segmentation head is taken.
        teachers: runs whose answer shares the loss of a labelled frame with the label.
        unlabelled: a folder of frames that are learnt from the teachers' answer alone.
        resume: go on with an interrupted run in ``out`` from its last whole epoch.
        force: replace an earlier run.
        hardware: the hardware to train on.
        progress: takes each line of progress.
        bar: show a progress bar on stderr.

    Raises:
        UsageError: values that make no sense, or other values than the interrupted run's; a teacher of another task.
        InputError: unusable weights or unlabelled frames, or nothing to resume.
        OutputError: ``out`` exists (without ``force`` or ``resume``) or cannot be written.
    """
    first = getattr(rank_zero_only, "rank", 0) == 0 and os.environ.get("NODE_RANK", "0") == "0"
    strategy = strategy_named(recipe.strategy)
    task = dataset.task
    recipe.check()
    if init is not None and not isinstance(init, UnetRun | ImportedRun):
        raise UsageError(f"{init.folder} is a SAM, and a U-Net starts from a U-Net", "pass it with --teacher")
    _check_teachers(teachers, unlabelled, recipe, task)
    recipe = _completed(recipe, init, strategy, bool(teachers))
    architecture = _architecture(recipe, init, strategy, task)
    facts = dataset.facts()  # the one reading of all files, which the content hashes below share
    train_names, validation_names = _split(dataset, recipe, init)
    labelled, held_out = (_hashes(dataset, names) for names in (train_names, validation_names))
    more = Unlabelled.open(unlabelled, labelled | held_out) if unlabelled else None
    seen = labelled | _trained_on(init) | (set(more.hashes.values()) if more else set())
    document = UnetRunDocument(
        task=task.name,
        classes=task.classes,
        architecture=architecture,
        size=(recipe.size or SIZE, recipe.size or SIZE),
        intensity=init.document.intensity if init else _intensity(recipe),
        recipe=recipe,
        init=_origin(init) if init else None,
        teachers=teacher_facts(teachers, held_out),
        unlabelled=more.facts() if more else None,
        data=RunData(**facts),
        split=Split(train=tuple(train_names), validation=tuple(validation_names)),
        trained_on=tuple(sorted(seen)),
        trained_parameters=0,
    )
    if not first:
        progress, bar = (lambda _: None), False
    network = _network(architecture, recipe, init, progress)
    document = replace(document, trained_parameters=apply_strategy(network, strategy))
    callback = CheckpointCallback(
        out, progress, lambda module: write_weights(out / WEIGHTS, module.network, half=recipe.half)
    )
    trainer = make_trainer(recipe, hardware, callback, bar)
    if first:
        check_folder(out, document, resume=resume, force=force)
    frames = _read(dataset, teachers, more, document, trainer, progress)
    if first:
        prepare_folder(out, document, resume=resume)
    if document.unlabelled:
        count = len(frames[0]) - len(frames[0].masks)
        document = replace(document, unlabelled=replace(document.unlabelled, frames=count))
    return _fit(network, frames, dataset, UnetRun(out, document), trainer, hardware, callback, resume)


def _check_teachers(teachers: Sequence[Run], unlabelled: Path | None, recipe: Recipe, task: Task) -> None:
    for teacher in teachers:
        if teacher.task != task:
            raise UsageError(
                f"{teacher.folder} is for the task {teacher.task.name!r}, and the data are for {task.name!r}",
                "pass a teacher of the data's task",
            )
    if not teachers and recipe.soft_weight is not None:
        raise UsageError(f"--soft-weight {recipe.soft_weight} was given without a teacher", "name a run with --teacher")
    if not teachers and unlabelled is not None:
        raise UsageError(f"--unlabelled {unlabelled} was given without a teacher", "name a run with --teacher")


def _hashes(dataset: Dataset, names: list[str]) -> set[str]:
    return {item.content_hash() for item in dataset.only(names).items}


def _completed(recipe: Recipe, init: Start | None, strategy: Strategy, taught: bool) -> Recipe:
    size = recipe.size or (init.size[0] if init else SIZE)
    weight = SOFT_WEIGHT if taught and recipe.soft_weight is None else recipe.soft_weight
    recipe = replace(recipe, size=size, soft_weight=weight)
    if init is not None:
        if strategy.random_encoder:
            raise UsageError(f"--strategy {strategy.name} starts from random weights", "leave --init out")
        architecture = init.document.architecture
        return replace(
            recipe,
            encoder=architecture.encoder,
            encoder_weights="none",
            decoder_channels=architecture.decoder_channels,
            intensity=init.document.recipe.intensity if isinstance(init, UnetRun) else AS_IMPORTED,
        )
    if strategy.random_encoder:
        return replace(recipe, encoder_weights="none")
    return recipe


def _architecture(recipe: Recipe, init: Start | None, strategy: Strategy, task: Task) -> Architecture:
    classes = logits_of(task)
    if init is not None:
        return replace(init.document.architecture, classes=classes)
    if strategy.name == "baseline":
        return Architecture(name="plain-unet", encoder="", decoder_channels=(), classes=classes)
    return Architecture(encoder=recipe.encoder, decoder_channels=recipe.decoder_channels, classes=classes)


def _network(architecture: Architecture, recipe: Recipe, init: Start | None, progress: Callable[[str], None]) -> Any:
    earlier = None if init is None else init.network()
    torch.manual_seed(recipe.seed)
    network = architecture.build(recipe.encoder_weights)
    if init is not None and earlier is not None:
        fresh = load_body(network, earlier)
        if fresh:
            progress(
                f"{init.name} is for the task {init.task.name!r}: {', '.join(fresh)} start from random values instead"
            )
    return network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _trained_on(init: Start | None) -> set[str]:
    return set(init.trained_on) if isinstance(init, UnetRun) else set()


def _origin(init: Start) -> Origin:
    """The facts that a run keeps of the one it started from."""
    source = init.source()
    return Origin(
        run=source["run"],
        strategy=source["strategy"],
        weights_sha256=source["weights_sha256"],
        recipe=init.document.recipe if isinstance(init, UnetRun) else None,
        validation=(init.document.validation if isinstance(init, UnetRun) else None) or {},
        imported="imported" in source,
    )


def _intensity(recipe: Recipe) -> Intensity:
    scale, offset = IntensityScale(recipe.intensity).scale_and_offset
    return Intensity(scale=scale, offset=offset)


def _split(dataset: Dataset, recipe: Recipe, init: Start | None) -> tuple[list[str], list[str]]:
    if recipe.fold is not None:
        if init is not None and seen_subjects(dataset, _trained_on(init)):
            raise UsageError(f"--fold holds out frames that {init.folder} was trained on", "leave --fold or --init out")
        part, parts = recipe.fold
        if recipe.fold_by == FoldBy.LOOK:
            train, validation = split_by_look(dataset.items, group_by_look(dataset, parts), part - 1)
        else:
            train, validation = split_into_folds(dataset.items, parts)[part - 1]
    elif isinstance(init, UnetRun) and init.document.data.fingerprint == dataset.fingerprint():
        train, validation = list(init.split.train), list(init.split.validation)
    else:
        known = seen_subjects(dataset, _trained_on(init))
        train, validation = split_by_subject(dataset.items, recipe.validation, recipe.seed, known)
    if recipe.train_count is not None:
        train = draw_frames(dataset.only(train).items, recipe.train_count, recipe.seed)
    return train, validation


def _read(
    dataset: Dataset,
    teachers: Sequence[Run],
    unlabelled: Unlabelled | None,
    document: UnetRunDocument,
    trainer: lightning.Trainer,
    progress: Callable[[str], None],
) -> tuple[PreparedFrames, PreparedFrames]:
    """Training frames, with the teachers' answers, and validation frames."""
    size, structures = document.size, len(document.classes) - 1
    train_part, validation_part = dataset.only(document.split.train), dataset.only(document.split.validation)
    progress(f"reading {len(train_part)} training and {len(validation_part)} validation frames")
    validation = PreparedFrames(validation_part, size, structures)
    phantoms = _phantoms(document.task, document.recipe)
    for teacher in document.teachers:
        seen = teacher.trained_on_validation
        known = "; nobody knows which frames it has seen" if seen is None else f"; it has seen {seen} validation frames"
        progress(f"the teacher {teacher.run} answers first{'' if seen == 0 else known}")
    answer = Teachers(teachers, size, trainer.strategy.root_device) if teachers else None
    return PreparedFrames(chain(train_part, phantoms), size, structures, answer, unlabelled or ()), validation


def _phantoms(task: str, recipe: Recipe) -> Iterator[LabelledFrame]:
    """The synthetic frames that the recipe mixes in."""
    if recipe.phantoms:
        phantom = phantom_of(task)
        for number in range(recipe.phantoms):
            yield phantom.labelled(PHANTOM_SEED_STEP * (recipe.seed + 1) + number)


def _fit(
    network: nn.Module,
    frames: tuple[PreparedFrames, PreparedFrames],
    dataset: Dataset,
    run: UnetRun,
    trainer: lightning.Trainer,
    hardware: TrainerHardware,
    callback: CheckpointCallback,
    resume: bool,
) -> UnetRun | None:
    """Train, measure the best epoch, and complete ``run.json``."""
    out, document, recipe = run.folder, run.document, run.document.recipe
    module = SegmentationModule(
        network,
        classes=document.architecture.classes,
        channels=document.architecture.channels,
        scale=run.scale,
        offset=run.offset,
        learning_rate=recipe.learning_rate,
        frozen_batchnorm=recipe.frozen_batchnorm,
        seed=recipe.seed,
        soft_weight=recipe.soft_weight,
    )
    train, validation = TrainingFrames(frames[0], recipe.seed, recipe.artefacts), ValidationFrames(frames[1])
    fit(trainer, module, train, validation, recipe, hardware, callback, resume)
    if trainer.is_global_zero:
        callback.progress("measuring the best epoch on the validation frames")
        draw_curve(callback.epochs, out / CURVE)
        record = evaluate_run(run, dataset.only(run.split.validation), torch.get_num_threads())
        del record["per_case"]
        finished = replace(
            document,
            best=callback.best,
            epochs_run=len(callback.epochs),
            multiply_adds=multiply_adds(run.network(), torch.zeros(1, document.architecture.channels, *run.size)),
            validation=record,
        )
        write_document(out / DOCUMENT, finished)
        (out / RESUME).unlink(missing_ok=True)
        run = UnetRun(out, finished)
    trainer.strategy.barrier()
    return run if trainer.is_global_zero else None
