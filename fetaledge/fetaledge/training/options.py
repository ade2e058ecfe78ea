"""Options that training of every architecture shares."""

from __future__ import annotations

from pathlib import Path

import torch

from fetaledge_runtimes.errors import UsageError


def lightning_precision(name: str) -> str:
    """Lightning's word for ``fp32``, ``bf16``, or ``auto``: bf16 where the GPU or the CPU computes it by itself.

    Raises:
        UsageError: another word.
    """
    if name == "auto":
        name = "bf16" if _has_bf16() else "fp32"
    words = {"fp32": "32-true", "bf16": "bf16-mixed"}
    if name not in words:
        raise UsageError(f"there is no precision {name!r}", "choose auto, fp32 or bf16")
    return words[name]


def _has_bf16() -> bool:
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(f" {flag}" in flags for flag in ("amx_bf16", "avx512_bf16", "bf16"))
