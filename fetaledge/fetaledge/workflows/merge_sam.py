"""An adapted SAM to a plain one, under segment-anything's names."""

from __future__ import annotations

from pathlib import Path

from fetaledge.models.sam.checkpoint import SamBase, check_ending, write_published
from fetaledge.models.sam.lora import (
    CONFIG,
    OLD_WEIGHTS,
    WEIGHTS,
    add_adapters,
    is_adapter_folder,
    load_foreign_adapter,
    load_samed,
    merge_adapters,
    read_foreign_config,
    read_samed,
    samed_rank,
)
from fetaledge.models.sam.network import MASK_OUTPUTS, PromptlessSam
from fetaledge.runs.open import open_run
from fetaledge.runs.run import DOCUMENT
from fetaledge.runs.sam_run import SamRun
from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.files import refuse_existing


def merge(source: Path, out: Path, *, fold: int | None, base: str | None, size: int | None, force: bool) -> str:
    """Write a plain SAM; return a few words that name the parts that were merged.

    Args:
        source: a SAM run, a LoRA file of SAMed, or a LoRA that peft trained on transformers' ``SamModel``.
        out: the file to write, ``.pth`` or ``.safetensors``.
        fold: of the run, from 1; None for the best by validation Dice.
        base: the SAM that it adapts; a run knows its own.
        size: side of the input that the base of a LoRA without a run is resized to; None for the base's own.
        force: replace ``out``; with ``base``, accept one of other weights than the run was trained on.

    Raises:
        UsageError, InputError, OutputError: as :func:`fetaledge.runs.open.open_run` and the readers say.
    """
    check_ending(out)
    if not source.exists():
        raise InputError(f"{source} does not exist", "pass a SAM run, a LoRA file of SAMed, or a folder of peft's")
    refuse_existing(out, force)
    if source.name in (WEIGHTS, OLD_WEIGHTS) and (source.parent / CONFIG).is_file():
        source = source.parent
    if is_adapter_folder(source) and not (source / DOCUMENT).is_file():
        network = _merge_foreign(source, base, fold, size)
        said = f"{source} in {base}"
    elif source.is_dir():
        if (source / DOCUMENT).is_file() and size is not None:
            raise UsageError(f"{source} has its own size", "leave --size out")
        run = open_run(source, None, base, force and base is not None)
        if not isinstance(run, SamRun):
            raise InputError(f"{source} is a U-Net's run, which has nothing to merge", "export it: fetaledge export")
        number = run.best_fold if fold is None else fold
        found = open_run(source, number, base, force and base is not None).network()
        assert isinstance(found, PromptlessSam)
        network = found
        said = f"fold {number} of {source}" if run.folds > 1 else str(source)
    else:
        if base is None or fold is not None:
            raise UsageError(f"{source} is a file", "give its SAM with --base, and leave --fold out")
        network = merge_samed(source, SamBase.read(base), size)
        said = f"{source} in {base}"
    write_published(out, network)
    return said


def _merge_foreign(folder: Path, base: str | None, fold: int | None, size: int | None) -> PromptlessSam:
    """A base with a LoRA of peft's merged into it."""
    config = read_foreign_config(folder)
    if base is None or fold is not None:
        raise UsageError(f"{folder} is an adapter, not a run", "give its SAM with --base, and leave --fold out")
    return merge_adapters(load_foreign_adapter(SamBase.read(base).network(MASK_OUTPUTS, size), folder, config))


def merge_samed(path: Path, base: SamBase, size: int | None) -> PromptlessSam:
    """A base with a LoRA file of SAMed merged into it."""
    tensors = read_samed(path)
    adapted = add_adapters(base.network(MASK_OUTPUTS, size), samed_rank(tensors), seed=0)
    load_samed(adapted, tensors, path)
    return merge_adapters(adapted)
