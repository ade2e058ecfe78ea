"""Lightning's trainer, set up and run for any network here."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from typing import Any, Protocol

import lightning
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import RichProgressBar
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from fetaledge.runs.run import RESUME
from fetaledge.training.checkpoints import Keeper
from fetaledge.training.epoch_sampler import EpochSampler
from fetaledge_runtimes.errors import UsageError


@dataclass(frozen=True)
class Machines:
    """What the work is shared out over: the flags of Lightning's Trainer of the same names."""

    accelerator: str = "auto"
    devices: int = 1
    num_nodes: int = 1


class Schedule(Protocol):
    """What a trainer needs of a recipe."""

    @property
    def batch(self) -> int: ...

    @property
    def epochs(self) -> int: ...

    @property
    def precision(self) -> str: ...

    @property
    def seed(self) -> int: ...


def make_trainer(recipe: Schedule, machines: Machines, keeper: Keeper, bar: bool) -> lightning.Trainer:
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


def fit(
    trainer: lightning.Trainer,
    module: lightning.LightningModule,
    train: Dataset[Any],
    validation: Dataset[Any],
    recipe: Schedule,
    keeper: Keeper,
    resume: bool,
) -> None:
    """Train, with ``resume`` from the last whole epoch in the keeper's folder where there is one.

    Raises:
        KeyboardInterrupt: after Ctrl-C.
    """
    world, rank = trainer.world_size, trainer.global_rank
    sampler = EpochSampler(train, world, rank, shuffle=True, seed=recipe.seed)
    validation_sampler: DistributedSampler[Any] = DistributedSampler(validation, world, rank, shuffle=False)
    state = keeper.folder / RESUME
    try:
        trainer.fit(
            module,
            DataLoader(train, batch_size=recipe.batch, sampler=sampler, drop_last=len(sampler) > recipe.batch),
            DataLoader(validation, batch_size=recipe.batch, sampler=validation_sampler),
            ckpt_path=state if resume and state.is_file() else None,
            weights_only=True,
        )
    except SystemExit:  # Lightning's answer to Ctrl-C
        keeper.progress(f"stopped after {len(keeper.rows)} epochs; go on with the same command and --resume")
        raise KeyboardInterrupt from None
