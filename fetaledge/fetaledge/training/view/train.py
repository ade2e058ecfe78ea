"""Train a run's view check, and say what it withholds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from fetaledge.data.dataset import Dataset
from fetaledge.data.looks import group_by_look
from fetaledge.runs.run import Run
from fetaledge.runs.unet_recipe import FoldBy
from fetaledge.training.options import lightning_precision
from fetaledge.training.view.described import ALTERED, FLIPPED, PLAIN, DescribedFrames
from fetaledge.training.view.fit import Fit, fit_score
from fetaledge.training.view.sources import (
    ViewFrame,
    drawn_frames,
    other_frames,
    own_frames,
    phantom_frames,
    subjects_in_folds,
)
from fetaledge.training.view.unsure import CorruptionCount, fit_unsure
from fetaledge_export.torch_engine import TorchEngine
from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.files import refuse_existing
from fetaledge_runtimes.notice import NOTICE
from fetaledge_runtimes.records import Document, Part, write_document
from fetaledge_runtimes.tasks.task import MIRRORED, UNSURE
from fetaledge_runtimes.view.check import FILE, LENGTH, ViewCheck

RECORD = "view.json"
FOLDS = 5
LOOKS = 4
PENALTY = 3.0


class SourceCount(Part, kw_only=True, frozen=True):
    """One set of frames: how many, in how many something was segmented, and how many passed the score for other views.

    Each is judged by the fold that had not seen its subject. The threshold is set so that of the data's own frames the
    share ``withheld`` falls below it.
    """

    source: str
    own: bool
    frames: int
    segmented: int
    passed: int


class ViewRecord(Document, kw_only=True, frozen=True):
    """``view.json``: what a view check withholds, each frame judged by the fold that had not seen its subject.

    Where ``folds_by`` is ``look``, no own frame is judged by a fold that had seen one that looks like it.

    ``mirrored_found`` is the share of the own frames' mirror images that the check calls mirrored, and
    ``mirrored_wrongly`` that of the own frames; None where the task has no orientation. ``corrupted``: what
    became of own frames that were spoilt on purpose.
    """

    schema: str = "fetaledge/view/1"
    notice: str = NOTICE
    run: str
    task: str
    seed: int
    withheld: float
    folds_by: str = FoldBy.SUBJECT
    sources: tuple[SourceCount, ...]
    mirrored_found: float | None
    mirrored_wrongly: float | None
    corrupted: tuple[CorruptionCount, ...]


def train_view(
    run: Run,
    dataset: Dataset,
    others: Sequence[Path],
    *,
    withheld: float = 0.006,
    folds_by: FoldBy = FoldBy.SUBJECT,
    seed: int = 0,
    threads: int = 1,
    force: bool = False,
    progress: Callable[[str], None] = lambda step: None,
) -> ViewRecord:
    """Write ``view.npz`` and ``view.json`` into the run's folder.

    Args:
        run: whose network segments the frames.
        dataset: frames of the model's own view.
        others: folders of frames of other views; see :func:`other_frames`.
        withheld: the share of the own frames that a score may call something else, by folds; the score for spoilt
            frames may withhold half of it.
        folds_by: what stays together in a fold of the own frames; other frames are always folded by subject.
        seed: of the folds, the alterations, and the drawn frames.
        threads: of the network.
        force: replace an earlier check.

    Raises:
        UsageError: the task has no word for other views, or ``withheld`` is no share.
        InputError: no frame of another view was given, too few frames to learn from, or frames cannot be read.
        OutputError: the run has a check already, and ``force`` is not given.
    """
    task = run.task
    if task.other_view is None:
        raise UsageError(f"the task {task.name} has no status for frames of other views", "leave it without a check")
    if not 0 < withheld < 0.5:
        raise UsageError(f"--withheld {withheld} is no share between 0 and one half", "0.006 is the default")
    refuse_existing(run.folder / FILE, force)
    split = run.seen()["split"]
    frames = own_frames(dataset, None if split is None else split["validation"])
    own_count = len(frames)
    for folder in others:
        frames += other_frames(folder, task)
    if all(frame.own for frame in frames):
        raise InputError("no frame of another view was given", "name a folder of them with --others")
    frames += phantom_frames(task, seed) + drawn_frames(seed)
    progress(f"segmenting {len(frames)} frames, altered and corrupted")
    engine = TorchEngine(HalfPrecision(run.network()), run.scale, run.offset, threads)
    reader = DescribedFrames(engine, run.size, seed, flipped=task.has_orientation)
    seen = [found for number, frame in enumerate(frames) if (found := reader(frame, number)) is not None]
    named = [found.frame for found in seen]
    own = np.array([frame.own for frame in named], bool)
    judged = np.array([found.number < own_count for found in seen], bool)
    folds = subjects_in_folds(named, FOLDS if folds_by == FoldBy.SUBJECT else LOOKS, seed)
    if folds_by == FoldBy.LOOK:
        looks = list(group_by_look(dataset, LOOKS).values())  # in the order of the frames
        folds = np.array([looks[found.number] if found.number < own_count else fold
                          for found, fold in zip(seen, folds, strict=True)])  # fmt: skip
    _check_sides(own, judged, folds)
    plain = np.stack([found.outlines[0] for found in seen])
    centre, spread = plain[own].mean(axis=0), plain[own].std(axis=0) + 1e-3
    described = [found.joined(centre, spread) for found in seen]
    progress("fitting")
    groups = [frame.source for frame in named]
    versions = [np.stack([version[place] for version in described]) for place in (PLAIN, ALTERED)]
    flips = [np.stack([version[FLIPPED] for version in described])] if task.has_orientation else []
    first = fit_score([*versions, *flips], own, groups, folds, judged, withheld)  # a mirror image is no other view
    fits, statuses = [first], [task.other_view]
    shares: tuple[float | None, float | None] = (None, None)
    if task.has_orientation:
        both_ways = judged & np.array([found.flipped for found in seen], bool)
        second, shares = _fit_mirrored([*versions, *flips], both_ways, folds, withheld)
        fits, statuses = [first, second], [task.other_view, MIRRORED]
    last, corrupted = fit_unsure(seen, described, judged, folds, withheld / 2)
    fits, statuses = [*fits, last], [*statuses, UNSURE]
    check = ViewCheck(
        tuple(statuses),
        np.array([fit.weights for fit in fits], np.float32),
        np.array([fit.offset for fit in fits], np.float32),
        centre.astype(np.float32),
        spread.astype(np.float32),
    )
    record = ViewRecord(
        run=run.name,
        task=task.name,
        seed=seed,
        withheld=withheld,
        folds_by=folds_by,
        sources=_counts(frames, named, first.held_out),
        mirrored_found=shares[0],
        mirrored_wrongly=shares[1],
        corrupted=corrupted,
    )
    check.write(run.folder / FILE)
    write_document(run.folder / RECORD, record)
    return record


def _check_sides(own: npt.NDArray[np.bool_], judged: npt.NDArray[np.bool_], folds: npt.NDArray[np.int64]) -> None:
    """Raise :class:`InputError` where a fold would leave nothing to learn from on one side."""
    for side, name in ((own & judged, "the model's own view"), (~own, "other views")):
        if len(np.unique(folds[side])) < 2:
            raise InputError(
                f"something was segmented in {np.count_nonzero(side)} frames of {name}, of too few subjects",
                "give more of them, or leave the run without a view check",
            )


class HalfPrecision(nn.Module):
    """A network computed in bfloat16 where the processor has it: several times as fast, and sure enough to learn from.

    What a check sees on a device is off by as much: the same scores have to hold for int8.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.enabled = lightning_precision("auto") == "bf16-mixed"

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.enabled):
            logits: torch.Tensor = self.network(image.contiguous(memory_format=torch.channels_last))
        return logits.float().contiguous()


def _fit_mirrored(
    described: Sequence[npt.NDArray[np.float32]],
    own: npt.NDArray[np.bool_],
    folds: npt.NDArray[np.int64],
    withheld: float,
) -> tuple[Fit, tuple[float, float]]:
    """The score that is positive where a frame of the own view is the right way round, and what it finds.

    It sees the upright picture alone, which looks alike in other scanners.
    """
    plain, altered, flipped = (version[own][:, LENGTH:] for version in described)
    count = len(plain)
    standard = np.repeat([True, False], count)
    both = [np.concatenate([plain, flipped]), np.concatenate([altered, flipped])]
    sides = ["standard" if side else "mirrored" for side in standard]
    fit = fit_score(both, standard, sides, np.tile(folds[own], 2), standard, withheld, PENALTY)
    fit = replace(fit, weights=np.concatenate([np.zeros(LENGTH), fit.weights]))
    return fit, (float((fit.held_out[count:] < 0).mean()), float((fit.held_out[:count] < 0).mean()))


def _counts(
    frames: Sequence[ViewFrame], named: Sequence[ViewFrame], held_out: npt.NDArray[np.float64]
) -> tuple[SourceCount, ...]:
    total = Counter((frame.source, frame.own) for frame in frames)
    segmented = Counter((frame.source, frame.own) for frame in named)
    passed = Counter((frame.source, frame.own) for frame, score in zip(named, held_out, strict=True) if score >= 0)
    return tuple(
        SourceCount(source=source, own=own, frames=count, segmented=segmented[source, own], passed=passed[source, own])
        for (source, own), count in total.items()
    )
