"""SAM as a Lightning module."""

from __future__ import annotations

from typing import Any

import lightning
import torch
from monai.losses.dice import DiceCELoss
from torch import nn
from torch.nn import functional

from fetaledge.runs.sam_recipe import SamRecipe
from fetaledge.training.validation_dice import structure_dice


class SamModule(lightning.LightningModule):
    """Loss, schedule and validation Dice of a network with one logit a class; frozen tensors stay out of its state.

    Args:
        network: takes ``float32 (N, 3, S, S)``, gives logits ``(N, C, S/4, S/4)``.
        recipe: the values of the training.
        scale, offset: the network sees ``grey (0–255) * scale + offset``.
    """

    strict_loading = False

    def __init__(self, network: nn.Module, recipe: SamRecipe, scale: float, offset: float) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.scale, self.offset = scale, offset
        self.loss = DiceCELoss(  # Dice of all the batch's pixels together, as in SAMed
            softmax=True,
            to_onehot_y=True,
            squared_pred=True,
            batch=True,
            lambda_dice=recipe.dice_weight,
            lambda_ce=1 - recipe.dice_weight,
        )

    def forward(self, grey: torch.Tensor) -> torch.Tensor:
        """Logits of grey frames ``float32 (N, 1, S, S)`` in 0–1."""
        logits: torch.Tensor = self.network((grey * (255 * self.scale) + self.offset).expand(-1, 3, -1, -1))
        return logits

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(self.recipe.seed + self.current_epoch)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        trained = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        checkpoint["state_dict"] = {k: v for k, v in checkpoint["state_dict"].items() if k in trained}

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        images, labels = batch
        loss = self._loss(self(images).float(), labels)
        self.log("loss", loss, prog_bar=True, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(images))
        return loss

    def validation_step(self, batch: Any, _: int) -> None:
        images, labels = batch
        logits = self(images).float()
        large = functional.interpolate(logits, size=labels.shape[-2:], mode="bilinear", align_corners=False)
        values = {
            "dice": structure_dice(large.argmax(1), labels, logits.shape[1]),
            "validation_loss": self._loss(logits, labels),
        }
        self.log_dict(values, prog_bar=True, on_epoch=True, sync_dist=True, batch_size=len(images))

    def _loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        small = functional.interpolate(labels[:, None].float(), size=logits.shape[-2:], mode="nearest")
        loss: torch.Tensor = self.loss(logits, small)
        return loss

    def configure_optimizers(self) -> Any:
        recipe = self.recipe
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        optimiser = torch.optim.AdamW(
            parameters, lr=recipe.learning_rate, betas=(0.9, 0.999), weight_decay=recipe.weight_decay
        )
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: recipe.rate(step, steps))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
