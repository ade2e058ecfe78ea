"""Train a U-Net on labelled frames."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fetaledge.data.dataset import Dataset
from fetaledge.data.phantom import head_phantom
from fetaledge.data.split import draw_frames, split_by_subject
from fetaledge.models.strategies import Strategy, apply_strategy, strategy_named
from fetaledge.models.unet import Architecture
from fetaledge.training.recipe import INTENSITIES, Recipe
from fetaledge.training.run import CLASSES, CURVE, DOCUMENT, WEIGHTS, Run, write_document
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
) -> Run:
    """Train and write a run folder; the best epoch by validation Dice is kept.

    With ``init``, architecture, size and intensity come from that run, and the split too where the data are the same.
    With ``resume``, an interrupted run in ``out`` goes on from its last whole epoch.

    Raises:
        UsageError: values that make no sense, or other values than the interrupted run's.
        InputError: unusable weights, or nothing to resume.
        OutputError: ``out`` exists (without ``force`` or ``resume``) or cannot be written.
    """
    first = int(os.environ.get("LOCAL_RANK", "0")) == 0 and int(os.environ.get("NODE_RANK", "0")) == 0
    strategy = strategy_named(recipe.strategy)
    recipe = _completed(recipe, init, strategy)
    architecture = _architecture(recipe, init, strategy)
    train_names, validation_names = _split(dataset, recipe, init)
    document: dict[str, Any] = {
        "task": "head",
        "classes": list(CLASSES["head"]),
        "architecture": architecture.to_json(),
        "size": [recipe.size, recipe.size],
        "intensity": dict(zip(("scale", "offset"), INTENSITIES[recipe.intensity], strict=True)),
        "recipe": recipe.to_json(),
        "init": init.source() if init else None,
        "data": {
            "name": dataset.name,
            "frames": len(dataset),
            "fingerprint": dataset.fingerprint(),
            "synthetic": dataset.synthetic,
        },
        "split": {"train": train_names, "validation": validation_names},
    }
    network = _network(architecture, recipe, init, strategy)
    document["trained_parameters"] = apply_strategy(network, strategy)
    if first:
        _prepare_folder(out, document, resume=resume, force=force)
    return _fit(
        network, dataset, document, out, recipe, machines, resume, progress if first else lambda _: None, bar and first
    )


def _completed(recipe: Recipe, init: Run | None, strategy: Strategy) -> Recipe:
    if recipe.size < 32 or recipe.size % 32:
        raise UsageError(
            f"--size {recipe.size} is not a multiple of 32", "the encoder halves the frame five times: try 256"
        )
    for value, flag in ((recipe.epochs, "--epochs"), (recipe.batch, "--batch")):
        if value < 1:
            raise UsageError(f"{flag} {value} is below 1", "give a whole number of 1 or more")
    if init is not None:
        intensity = next((name for name, pair in INTENSITIES.items() if pair[1] == init.offset), recipe.intensity)
        return replace(recipe, encoder_weights="none", intensity=intensity, size=init.size[0])
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
    import torch

    if init is not None:
        return init.network().train().to(memory_format=torch.channels_last)
    torch.manual_seed(recipe.seed)
    return architecture.build(recipe.encoder_weights).to(memory_format=torch.channels_last)


def _split(dataset: Dataset, recipe: Recipe, init: Run | None) -> tuple[list[str], list[str]]:
    if init is not None and init.document["data"]["fingerprint"] == dataset.fingerprint():
        train, validation = init.document["split"]["train"], init.document["split"]["validation"]
    else:
        train, validation = split_by_subject(dataset.items, recipe.validation, recipe.seed)
    if recipe.train_count is not None:
        train = draw_frames(dataset.only(train).items, recipe.train_count, recipe.seed)
    return train, validation


def _prepare_folder(out: Path, document: dict[str, Any], *, resume: bool, force: bool) -> None:
    from fetaledge.training.keeper import RESUME

    if resume:
        if not (out / RESUME).is_file():
            raise InputError(
                f"{out} holds no {RESUME}", "there is nothing to resume: it finished, or never ended an epoch"
            )
        earlier = read_json(out / DOCUMENT, "run")
        changed = [key for key in ("recipe", "data", "split", "architecture") if earlier.get(key) != document[key]]
        if changed:
            raise UsageError(f"{out} was started with another {changed[0]}", "resume with the same data and options")
        return
    refuse_existing(out, force)
    if out.is_dir() and any(out.iterdir()):
        if not (out / DOCUMENT).is_file():
            raise OutputError(f"{out} holds no {DOCUMENT}, so it was not made by this command", "choose another name")
        for name in (RESUME, WEIGHTS, CURVE, "log.csv"):
            (out / name).unlink(missing_ok=True)
    write_document(out, document)


def _fit(
    network: Any,
    dataset: Dataset,
    document: dict[str, Any],
    out: Path,
    recipe: Recipe,
    machines: Machines,
    resume: bool,
    progress: Callable[[str], None],
    bar: bool,
) -> Run:
    import lightning
    import torch
    from lightning.pytorch.callbacks import RichProgressBar
    from torch.utils.data import DataLoader

    from fetaledge.training.curve import draw_curve
    from fetaledge.training.frames import EpochSampler, PreparedFrames, TrainingFrames, ValidationFrames
    from fetaledge.training.keeper import RESUME, Keeper
    from fetaledge.training.module import SegmentationModule

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", module="monai")
    size = (recipe.size, recipe.size)
    train_part, validation_part = (dataset.only(document["split"][side]) for side in ("train", "validation"))
    progress(f"reading {len(train_part)} training and {len(validation_part)} validation frames")
    phantoms = (head_phantom(PHANTOM_SEED_STEP * (recipe.seed + 1) + number) for number in range(recipe.phantoms))
    train = TrainingFrames(
        PreparedFrames((frame for part in (train_part, phantoms) for frame in part), size), recipe.seed
    )
    validation = ValidationFrames(PreparedFrames(validation_part, size))

    lightning.seed_everything(recipe.seed, verbose=False)
    scale, offset = INTENSITIES[recipe.intensity]
    module = SegmentationModule(
        network,
        scale=scale,
        offset=offset,
        learning_rate=recipe.learning_rate,
        frozen_batchnorm=recipe.frozen_batchnorm,
    )
    keeper = Keeper(out, progress, recipe.half)
    trainer = lightning.Trainer(
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
    sampler = EpochSampler(
        train, num_replicas=trainer.world_size, rank=trainer.global_rank, shuffle=True, seed=recipe.seed
    )
    validation_sampler = torch.utils.data.DistributedSampler(
        validation, num_replicas=trainer.world_size, rank=trainer.global_rank, shuffle=False
    )
    try:
        trainer.fit(
            module,
            DataLoader(train, batch_size=recipe.batch, sampler=sampler, drop_last=len(train) > recipe.batch),
            DataLoader(validation, batch_size=recipe.batch, sampler=validation_sampler),
            ckpt_path=out / RESUME if resume else None,
            weights_only=True,
        )
    except SystemExit:  # Lightning's answer to Ctrl-C
        progress(f"stopped after {len(keeper.rows)} epochs; go on with the same command and --resume")
        raise KeyboardInterrupt from None
    if trainer.is_global_zero:
        best = keeper.best
        draw_curve(keeper.rows, out / CURVE)
        document = {**document, "best": best, "epochs_run": len(keeper.rows)}
        write_document(out, document)
        progress("measuring the best epoch on the validation frames")
        write_document(out, {**document, "validation": _validate(Run.open(out), validation_part)})
        (out / RESUME).unlink(missing_ok=True)
    return Run.open(out)


def _validate(run: Run, frames: Any) -> dict[str, Any]:
    from fetaledge.evaluation import evaluate_run

    record = evaluate_run(run, frames, os.cpu_count() or 1)
    return {key: value for key, value in record.items() if key != "per_case"}
