"""The run of a network that was trained elsewhere: nothing is known of the frames that it has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from fetaledge.models.unet import Architecture
from fetaledge.runs.network_file import read_network
from fetaledge.runs.run import WEIGHTS, Run, RunDocument
from fetaledge_runtimes.files import sha256
from fetaledge_runtimes.records import Part, to_json


class ImportedFile(Part, kw_only=True, frozen=True):
    """The file that a network came from.

    Attributes:
        file: its name.
        sha256: of its content.
        outputs: the network's outputs in the file; two become one logit, their difference.
        left_out: names of tensors in the file that are not the network's.
    """

    file: str
    sha256: str
    outputs: int
    left_out: tuple[str, ...]


class ImportedRunDocument(RunDocument, kw_only=True, frozen=True):
    """``run.json`` of a network that was trained elsewhere."""

    architecture: Architecture
    imported: ImportedFile


@dataclass(frozen=True)
class ImportedRun(Run):
    """An opened run of a network that was trained elsewhere."""

    folder: Path
    document: ImportedRunDocument

    @property
    def seed(self) -> int:
        return 0

    def network(self) -> nn.Module:
        """As :meth:`Run.network`."""
        return read_network(self.folder, self.document.architecture)

    def source(self) -> dict[str, Any]:
        """As :meth:`Run.source`."""
        return {
            "run": self.name,
            "weights_sha256": sha256(self.folder / WEIGHTS),
            "architecture": to_json(self.document.architecture),
            "strategy": None,
            **self.seen(),
        }

    def seen(self) -> Mapping[str, Any]:
        """As :meth:`Run.seen`; ``imported`` names the file."""
        return {"data": None, "split": None, "trained_on": None, "imported": self.document.imported.file}
