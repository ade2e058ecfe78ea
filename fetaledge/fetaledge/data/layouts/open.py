"""Opening a data set by its layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fetaledge.data.dataset import Dataset
from fetaledge.data.layouts.registry import layouts
from fetaledge_runtimes.errors import InputError


def layout_of(folder: Path) -> type[Dataset] | None:
    """The first layout that recognises a folder; None where none does, or there is no such folder."""
    return next((layout for layout in layouts() if layout.recognises(folder)), None)


def open_dataset(
    folder: Path | str,
    *,
    strict: bool = True,
    images_optional: bool = False,
    task: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Dataset:
    """Open a folder by the first layout that recognises it; see :mod:`fetaledge.data.layouts.registry`.

    Args:
        folder: of the data set.
        strict: raise on any problem instead of listing it.
        images_optional: where frames and labels lie in folders of their own, the labels alone suffice, to score masks
            against.
        task: what the labels mark, where the layout leaves that open; None to infer it (``Dataset.assumption`` says
            how).
        progress: is given the sentence that says what was assumed, if anything was.

    Raises:
        InputError: no such folder, no known layout, no usable frame, or (``strict``) any problem at all.
        UsageError: there is no such task, or the layout is of another.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", "pass the data set's folder with --data")
    layout = layout_of(folder)
    if layout is None:
        expected = ", or ".join(layout.EXPECTS for layout in layouts())
        raise InputError(f"{folder} has no layout known here", f"expected {expected}")
    dataset = layout(folder, images_optional, task)
    if strict and dataset.problems:
        others = len(dataset.problems) - 1
        more = f" (and {others} more)" if others else ""
        raise InputError(f"{dataset.problems[0]}{more}", f"run: fetaledge data check {folder}")
    if strict and not dataset.items:
        raise InputError(f"{folder} holds no labelled frame", f"run: fetaledge data check {folder}")
    if dataset.assumption:
        progress(f"{folder}: {dataset.assumption}")
    return dataset
