"""What ``fetaledge deploy --json`` prints."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from fetaledge_devices.deploy.deployment import Deployment
from fetaledge_runtimes.records import Document, Part


class TargetAnswer(Part, kw_only=True, frozen=True):
    """What became of one target. Only the keys that say something of it are there.

    Attributes:
        target: its address.
        error: why nothing was deployed to it, or removed.
        removed: whether there was anything to remove.
        emulated: its times say nothing about a real device.
        place: the bundle's folder there.
        variants: that can be used there.
        refused: variant -> why it cannot.
        engines: engine package -> version there.
        notes: variant -> what is known or unusual about it there.
        sent_mb: megabytes (10⁶ bytes) that had to be sent.
        tested: False where an earlier self-test of the very same files was believed.
        worker: what starts the worker there.
    """

    target: str
    error: str | UnsetType = UNSET
    removed: bool | UnsetType = UNSET
    emulated: bool | UnsetType = UNSET
    place: str | UnsetType = UNSET
    variants: tuple[str, ...] | UnsetType = UNSET
    refused: dict[str, str] | UnsetType = UNSET
    engines: dict[str, str] | UnsetType = UNSET
    notes: dict[str, tuple[str, ...]] | UnsetType = UNSET
    sent_mb: float | UnsetType = UNSET
    tested: bool | UnsetType = UNSET
    worker: tuple[str, ...] | UnsetType = UNSET

    @classmethod
    def of(cls, deployment: Deployment) -> TargetAnswer:
        return cls(
            target=deployment.target.name,
            emulated=deployment.target.emulated,
            place=deployment.place,
            variants=deployment.variants,
            refused=deployment.refused,
            engines=deployment.versions,
            notes=deployment.notes,
            sent_mb=deployment.sent_mb,
            tested=deployment.tested,
            worker=deployment.worker,
        )


class DeployAnswer(Document, kw_only=True, frozen=True):
    """The answer about all targets; ``bundle`` is the folder that was given, None where all was removed."""

    schema: str = "fetaledge/deployment/1"
    bundle: str | None = None
    targets: tuple[TargetAnswer, ...]
