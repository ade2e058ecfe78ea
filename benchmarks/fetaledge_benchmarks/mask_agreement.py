"""The masks of every target against the labels, and against the same model's masks on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fetaledge_devices.native_runner.exchange import read_logits
from fetaledge_runtimes.errors import FetalEdgeError
from fetaledge_runtimes.frames.frame import Image, LabelledFrame, LabelledFrames
from fetaledge_runtimes.frames.scan import find_scan
from fetaledge_runtimes.postprocess import mask_from_logits, place
from fetaledge_runtimes.scores.case import CaseScore, score_case
from fetaledge_runtimes.scores.change import PairedChange, paired_change
from fetaledge_runtimes.scores.metrics import overlap
from fetaledge_runtimes.tasks.task import Task

Model = tuple[str, str]
"""A target's name and a model's."""
LOCAL = "local"


@dataclass(frozen=True)
class Agreement:
    """Agreement of a model's masks on a target with its masks on this machine, frame by frame.

    Attributes:
        dice: between the two masks of each frame, the smallest over the structures; 1 for two empty masks.
        change: of the measures, target minus this machine.
    """

    dice: tuple[float, ...]
    change: PairedChange


@dataclass(frozen=True)
class Scores:
    """``cases`` of every scored model, ``dice`` of its masks with this machine's, ``failures`` of the others."""

    cases: dict[Model, tuple[CaseScore, ...]]
    dice: dict[Model, tuple[float, ...]]
    failures: dict[Model, str]

    def agreement(self, target: str, model: str) -> Agreement | None:
        """None for this machine itself, and where it has no masks of that model."""
        key, local = (target, model), (LOCAL, model)
        if target == LOCAL or key not in self.cases or local not in self.cases or key not in self.dice:
            return None
        return Agreement(self.dice[key], paired_change(self.cases[local], self.cases[key]))


def score_masks(
    data: LabelledFrames, folders: Mapping[Model, Path], task: Task, output_shape: tuple[int, int, int]
) -> Scores:
    """Compare masks with the labels and with this machine's, reading each labelled frame once.

    A folder that lacks a mask, or holds one of another size, is dropped with its reason.

    Args:
        data: the labelled frames.
        folders: (target, model) -> folder of its masks.
        task: of the labels.
        output_shape: (C, h, w) of the logits that native runners wrote instead of masks.
    """
    cases: dict[Model, list[CaseScore]] = {key: [] for key in folders}
    dice: dict[Model, list[float]] = {key: [] for key in folders}
    failures: dict[Model, str] = {}
    ordered = sorted(folders, key=lambda key: key[0] != LOCAL)
    for case in data:
        local: dict[str, Image] = {}
        for key in ordered:
            if key in failures:
                continue
            target, model = key
            try:
                mask = read_mask(folders[key], case, output_shape)
                cases[key].append(score_case(case, mask, task))
            except FetalEdgeError as error:
                failures[key] = error.message
                continue
            if target == LOCAL:
                local[model] = mask
            elif model in local:
                dice[key].append(mask_agreement(local[model], mask, len(task.classes)))
    good = [key for key in ordered if key not in failures]
    return Scores(
        {key: tuple(cases[key]) for key in good},
        {key: tuple(dice[key]) for key in good if len(dice[key]) == len(cases[key]) > 0},
        failures,
    )


def mask_agreement(first: Image, second: Image, classes: int) -> float:
    """The smallest Dice over the structures of two label maps ``uint8 (H, W)``; two empty structures agree (1.0)."""
    return min(
        overlap((first == label).astype(np.uint8), (second == label).astype(np.uint8)).dice
        for label in range(1, classes)
    )


def read_mask(folder: Path, case: LabelledFrame, output_shape: tuple[int, int, int]) -> Image:
    """The mask of a frame: the worker's PNG, or made here from the logits of a native runner.

    Raises:
        FetalEdgeError: there is neither, or it is no mask.
    """
    logits = folder / f"{case.name}.logits"
    if logits.is_file():
        pixels = case.frame.pixels
        crop = find_scan(pixels)
        part = pixels if crop is None else crop.cut(pixels)
        return place(mask_from_logits(read_logits(logits, output_shape), part.shape), pixels.shape, crop)
    path = folder / f"{case.name}.png"
    data = np.frombuffer(path.read_bytes(), np.uint8) if path.is_file() else np.empty(0, np.uint8)
    mask = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
    if mask is None or mask.dtype != np.uint8 or mask.ndim != 2:
        raise FetalEdgeError(f"the worker wrote no mask for the frame {case.name}")
    return mask  # type: ignore[return-value]


def summary(agreement: Agreement | None, task: Task) -> dict[str, int | float | None] | None:
    """``against_local`` in a result of the record."""
    if agreement is None:
        return None
    change, dice = agreement.change, agreement.dice
    named: dict[str, int | float | None] = {}
    for measure in task.measures:
        found = change.measures[measure.key]
        named |= {
            measure.named("n"): found.n,
            measure.named("abs_mean"): found.abs_mean,
            measure.named("p95"): found.p95,
        }
    return {"n": change.n, "dice_mean": sum(dice) / len(dice), "dice_min": min(dice), **named}
