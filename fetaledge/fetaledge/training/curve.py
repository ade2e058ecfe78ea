"""The picture of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fetaledge.runs.run import Epoch
from fetaledge_runtimes.files import atomic_path


def draw_curve(rows: Sequence[Epoch], path: Path) -> None:
    """Loss and validation Dice against the epoch, as a PNG; the best epoch is marked."""
    from matplotlib.figure import Figure

    epochs = [row.epoch + 1 for row in rows]
    figure = Figure(figsize=(7, 4), layout="constrained")
    left = figure.subplots()
    left.plot(epochs, [row.loss for row in rows], color="#999999", label="training loss")
    left.plot(epochs, [row.validation_loss for row in rows], color="#0072b2", linestyle="--", label="validation loss")
    left.set_xlabel("epoch")
    left.set_ylabel("loss")
    right = left.twinx()
    right.plot(epochs, [row.dice for row in rows], color="#d55e00", marker="o", markersize=3, label="validation Dice")
    best = max(rows, key=lambda row: row.dice)
    right.annotate(
        f"{best.dice:.4f}", (best.epoch + 1, best.dice), textcoords="offset points", xytext=(0, 6), ha="center"
    )
    right.set_ylabel("Dice")
    handles = [*left.get_lines(), *right.get_lines()]
    left.legend(handles, [str(handle.get_label()) for handle in handles], loc="center right", frameon=False)
    with atomic_path(path) as partial:
        figure.savefig(partial, dpi=120)
