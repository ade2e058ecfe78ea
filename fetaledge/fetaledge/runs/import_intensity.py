"""The range of grey that an imported network was trained on. This file loads no torch: the command's help reads it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from fetaledge_runtimes.errors import UsageError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class InputRange(StrEnum):
    """The range of an input: 0 to 1, -1 to 1, 0 to 1 by ImageNet's mean and standard deviation, or 0 to 255."""

    UNIT = "unit"
    SYMMETRIC = "symmetric"
    IMAGENET = "imagenet"
    BYTE = "byte"


SCALES = {
    InputRange.UNIT: (1 / 255, 0.0),
    InputRange.SYMMETRIC: (1 / 127.5, -1.0),
    InputRange.IMAGENET: (1 / 255, 0.0),
    InputRange.BYTE: (1.0, 0.0),
}


@dataclass(frozen=True)
class ImportIntensity:
    """What an imported network's input is.

    Attributes:
        range: of the grey values.
        mean, std: the network sees ``(x - mean) / std`` of ``x`` in that range: a value, or one a channel; both empty
            for no such normalisation, or for ImageNet's own where the range is ``imagenet``.
    """

    range: InputRange = InputRange.UNIT
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def of(self, channels: int) -> tuple[float, float, tuple[float, ...], tuple[float, ...]]:
        """(scale, offset, mean, std) for a network of so many channels.

        It sees ``grey (0–255) * scale + offset``, and of that ``(x - mean) / std`` where the channels differ. Where
        they do not, mean and std are empty: they are in the scale.

        Raises:
            UsageError: mean and std are not one value or one a channel, or a std is not above 0.
        """
        scale, offset = SCALES[self.range]
        mean, std = self.mean, self.std
        if self.range is InputRange.IMAGENET:
            if mean or std:
                raise UsageError("--intensity imagenet has its own mean and std", "leave --mean and --std out")
            mean, std = IMAGENET_MEAN, IMAGENET_STD
        if not mean and not std:
            return scale, offset, (), ()
        if len(mean) != len(std) or len(mean) not in (1, channels):
            raise UsageError(
                f"--mean has {len(mean)} values and --std {len(std)}, and the network takes {channels} channels",
                "give --mean and --std one value each, or one a channel",
            )
        if not all(value > 0 and math.isfinite(value) for value in std):
            raise UsageError(f"--std {','.join(map(str, std))} is no number above 0", "such as 0.25")
        if not all(map(math.isfinite, mean)):
            raise UsageError(f"--mean {','.join(map(str, mean))} is no number", "such as 0.5")
        if len(set(zip(mean, std, strict=True))) == 1:
            return scale / std[0], (offset - mean[0]) / std[0], (), ()
        return scale, offset, mean, std
