"""Opening a data set by its layout."""

from __future__ import annotations

from pathlib import Path

from fetaledge.data.dataset import Dataset
from fetaledge_runtimes.errors import InputError


def open_dataset(folder: Path | str, *, strict: bool = True, images_optional: bool = False) -> Dataset:
    """Open a folder by its layout: HC18, PSFHS, or ``images/`` + ``masks/``.

    Args:
        folder: of the data set.
        strict: raise on any problem instead of listing it.
        images_optional: of PSFHS and ``images/`` + ``masks/`` the labels alone suffice, to score masks against.

    Raises:
        InputError: no such folder, no known layout, no usable frame, or (``strict``) any problem at all.
    """
    from fetaledge.data.layouts.hc18 import Hc18
    from fetaledge.data.layouts.images_and_masks import ImagesAndMasks
    from fetaledge.data.layouts.psfhs import Psfhs

    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", "pass the data set's folder with --data")
    for layout in (Hc18, Psfhs, ImagesAndMasks):
        if layout.recognises(folder):
            dataset: Dataset = layout(folder, images_optional)
            break
    else:
        raise InputError(
            f"{folder} has no layout known here",
            "expected HC18 (training_set/ and its CSV), PSFHS (image_mha/ and label_mha/), "
            "or images/ and masks/ with an optional pixels.csv",
        )
    if strict and dataset.problems:
        others = len(dataset.problems) - 1
        more = f" (and {others} more)" if others else ""
        raise InputError(f"{dataset.problems[0]}{more}", f"run: fetaledge data check {folder}")
    if strict and not dataset.items:
        raise InputError(f"{folder} holds no labelled frame", f"run: fetaledge data check {folder}")
    return dataset
