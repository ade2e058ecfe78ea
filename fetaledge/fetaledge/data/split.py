"""Splits by subject: no subject stands on both sides."""

from __future__ import annotations

import random
from collections.abc import Sequence

from fetaledge.data.dataset import Item
from fetaledge_runtimes.errors import UsageError


def split_by_subject(items: Sequence[Item], validation: float, seed: int) -> tuple[list[str], list[str]]:
    """Names for (training, validation): about ``validation`` (0–1) of the subjects, drawn with ``seed``.

    Raises:
        UsageError: fewer than two subjects, or a share that leaves one side empty.
    """
    subjects = sorted({item.subject for item in items})
    count = round(validation * len(subjects))
    if not 0 < count < len(subjects):
        raise UsageError(
            f"a validation share of {validation} of {len(subjects)} subjects leaves one side empty", "give more subjects or another share"
        )
    held_out = set(random.Random(seed).sample(subjects, count))
    train = [item.name for item in items if item.subject not in held_out]
    return train, [item.name for item in items if item.subject in held_out]


def draw_frames(items: Sequence[Item], count: int, seed: int) -> list[str]:
    """``count`` of the items' names, drawn with ``seed``, for few-shot training. A smaller count's are among a larger's.

    Raises:
        UsageError: ``count`` is not between 1 and the number of items.
    """
    if not 1 <= count <= len(items):
        raise UsageError(f"--train-count {count} is not between 1 and {len(items)}, the frames on the training side")
    names = [item.name for item in items]
    random.Random(seed).shuffle(names)
    kept = set(names[:count])
    return [item.name for item in items if item.name in kept]
