"""The scores of a run that was just trained, as the train commands print them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fetaledge_runtimes.tasks.task import Task


def measures_text(measured: Mapping[str, Any], task: Task) -> str:
    """The error of each measure of the task that was judged: ``, HC MAE 2.10 mm (n = 4)``.

    Args:
        measured: the document ``fetaledge/evaluation/1`` of the validation frames.
        task: the run's task.
    """
    text = ""
    for measure in task.measures:
        errors = measured.get(measure.key)
        if errors and errors["n"]:
            text += f", {measure.name} MAE {errors['mae']:.2f} {measure.unit_name} (n = {errors['n']})"
    return text


def misses_text(measured: Mapping[str, Any]) -> str:
    """The number of frames that were missed, and what scores on phantoms do not say."""
    synthetic = " (synthetic frames: this says nothing about clinical accuracy)" if measured["synthetic"] else ""
    return f", {measured['failures']} total misses{synthetic}"
