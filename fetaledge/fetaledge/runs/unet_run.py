"""A U-Net's run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from fetaledge.models.tensors import check_fit, read_tensors
from fetaledge.models.unet import Architecture
from fetaledge.runs.run import WEIGHTS, Epoch, Run, RunDocument, Split
from fetaledge.runs.unet_recipe import Recipe
from fetaledge_runtimes.files import atomic_path, sha256
from fetaledge_runtimes.records import Part, to_json


class Origin(Part, kw_only=True, frozen=True):
    """The run that another one started from."""

    run: str
    strategy: str | None
    weights_sha256: str
    recipe: Recipe
    validation: dict[str, Any]


class Teacher(Part, kw_only=True, frozen=True):
    """A run whose answers a student learnt; it may have seen some of the student's validation frames."""

    run: str
    weights_sha256: str
    trained_on_validation: int


class UnlabelledFrames(Part, kw_only=True, frozen=True):
    """A folder of frames that were learnt from the teachers' answers alone.

    ``left_out`` counts the files that were not used because their frames are labelled or held out, ``frames`` the
    frames in the used files; it is missing while training runs.
    """

    name: str
    files: int
    left_out: int
    fingerprint: str
    frames: int | None = None


class UnetRunDocument(RunDocument, kw_only=True, frozen=True):
    """``run.json`` of a U-Net; keys that early versions lacked have defaults."""

    architecture: Architecture
    recipe: Recipe
    init: Origin | None = None
    teachers: tuple[Teacher, ...] = ()
    unlabelled: UnlabelledFrames | None = None
    split: Split
    trained_on: tuple[str, ...]
    best: Epoch | None = None
    epochs_run: int | None = None

    def fixed(self) -> dict[str, Any]:
        """As :meth:`RunDocument.fixed`."""
        names = ("recipe", "split", "architecture", "teachers", "unlabelled")
        return {**super().fixed(), **{name: getattr(self, name) for name in names}}


@dataclass(frozen=True)
class UnetRun(Run):
    """An opened run of a U-Net."""

    folder: Path
    document: UnetRunDocument

    @property
    def seed(self) -> int:
        return self.document.recipe.seed

    @property
    def split(self) -> Split:
        return self.document.split

    @property
    def trained_on(self) -> tuple[str, ...]:
        return self.document.trained_on

    def network(self) -> nn.Module:
        """As :meth:`Run.network`."""
        path = self.folder / WEIGHTS
        tensors = {
            name: tensor.to(torch.float32) if tensor.is_floating_point() else tensor
            for name, tensor in read_tensors(path).items()
        }
        network = self.document.architecture.build()
        check_fit(network.state_dict(), tensors, path, "network")
        network.load_state_dict(tensors)
        return network.eval()

    def source(self) -> dict[str, Any]:
        """As :meth:`Run.source`."""
        return {
            "run": self.name,
            "weights_sha256": sha256(self.folder / WEIGHTS),
            "architecture": to_json(self.document.architecture),
            "strategy": str(self.document.recipe.strategy),
            **self.seen(),
        }


def write_weights(path: Path, network: nn.Module, *, half: bool = False) -> None:
    """Write a network's tensors as safetensors, atomically; ``half`` stores floats as fp16."""
    tensors = {
        name: (tensor.to(torch.float16) if half and tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
    }
    with atomic_path(path) as partial:
        partial.write_bytes(save(tensors))
