"""Reading tensors from a file, and checking that they fit a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from fetaledge_runtimes.errors import InputError

FIRST = 3
"""How many names of tensors a message lists."""


def read_tensors(path: Path) -> dict[str, Any]:
    """Read a safetensors file; pickles are refused because opening one can run code.

    Raises:
        InputError: missing, not safetensors (a pickle is named as such), damaged, or with values that are not finite.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist", "pass a .safetensors file")
    with path.open("rb") as stream:
        start = stream.read(4)
    if start[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK"):
        raise InputError(
            f"{path} is a pickle, which could run code when opened",
            "convert it where it came from: safetensors.torch.save_file(state_dict, name)",
        )
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} is not a whole safetensors file ({error})", "copy or make it again") from error
    refuse_not_finite(tensors, path, "the training diverged; use another checkpoint")
    return tensors


def refuse_not_finite(tensors: Mapping[str, torch.Tensor], path: Path, hint: str) -> None:
    """Raise :class:`InputError` naming the first tensor with a value that is NaN or infinite."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{path} holds a value that is not finite in {name}", hint)


def check_fit(
    expected: dict[str, Any],
    given: dict[str, Any],
    path: Path,
    what: str,
    hint: str = "check the architecture in run.json",
) -> None:
    """Raise :class:`InputError` naming the first tensors that are missing, unknown or of another shape."""
    missing = [name for name in expected if name not in given]
    extra = [name for name in given if name not in expected]
    if missing:
        holds = f" and holds {_listed(extra)}" if extra else ""
        raise InputError(f"{path} lacks {_listed(missing)}{holds}, so it is not a checkpoint of this {what}", hint)
    for name, tensor in expected.items():
        if given[name].shape != tensor.shape:
            raise InputError(
                f"{path} has {name} of {tuple(given[name].shape)} where this {what} has {tuple(tensor.shape)}", hint
            )
    if extra:
        raise InputError(f"{path} holds {_listed(extra)}, which this {what} does not have", hint)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - FIRST} more" if len(names) > FIRST else ""
    return ", ".join(names[:FIRST]) + more
