"""The plain U-Net that the paper compares against (its "baseline")."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

FEATURES = (64, 128, 256, 512)


class DoubleConvolution(nn.Sequential):
    """Twice: 3×3 convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class PlainUnet(nn.Module):
    """U-Net with transposed convolutions; 31,037,633 parameters with 1 class.

    Takes ``float32 (N, 3, H, W)`` with H and W divisible by 16, gives ``float32 (N, classes, H, W)`` logits.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.downs = nn.ModuleList(DoubleConvolution(a, b) for a, b in pairwise((3, *FEATURES)))
        self.bottleneck = DoubleConvolution(FEATURES[-1], 2 * FEATURES[-1])
        self.ups = nn.ModuleList(nn.ConvTranspose2d(2 * width, width, 2, stride=2) for width in reversed(FEATURES))
        self.up_blocks = nn.ModuleList(DoubleConvolution(2 * width, width) for width in reversed(FEATURES))
        self.head = nn.Conv2d(FEATURES[0], classes, 1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
            x = self.pool(x)
        x = self.bottleneck(x)
        for up, block, skip in zip(self.ups, self.up_blocks, reversed(skips), strict=True):
            x = block(torch.cat([skip, up(x)], dim=1))
        logits: torch.Tensor = self.head(x)
        return logits
