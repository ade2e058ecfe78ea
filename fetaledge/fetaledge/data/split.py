"""Splits by subject: no subject stands on both sides."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from fetaledge.data.dataset import Dataset, Item, Subset
from fetaledge_runtimes.errors import InputError, UsageError


def split_by_subject(items: Sequence[Item], validation: float, seed: int) -> tuple[list[str], list[str]]:
    """Names for (training, validation): about ``validation`` (0–1) of the subjects, drawn with ``seed``.

    Raises:
        UsageError: fewer than two subjects, or a share that leaves one side empty.
    """
    subjects = sorted({item.subject for item in items})
    count = round(validation * len(subjects))
    if not 0 < count < len(subjects):
        raise UsageError(
            f"a validation share of {validation} of {len(subjects)} subjects leaves one side empty",
            "give more subjects or another share",
        )
    held_out = set(random.Random(seed).sample(subjects, count))
    train = [item.name for item in items if item.subject not in held_out]
    return train, [item.name for item in items if item.subject in held_out]


def draw_frames(items: Sequence[Item], count: int, seed: int) -> list[str]:
    """``count`` of the items' names, drawn with ``seed``, for few-shot training; a smaller draw is part of a larger.

    Raises:
        UsageError: ``count`` is not between 1 and the number of items.
    """
    if not 1 <= count <= len(items):
        raise UsageError(f"--train-count {count} is not between 1 and {len(items)}, the frames on the training side")
    names = [item.name for item in items]
    random.Random(seed).shuffle(names)
    kept = set(names[:count])
    return [item.name for item in items if item.name in kept]


def choose_frames(
    dataset: Dataset, split: str | None, trained_on: dict[str, Any], sides: dict[str, list[str]]
) -> Dataset | Subset:
    """The frames of ``dataset`` to score a model on, so that training frames are never scored without being asked for.

    Args:
        split: ``all``, ``train``, ``validation``, or None: ``validation`` of the data that the model was trained on,
            ``all`` of any other.
        trained_on: the run's ``data``; ``sides``: the run's ``split``.

    Raises:
        UsageError: no such split, or one of a data set that the model was not trained on.
        InputError: ``split`` is None and it cannot be told which frames were trained on.
    """
    if split not in (None, "all", "train", "validation"):
        raise UsageError(f"there is no split {split!r}", "choose all, train or validation")
    if split == "all":
        return dataset
    if dataset.fingerprint() == trained_on["fingerprint"]:
        return dataset.only(sides[split or "validation"])
    if split is not None:
        raise UsageError(
            f"{dataset.folder} is not the data that the model was trained on, so it has no split", "pass --split all"
        )
    if dataset.synthetic == trained_on["synthetic"] and {item.name for item in dataset.items} & set(sides["train"]):
        raise InputError(
            f"{dataset.folder} shares frame names with the training data but is not the same any more",
            "pass --split all if none of its frames was trained on",
        )
    return dataset
