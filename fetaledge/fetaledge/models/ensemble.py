"""Several networks, or one on a frame and its mirror image, as one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class Ensemble(nn.Module):
    """The mean of the logits of several networks; with ``flip`` each also sees the mirrored frame.

    The logits of a mirrored frame are mirrored back before averaging, so geometry is the frame's own.
    """

    def __init__(self, networks: Sequence[nn.Module], flip: bool) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.flip = flip

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        passes = [network(image) for network in self.networks]
        if self.flip:
            mirrored = image.flip(-1)
            passes += [network(mirrored).flip(-1) for network in self.networks]
        return torch.stack(passes).mean(0)
