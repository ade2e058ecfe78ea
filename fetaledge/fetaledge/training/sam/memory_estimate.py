"""An estimate of the memory that training a SAM takes, and advice on a size that fits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch
from msgspec.structs import replace

from fetaledge.models.sam.network import EMBEDDING, PromptlessSam, SamShape
from fetaledge.runs.sam_recipe import SamRecipe, Tune
from fetaledge.training.trainer import TrainerHardware
from fetaledge_runtimes.errors import UsageError

# Values a patch (windows' padding included) and unit of width, and a number of the attention matrix, as measured:
KEPT, KEPT_ATTENTION = 16, 1  # held by each block until its backward pass
WORKING, WORKING_ATTENTION = 80, 3  # held by the block at work
DECODER = 40  # values a patch and unit of the embedding
FLOAT = 4
CGROUP = Path("/sys/fs/cgroup")


def training_bytes(shape: SamShape, recipe: SamRecipe) -> int:
    """About how many bytes training takes: weights, gradients, AdamW's two moments, and activations.

    An estimate for eager attention in fp32, within a fifth of the memory that ViT-B took on a CPU.
    """
    encoder, others = _parameters(shape)
    trained = others + (encoder if recipe.tune == Tune.ALL else 0)
    patches = shape.grid**2
    windows = (-(-shape.grid // shape.window)) ** 2
    blocks = []  # (values, numbers of the attention matrices) of each block
    for number in range(shape.depth):
        whole = number in shape.global_blocks
        seen = patches if whole else windows * shape.window**2
        blocks.append((seen * shape.width, shape.heads * (seen**2 if whole else seen * shape.window**2)))
    working = max(WORKING * values + WORKING_ATTENTION * attention for values, attention in blocks)
    if recipe.tune == Tune.DECODER:
        kept, working = 0, working // 2  # nothing goes backward through the encoder
    elif recipe.checkpointing:
        kept = shape.depth * patches * shape.width
    else:
        kept = sum(KEPT * values + KEPT_ATTENTION * attention for values, attention in blocks)
    decoder = DECODER * patches * EMBEDDING
    return FLOAT * (encoder + others + 3 * trained + recipe.batch * (kept + working + decoder))


@cache
def _parameters(shape: SamShape) -> tuple[int, int]:
    """Numbers of parameters of the image encoder and of the rest."""
    with torch.device("meta"):
        network = PromptlessSam(shape)
    encoder = sum(parameter.numel() for parameter in network.vision_encoder.parameters())
    return encoder, sum(parameter.numel() for parameter in network.parameters()) - encoder


def available_bytes(hardware: TrainerHardware) -> int | None:
    """Free memory of the GPU, or of this machine; None where the system does not say."""
    if hardware.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)
    try:  # of a container
        limit, used = (int((CGROUP / name).read_text(encoding="ascii")) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):
        return free
    return limit - used if free is None else min(free, limit - used)


def refuse_what_does_not_fit(shape: SamShape, recipe: SamRecipe, hardware: TrainerHardware) -> None:
    """Raise :class:`UsageError`, with a recipe that fits, where training would take more memory than there is."""
    available = available_bytes(hardware)
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
    """Raise :class:`UsageError`, with a recipe that fits, where memory runs out in spite of the estimate."""
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
