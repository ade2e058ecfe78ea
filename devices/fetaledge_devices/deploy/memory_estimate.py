"""How much memory a variant needs on a device: an estimate, so that what cannot fit is not even sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fetaledge_runtimes.bundle import Manifest, Variant

# Python, numpy, OpenCV and the largest engine imported: 58 to 72 MB measured on x86-64.
PROCESS_MB = 80
# The runner without Python; LiteRT alone.
NATIVE_MB = 20
# What a weight file becomes: a copy is packed for the kernels; fp16 is widened to fp32 first.
FILE_FACTOR = {"int8": 2.0, "fp32": 2.0, "fp16": 3.0}
# A U-Net's feature maps: 51 to 78 MB measured at 256×256 on x86-64, by engine and precision, in nine variants.
UNET_BYTES_PER_PIXEL = 1200
# A SAM's attention to the whole image, between all pairs of patches for each head in float32, is the largest of its
# tensors. ONNX Runtime holds seven to nine of them at once. Its weights take 2.5 times their file. Measured on x86-64
# with fp32 on ViT-B and smaller ones at 256, 512 and 1024 pixels; not with other engines or precisions.
SAM_ATTENTION_COPIES = 9
SAM_FILE_FACTOR = 1.25
"""More than :data:`FILE_FACTOR` says."""


@dataclass(frozen=True)
class Estimate:
    """The most memory that a process running a variant is expected to take.

    Attributes:
        needed_mb: megabytes (10⁶ bytes).
        basis: where the figure comes from, for people.
    """

    needed_mb: int
    basis: str

    def too_little(self, available_mb: int | None) -> str | None:
        """Why a variant is not expected to fit; None where it does, or nobody knows what is available."""
        if available_mb is None or self.needed_mb <= available_mb:
            return None
        return (
            f"it needs about {self.needed_mb} MB of memory and the device has {available_mb} MB available "
            f"({self.basis}; --ignore-memory tries it all the same)"
        )


def estimate(manifest: Manifest, variant: Variant, native: bool = False) -> Estimate:
    """The memory of a process with this variant, by the kind of network that the bundle's source names.

    A U-Net's is 5 to 46 % above the peaks of nine variants at 256×256, a SAM's 5 to 29 % above those of five in ONNX
    Runtime. A network of another kind is taken for a U-Net, and the estimate says so.

    Args:
        manifest, variant: of the bundle.
        native: it runs in the native runner, without Python.
    """
    files = sum(stored.bytes for stored in variant.files) / 1e6
    weights = files * FILE_FACTOR.get(variant.precision, 3.0)
    process = NATIVE_MB if native else PROCESS_MB
    architecture: Mapping[str, Any] = manifest.source.get("architecture") or {}
    shape = architecture.get("shape") or {}
    pixels = manifest.input.height * manifest.input.width
    name = architecture.get("name")
    if name == "sam" and {"heads", "patch"} <= set(shape):
        patches = pixels / shape["patch"] ** 2
        attention = SAM_ATTENTION_COPIES * shape["heads"] * patches**2 * 4 / 1e6
        needed = process + SAM_FILE_FACTOR * weights + attention
        return Estimate(round(needed), "estimated from SAMs in ONNX Runtime")
    basis = "estimated from U-Nets" if name == "unet" else "estimated as for a U-Net; this network was never measured"
    return Estimate(round(process + weights + pixels * UNET_BYTES_PER_PIXEL / 1e6), basis)
