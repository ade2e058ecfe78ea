"""Opening a data set by its layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fetaledge.data.dataset import Dataset
from fetaledge.data.layouts.registry import layout_named, layouts
from fetaledge_runtimes.errors import InputError, UsageError

NAMED = 3  # refused labels that a message names


def layout_of(folder: Path) -> type[Dataset] | None:
    """The first layout that recognises a folder; None where none does, or there is no such folder."""
    return next((layout for layout in layouts() if layout.recognises(folder)), None)


def _layout(folder: Path, name: str | None) -> type[Dataset]:
    if name is not None:
        return layout_named(name)
    found = [layout for layout in layouts() if layout.recognises(folder)]
    if not found:
        expected = ", or ".join(layout.EXPECTS for layout in layouts())
        raise InputError(f"{folder} has no layout known here", f"expected {expected}")
    alike = [layout.EXPECTS for layout in found if layout.PRECEDENCE == found[0].PRECEDENCE]
    if len(alike) > 1:
        raise UsageError(f"{folder} can be read as {' or as '.join(alike)}", "choose one with --layout")
    return found[0]


def open_usable(
    folder: Path | str,
    *,
    images_optional: bool = False,
    task: str | None = None,
    layout: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Dataset:
    """As :func:`open_dataset`, without the frames whose labels cannot be used; ``progress`` is told how many, and why.

    Raises:
        InputError: as there, or fewer than half of the labels are usable.
    """
    dataset = open_dataset(folder, images_optional=images_optional, task=task, layout=layout, progress=progress)
    refused: dict[str, str] = {}
    for item in dataset.items:
        try:
            dataset.load_mask(item)
        except InputError as error:
            refused[item.name] = error.message
    if not refused:
        return dataset
    total, reasons = len(dataset), list(refused.values())
    others = f" (and {len(reasons) - NAMED} more)" if len(reasons) > NAMED else ""
    why = f"{len(reasons)} of {total} labels of {folder} cannot be used: {'; '.join(reasons[:NAMED])}{others}"
    if 2 * len(reasons) > total:
        raise InputError(why, f"run: fetaledge data check {folder}")
    dataset.leave_out(refused)
    progress(f"{why}; these frames are left out")
    return dataset


def open_dataset(
    folder: Path | str,
    *,
    strict: bool = True,
    images_optional: bool = False,
    task: str | None = None,
    layout: str | None = None,
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
        layout: a layout's registered name, where it is not to be recognised.
        progress: is given the sentence that says what was assumed, if anything was.

    Raises:
        InputError: no such folder, no known layout, no usable frame, or (``strict``) any problem at all.
        UsageError: there is no such task or layout, the layout is of another task, or several layouts recognise it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", "pass the data set's folder with --data")
    dataset = _layout(folder, layout)(folder, images_optional, task)
    if strict and dataset.problems:
        others = len(dataset.problems) - 1
        more = f" (and {others} more)" if others else ""
        raise InputError(f"{dataset.problems[0]}{more}", f"run: fetaledge data check {folder}")
    if strict and not dataset.items:
        raise InputError(f"{folder} holds no labelled frame", f"run: fetaledge data check {folder}")
    if dataset.assumption:
        progress(f"{folder}: {dataset.assumption}")
    return dataset
