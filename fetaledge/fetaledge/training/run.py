"""The run: the folder that training writes, and everything needed to use its network again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fetaledge.data.dataset import Dataset, Subset
from fetaledge.data.split import choose_frames
from fetaledge.models.unet import Architecture, check_fit, read_tensors
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.files import atomic_path, read_json, sha256, write_json

if TYPE_CHECKING:
    from torch import nn

SCHEMA = "fetaledge/run/1"
DOCUMENT, WEIGHTS, LOG, CURVE = "run.json", "model.safetensors", "log.csv", "curve.png"
CLASSES = {"head": ("background", "head")}


@dataclass(frozen=True)
class Run:
    """An opened run folder; ``document`` is ``run.json``."""

    folder: Path
    document: dict[str, Any]

    @classmethod
    def open(cls, folder: Path | str) -> Run:
        """Raises InputError where the folder is not a finished run."""
        folder = Path(folder)
        if not (folder / DOCUMENT).is_file():
            raise InputError(
                f"{folder} is not a run: it holds no {DOCUMENT}", "pass the folder that fetaledge train wrote"
            )
        document = read_json(folder / DOCUMENT, "run")
        schema = document.get("schema") if isinstance(document, dict) else None
        if schema != SCHEMA:
            raise InputError(
                f"{folder / DOCUMENT} has the schema {schema!r}, expected {SCHEMA!r}", "train again with this version"
            )
        missing = [key for key in ("architecture", "task", "size", "intensity", "split", "data") if key not in document]
        if missing:
            raise InputError(f"{folder / DOCUMENT} lacks {missing[0]!r}", "it may be damaged; train again")
        return cls(folder, document)

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @property
    def task(self) -> str:
        return str(self.document["task"])

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
        return choose_frames(dataset, split, self.document["data"], self.document["split"])

    def source(self) -> dict[str, Any]:
        """Facts for a bundle's manifest."""
        recipe = self.document.get("recipe", {})
        return {
            "run": self.name,
            "weights_sha256": sha256(self.folder / WEIGHTS),
            "architecture": self.document["architecture"],
            "strategy": recipe.get("strategy"),
            "data": self.document["data"],
            "split": self.document["split"],
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
