"""ViT-B at 512 with seeded random weights: load, LoRA, merge, one format; time and peak memory. `make sam-vit-b`."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch

import fetaledge.training  # noqa: F401  makes torchvision importable
from fetaledge.models.sam.checkpoint import SamBase
from fetaledge.models.sam.lora import add_adapters, merge_adapters
from fetaledge_export.device_model import DeviceModel
from fetaledge_export.formats.registry import format_named
from fetaledge_export.torch_engine import TorchEngine
from fetaledge_runtimes.engines.registry import engine_class, open_engine

SIZE, THREADS = 512, 2
SCALE, OFFSET = 1 / 127.5, -1.0


def main(name: str) -> None:
    network = add_adapters(SamBase.read("random:vit_b", 0).network(3, SIZE), 4, 0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            if "lora_B" in key:
                parameter.normal_(std=0.02, generator=generator)
    merged = merge_adapters(network)
    rng = np.random.default_rng(0)
    frames = [cv2.GaussianBlur(rng.integers(0, 256, (SIZE, SIZE), dtype=np.uint8), (0, 0), 9) for _ in range(4)]
    expected = TorchEngine(merged, SCALE, OFFSET, THREADS)(frames[0])
    chosen = format_named(name)
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        base = chosen.convert(DeviceModel(merged, SCALE, OFFSET), (SIZE, SIZE), Path(folder), True)
        print(f"{name}: converted in {time.process_time() - start:.0f} s of CPU")
        for precision in ("fp32", "fp16", "int8"):
            start = time.process_time()
            path = Path(folder) / f"{precision}{engine_class(name).suffix}"
            files = chosen.write(base, path, precision, frames, {}, True)
            spent = time.process_time() - start
            engine = open_engine(name, files[0], THREADS)
            times = []
            for _ in range(3):
                begin = time.perf_counter()
                found = engine(frames[0])
                times.append(time.perf_counter() - begin)
            size = sum(file.stat().st_size for file in files) / 1e6
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            print(
                f"{name}-{precision}: written in {spent:.0f} s of CPU, {size:.0f} MB, "
                f"one frame {min(times):.2f} s, {np.abs(found - expected).max() / np.abs(expected).max():.1e} off, "
                f"{(found.argmax(0) == expected.argmax(0)).mean():.4f} of the classes kept, peak {peak:.2f} GB"
            )
            del engine


main(sys.argv[1])
