"""The U-Net as a Lightning module."""

from __future__ import annotations

import math
from typing import Any

import lightning
import torch
from monai.losses.dice import DiceCELoss
from torch import nn

from fetaledge.models.strategies import freeze_batchnorm


class SegmentationModule(lightning.LightningModule):
    """Loss, schedule and the validation Dice of a network with one logit.

    Args:
        network: takes ``float32 (N, 3, H, W)``, gives ``float32 (N, 1, H, W)`` logits.
        scale, offset: the network sees ``grey (0–255) * scale + offset``.
        learning_rate: the peak of a one-cycle schedule.
        frozen_batchnorm: whether the statistics of a frozen encoder's batch norms stay as they are.
        seed: of what the network draws itself, such as dropout.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        scale: float,
        offset: float,
        learning_rate: float,
        frozen_batchnorm: bool,
        seed: int,
    ) -> None:
        super().__init__()
        self.network = network
        self.scale, self.offset = scale, offset
        self.learning_rate = learning_rate
        self.frozen_batchnorm = frozen_batchnorm
        self.seed = seed
        self.loss = DiceCELoss(sigmoid=True, lambda_dice=0.5, lambda_ce=0.5)

    def forward(self, grey: torch.Tensor) -> torch.Tensor:
        """Logits ``(N, 1, H, W)`` of grey frames ``float32 (N, 1, H, W)`` in 0–1."""
        x = (grey * (255 * self.scale) + self.offset).expand(-1, 3, -1, -1)
        logits: torch.Tensor = self.network(x.contiguous(memory_format=torch.channels_last))
        return logits

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(self.seed + self.current_epoch)  # dropout too is the same in a resumed run
        if self.frozen_batchnorm:
            freeze_batchnorm(self.network)

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        images, masks = batch
        loss: torch.Tensor = self.loss(self(images).float(), masks)
        self.log("loss", loss, prog_bar=True, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(images))
        return loss

    def validation_step(self, batch: Any, _: int) -> None:
        images, masks = batch
        logits = self(images).float()
        predicted, truth = logits > 0, masks > 0.5
        both = (predicted & truth).flatten(1).sum(1)
        total = predicted.flatten(1).sum(1) + truth.flatten(1).sum(1)
        dice = torch.where(total > 0, 2 * both / total.clamp(min=1), 1.0)
        values = {"dice": dice.mean(), "validation_loss": self.loss(logits, masks)}
        self.log_dict(values, prog_bar=True, on_epoch=True, sync_dist=True, batch_size=len(images))

    def configure_optimizers(self) -> Any:
        parameters = [p for p in self.parameters() if p.requires_grad]
        optimiser = torch.optim.Adam(parameters, lr=self.learning_rate)
        steps = max(8, math.ceil(self.trainer.estimated_stepping_batches))  # the schedule's rise needs a step
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, self.learning_rate, total_steps=steps, pct_start=0.25)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
