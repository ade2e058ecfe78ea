"""Checkpoints that others wrote: the tensors of a network, found among whatever else was saved beside them."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from fetaledge.models.tensors import read_tensors, refuse_not_finite
from fetaledge_runtimes.errors import InputError

Tensors = dict[str, torch.Tensor]

WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "network", "net", "module", "weights")
"""Keys that training scripts put a network's tensors under, the surest first."""
DEEPEST = 4


class StandIn:
    """Takes the place of every class that is not PyTorch's own: it keeps what was stored, and runs nothing."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


class DictStandIn:
    """Takes the place of a class that is a dictionary."""

    def __new__(cls, *arguments: Any) -> Any:
        return {}


def read_checkpoint(path: Path) -> Tensors:
    """The named tensors of a file: ``.safetensors``, or what ``torch.save`` wrote.

    They may lie under a key such as ``state_dict`` or ``model``, beside an optimiser's state and other things, or in a
    whole network that was saved. No class of the file's is looked up, and none of its code runs: PyTorch reads it with
    ``weights_only``, and what is not PyTorch's own becomes a :class:`StandIn`.

    Raises:
        InputError: missing, damaged, no checkpoint, without tensors or with several sets of them (under keys that are
            not of :data:`WRAPPERS`, of which the surest is taken), or with values that are not finite.
    """
    if not path.is_file():
        wrong = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"{path} {wrong}", "pass a .pth or .safetensors file")
    if path.suffix == ".safetensors":
        return read_tensors(path)
    try:
        foreign = _foreign_classes(path)
        with torch.serialization.safe_globals([(_stand_in(name), name) for name in foreign]):
            held = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
        tensors = _tensors_in(held, path, DEEPEST)
    except InputError:
        raise
    except Exception as error:  # a damaged pickle raises anything
        raise InputError(
            f"{path} is not a whole PyTorch checkpoint that can be read without running code ({_reason(error)})",
            "copy it again, or save it where it came from: torch.save(model.state_dict(), name)",
        ) from error
    if not tensors:
        raise InputError(f"{path} holds no named tensors", "save the network's state_dict")
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex():
            raise InputError(f"{path} holds {name} as a sparse, quantised or complex tensor", "save it as float32")
    refuse_not_finite(tensors, path, "use another checkpoint")
    return tensors


def without_prefix(tensors: Tensors, anchor: str, path: Path) -> tuple[Tensors, tuple[str, ...]]:
    """Tensors under the network's own names, and the names of those that are not the network's.

    ``module.``, ``model.``, ``net.`` and any other prefix is told by where the tensor named ``anchor`` is; tensors
    without the prefix belong to something else, such as a loss. Where no tensor is the anchor, nothing is changed.

    Raises:
        InputError: there are several networks in the file.
    """
    prefixes = sorted(name.removesuffix(anchor) for name in tensors if f".{name}".endswith(f".{anchor}"))
    if not prefixes or "" in prefixes:
        return tensors, ()
    if len(prefixes) > 1:
        raise InputError(
            f"{path} holds several networks: {', '.join(prefix + '*' for prefix in prefixes)}",
            "save the state_dict of one of them alone",
        )
    (prefix,) = prefixes
    own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return own, tuple(name for name in tensors if not name.startswith(prefix))


def _foreign_classes(path: Path) -> list[str]:
    """The classes and functions in the file that PyTorch does not know; empty for files from before PyTorch 1.6."""
    if not zipfile.is_zipfile(path):
        return []
    return torch.serialization.get_unsafe_globals_in_checkpoint(path)


def _stand_in(name: str) -> type:
    if name in ("builtins.set", "__builtin__.set"):
        return set
    return DictStandIn if name.lower().endswith("dict") else StandIn


def _tensors_in(held: Any, path: Path, depth: int) -> Tensors:
    """The one set of named tensors in what was loaded; empty where there is none."""
    if isinstance(held, StandIn):
        return _tensors_of_module(held)
    if not isinstance(held, Mapping) or not depth:
        return {}
    own = {name: value for name, value in held.items() if isinstance(name, str) and isinstance(value, torch.Tensor)}
    if len(own) == len(held):
        return own
    inner = {name: value for name, value in held.items() if isinstance(name, str) and name not in own}
    network = any(value.ndim > 1 for value in own.values())
    for names in (WRAPPERS, [] if network else [name for name in inner if name not in WRAPPERS]):
        found = {
            name: given for name in names if name in inner and (given := _tensors_in(inner[name], path, depth - 1))
        }
        if len(found) > 1 and names is not WRAPPERS:
            raise InputError(
                f"{path} holds several sets of tensors: {', '.join(found)}", "save the state_dict of the network alone"
            )
        if found:
            return next(iter(found.values()))
    return own


def _tensors_of_module(module: StandIn, prefix: str = "") -> Tensors:
    """The state dict of a network that was saved whole."""
    values = vars(module)
    passing = values.get("_non_persistent_buffers_set") or ()
    found = {}
    for kind in ("_parameters", "_buffers"):
        for name, tensor in _items(values.get(kind)):
            if isinstance(tensor, torch.Tensor) and name not in passing:
                found[prefix + name] = tensor.detach()
    for name, inner in _items(values.get("_modules")):
        if isinstance(inner, StandIn):
            found |= _tensors_of_module(inner, f"{prefix}{name}.")
    return found


def _items(held: Any) -> Iterable[tuple[str, Any]]:
    return held.items() if isinstance(held, Mapping) else ()


def _reason(error: Exception) -> str:
    blocked = re.search(r"GLOBAL (\S+) whose module \S+ is blocked", str(error))
    if "torchscript" in str(error).lower():
        return "it is a TorchScript program"
    return f"it calls {blocked[1]}" if blocked else type(error).__name__
