"""The order of an epoch's frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DistributedSampler


class EpochSampler(DistributedSampler[Any]):
    """A seeded shuffle, split among processes, that yields (epoch, index)."""

    def __iter__(self) -> Iterator[Any]:
        epoch = self.epoch  # now: workers ask for indices ahead of time
        return ((epoch, index) for index in super().__iter__())
