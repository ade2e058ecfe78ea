"""The U-Net as a Lightning module."""

from __future__ import annotations

import math
from typing import Any

import lightning
import torch
from monai.losses.dice import DiceCELoss
from torch import nn

from fetaledge.models.strategies import freeze_batchnorm
from fetaledge.training.validation_dice import structure_dice


class SegmentationModule(lightning.LightningModule):
    """Loss, schedule and the validation Dice of a network with one logit, or with one for each class.

    Args:
        network: takes ``float32 (N, channels, H, W)``, gives ``float32 (N, C, H, W)`` logits.
        classes: C: 1 (sigmoid; one structure) or more (softmax; the first is the background).
        channels: of its input, each the grey frame.
        scale, offset: the network sees ``grey (0–255) * scale + offset``.
        learning_rate: the peak of a one-cycle schedule.
        frozen_batchnorm: whether the statistics of a frozen encoder's batch norms stay as they are.
        seed: of the network's own random numbers, such as dropout's.
        soft_weight: weight of the second label, the teachers' answer, in the loss; None where there is one label.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        classes: int,
        channels: int = 3,
        scale: float,
        offset: float,
        learning_rate: float,
        frozen_batchnorm: bool,
        seed: int,
        soft_weight: float | None,
    ) -> None:
        super().__init__()
        self.network = network
        self.scale, self.offset = scale, offset
        self.learning_rate = learning_rate
        self.frozen_batchnorm = frozen_batchnorm
        self.seed = seed
        self.classes, self.channels = classes, channels
        self.weights = (1.0,) if soft_weight is None else (1 - soft_weight, soft_weight)
        one = classes == 1
        self.loss = DiceCELoss(sigmoid=one, softmax=not one, include_background=one, lambda_dice=0.5, lambda_ce=0.5)

    def forward(self, grey: torch.Tensor) -> torch.Tensor:
        """Logits ``(N, C, H, W)`` of grey frames ``float32 (N, 1, H, W)`` in 0–1."""
        x = (grey * (255 * self.scale) + self.offset).expand(-1, self.channels, -1, -1)
        logits: torch.Tensor = self.network(x.contiguous(memory_format=torch.channels_last))
        return logits

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(self.seed + self.current_epoch)  # dropout too is the same in a resumed run
        if self.frozen_batchnorm:
            freeze_batchnorm(self.network)

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        images, labels = batch
        logits = self(images).float()
        targets = map(self._target, labels.unbind(1))
        loss = torch.stack(
            [w * self.loss(logits, target) for w, target in zip(self.weights, targets, strict=True)]
        ).sum()
        self.log("loss", loss, prog_bar=True, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(images))
        return loss

    def validation_step(self, batch: Any, _: int) -> None:
        images, labels = batch
        logits, target = self(images).float(), self._target(labels[:, 0])
        dice = structure_dice(self._winner(logits, 0), self._winner(target, 0.5), max(2, self.classes))
        values = {"dice": dice, "validation_loss": self.loss(logits, target)}
        self.log_dict(values, prog_bar=True, on_epoch=True, sync_dist=True, batch_size=len(images))

    def _target(self, shares: torch.Tensor) -> torch.Tensor:
        """The target of the loss: structures ``(N, K, H, W)``, with the background first where there are several."""
        if self.classes == 1:
            return shares
        return torch.cat([(1 - shares.sum(1, keepdim=True)).clamp(min=0), shares], dim=1)

    def _winner(self, values: torch.Tensor, threshold: float) -> torch.Tensor:
        """Label map ``int64 (N, H, W)`` of logits or shares ``(N, C, H, W)``; the threshold is for one channel."""
        return (values[:, 0] > threshold).long() if self.classes == 1 else values.argmax(1)

    def configure_optimizers(self) -> Any:
        parameters = [p for p in self.parameters() if p.requires_grad]
        optimiser = torch.optim.Adam(parameters, lr=self.learning_rate)
        steps = max(8, math.ceil(self.trainer.estimated_stepping_batches))  # the schedule's rise needs a step
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, self.learning_rate, total_steps=steps, pct_start=0.25)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
