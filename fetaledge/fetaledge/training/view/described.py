"""Descriptions of frames as they are, altered, flipped and corrupted."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from fetaledge.data.corruptions import CORRUPTIONS
from fetaledge.training.view.sources import ViewFrame
from fetaledge_export.torch_engine import TorchEngine
from fetaledge_runtimes.ellipse import Ellipse, from_mask
from fetaledge_runtimes.frames.frame import Image, Logits
from fetaledge_runtimes.postprocess import largest_component
from fetaledge_runtimes.preprocess import network_input
from fetaledge_runtimes.scores.metrics import overlap
from fetaledge_runtimes.view.check import describe_upright, joined
from fetaledge_runtimes.view.outline import describe_outline, largest_structure
from fetaledge_runtimes.view.picture import describe_picture

PLAIN, ALTERED, FLIPPED = 0, 1, 2
SPOILT = 2
WRONG_SHARE, WRONG_DICE = 0.05, 0.93
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Spoilt:
    """A corrupted version: of which kind, its place among the versions, and whether the measure went wrong."""

    kind: str
    place: int
    wrong: bool


@dataclass(frozen=True)
class Described:
    """One frame's versions.

    Attributes:
        number: its place among the frames; frame: itself.
        pictures: ``float32 (V, 1024)``; outlines: ``float32 (V, 39)``: as it is, altered, flipped (where mirror images
            matter), then corrupted ones. Where nothing is segmented in one, the frame as it is stands in.
        uprights: ``float32 (V, 1024)`` of the upright pictures; None where mirror images do not matter.
        spoilt: the corrupted ones in which something was segmented.
        flipped: whether something was segmented in the mirror image.
    """

    number: int
    frame: ViewFrame
    pictures: Floats
    outlines: Floats
    uprights: Floats | None
    spoilt: tuple[Spoilt, ...]
    flipped: bool

    def joined(self, centre: Floats, spread: Floats) -> Floats:
        """``float32 (V, D)``."""
        return joined(self.pictures, self.outlines, centre, spread, self.uprights)


@dataclass(frozen=True)
class DescribedFrames:
    """Segments frames and describes them; the same numbers for the same seed."""

    engine: TorchEngine
    size: tuple[int, int]
    seed: int
    flipped: bool

    def __call__(self, frame: ViewFrame, number: int) -> Described | None:
        """The versions of a frame; None where nothing is segmented in it."""
        rng = np.random.default_rng((self.seed, number))
        plain, _ = network_input(frame.read(), self.size)
        logits = self.engine(plain)
        drawn = describe_outline(plain, logits)
        if drawn is None:
            return None
        pictures, outlines, uprights = [describe_picture(plain)], [drawn], [describe_upright(plain, logits)]

        def add(version: Image, answer: Logits) -> bool:
            """Add a version; where nothing is segmented in it the frame as it is stands in."""
            found = describe_outline(version, answer)
            pictures.append(pictures[0] if found is None else describe_picture(version))
            outlines.append(outlines[0] if found is None else found)
            uprights.append(uprights[0] if found is None else describe_upright(version, answer))
            return found is not None

        altered = alter(plain, rng)
        add(altered, self.engine(altered))
        mirrored = np.ascontiguousarray(plain[:, ::-1])
        flipped = self.flipped and add(mirrored, self.engine(mirrored))
        spoilt = []
        ellipse, mask = _structure(logits)
        for kind in rng.permutation(list(CORRUPTIONS))[: SPOILT if frame.own and ellipse is not None else 0]:
            assert ellipse is not None
            corrupted = CORRUPTIONS[kind](plain, ellipse, rng)
            answer = self.engine(corrupted)
            if add(corrupted, answer):
                spoilt.append(Spoilt(str(kind), len(pictures) - 1, _went_wrong(ellipse, mask, answer)))
        turned = np.stack(uprights) if self.flipped else None
        return Described(number, frame, np.stack(pictures), np.stack(outlines), turned, tuple(spoilt), flipped)


def alter(pixels: Image, rng: np.random.Generator) -> Image:
    """A frame as another probe position and other settings might have given it: turned, moved, brighter or darker."""
    height, width = pixels.shape
    turn: np.ndarray = cv2.getRotationMatrix2D(
        (width / 2, height / 2), float(rng.uniform(-15, 15)), float(rng.uniform(0.85, 1.2))
    )
    turn[:, 2] += rng.uniform(-0.08, 0.08, 2) * (width, height)
    moved = cv2.warpAffine(pixels, turn, (width, height)).astype(np.float32) / 255
    changed: Image = (np.clip(rng.uniform(0.6, 1.5) * moved ** rng.uniform(0.7, 1.4), 0, 1) * 255).astype(np.uint8)
    return changed


def _structure(logits: Logits) -> tuple[Ellipse | None, Image]:
    """The largest structure's ellipse and mask, on the logits' grid."""
    mask = largest_component((largest_structure(logits) > 0).astype(np.uint8))
    return from_mask(mask), mask


def _went_wrong(ellipse: Ellipse, mask: Image, logits: Logits) -> bool:
    """Whether the largest structure is 5 % longer or shorter round than in the clean frame, or elsewhere."""
    found, other = _structure(logits)
    if found is None:
        return True
    change = abs(found.circumference / ellipse.circumference - 1)
    return change > WRONG_SHARE or overlap(mask, other).dice < WRONG_DICE
