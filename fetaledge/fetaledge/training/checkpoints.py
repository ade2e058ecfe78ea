"""What is kept of a training run while it goes on: log, best weights, and the state to resume from."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning

from fetaledge.runs.run import LOG, RESUME
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.files import atomic_path

COLUMNS = ("epoch", "loss", "validation_loss", "dice", "learning_rate", "seconds")


class Keeper(lightning.Callback):
    """After every epoch: a row of ``log.csv``, the weights if the validation Dice is the best yet, the whole state.

    Each file is replaced in one step, and the state last: a run killed at any moment resumes from its last whole epoch.
    """

    def __init__(self, folder: Path, progress: Callable[[str], None], keep: Callable[[Any], None]) -> None:
        """``keep`` writes the weights of the Lightning module that it is given."""
        self.folder = folder
        self.keep = keep
        self.progress = progress
        self.rows: list[dict[str, Any]] = []
        self.started = 0.0

    @property
    def best(self) -> dict[str, Any]:
        """The row of the best epoch."""
        return max(self.rows, key=lambda row: row["dice"])

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rows = state["rows"]

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
        self.rows.append(
            {
                "epoch": trainer.current_epoch,
                **values,
                "learning_rate": rate,
                "seconds": time.monotonic() - self.started,
            }
        )
        if trainer.is_global_zero:
            with atomic_path(self.folder / LOG) as partial, partial.open("w", newline="") as stream:
                writer = csv.DictWriter(stream, COLUMNS)
                writer.writeheader()
                writer.writerows({key: _short(value) for key, value in row.items()} for row in self.rows)
            if self.best is self.rows[-1]:
                self.keep(module)
            with atomic_path(self.folder / RESUME) as partial:
                trainer.save_checkpoint(partial)
            self.progress(
                f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: loss {values['loss']:.4f}, "
                f"validation Dice {values['dice']:.4f}, {self.rows[-1]['seconds']:.0f} s"
            )
        else:
            trainer.save_checkpoint(self.folder / RESUME)  # writes nothing, but every process must take part


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
