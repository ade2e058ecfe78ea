"""Files that a training run writes as it goes on: the log, the best weights, and the state to resume from."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning

from fetaledge.runs.run import LOG, RESUME, Epoch
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.files import atomic_path
from fetaledge_runtimes.records import to_json


class CheckpointCallback(lightning.Callback):
    """After every epoch: a row of ``log.csv``, the weights if the validation Dice is the best yet, the whole state.

    Each file is replaced in one step, and the state last: a run killed at any moment resumes from its last whole epoch.

    Attributes:
        folder: of the run, or of a fold.
        epochs: those that have ended, the resumed run's too.
    """

    def __init__(self, folder: Path, progress: Callable[[str], None], write_weights: Callable[[Any], None]) -> None:
        """``write_weights`` writes the weights of the Lightning module that it is given."""
        self.folder = folder
        self.write_weights = write_weights
        self.progress = progress
        self.epochs: list[Epoch] = []
        self.started = 0.0

    @property
    def state_key(self) -> str:
        """The name under which ``resume.ckpt`` holds this state: that of earlier versions."""
        return "Keeper"

    @property
    def best(self) -> Epoch:
        """The epoch of the best validation Dice."""
        return max(self.epochs, key=lambda epoch: epoch.dice)

    def state_dict(self) -> dict[str, Any]:
        return {"rows": [to_json(epoch) for epoch in self.epochs]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epochs = [Epoch(**row) for row in state["rows"]]

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self.started = time.monotonic()

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        values = {name: metrics[name] for name in ("loss", "validation_loss", "dice")}
        if not all(map(math.isfinite, values.values())):
            raise InputError(
                f"the training diverged in epoch {trainer.current_epoch + 1}: its loss is not finite",
                "train again with a lower --learning-rate, or look for damaged frames with fetaledge data check",
            )
        epoch = Epoch(
            epoch=trainer.current_epoch, **values, learning_rate=rate, seconds=time.monotonic() - self.started
        )
        self.epochs.append(epoch)
        if trainer.is_global_zero:
            with atomic_path(self.folder / LOG) as partial, partial.open("w", newline="") as stream:
                writer = csv.writer(stream)
                writer.writerow(Epoch.__struct_fields__)
                writer.writerows(map(_short, to_json(row).values()) for row in self.epochs)
            if self.best is epoch:
                self.write_weights(module)
            with atomic_path(self.folder / RESUME) as partial:
                trainer.save_checkpoint(partial)
            self.progress(
                f"epoch {epoch.epoch + 1}/{trainer.max_epochs}: loss {epoch.loss:.4f}, "
                f"validation Dice {epoch.dice:.4f}, {epoch.seconds:.0f} s"
            )
        else:
            trainer.save_checkpoint(self.folder / RESUME)  # writes nothing, but every process must take part


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
