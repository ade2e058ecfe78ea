"""What every part of the project passes on: a frame, and a frame with its label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Logits = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Frame:
    """One ultrasound image.

    Attributes:
        pixels: ``uint8 (H, W)``, grey.
        pixel_mm: (row, column) spacing in mm, or None where it is unknown.
        source: the file it came from, as the user named it.
        index: its place in a video or cine, from 0.
        bits: the depth that its grey levels were scaled from; 8 where they are as stored.
        spacing_from: what stated ``pixel_mm``, such as ``option``, ``pixels.csv`` or ``DICOM``; None if unknown.
        region: which of a DICOM file's B-mode regions it is, from 1; None where there is one picture only.
        remark: a sentence about the file for people, such as a spacing that it states and that was not taken; or None.
    """

    pixels: Image
    pixel_mm: tuple[float, float] | None
    source: str
    index: int = 0
    bits: int = 8
    spacing_from: str | None = None
    region: int | None = None
    remark: str | None = None


@dataclass(frozen=True, eq=False)
class LabelledFrame:
    """A frame and what is known about it.

    Attributes:
        frame: the image.
        mask: ``uint8 (H, W)`` of the frame's own size, the class of each pixel (task ``head``: 0 background, 1 head;
            task ``ps-fh``: 0 background, 1 pubic symphysis, 2 fetal head).
        name: unique within its data set: the file's stem.
        subject: whose frame it is; two frames of one subject never stand on both sides of a split.
        synthetic: True for a phantom; scores on these say nothing about clinical accuracy.
        stated: measures that the data set itself states, by key: ``hc_mm``, ``aop_deg``.
    """

    frame: Frame
    mask: Image
    name: str
    subject: str
    synthetic: bool = False
    stated: Mapping[str, float] = field(default_factory=dict)


class LabelledFrames(Protocol):
    """A data set: sized, iterable more than once, reading each frame when it is asked for."""

    @property
    def name(self) -> str: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> LabelledFrame: ...

    def __iter__(self) -> Iterator[LabelledFrame]: ...
