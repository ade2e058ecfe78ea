"""The frames that int8 ranges are measured on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fetaledge_runtimes.frames.frame import Image, LabelledFrame
from fetaledge_runtimes.preprocess import network_input


@dataclass(frozen=True, eq=False)
class Calibration:
    """Frames at the network's size, and whose they are.

    Attributes:
        pixels: ``uint8 (H, W)`` each.
        names, subjects: of these frames, in their order.
    """

    pixels: tuple[Image, ...]
    names: tuple[str, ...]
    subjects: tuple[str, ...]

    @classmethod
    def of(cls, frames: Iterable[LabelledFrame], size: tuple[int, int]) -> Calibration:
        """Resize each frame to ``size`` = (height, width) as it is read; the full frames are not kept."""
        kept = [(network_input(case.frame.pixels, size)[0], case.name, case.subject) for case in frames]
        return cls(*(tuple(column) for column in zip(*kept, strict=True))) if kept else cls((), (), ())

    @property
    def facts(self) -> dict[str, Any]:
        """For manifest and card: counts, names, and a fingerprint (SHA-256) of the pixels in their order."""
        digest = hashlib.sha256()
        for pixels in self.pixels:
            digest.update(pixels.tobytes())
        return {
            "frames": len(self.pixels),
            "subjects": len(set(self.subjects)),
            "names": list(self.names),
            "fingerprint": digest.hexdigest(),
        }
