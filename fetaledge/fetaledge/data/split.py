"""Splits by subject: no subject stands on both sides."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from fetaledge.data.dataset import Dataset, Item, Subset
from fetaledge_runtimes.errors import InputError, UsageError


def split_by_subject(
    items: Sequence[Item], validation: float, seed: int, known: Collection[str] = ()
) -> tuple[list[str], list[str]]:
    """Names for (training, validation): about ``validation`` (0–1) of the subjects, drawn with ``seed``.

    The subjects ``known`` to the first weights, as :func:`seen_subjects` gives them, stay on the training side.

    Raises:
        UsageError: a share that leaves one side empty.
    """
    everyone = {item.subject for item in items}
    subjects = sorted(everyone - set(known))
    count = round(validation * len(subjects)) if 0 < validation < 1 else 0
    if not 0 < count < len(everyone):
        raise UsageError(
            f"a validation share of {validation} of {len(subjects)} subjects leaves one side empty",
            "give more subjects or another share",
        )
    held_out = set(random.Random(seed).sample(subjects, count))
    train = [item.name for item in items if item.subject not in held_out]
    return train, [item.name for item in items if item.subject in held_out]


def seen_subjects(dataset: Dataset, trained_on: Collection[str]) -> set[str]:
    """The subjects of a data set with a frame among these content hashes, whether or not that frame is usable here."""
    hashes = set(trained_on)
    return {item.subject for item in dataset.scanned if item.content_hash() in hashes} if hashes else set()


def split_into_folds(items: Sequence[Item], folds: int) -> list[tuple[list[str], list[str]]]:
    """Names for (training, validation) of each fold: the subjects in their order, cut into contiguous parts.

    Where each frame is its own subject this is the published split; a subject or sequence never stands on both sides.

    Raises:
        UsageError: fewer subjects than folds.
    """
    subjects = list(dict.fromkeys(item.subject for item in items))
    if folds > len(subjects):
        raise UsageError(
            f"{folds} folds were asked for of {len(subjects)} subjects", "give as many folds as subjects at most"
        )
    fold_of = {subject: place * folds // len(subjects) for place, subject in enumerate(subjects)}
    return [
        (
            [item.name for item in items if fold_of[item.subject] != fold],
            [item.name for item in items if fold_of[item.subject] == fold],
        )
        for fold in range(folds)
    ]


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


def choose_frames(dataset: Dataset, split: str | None, facts: Mapping[str, Any]) -> Dataset | Subset:
    """The frames of ``dataset`` to score a model on, so that training frames are never scored without being asked for.

    Args:
        split: ``all``, ``train``, ``validation``, or None: ``validation`` of the data that the model was trained on; of
            other data, every frame of a subject that the model has not seen.
        facts: the run's ``data``, ``split`` and ``trained_on``. Where these are None, of an imported network, every
            frame is scored: :func:`training_remark` says that it may have seen them.

    Raises:
        UsageError: no such split, or one of data that the model was not trained on, or of an imported network.
        InputError: ``facts`` lack these, or ``split`` is None and no unseen frame is left.
    """
    if split not in (None, "all", "train", "validation"):
        raise UsageError(f"there is no split {split!r}", "choose all, train or validation")
    if split == "all":
        return dataset
    if not {"data", "split", "trained_on"} <= set(facts):
        raise InputError("the bundle does not say which frames its model was trained on", "pass --split all")
    if facts["data"] is None:
        if split is not None:
            raise UsageError(
                f"nobody knows which frames {facts['imported']} was trained on, so it has no split",
                "pass --split all, or leave it out",
            )
        return dataset
    if dataset.fingerprint() == facts["data"]["fingerprint"]:
        return dataset.only(facts["split"][split or "validation"])
    if split is not None:
        raise UsageError(
            f"{dataset.folder} is not the data that the model was trained on, so it has no split", "pass --split all"
        )
    seen = seen_subjects(dataset, facts["trained_on"])
    if not seen:
        return dataset
    unseen = dataset.only(item.name for item in dataset.items if item.subject not in seen)
    if not unseen.items:
        raise InputError(f"the model was trained on every subject of {dataset.folder}", "score it on other frames")
    return unseen


def training_remark(facts: Mapping[str, Any]) -> str | None:
    """A sentence for people where nobody knows which frames a model was trained on, of an imported network.

    Args:
        facts: the run's, as :func:`choose_frames` takes them.
    """
    if not facts.get("imported"):
        return None
    began = "" if facts.get("data") is None else "the model started from an imported network: "
    return f"{began}nobody knows which frames {facts['imported']} was trained on, and the scored ones may be among them"
