"""Score a run, a bundle's variant, or another system's masks on labelled frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from fetaledge.data.dataset import Dataset
from fetaledge.data.layouts.paired_folders import stem_of, structure_labels
from fetaledge.data.mask_picture import is_ring, read_mask_picture
from fetaledge.data.medical_image import ENDINGS, check_same_axes
from fetaledge.runs.challenge_scores import ChallengeScores, challenge_record, challenge_scores
from fetaledge.runs.run import Run
from fetaledge_export.torch_engine import TorchEngine
from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.frame import Image, LabelledFrame, LabelledFrames
from fetaledge_runtimes.predictor import Predictor
from fetaledge_runtimes.records import Document, to_json
from fetaledge_runtimes.scores.case import CaseScore, score_case
from fetaledge_runtimes.scores.record import evaluation_record
from fetaledge_runtimes.tasks.task import Task


class Evaluations(Document, kw_only=True, frozen=True):
    """Several records at once: documents ``fetaledge/evaluation/1`` of the task, one a variant."""

    schema: str = "fetaledge/evaluations/1"
    records: list[dict[str, Any]]


def run_predictor(run: Run, threads: int, network: nn.Module | None = None) -> Predictor:
    """A predictor that computes the run's network (or ``network``, one of its folds) with eager PyTorch in fp32.

    Raises:
        UsageError: ``threads`` is below 1.
    """
    engine = TorchEngine(network or run.network(), run.scale, run.offset, threads)
    return Predictor.from_engine(engine, run.size, run.task, nearest=run.nearest)


def evaluate(
    predict: Callable[[LabelledFrame], Image],
    frames: LabelledFrames,
    *,
    task: Task,
    variant: str,
    engine: str,
    challenge: bool = False,
) -> dict[str, Any]:
    """The evaluation record of ``predict`` (a labelled frame to a mask ``uint8 (H, W)``) on ``frames``.

    With ``challenge`` (of a task that a challenge scored) the key ``challenge`` holds a
    :class:`fetaledge.runs.challenge_scores.ChallengeRecord`.
    """
    scores: list[CaseScore] = []
    as_challenge: dict[str, ChallengeScores] = {}
    synthetic = False
    for case in frames:
        mask = predict(case)
        scores.append(score_case(case, mask, task))
        if challenge:
            as_challenge[case.name] = challenge_scores(mask, case.mask)
        synthetic = synthetic or case.synthetic
    record = evaluation_record(scores, task=task, variant=variant, engine=engine, data=frames.name, synthetic=synthetic)
    return {**record, "challenge": to_json(challenge_record(as_challenge))} if challenge else record


def evaluate_run(run: Run, frames: LabelledFrames, threads: int, challenge: bool = False) -> dict[str, Any]:
    """The record of a run's own network, in fp32."""
    return _evaluate_predictor(run_predictor(run, threads), frames, "torch-fp32", challenge)


def evaluate_variant(
    bundle: Bundle, variant: str, frames: LabelledFrames, threads: int, challenge: bool = False
) -> dict[str, Any]:
    """The record of one variant of a bundle, in its real engine."""
    return _evaluate_predictor(Predictor(bundle, variant, threads), frames, variant, challenge)


def _evaluate_predictor(predictor: Predictor, frames: LabelledFrames, variant: str, challenge: bool) -> dict[str, Any]:
    engine = f"{predictor.engine.name} {predictor.engine.version}"
    return evaluate(
        lambda case: predictor(case.frame).mask,
        frames,
        task=predictor.task,
        variant=variant,
        engine=engine,
        challenge=challenge,
    )


def evaluate_masks(folder: Path, frames: Dataset, challenge: bool = False) -> dict[str, Any]:
    """The record of masks that another system wrote: one a frame, named by the frame's stem.

    PNG, ``.mha`` or, beside frames in NIfTI, NIfTI.

    Of a task with one structure a mask's half of the highest level counts (:meth:`MaskPicture.one_structure`), so that
    it may hold probabilities; of one with several its labels. Unlike labels, masks are scored whatever their shape.

    Raises:
        InputError: the folder or a frame's mask is missing, a mask belongs to no frame, two share a stem, or one
            cannot be read, is no mask of the task, or has another size than its frame; or most are outlines.
    """
    masks = _masks(folder)
    names = [item.name for item in frames.items]
    unknown = sorted(set(masks) - {item.name for item in frames.scanned})
    if unknown:
        raise InputError(
            f"{masks[unknown[0]]} belongs to no frame of {frames.folder}{_more(unknown)}",
            "name each mask like its frame, and leave other files out",
        )
    missing = [name for name in names if name not in masks]
    if missing:
        raise InputError(
            f"{folder} has no mask {missing[0]}.png or {missing[0]}.mha{_more(missing)}",
            "each frame needs one, named like the frame",
        )

    one_structure = len(frames.task.labels) == 1
    images = {item.name: item.image for item in frames.items}
    outlines: list[Path] = []

    def read(case: LabelledFrame) -> Image:
        path = masks[case.name]
        check_same_axes(path, images[case.name])
        picture = read_mask_picture(path)
        mask = picture.one_structure() if one_structure else structure_labels(picture.structures(), path)
        outlines.extend([path] * (one_structure and is_ring(mask)))
        if mask.shape != case.mask.shape:
            raise InputError(
                f"{path} is {mask.shape[1]}×{mask.shape[0]} and its frame {case.mask.shape[1]}×{case.mask.shape[0]}",
                "write masks at the frame's size",
            )
        return mask

    record = evaluate(read, frames, task=frames.task, variant="masks", engine=folder.name, challenge=challenge)
    if 2 * len(outlines) > len(frames):
        raise InputError(f"{outlines[0]} is an outline{_more(outlines)}, not a filled mask", "fill them")
    return record


def _masks(folder: Path) -> dict[str, Path]:
    """The folder's masks by stem."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", "pass the folder of masks with --masks")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        stem = stem_of(path, (".png", *ENDINGS))
        if stem in found:
            raise InputError(f"{path} has the same stem as {found[stem].name}", "keep one of them")
        if stem is not None:
            found[stem] = path

    return found


def _more(names: Sequence[object]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
