"""How much memory a variant needs on a device: an estimate, so that what cannot fit is not even sent."""

from __future__ import annotations

from fetaledge_runtimes.bundle import Manifest, Variant

# Python, numpy, OpenCV and the largest engine imported: 58 to 72 MB measured on x86-64.
PROCESS_MB = 80
# The runner without Python; LiteRT alone.
NATIVE_MB = 20
# A U-Net's feature maps at 256x256: 51 to 78 MB measured, by engine and precision.
BYTES_PER_PIXEL = 1200
# What a weight file becomes: a copy is packed for the kernels; fp16 is widened to fp32 first.
FILE_FACTOR = {"int8": 2.0, "fp32": 2.0, "fp16": 3.0}


def needed_mb(manifest: Manifest, variant: Variant, native: bool = False) -> int:
    """Megabytes (10⁶ bytes) that a process running this variant is expected to take at most.

    Compared with the peak memory of nine variants of a 256×256 U-Net on x86-64, it is 5 to 46 % too large.
    """
    files = sum(stored.bytes for stored in variant.files) / 1e6
    pixels = manifest.input.height * manifest.input.width
    weights = files * FILE_FACTOR.get(variant.precision, 3.0)
    return round((NATIVE_MB if native else PROCESS_MB) + weights + pixels * BYTES_PER_PIXEL / 1e6)


def too_little(needed: int, available_mb: int | None) -> str | None:
    """Why a variant cannot run in the memory that is available; None where it can, or nobody knows."""
    if available_mb is None or needed <= available_mb:
        return None
    return f"it needs about {needed} MB of memory and the device has {available_mb} MB available"
