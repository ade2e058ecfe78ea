"""Train a U-Net on labelled frames."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import RichProgressBar
from lightning_utilities.core.rank_zero import rank_zero_only
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler

from fetaledge.data.dataset import Dataset
from fetaledge.data.phantom import head_phantom
from fetaledge.data.split import draw_frames, split_by_subject
from fetaledge.evaluation import evaluate_run
from fetaledge.models.strategies import Strategy, apply_strategy, strategy_named
from fetaledge.models.unet import Architecture
from fetaledge.training.curve import draw_curve
from fetaledge.training.frames import EpochSampler, PreparedFrames, TrainingFrames, ValidationFrames
from fetaledge.training.keeper import RESUME, Keeper
from fetaledge.training.module import SegmentationModule
from fetaledge.training.recipe import INTENSITIES, Recipe
from fetaledge.training.run import CLASSES, CURVE, DOCUMENT, LOG, WEIGHTS, Run, write_document
from fetaledge_runtimes.errors import InputError, OutputError, UsageError
from fetaledge_runtimes.files import read_json, refuse_existing

PHANTOM_SEED_STEP = 1_000_000


@dataclass(frozen=True)
class Machines:
    """What the work is shared out over: the flags of Lightning's Trainer of the same names."""

    accelerator: str = "auto"
    devices: int = 1
    num_nodes: int = 1


def train_unet(
    dataset: Dataset,
    out: Path,
    recipe: Recipe,
    *,
    init: Run | None = None,
    resume: bool = False,
    force: bool = False,
    machines: Machines = Machines(),
    progress: Callable[[str], None] = lambda _: None,
    bar: bool = False,
) -> Run | None:
    """Train and write a run folder; the best epoch by validation Dice is kept.

    The run is returned by the first process alone; the others of several return None.

    With ``init``, architecture, size and intensity come from that run, and the split too where the data are the same.
    With ``resume``, an interrupted run in ``out`` goes on from its last whole epoch.

    Raises:
        UsageError: values that make no sense, or other values than the interrupted run's.
        InputError: unusable weights, or nothing to resume.
        OutputError: ``out`` exists (without ``force`` or ``resume``) or cannot be written.
    """
    first = getattr(rank_zero_only, "rank", 0) == 0 and os.environ.get("NODE_RANK", "0") == "0"
    strategy = strategy_named(recipe.strategy)
    recipe = _completed(recipe, init, strategy)
    architecture = _architecture(recipe, init, strategy)
    train_names, validation_names = _split(dataset, recipe, init)
    seen = {item.content_hash() for item in dataset.only(train_names).items} | _trained_on(init)
    document: dict[str, Any] = {
        "task": "head",
        "classes": list(CLASSES["head"]),
        "architecture": architecture.to_json(),
        "size": [recipe.size, recipe.size],
        "intensity": dict(zip(("scale", "offset"), INTENSITIES[recipe.intensity], strict=True)),
        "recipe": recipe.to_json(),
        "init": _summary(init) if init else None,
        "data": {
            "name": dataset.name,
            "frames": len(dataset),
            "fingerprint": dataset.fingerprint(),
            "synthetic": dataset.synthetic,
        },
        "split": {"train": train_names, "validation": validation_names},
        "trained_on": sorted(seen),
    }
    network = _network(architecture, recipe, init, strategy)
    document["trained_parameters"] = apply_strategy(network, strategy)
    if not first:
        progress, bar = (lambda _: None), False
    keeper = Keeper(out, progress, recipe.half)
    trainer = _trainer(recipe, machines, keeper, bar)
    if first:
        resume = _prepare_folder(out, document, resume=resume, force=force)
    state = out / RESUME if resume and (out / RESUME).is_file() else None
    return _fit(network, dataset, document, out, recipe, trainer, keeper, state, progress)


def _completed(recipe: Recipe, init: Run | None, strategy: Strategy) -> Recipe:
    if recipe.size < 32 or recipe.size % 32:
        raise UsageError(
            f"--size {recipe.size} is not a multiple of 32", "the encoder halves the frame five times: try 256"
        )
    for value, flag, least in (
        (recipe.epochs, "--epochs", 1),
        (recipe.batch, "--batch", 1),
        (recipe.phantoms, "--phantoms", 0),
        (recipe.seed, "--seed", 0),
    ):
        if value < least:
            raise UsageError(f"{flag} {value} is below {least}", f"give a whole number of {least} or more")
    if not 0 < recipe.learning_rate < 10:
        raise UsageError(f"--learning-rate {recipe.learning_rate} is not above 0", "1e-3 is the default")
    if recipe.intensity not in INTENSITIES:
        raise UsageError(f"there is no intensity {recipe.intensity!r}", f"choose from {', '.join(INTENSITIES)}")
    if init is not None:
        if strategy.random_encoder:
            raise UsageError(f"--strategy {strategy.name} starts from random weights", "leave --init out")
        earlier = init.document["recipe"]
        return replace(
            recipe,
            encoder=earlier["encoder"],
            encoder_weights="none",
            decoder_channels=tuple(earlier["decoder_channels"]),
            intensity=earlier["intensity"],
            size=init.size[0],
        )
    if strategy.random_encoder:
        return replace(recipe, encoder_weights="none")
    return recipe


def _architecture(recipe: Recipe, init: Run | None, strategy: Strategy) -> Architecture:
    if init is not None:
        return Architecture.from_json(init.document["architecture"])
    if strategy.name == "baseline":
        return Architecture(name="plain-unet", encoder="", decoder_channels=())
    return Architecture(encoder=recipe.encoder, decoder_channels=recipe.decoder_channels)


def _network(architecture: Architecture, recipe: Recipe, init: Run | None, strategy: Strategy) -> Any:
    if init is not None:
        network = init.network().train()
    else:
        torch.manual_seed(recipe.seed)
        network = architecture.build(recipe.encoder_weights)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


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


def _prepare_folder(out: Path, document: dict[str, Any], *, resume: bool, force: bool) -> bool:
    """Make the folder ready; whether there is an interrupted run in it to go on with."""
    if resume:
        if not (out / DOCUMENT).is_file():
            raise InputError(f"{out} holds no {DOCUMENT}", "there is nothing to resume: leave --resume out")
        earlier = read_json(out / DOCUMENT, "run")
        if "validation" in earlier:
            raise InputError(f"{out} is finished", "there is nothing to resume")
        changed = [key for key in ("recipe", "data", "split", "architecture") if earlier.get(key) != document[key]]
        if changed:
            raise UsageError(f"{out} was started with another {changed[0]}", "resume with the same data and options")
    else:
        refuse_existing(out, force)
        if out.is_dir() and any(out.iterdir()) and not (out / DOCUMENT).is_file():
            raise OutputError(f"{out} holds no {DOCUMENT}, so it was not made by this command", "choose another name")
        for name in (RESUME, WEIGHTS, CURVE, LOG):
            (out / name).unlink(missing_ok=True)
    for name in (RESUME, WEIGHTS, LOG, DOCUMENT):  # what a killed process was writing
        for partial in out.glob(f".{Path(name).stem}.*"):
            partial.unlink()
    write_document(out, document)
    return resume


def _trainer(recipe: Recipe, machines: Machines, keeper: Keeper, bar: bool) -> lightning.Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", module="monai")
    if machines.devices < 1 or machines.num_nodes < 1:
        given = f"--devices {machines.devices}, --num-nodes {machines.num_nodes}"
        raise UsageError(f"{given}: one of them is below 1", "give 1 or more")
    try:
        return lightning.Trainer(
            max_epochs=recipe.epochs,
            accelerator=machines.accelerator,
            devices=machines.devices,
            num_nodes=machines.num_nodes,
            strategy="ddp_find_unused_parameters_true" if machines.devices * machines.num_nodes > 1 else "auto",
            precision=recipe.precision,  # type: ignore[arg-type]
            callbacks=[keeper, *([RichProgressBar(console_kwargs={"stderr": True})] if bar else [])],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=bar,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            log_every_n_steps=1,
        )
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"--accelerator {machines.accelerator} cannot be used: {reason}", "try auto or cpu") from error


def _fit(
    network: nn.Module,
    dataset: Dataset,
    document: dict[str, Any],
    out: Path,
    recipe: Recipe,
    trainer: lightning.Trainer,
    keeper: Keeper,
    state: Path | None,
    progress: Callable[[str], None],
) -> Run | None:
    size = (recipe.size, recipe.size)
    train_part, validation_part = (dataset.only(document["split"][side]) for side in ("train", "validation"))
    progress(f"reading {len(train_part)} training and {len(validation_part)} validation frames")
    phantoms = (head_phantom(PHANTOM_SEED_STEP * (recipe.seed + 1) + number) for number in range(recipe.phantoms))
    train = TrainingFrames(PreparedFrames(chain(train_part, phantoms), size), recipe.seed)
    validation = ValidationFrames(PreparedFrames(validation_part, size))
    scale, offset = INTENSITIES[recipe.intensity]
    module = SegmentationModule(
        network,
        scale=scale,
        offset=offset,
        learning_rate=recipe.learning_rate,
        frozen_batchnorm=recipe.frozen_batchnorm,
        seed=recipe.seed,
    )
    world, rank = trainer.world_size, trainer.global_rank
    sampler = EpochSampler(train, world, rank, shuffle=True, seed=recipe.seed)
    validation_sampler: DistributedSampler[Any] = DistributedSampler(validation, world, rank, shuffle=False)
    try:
        trainer.fit(
            module,
            DataLoader(train, batch_size=recipe.batch, sampler=sampler, drop_last=len(sampler) > recipe.batch),
            DataLoader(validation, batch_size=recipe.batch, sampler=validation_sampler),
            ckpt_path=state,
            weights_only=True,
        )
    except SystemExit:  # Lightning's answer to Ctrl-C
        progress(f"stopped after {len(keeper.rows)} epochs; go on with the same command and --resume")
        raise KeyboardInterrupt from None
    if trainer.is_global_zero:
        progress("measuring the best epoch on the validation frames")
        draw_curve(keeper.rows, out / CURVE)
        run = Run(out, {**document, "best": keeper.best, "epochs_run": len(keeper.rows)})
        record = evaluate_run(run, validation_part, os.cpu_count() or 1)
        del record["per_case"]
        write_document(out, {**run.document, "validation": record})
        (out / RESUME).unlink(missing_ok=True)
    trainer.strategy.barrier()
    return Run.open(out) if trainer.is_global_zero else None
