"""The cost of running a network, counted in multiply-adds: a number that no machine changes."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def multiply_adds(network: nn.Module, size: tuple[int, int]) -> int:
    """Multiply-adds of convolutions and matrix products for one frame of ``size`` (H, W), counted by PyTorch."""
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        network(torch.zeros(1, 3, *size))
    return counter.get_total_flops() // 2
