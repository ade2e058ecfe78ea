"""Lightning's trainer, set up and run for any network here."""

from __future__ import annotations

import logging
import os
import warnings
from dataclasses import dataclass
from typing import Any, Protocol

import lightning
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import RichProgressBar
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from fetaledge.runs.run import RESUME
from fetaledge.training.checkpoints import CheckpointCallback
from fetaledge.training.epoch_sampler import EpochSampler
from fetaledge_runtimes.errors import UsageError

MOST_WORKERS = 8


@dataclass(frozen=True)
class TrainerHardware:
    """The hardware that training runs on.

    Attributes:
        accelerator, devices, num_nodes: the arguments of Lightning's Trainer of the same names.
        workers: processes for each device that read and augment frames ahead of time; None chooses by the accelerator
            (:func:`worker_count`). The frames are the same for any number.
    """

    accelerator: str = "auto"
    devices: int = 1
    num_nodes: int = 1
    workers: int | None = None


class Schedule(Protocol):
    """The part of a recipe that a trainer needs."""

    @property
    def batch(self) -> int: ...

    @property
    def epochs(self) -> int: ...

    @property
    def precision(self) -> str: ...

    @property
    def seed(self) -> int: ...


def make_trainer(
    recipe: Schedule, hardware: TrainerHardware, callback: CheckpointCallback, bar: bool
) -> lightning.Trainer:
    """A trainer for the recipe; ``bar`` shows a progress bar on stderr.

    Raises:
        UsageError: the hardware is not there, or a count makes no sense.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", module="monai")
    if hardware.devices < 1 or hardware.num_nodes < 1:
        given = f"--devices {hardware.devices}, --num-nodes {hardware.num_nodes}"
        raise UsageError(f"{given}: one of them is below 1", "give 1 or more")
    if hardware.workers is not None and hardware.workers < 0:
        raise UsageError(f"--workers {hardware.workers} is below 0", "0 reads the frames in the training's own process")
    try:
        return lightning.Trainer(
            max_epochs=recipe.epochs,
            accelerator=hardware.accelerator,
            devices=hardware.devices,
            num_nodes=hardware.num_nodes,
            strategy="ddp_find_unused_parameters_true" if hardware.devices * hardware.num_nodes > 1 else "auto",
            precision=recipe.precision,  # type: ignore[arg-type]
            callbacks=[callback, *([RichProgressBar(console_kwargs={"stderr": True})] if bar else [])],
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
        raise UsageError(f"--accelerator {hardware.accelerator} cannot be used: {reason}", "try auto or cpu") from error


def worker_count(hardware: TrainerHardware, device: str) -> int:
    """How many processes read and augment frames for each device.

    On a CPU none: the network's own threads use every core already. Otherwise the cores are divided among the devices,
    up to 8 for each.

    Args:
        hardware: whose ``workers`` decide, if given.
        device: PyTorch's word for the kind of device, such as ``cpu`` or ``cuda``.
    """
    if hardware.workers is not None:
        return hardware.workers
    if device == "cpu":
        return 0
    return min(MOST_WORKERS, max(1, _usable_cores() // hardware.devices))


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fit(
    trainer: lightning.Trainer,
    module: lightning.LightningModule,
    train: Dataset[Any],
    validation: Dataset[Any],
    recipe: Schedule,
    hardware: TrainerHardware,
    callback: CheckpointCallback,
    resume: bool,
) -> None:
    """Train, with ``resume`` from the last whole epoch in the callback's folder where there is one.

    Raises:
        KeyboardInterrupt: after Ctrl-C.
    """
    world, rank = trainer.world_size, trainer.global_rank
    sampler = EpochSampler(train, world, rank, shuffle=True, seed=recipe.seed)
    validation_sampler: DistributedSampler[Any] = DistributedSampler(validation, world, rank, shuffle=False)
    device = trainer.strategy.root_device.type
    workers = worker_count(hardware, device)
    loading: dict[str, Any] = {
        "batch_size": recipe.batch,
        "num_workers": workers,
        "persistent_workers": workers > 0,
        "pin_memory": device == "cuda",
    }
    state = callback.folder / RESUME
    try:
        trainer.fit(
            module,
            DataLoader(train, sampler=sampler, drop_last=len(sampler) > recipe.batch, **loading),
            DataLoader(validation, sampler=validation_sampler, **loading),
            ckpt_path=state if resume and state.is_file() else None,
            weights_only=True,
        )
    except SystemExit:  # Lightning's answer to Ctrl-C
        callback.progress(f"stopped after {len(callback.epochs)} epochs; go on with the same command and --resume")
        raise KeyboardInterrupt from None
