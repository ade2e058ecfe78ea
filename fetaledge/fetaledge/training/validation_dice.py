"""The validation Dice of label maps."""

from __future__ import annotations

import torch


def structure_dice(predicted: torch.Tensor, labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Dice of label maps ``int64 (N, H, W)``, a mean over frames and over the classes but the background."""
    values = []
    for label in range(1, classes):
        mask, truth = predicted == label, labels == label
        both = (mask & truth).flatten(1).sum(1)
        total = mask.flatten(1).sum(1) + truth.flatten(1).sum(1)
        values.append(torch.where(total > 0, 2 * both / total.clamp(min=1), 1.0))
    return torch.stack(values).mean()
