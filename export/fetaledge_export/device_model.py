"""The network as a device runs it: a grey frame in, logits out, everything but the one resize inside."""

from __future__ import annotations

import copy

import torch
from torch import nn

from fetaledge_runtimes.errors import InputError


class DeviceModel(nn.Module):
    """A trained segmentation network with its intensity scaling, ready to be converted.

    Takes a frame ``uint8 (1, 1, H, W)`` at the network's size and gives logits ``float32 (1, C, h, w)`` of
    ``network(frame * scale + offset)``. A network that takes three channels gets its first convolution folded
    (:func:`fold_grey`). The network that is passed in stays as it was.

    Raises:
        InputError: a weight is NaN or infinite, or the network takes neither one channel nor three.
    """

    def __init__(self, network: nn.Module, scale: float, offset: float) -> None:
        super().__init__()
        refuse_not_finite(network)
        channels = input_channels(network)
        if channels not in (1, 3):
            raise InputError(
                f"the network takes {channels} channels", "export a network of one grey channel, or of three"
            )
        self.network = fold_grey(network) if channels == 3 else copy.deepcopy(network)
        self.network.requires_grad_(False)
        self.scale, self.offset = scale, offset
        self.eval()

    def forward(self, frame: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(frame.to(torch.float32) * self.scale + self.offset)
        return logits


def first_convolution(network: nn.Module) -> nn.Conv2d:
    """The convolution that sees the frame: the first that was registered.

    Raises:
        InputError: the network has none.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            return module
    raise InputError(f"{type(network).__name__} has no convolution", "export a network that reads an image")


def input_channels(network: nn.Module) -> int:
    """How many channels the network's first convolution takes."""
    convolution = first_convolution(network)
    return convolution.in_channels


def fold_grey(network: nn.Module) -> nn.Module:
    """A copy that takes one grey channel and computes what ``network`` computes of that channel three times.

    The first convolution's weights are summed over its input channels; with zero padding too this is the same function,
    up to the order of the additions.
    """
    folded = copy.deepcopy(network)
    convolution = first_convolution(folded)
    convolution.weight = nn.Parameter(convolution.weight.detach().sum(dim=1, keepdim=True))
    convolution.in_channels = 1
    return folded


def refuse_not_finite(network: nn.Module) -> None:
    """Raise :class:`InputError` where a weight or a statistic is NaN or infinite."""
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputError(f"the network's {name} holds NaN or infinite values", "use an earlier checkpoint")
