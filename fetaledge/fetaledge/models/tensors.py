"""Reading tensors from a file, and checking that they fit a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from fetaledge_runtimes.errors import InputError


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
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputError(
                f"{path} holds a value that is not finite in {name}", "the training diverged; use another checkpoint"
            )
    return tensors


def check_fit(
    expected: dict[str, Any],
    given: dict[str, Any],
    path: Path,
    what: str,
    hint: str = "check the architecture in run.json",
) -> None:
    """Raise :class:`InputError` naming the first tensor that is missing, unknown or of another shape."""
    for name, tensor in expected.items():
        if name not in given:
            raise InputError(f"{path} lacks {name}, so it is not a checkpoint of this {what}", hint)
        if given[name].shape != tensor.shape:
            raise InputError(
                f"{path} has {name} of {tuple(given[name].shape)} where this {what} has {tuple(tensor.shape)}", hint
            )
    extra = sorted(set(given) - set(expected))
    if extra:
        raise InputError(f"{path} holds {extra[0]}, which this {what} does not have", hint)
