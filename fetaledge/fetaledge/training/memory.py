"""How much memory training a SAM takes, and what size would fit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from fetaledge.models.sam import PromptlessSam, SamShape
from fetaledge.training.sam_recipe import SamRecipe
from fetaledge.training.trainer import Machines
from fetaledge_runtimes.errors import UsageError

ACTIVATIONS_A_BLOCK = 34  # values a patch and unit of width that a block keeps for the backward pass
FLOAT = 4


def training_bytes(shape: SamShape, recipe: SamRecipe) -> int:
    """About how many bytes training takes: weights, gradients, AdamW's two moments, and activations.

    An estimate for eager attention, which keeps every attention matrix: fp32 throughout, so that it is never too low.
    """
    with torch.device("meta"):
        network = PromptlessSam(shape)
    encoder = sum(parameter.numel() for parameter in network.vision_encoder.parameters())
    others = sum(parameter.numel() for parameter in network.parameters()) - encoder
    trained = others + (encoder if recipe.tune == "all" else 0)
    patches = shape.grid**2
    windows = -(-shape.grid // shape.window)
    attended = {True: patches**2, False: windows**2 * shape.window**4}
    blocks = [
        ACTIVATIONS_A_BLOCK * patches * shape.width + 3 * shape.heads * attended[number in shape.global_blocks]
        for number in range(shape.depth)
    ]
    if recipe.tune == "decoder":
        kept = max(blocks)
    elif recipe.checkpointing:
        kept = max(blocks) + shape.depth * patches * shape.width
    else:
        kept = sum(blocks)
    decoder = 60 * patches * 256
    return int(FLOAT * (encoder + others + 3 * trained + recipe.batch * (kept + decoder)))


def available_bytes(machines: Machines) -> int | None:
    """Free memory of the GPU, or of this machine; None where it cannot be told."""
    if machines.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def refuse_what_does_not_fit(shape: SamShape, recipe: SamRecipe, machines: Machines) -> None:
    """Raise :class:`UsageError` where training would take more memory than there is, with what would fit."""
    available = available_bytes(machines)
    needed = training_bytes(shape, recipe)
    if available is None or needed <= available:
        return
    raise UsageError(
        f"training this SAM at --size {shape.size} with --batch {recipe.batch} takes about {needed / 1e9:.1f} GB, "
        f"and {available / 1e9:.1f} GB are free",
        what_fits(shape, recipe, available),
    )


@contextmanager
def out_of_memory_named(shape: SamShape, recipe: SamRecipe) -> Iterator[None]:
    """Raise :class:`UsageError`, with what would fit, where memory runs out in spite of the estimate."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "can't allocate memory" not in str(error):
            raise
        raise UsageError(
            f"the memory ran out in training this SAM at --size {shape.size} with --batch {recipe.batch}",
            what_fits(shape, recipe, training_bytes(shape, recipe) - 1),
        ) from error


def what_fits(shape: SamShape, recipe: SamRecipe, available: int) -> str:
    """The gentlest change of the recipe that fits into ``available`` bytes, as advice."""
    for checkpointing in (recipe.checkpointing, True):
        for batch in (recipe.batch, 8, 4, 2, 1):
            tried = replace(recipe, batch=min(batch, recipe.batch), checkpointing=checkpointing)
            if training_bytes(shape, tried) <= available:
                flag = " --checkpointing" if checkpointing and not recipe.checkpointing else ""
                return f"--batch {tried.batch}{flag} would fit"
    for size in range(shape.size - shape.patch, 2 * shape.patch, -shape.patch):
        smaller = shape.resized(size)
        if training_bytes(smaller, replace(recipe, batch=1, checkpointing=True)) <= available:
            return f"--size {size} --batch 1 --checkpointing would fit"
    return "no size would fit: take a smaller SAM"
