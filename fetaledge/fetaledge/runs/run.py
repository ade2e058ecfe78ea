"""The run: the folder that training writes, and everything needed to use its network again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fetaledge.data.dataset import Dataset, Subset
from fetaledge.data.split import choose_frames
from fetaledge.models.tensors import check_fit, read_tensors
from fetaledge.models.unet import Architecture
from fetaledge_runtimes.files import atomic_path, sha256, write_json
from fetaledge_runtimes.tasks.registry import task_named
from fetaledge_runtimes.tasks.task import Task

if TYPE_CHECKING:
    from torch import nn

SCHEMA = "fetaledge/run/1"
DOCUMENT, WEIGHTS, LOG, CURVE = "run.json", "model.safetensors", "log.csv", "curve.png"
RESUME = "resume.ckpt"


@dataclass(frozen=True)
class Run:
    """An opened run folder; ``document`` is ``run.json``."""

    folder: Path
    document: dict[str, Any]

    def check(self) -> None:
        """Touch everything that is read later; raises what Python raises for a missing or ill-typed value."""
        document = self.document
        Architecture.from_json(document["architecture"])
        _ = self.size, self.scale, self.offset, task_named(str(document["task"])), list(document["classes"])
        _ = document["data"]["fingerprint"], document["data"]["name"], document["data"]["synthetic"]
        _ = [list(document["split"][side]) for side in ("train", "validation")], set(document["trained_on"])
        _ = [document["recipe"][key] for key in ("strategy", "seed", "encoder", "decoder_channels", "intensity")]

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @property
    def task(self) -> Task:
        """What the network segments. Raises InputError where that task is not installed."""
        return task_named(str(self.document["task"]))

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the network's input."""
        height, width = self.document["size"]
        return int(height), int(width)

    @property
    def scale(self) -> float:
        return float(self.document["intensity"]["scale"])

    @property
    def offset(self) -> float:
        return float(self.document["intensity"]["offset"])

    @property
    def nearest(self) -> bool:
        """Whether masks are brought to the frame's grid by the nearest pixel rather than by interpolated logits."""
        return False

    def network(self) -> nn.Module:
        """The trained network in fp32 and evaluation mode.

        Raises:
            InputError: the weights are missing, damaged, not finite, or of another architecture.
        """
        import torch

        path = self.folder / WEIGHTS
        tensors = {
            name: tensor.to(torch.float32) if tensor.is_floating_point() else tensor
            for name, tensor in read_tensors(path).items()
        }
        network = Architecture.from_json(self.document["architecture"]).build()
        check_fit(network.state_dict(), tensors, path, "network")
        network.load_state_dict(tensors)
        return network.eval()

    def frames(self, dataset: Dataset, split: str | None) -> Dataset | Subset:
        """The frames of ``dataset`` to score this run on; see :func:`fetaledge.data.split.choose_frames`."""
        return choose_frames(dataset, split, self.document)

    def source(self) -> dict[str, Any]:
        """Facts for what is made of this run: what it is, and which frames it has seen."""
        recipe = self.document.get("recipe", {})
        return {
            "run": self.name,
            "weights_sha256": sha256(self.folder / WEIGHTS),
            "architecture": self.document["architecture"],
            "strategy": recipe.get("strategy"),
            **{key: self.document[key] for key in ("data", "split", "trained_on")},
        }


def write_weights(path: Path, network: nn.Module, *, half: bool = False) -> None:
    """Write a network's tensors as safetensors, atomically; ``half`` stores floats as fp16."""
    import torch
    from safetensors.torch import save

    tensors = {
        name: (tensor.to(torch.float16) if half and tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
    }
    with atomic_path(path) as partial:
        partial.write_bytes(save(tensors))


def write_document(folder: Path, document: dict[str, Any]) -> None:
    write_json(folder / DOCUMENT, {"schema": SCHEMA, **document})
