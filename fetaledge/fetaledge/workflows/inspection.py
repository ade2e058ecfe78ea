"""What a bundle holds, and how its variants passed the gate."""

from __future__ import annotations

from pathlib import Path

from fetaledge_export.results import GateRecord, read_gate
from fetaledge_runtimes.bundle import Bundle, Manifest
from fetaledge_runtimes.records import Document


class Inspection(Document, kw_only=True, frozen=True):
    """A bundle's manifest, and the record of its gate."""

    schema: str = "fetaledge/inspect/1"
    manifest: Manifest
    gate: GateRecord


def inspect_bundle(folder: Path) -> Inspection:
    """Read a bundle's manifest and the record of its gate.

    Raises:
        BundleError: one of them is missing or cannot be read.
    """
    opened = Bundle.open(folder)
    return Inspection(manifest=opened.manifest, gate=read_gate(opened))
