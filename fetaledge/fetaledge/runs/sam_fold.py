"""A fold of a SAM run: the tensors that training changed, written and read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from fetaledge.models.sam import lora
from fetaledge.models.sam.checkpoint import SamBase
from fetaledge.models.sam.lora import SAVED, load_adapters, merge_adapters, save_adapters
from fetaledge.models.sam.network import PromptlessSam, SamShape
from fetaledge.models.tensors import check_fit, read_tensors
from fetaledge.runs.run import WEIGHTS
from fetaledge.runs.sam_recipe import Tune
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.files import atomic_path


def fold_weights(folder: Path) -> Path:
    """The file of a fold's trained tensors."""
    adapter = folder / lora.WEIGHTS
    return adapter if adapter.is_file() else folder / WEIGHTS


def save_fold(network: Any, folder: Path, tune: str) -> None:
    """Write the tensors that a fold trained: adapters in peft's format, or the trained tensors alone."""
    if tune == Tune.LORA:
        save_adapters(network, folder)
        return
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    tensors = {
        name: tensor.detach().to("cpu", torch.float32).contiguous()
        for name, tensor in network.state_dict().items()
        if tune == Tune.ALL or name in trained
    }
    with atomic_path(folder / WEIGHTS) as partial:
        partial.write_bytes(save(tensors))


def load_fold(folder: Path, tune: str, shape: SamShape, classes: int, rank: int, base: SamBase | None) -> PromptlessSam:
    """The plain network of a fold that :func:`save_fold` wrote.

    Args:
        folder: the fold's.
        tune: the part that was trained, of :class:`fetaledge.runs.sam_recipe.Tune`.
        shape: of the network, at the run's size.
        classes: of the network's output.
        rank: of the adapters.
        base: the SAM that training started from; None where the fold holds every weight itself.

    Raises:
        InputError: the fold's file is missing, damaged or of another network, or the base has another shape.
    """
    if base is None:
        network = PromptlessSam(shape, classes)
    else:
        if base.shape.resized(shape.size) != shape:
            raise InputError(f"{base.name} is a SAM of another shape than the run's", "pass the run's own base")
        network = base.network(classes, shape.size)
    if tune == Tune.LORA:
        return merge_adapters(load_adapters(network, folder, rank))
    path = folder / WEIGHTS
    tensors = read_tensors(path)
    parameters = {name for name, _ in network.named_parameters()}
    expected = {
        name: tensor
        for name, tensor in network.state_dict().items()
        if tune == Tune.ALL or (name in parameters and name.startswith(SAVED))
    }
    check_fit(expected, tensors, path, "SAM")
    network.load_state_dict({**network.state_dict(), **tensors})
    return network.requires_grad_(False).eval()
