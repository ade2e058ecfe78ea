"""The order of an epoch's frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DistributedSampler


class EpochSampler(DistributedSampler[Any]):
    """A seeded shuffle, shared out among processes, that yields (epoch, index)."""

    def __iter__(self) -> Iterator[Any]:
        return ((self.epoch, index) for index in super().__iter__())
