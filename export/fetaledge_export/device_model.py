"""The network as a device runs it: a grey frame in, logits out, everything but the one resize inside."""

from __future__ import annotations

import copy
from itertools import chain
from typing import Any

import torch
from torch import nn

from fetaledge_runtimes.errors import InputError

LARGEST_BYTES = 2**31 - 2**24
"""Of weights: ONNX (protobuf) and TFLite files end at 2 GiB, and the graph needs room too."""


class DeviceModel(nn.Module):
    """A trained segmentation network with its intensity scaling, ready to be converted.

    Takes a frame ``uint8 (1, 1, H, W)`` at the network's size and gives logits ``float32 (1, C, h, w)`` of
    ``network(frame * scale + offset)``. A network that takes three channels gets its first convolution folded
    (:func:`fold_grey`). The network that is passed in stays as it was; its weights are shared, not copied.

    Attributes:
        transformer: how the network is quantised follows from this: whether most of its weights are in linear layers,
            whose activations have outliers, or in convolutions.
        encoder, decoder: the two parts of a network that has ``encode`` and ``decode``, else None.

    Raises:
        InputError: a weight is NaN or infinite, the network takes neither one channel nor three, or it is too large.
    """

    encoder: Encoder | None
    decoder: Decoder | None

    def __init__(self, network: nn.Module, scale: float, offset: float) -> None:
        super().__init__()
        refuse_not_finite(network)
        refuse_too_large(network)
        channels = input_channels(network)
        if channels not in (1, 3):
            raise InputError(
                f"the network takes {channels} channels", "export a network of one grey channel, or of three"
            )
        network = fold_grey(network) if channels == 3 else copy_sharing_weights(network)
        self.transformer = is_transformer(network)
        if hasattr(network, "encode") and hasattr(network, "decode"):
            self.encoder, self.decoder = Encoder(network), Decoder(network)
        else:
            self.encoder = self.decoder = None
            self.network = network
        self.scale, self.offset = scale, offset
        self.eval()

    def forward(self, frame: torch.Tensor) -> torch.Tensor:
        scaled = frame.to(torch.float32) * self.scale + self.offset
        if self.encoder is None or self.decoder is None:
            logits: torch.Tensor = self.network(scaled)
            return logits
        embedding: torch.Tensor = self.encoder(scaled)
        return self.decoder(embedding)  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """The image encoder of a network in two parts; its name marks the operations of converted graphs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        embedding: torch.Tensor = self.network.encode(image)
        return embedding


class Decoder(nn.Module):
    """What makes logits of the image embedding."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network.decode(embedding)
        return logits


class EncoderAlone(nn.Module):
    """The first part as a model of its own: a frame ``uint8 (1, 1, H, W)`` to an embedding ``float32 (1, D, h, w)``."""

    def __init__(self, model: DeviceModel) -> None:
        super().__init__()
        self.encoder, self.scale, self.offset = model.encoder, model.scale, model.offset

    def forward(self, frame: torch.Tensor) -> torch.Tensor:
        assert self.encoder is not None
        embedding: torch.Tensor = self.encoder(frame.to(torch.float32) * self.scale + self.offset)
        return embedding


class DecoderAlone(nn.Module):
    """The second part as a model of its own, to be timed.

    So that every engine can run it like a whole model, it takes the embedding ``(1, D, h, w)`` as a "frame"
    ``uint8 (1, 1, D, h * w)``, -1 to 1 in 255 steps.
    """

    def __init__(self, model: DeviceModel, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.decoder, self.shape = model.decoder, shape

    def forward(self, frame: torch.Tensor) -> torch.Tensor:
        assert self.decoder is not None
        embedding = (frame.to(torch.float32) / 127.5 - 1).reshape(1, *self.shape)
        logits: torch.Tensor = self.decoder(embedding)
        return logits


def is_transformer(network: nn.Module) -> bool:
    """Whether linear layers hold more weights than convolutions."""
    linear = sum(module.weight.numel() for module in network.modules() if isinstance(module, nn.Linear))
    convolutions = nn.modules.conv._ConvNd
    return linear > sum(module.weight.numel() for module in network.modules() if isinstance(module, convolutions))


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
    up to the order of the additions. The other weights are shared.
    """
    folded = copy_sharing_weights(network)
    convolution = first_convolution(folded)
    convolution.weight = nn.Parameter(convolution.weight.detach().sum(dim=1, keepdim=True))
    convolution.in_channels = 1
    return folded


def copy_sharing_weights(network: nn.Module) -> nn.Module:
    """A copy of the modules around the same tensors."""
    return copy.deepcopy(network, {id(tensor): tensor for tensor in chain(network.parameters(), network.buffers())})


def refuse_not_finite(network: nn.Module) -> None:
    """Raise :class:`InputError` where a weight or a statistic is NaN or infinite."""
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputError(f"the network's {name} holds NaN or infinite values", "use an earlier checkpoint")


def refuse_too_large(network: nn.Module, largest: int = LARGEST_BYTES) -> None:
    """Raise :class:`InputError` where the weights in fp32 would not fit a file of the formats."""
    size = sum(tensor.numel() * 4 for tensor in chain(network.parameters(), network.buffers()))
    if size > largest:
        raise InputError(
            f"the network's weights take {size / 1e9:.2f} GB, and a model file can hold {largest / 1e9:.2f} GB",
            "distil it into a smaller network: fetaledge train unet --teacher RUN",
        )
