"""Score a run, a bundle's variant, or another system's masks on labelled frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fetaledge.training.run import Run
from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.evaluation import CaseScore, evaluation_record, score_case
from fetaledge_runtimes.frame import Image, LabelledFrame, LabelledFrames
from fetaledge_runtimes.images import read_grey
from fetaledge_runtimes.predictor import Predictor


def run_predictor(run: Run, threads: int) -> Predictor:
    """A predictor that computes the run's network with eager PyTorch in fp32.

    Raises:
        UsageError: ``threads`` is below 1.
    """
    from fetaledge_export.torch_engine import TorchEngine

    if threads < 1:
        raise UsageError(f"{threads} threads were asked for", "give 1 or more")
    return Predictor.from_engine(TorchEngine(run.network(), run.scale, run.offset, threads), run.size, run.task)


def evaluate(
    predict: Callable[[LabelledFrame], Image], frames: LabelledFrames, *, task: str, variant: str, engine: str
) -> dict[str, Any]:
    """The evaluation record of ``predict`` (a labelled frame to a mask ``uint8 (H, W)``) on ``frames``."""
    scores: list[CaseScore] = []
    synthetic = False
    for case in frames:
        scores.append(score_case(case, predict(case)))
        synthetic = synthetic or case.synthetic
    return evaluation_record(scores, task=task, variant=variant, engine=engine, data=frames.name, synthetic=synthetic)


def evaluate_run(run: Run, frames: LabelledFrames, threads: int) -> dict[str, Any]:
    """The record of a run's own network, in fp32."""
    predictor = run_predictor(run, threads)
    engine = f"{predictor.engine.name} {predictor.engine.version}"
    return evaluate(lambda case: predictor(case.frame).mask, frames, task=run.task, variant="torch-fp32", engine=engine)


def evaluate_variant(bundle: Bundle, variant: str, frames: LabelledFrames, threads: int) -> dict[str, Any]:
    """The record of one variant of a bundle, in its real engine."""
    predictor = Predictor(bundle, variant, threads)
    engine = f"{predictor.engine.name} {predictor.engine.version}"
    return evaluate(
        lambda case: predictor(case.frame).mask, frames, task=bundle.manifest.task, variant=variant, engine=engine
    )


def evaluate_masks(folder: Path, frames: LabelledFrames, task: str = "head") -> dict[str, Any]:
    """The record of mask PNGs (non-zero = head) that another system wrote, paired with the frames by stem.

    Raises:
        InputError: the folder or a frame's mask is missing, or a mask's size is not its frame's.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", "pass the folder of mask PNGs with --masks")

    def read(case: LabelledFrame) -> Image:
        path = folder / f"{case.name}.png"
        if not path.is_file():
            raise InputError(
                f"{folder} has no mask {path.name}", f"each frame needs one, named like the frame: {case.name}.png"
            )
        mask = (read_grey(path) > 0).astype("uint8")
        if mask.shape != case.mask.shape:
            raise InputError(
                f"{path} is {mask.shape[1]}×{mask.shape[0]} and its frame {case.mask.shape[1]}×{case.mask.shape[0]}",
                "write masks at the frame's size",
            )
        return mask

    return evaluate(read, frames, task=task, variant="masks", engine=folder.name)
