"""Where the structures of a data set lie: for each class, the share of frames that mark it at each place."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from fetaledge.data.dataset import Dataset, Subset
from fetaledge_runtimes.files import atomic_path

GRID = (256, 256)


@dataclass(frozen=True)
class Frequencies:
    """Class frequencies of a data set, its frames stretched to one grid.

    Attributes:
        data: the data set's name.
        synthetic: True for phantoms.
        frames: how many there are.
        maps: ``float64 (256, 256)`` of 0 to 1 of each class but the background.
        present: in how many frames each of them is marked at all.
        aspect: the frames' median ratio of height to width.
    """

    data: str
    synthetic: bool
    frames: int
    maps: dict[str, npt.NDArray[np.float64]]
    present: dict[str, int]
    aspect: float


def class_frequencies(dataset: Dataset | Subset) -> Frequencies:
    """Count every frame of a data set.

    Raises:
        InputError: a frame or label cannot be used.
    """
    classes = dataset.task.classes[1:]
    maps = {name: np.zeros(GRID) for name in classes}
    present = dict.fromkeys(classes, 0)
    aspects = []
    for labelled in dataset:
        aspects.append(labelled.mask.shape[0] / labelled.mask.shape[1])
        for label, name in enumerate(classes, start=1):
            inside = (labelled.mask == label).astype(np.float32)
            maps[name] += cv2.resize(inside, GRID[::-1], interpolation=cv2.INTER_AREA)
            present[name] += bool(inside.any())
    shares = {name: total / len(dataset) for name, total in maps.items()}
    return Frequencies(dataset.name, labelled.synthetic, len(dataset), shares, present, statistics.median(aspects))


def draw_frequencies(frequencies: Frequencies, path: Path) -> None:
    """One picture a class, side by side, as a PNG; each has a colour scale of its own, from 0 to its highest share.

    A symphysis is so much smaller than a head that on one scale it would be all but black.
    """
    from matplotlib.figure import Figure

    count = len(frequencies.maps)
    figure = Figure(figsize=(5 * count, 1 + 4 * frequencies.aspect), layout="constrained")
    axes = figure.subplots(1, count, squeeze=False)[0]
    for place, (name, shares) in zip(axes, frequencies.maps.items(), strict=True):
        picture = place.imshow(shares, vmin=0, vmax=shares.max() or 1, cmap="inferno", aspect=frequencies.aspect)
        place.set_title(f"{name}\nin {frequencies.present[name]} of {frequencies.frames} frames")
        place.set_xticks([])
        place.set_yticks([])
        figure.colorbar(picture, ax=place, label="share of frames", shrink=0.85)
    kind = "synthetic frames" if frequencies.synthetic else "frames"
    figure.suptitle(f"{frequencies.data}: {frequencies.frames} {kind}", parse_math=False)
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=120)
