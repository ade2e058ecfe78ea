"""An adapted SAM to a plain one, under segment-anything's names."""

from __future__ import annotations

from pathlib import Path

from fetaledge.models.sam.checkpoint import SamBase, check_ending, write_published
from fetaledge.models.sam.lora import add_adapters, load_samed, merge_adapters, read_samed, samed_rank
from fetaledge.models.sam.network import MASK_OUTPUTS, PromptlessSam
from fetaledge.runs.open import open_run
from fetaledge.runs.run import DOCUMENT
from fetaledge.runs.sam_run import SamRun
from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.files import refuse_existing


def merge(source: Path, out: Path, *, fold: int | None, base: str | None, size: int | None, force: bool) -> str:
    """Write a plain SAM; return a few words that name the parts that were merged.

    Args:
        source: a SAM run, or a LoRA file of SAMed.
        out: the file to write, ``.pth`` or ``.safetensors``.
        fold: of the run, from 1; None for the best by validation Dice.
        base: the SAM that it adapts; a run knows its own.
        size: side of the input that a SAMed file's base is resized to; None for the base's own. A run has its own.
        force: replace ``out``; with ``base``, accept one of other weights than the run was trained on.

    Raises:
        UsageError, InputError, OutputError: as :func:`fetaledge.runs.open.open_run` and the readers say.
    """
    check_ending(out)
    if not source.exists():
        raise InputError(f"{source} does not exist", "pass a SAM run, or a LoRA file of SAMed")
    refuse_existing(out, force)
    if source.is_dir():
        if (source / DOCUMENT).is_file() and size is not None:
            raise UsageError(f"{source} has its own size", "leave --size out")
        run = open_run(source, None, base, force and base is not None)
        if not isinstance(run, SamRun):
            raise InputError(f"{source} is a U-Net's run, which has nothing to merge", "export it: fetaledge export")
        number = run.best_fold if fold is None else fold
        network = open_run(source, number, base, force and base is not None).network()
        assert isinstance(network, PromptlessSam)
        said = f"fold {number} of {source}" if run.folds > 1 else str(source)
    else:
        if base is None or fold is not None:
            raise UsageError(f"{source} is a file", "give its SAM with --base, and leave --fold out")
        network = merge_samed(source, SamBase.read(base), size)
        said = f"{source} in {base}"
    write_published(out, network)
    return said


def merge_samed(path: Path, base: SamBase, size: int | None) -> PromptlessSam:
    """A base with a LoRA file of SAMed merged into it."""
    tensors = read_samed(path)
    adapted = add_adapters(base.network(MASK_OUTPUTS, size), samed_rank(tensors), seed=0)
    load_samed(adapted, tensors, path)
    return merge_adapters(adapted)
