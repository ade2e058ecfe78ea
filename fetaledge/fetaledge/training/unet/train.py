"""Train a U-Net on labelled frames."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning_utilities.core.rank_zero import rank_zero_only
from torch import nn

from fetaledge.data.dataset import Dataset
from fetaledge.data.split import draw_frames, split_by_subject
from fetaledge.models.multiply_adds import multiply_adds
from fetaledge.models.strategies import Strategy, apply_strategy, strategy_named
from fetaledge.models.unet import Architecture, load_body, logits_of
from fetaledge.phantoms.head import head_phantom
from fetaledge.phantoms.ps_fh import psfh_phantom
from fetaledge.runs.evaluate import evaluate_run
from fetaledge.runs.open import open_run
from fetaledge.runs.run import CURVE, RESUME, WEIGHTS, Run, write_document, write_weights
from fetaledge.runs.run_folder import check_folder, prepare_folder
from fetaledge.training.checkpoints import Keeper
from fetaledge.training.curve import draw_curve
from fetaledge.training.options import INTENSITIES
from fetaledge.training.trainer import Machines, fit, make_trainer
from fetaledge.training.unet.distillation import SOFT_WEIGHT, Teachers, Unlabelled, teacher_facts
from fetaledge.training.unet.frames import PreparedFrames, TrainingFrames, ValidationFrames
from fetaledge.training.unet.module import SegmentationModule
from fetaledge.training.unet.recipe import SIZE, Recipe
from fetaledge_runtimes.errors import UsageError
from fetaledge_runtimes.frames.frame import LabelledFrame
from fetaledge_runtimes.tasks.head import HEAD
from fetaledge_runtimes.tasks.ps_fh import PS_FH
from fetaledge_runtimes.tasks.task import Task

PHANTOMS: dict[str, Callable[[int], LabelledFrame]] = {
    HEAD.name: head_phantom,
    PS_FH.name: lambda seed: psfh_phantom(seed).labelled,
}
PHANTOM_SEED_STEP = 1_000_000
FIXED = ("recipe", "data", "split", "architecture", "teachers", "unlabelled")


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
    machines: Machines = Machines(),
    progress: Callable[[str], None] = lambda _: None,
    bar: bool = False,
) -> Run | None:
    """Train and write a run folder; the best epoch by validation Dice is kept.

    The run is returned by the first process alone; the others of several return None.

    With ``init``, architecture and intensity come from that run, the size where the recipe has none, and the split too
    where the data are the same; from a run of another task everything but the segmentation head is taken.
    With ``teachers``, the loss of a labelled frame is shared by its label and the teachers' answer, and the frames of
    the folder ``unlabelled`` are learnt from the answer alone.
    With ``resume``, an interrupted run in ``out`` goes on from its last whole epoch.

    Raises:
        UsageError: values that make no sense, or other values than the interrupted run's; a teacher of another task.
        InputError: unusable weights or unlabelled frames, or nothing to resume.
        OutputError: ``out`` exists (without ``force`` or ``resume``) or cannot be written.
    """
    first = getattr(rank_zero_only, "rank", 0) == 0 and os.environ.get("NODE_RANK", "0") == "0"
    strategy = strategy_named(recipe.strategy)
    task = dataset.task
    recipe.check()
    _check_teachers(teachers, unlabelled, recipe, task)
    recipe = _completed(recipe, init, strategy, bool(teachers))
    architecture = _architecture(recipe, init, strategy, task)
    train_names, validation_names = _split(dataset, recipe, init)
    labelled, held_out = (_hashes(dataset, names) for names in (train_names, validation_names))
    more = Unlabelled.open(unlabelled, labelled | held_out) if unlabelled else None
    seen = labelled | _trained_on(init) | (set(more.hashes.values()) if more else set())
    document: dict[str, Any] = {
        "task": task.name,
        "classes": list(task.classes),
        "architecture": architecture.to_json(),
        "size": [recipe.size, recipe.size],
        "intensity": dict(zip(("scale", "offset"), INTENSITIES[recipe.intensity], strict=True)),
        "recipe": recipe.to_json(),
        "init": _summary(init) if init else None,
        "teachers": teacher_facts(teachers, held_out),
        "unlabelled": more.to_json() if more else None,
        "data": {
            "name": dataset.name,
            "frames": len(dataset),
            "fingerprint": dataset.fingerprint(),
            "synthetic": dataset.synthetic,
        },
        "split": {"train": train_names, "validation": validation_names},
        "trained_on": sorted(seen),
    }
    if not first:
        progress, bar = (lambda _: None), False
    network = _network(architecture, recipe, init, progress)
    document["trained_parameters"] = apply_strategy(network, strategy)
    keeper = Keeper(out, progress, lambda module: write_weights(out / WEIGHTS, module.network, half=recipe.half))
    trainer = make_trainer(recipe, machines, keeper, bar)
    if first:
        check_folder(out, document, FIXED, resume=resume, force=force)
    frames = _read(dataset, teachers, more, document, recipe, trainer, progress)
    if first:
        prepare_folder(out, document, resume=resume)
    if more:
        document["unlabelled"]["frames"] = len(frames[0]) - len(frames[0].masks)
    return _fit(network, frames, dataset, document, out, recipe, trainer, keeper, resume, progress)


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


def _completed(recipe: Recipe, init: Run | None, strategy: Strategy, taught: bool) -> Recipe:
    size = recipe.size or (init.size[0] if init else SIZE)
    weight = SOFT_WEIGHT if taught and recipe.soft_weight is None else recipe.soft_weight
    recipe = replace(recipe, size=size, soft_weight=weight)
    if init is not None:
        if init.document["architecture"]["name"] == "sam":
            raise UsageError(f"{init.folder} is a SAM, and a U-Net starts from a U-Net", "pass it with --teacher")
        if strategy.random_encoder:
            raise UsageError(f"--strategy {strategy.name} starts from random weights", "leave --init out")
        earlier = init.document["recipe"]
        return replace(
            recipe,
            encoder=earlier["encoder"],
            encoder_weights="none",
            decoder_channels=tuple(earlier["decoder_channels"]),
            intensity=earlier["intensity"],
        )
    if strategy.random_encoder:
        return replace(recipe, encoder_weights="none")
    return recipe


def _architecture(recipe: Recipe, init: Run | None, strategy: Strategy, task: Task) -> Architecture:
    classes = logits_of(task)
    if init is not None:
        return replace(Architecture.from_json(init.document["architecture"]), classes=classes)
    if strategy.name == "baseline":
        return Architecture(name="plain-unet", encoder="", decoder_channels=(), classes=classes)
    return Architecture(encoder=recipe.encoder, decoder_channels=recipe.decoder_channels, classes=classes)


def _network(architecture: Architecture, recipe: Recipe, init: Run | None, progress: Callable[[str], None]) -> Any:
    torch.manual_seed(recipe.seed)
    network = architecture.build(recipe.encoder_weights)
    if init is not None:
        fresh = load_body(network, init.network())
        if fresh:
            progress(
                f"{init.name} is for the task {init.task.name!r}: {', '.join(fresh)} start from random values instead"
            )
    return network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _trained_on(init: Run | None) -> set[str]:
    return set() if init is None else set(init.document["trained_on"])


def _summary(init: Run) -> dict[str, Any]:
    """What a run keeps of the one it started from."""
    source = init.source()
    kept = {key: source[key] for key in ("run", "strategy", "weights_sha256")}
    return {**kept, "recipe": init.document["recipe"], "validation": init.document["validation"]}


def _split(dataset: Dataset, recipe: Recipe, init: Run | None) -> tuple[list[str], list[str]]:
    if init is not None and init.document["data"]["fingerprint"] == dataset.fingerprint():
        train, validation = init.document["split"]["train"], init.document["split"]["validation"]
    else:
        train, validation = split_by_subject(dataset.items, recipe.validation, recipe.seed, _trained_on(init))
    if recipe.train_count is not None:
        train = draw_frames(dataset.only(train).items, recipe.train_count, recipe.seed)
    return train, validation


def _read(
    dataset: Dataset,
    teachers: Sequence[Run],
    unlabelled: Unlabelled | None,
    document: dict[str, Any],
    recipe: Recipe,
    trainer: lightning.Trainer,
    progress: Callable[[str], None],
) -> tuple[PreparedFrames, PreparedFrames]:
    """Training frames, with the teachers' answers, and validation frames."""
    task, (height, width) = document["task"], document["size"]
    size, structures = (height, width), len(document["classes"]) - 1
    train_part, validation_part = (dataset.only(document["split"][side]) for side in ("train", "validation"))
    progress(f"reading {len(train_part)} training and {len(validation_part)} validation frames")
    validation = PreparedFrames(validation_part, size, structures)
    phantoms = (PHANTOMS[task](PHANTOM_SEED_STEP * (recipe.seed + 1) + number) for number in range(recipe.phantoms))
    for fact in document["teachers"]:
        seen = fact["trained_on_validation"]
        progress(
            f"the teacher {fact['run']} answers first" + (f"; it has seen {seen} validation frames" if seen else "")
        )
    answer = Teachers(teachers, size, trainer.strategy.root_device) if teachers else None
    return PreparedFrames(chain(train_part, phantoms), size, structures, answer, unlabelled or ()), validation


def _fit(
    network: nn.Module,
    frames: tuple[PreparedFrames, PreparedFrames],
    dataset: Dataset,
    document: dict[str, Any],
    out: Path,
    recipe: Recipe,
    trainer: lightning.Trainer,
    keeper: Keeper,
    resume: bool,
    progress: Callable[[str], None],
) -> Run | None:
    scale, offset = INTENSITIES[recipe.intensity]
    module = SegmentationModule(
        network,
        classes=document["architecture"]["classes"],
        scale=scale,
        offset=offset,
        learning_rate=recipe.learning_rate,
        frozen_batchnorm=recipe.frozen_batchnorm,
        seed=recipe.seed,
        soft_weight=recipe.soft_weight,
    )
    fit(trainer, module, TrainingFrames(frames[0], recipe.seed), ValidationFrames(frames[1]), recipe, keeper, resume)
    if trainer.is_global_zero:
        progress("measuring the best epoch on the validation frames")
        draw_curve(keeper.rows, out / CURVE)
        run = Run(out, {**document, "best": keeper.best, "epochs_run": len(keeper.rows)})
        record = evaluate_run(run, dataset.only(document["split"]["validation"]), torch.get_num_threads())
        del record["per_case"]
        cost = multiply_adds(run.network(), run.size)
        write_document(out, {**run.document, "multiply_adds": cost, "validation": record})
        (out / RESUME).unlink(missing_ok=True)
    trainer.strategy.barrier()
    return open_run(out) if trainer.is_global_zero else None
