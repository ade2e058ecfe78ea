"""``model.safetensors``: the weights of a run's network."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

from fetaledge.models.tensors import check_fit, read_tensors
from fetaledge.models.unet import Architecture
from fetaledge.runs.run import DOCUMENT, WEIGHTS
from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.files import atomic_path


def read_network(folder: Path, architecture: Architecture) -> nn.Module:
    """The network of a run's folder in fp32 and evaluation mode. Nothing is fetched, whatever ``run.json`` names.

    Raises:
        InputError: no such network can be built, or the weights are missing, damaged, not finite, or do not fit.
    """
    path = folder / WEIGHTS
    tensors = {
        name: tensor.to(torch.float32) if tensor.is_floating_point() else tensor
        for name, tensor in read_tensors(path).items()
    }
    try:
        network = architecture.build()
    except UsageError as error:
        raise InputError(f"{folder / DOCUMENT}: {error.message}", "train or import it again") from error
    check_fit(network.state_dict(), tensors, path, "network")
    network.load_state_dict(tensors)
    return network.eval()


def write_weights(path: Path, network: nn.Module, *, half: bool = False) -> None:
    """Write a network's tensors as safetensors, atomically; ``half`` stores floats as fp16."""
    tensors = {
        name: (tensor.to(torch.float16) if half and tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
    }
    with atomic_path(path) as partial:
        partial.write_bytes(save(tensors))
