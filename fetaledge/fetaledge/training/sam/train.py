"""Train a SAM on labelled frames: adapters, its decoder, or all of it, in folds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning_utilities.core.rank_zero import rank_zero_only
from msgspec.structs import replace
from torch import nn

from fetaledge.data.dataset import Dataset
from fetaledge.data.split import draw_frames, split_by_subject, split_into_folds
from fetaledge.models.sam.checkpoint import SamBase
from fetaledge.models.sam.lora import SAVED, add_adapters, load_samed, read_samed
from fetaledge.runs.evaluate import run_predictor
from fetaledge.runs.run import CURVE, DOCUMENT, RESUME, Intensity, RunData
from fetaledge.runs.run_folder import check_folder, prepare_folder
from fetaledge.runs.sam_fold import save_fold
from fetaledge.runs.sam_recipe import SamRecipe, Tune
from fetaledge.runs.sam_run import FOLD, Fold, FoldResult, SamArchitecture, SamRun, SamRunDocument, describe_base
from fetaledge.runs.unet_recipe import IntensityScale
from fetaledge.training.checkpoints import CheckpointCallback
from fetaledge.training.curve import draw_curve
from fetaledge.training.sam.frames import AugmentedMaps, LabelMaps, PlainMaps
from fetaledge.training.sam.memory_estimate import out_of_memory_named, refuse_what_does_not_fit
from fetaledge.training.sam.module import SamModule
from fetaledge.training.trainer import TrainerHardware, fit, make_trainer
from fetaledge_export.multiply_adds import multiply_adds
from fetaledge_runtimes.files import read_json, write_json
from fetaledge_runtimes.records import from_json, to_json, write_document
from fetaledge_runtimes.scores.case import score_case
from fetaledge_runtimes.scores.record import evaluation_record

FINISHED = "fold.json"
SCALE, OFFSET = IntensityScale.UNIT.scale_and_offset


def train_sam(
    dataset: Dataset,
    out: Path,
    recipe: SamRecipe,
    *,
    base: str,
    adapter: Path | None = None,
    resume: bool = False,
    force: bool = False,
    hardware: TrainerHardware = TrainerHardware(),
    progress: Callable[[str], None] = lambda _: None,
    bar: bool = False,
) -> SamRun | None:
    """Train and write a run folder with one sub-folder a fold; of each, the best epoch by validation Dice is kept.

    The run is returned by the first process alone; the others of several return None.

    Args:
        dataset: the labelled frames.
        out: the run's folder.
        recipe: the values of the training.
        base: a checkpoint, a folder of transformers' SamModel, or ``random:NAME``.
        adapter: a LoRA file of SAMed to start from.
        resume: go on with an interrupted run in ``out``: finished folds stay, the one at work goes on from its last
            whole epoch.
        force: replace an earlier run.
        hardware: the hardware to train on.
        progress: takes each line of progress.
        bar: show a progress bar on stderr.

    Raises:
        UsageError: values that make no sense, other values than the interrupted run's, or more memory than there is.
        InputError: an unusable base or adapter, or nothing to resume.
        OutputError: ``out`` exists (without ``force`` or ``resume``) or cannot be written.
    """
    first = getattr(rank_zero_only, "rank", 0) == 0 and os.environ.get("NODE_RANK", "0") == "0"
    recipe.check()
    read = SamBase.read(base, recipe.seed)
    shape = read.shape.resized(recipe.size)
    folds = _folds(dataset, recipe)
    refuse_what_does_not_fit(shape, recipe, hardware)
    facts = dataset.facts()  # the one reading of all files, which the content hashes below share
    trained = {name for train, _ in folds for name in train}
    document = SamRunDocument(
        task=dataset.task.name,
        classes=dataset.task.classes,
        architecture=SamArchitecture(
            shape=shape, tune=Tune(recipe.tune), rank=recipe.rank, base=describe_base(read, base, out, recipe.seed)
        ),
        size=(recipe.size, recipe.size),
        intensity=Intensity(scale=SCALE, offset=OFFSET),
        recipe=recipe,
        adapter=None if adapter is None else adapter.name,
        data=RunData(**facts),
        hashes={item.name: item.content_hash() for item in dataset.items if item.name in trained},
        folds=tuple(Fold(train=tuple(train), validation=tuple(validation)) for train, validation in folds),
        trained_parameters=0,
    )
    classes = len(document.classes)
    if not first:
        progress, bar = (lambda _: None), False
    ready = [_network(read, recipe, classes, adapter)]
    count = sum(parameter.numel() for parameter in ready[0].parameters() if parameter.requires_grad)
    document = replace(document, trained_parameters=count)
    if first:
        check_folder(out, document, resume=resume, force=force)
    # here, so that hardware that is not there is an error before anything is read or written
    make_trainer(recipe, hardware, CheckpointCallback(out, progress, lambda _: None), bar=False)
    used = {name for fold in folds for side in fold for name in side}
    progress(f"reading {len(used)} frames")
    frames = LabelMaps.read(dataset.only(used), recipe.size)
    if first:
        prepare_folder(out, document, [FOLD.format(number) for number in range(1, len(folds) + 1)], resume=resume)
    for number, (train, validation) in enumerate(folds, 1):
        folder = out / FOLD.format(number)
        if resume and (folder / FINISHED).is_file():
            continue
        folder.mkdir(exist_ok=True)
        said = f"fold {number} of {len(folds)}: " if len(folds) > 1 else ""
        progress(f"{said}{len(train)} training and {len(validation)} validation frames")
        with out_of_memory_named(shape, recipe):
            _fit(
                ready.pop() if ready else _network(read, recipe, classes, adapter),
                frames.only(train),
                frames.only(validation),
                folder,
                recipe,
                hardware,
                resume,
                lambda line, said=said: progress(said + line),  # type: ignore[misc]
                bar,
            )
    if not first:
        return None
    document = replace(document, folds=tuple(_finished(fold, out, n) for n, fold in enumerate(document.folds, 1)))
    progress("measuring each fold's best epoch on its validation frames")
    one = multiply_adds(read.network(classes, recipe.size), torch.zeros(1, 3, *document.size))
    finished = replace(
        document,
        multiply_adds=one * len(folds) * (2 if recipe.flip else 1),
        validation=_measure(out, document, dataset, read),
    )
    write_document(out / DOCUMENT, finished)
    return SamRun(out, finished)


def _finished(fold: Fold, out: Path, number: int) -> Fold:
    """A fold with the result that its training wrote."""
    path = out / FOLD.format(number) / FINISHED
    result = from_json(read_json(path, "fold"), FoldResult, str(path), hint="delete the file and resume")
    return replace(fold, best=result.best, epochs_run=result.epochs_run)


def _folds(dataset: Dataset, recipe: SamRecipe) -> list[tuple[list[str], list[str]]]:
    """(training, validation) names of each fold."""
    if recipe.folds == 1:
        folds = [split_by_subject(dataset.items, recipe.validation, recipe.seed)]
    else:
        folds = split_into_folds(dataset.items, recipe.folds)
    if recipe.train_count is None:
        return folds
    return [
        (draw_frames(dataset.only(train).items, recipe.train_count, recipe.seed), validation)
        for train, validation in folds
    ]


def _network(base: SamBase, recipe: SamRecipe, classes: int, adapter: Path | None) -> nn.Module:
    """The network, its trained parameters marked by ``requires_grad``."""
    network = base.network(classes, recipe.size)
    if recipe.checkpointing:
        network.vision_encoder.gradient_checkpointing_enable(  # type: ignore[operator]
            gradient_checkpointing_kwargs={"use_reentrant": False}
        )
    if recipe.tune == Tune.LORA:
        adapted: nn.Module = add_adapters(network, recipe.rank, recipe.seed)
        if adapter is not None:
            load_samed(adapted, read_samed(adapter), adapter)
        return adapted.train()
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(recipe.tune == Tune.ALL or name.startswith(SAVED))
    return network.train()


def _fit(
    network: nn.Module,
    train: LabelMaps,
    validation: LabelMaps,
    folder: Path,
    recipe: SamRecipe,
    hardware: TrainerHardware,
    resume: bool,
    progress: Callable[[str], None],
    bar: bool,
) -> None:
    """Train one fold and write its folder; ``fold.json`` comes last."""
    callback = CheckpointCallback(folder, progress, lambda module: save_fold(module.network, folder, recipe.tune))
    trainer = make_trainer(recipe, hardware, callback, bar)
    module = SamModule(network, recipe, SCALE, OFFSET)
    maps = AugmentedMaps(train, recipe.seed), PlainMaps(validation)
    fit(trainer, module, *maps, recipe, hardware, callback, resume)
    if trainer.is_global_zero:
        draw_curve(callback.epochs, folder / CURVE)
        result = FoldResult(best=callback.best, epochs_run=len(callback.epochs))
        write_json(folder / FINISHED, to_json(result))
        (folder / RESUME).unlink(missing_ok=True)
    trainer.strategy.barrier()


def _measure(out: Path, document: SamRunDocument, dataset: Dataset, base: SamBase) -> dict[str, Any]:
    """The record over all validation frames, each predicted by the fold that has not seen it."""
    scores = []
    engine = ""
    for number, fold in enumerate(document.folds, 1):
        run = SamRun(out, document, number)
        predictor = run_predictor(run, torch.get_num_threads(), network=run.fold_network(number, base))
        for case in dataset.only(fold.validation):
            scores.append(score_case(case, predictor(case.frame).mask, run.task))
        engine = f"{predictor.engine.name} {predictor.engine.version}"
    record = evaluation_record(
        scores,
        task=run.task,
        variant="torch-fp32",
        engine=engine,
        data=dataset.name,
        synthetic=dataset.synthetic,
    )
    del record["per_case"]
    return record
