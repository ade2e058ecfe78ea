"""How far the bounds of ``fetaledge cost`` lie below figures that others published for Raspberry Pi boards.

    python tests/benchmarks/cost_calibration.py FOLDER [--json FILE]

Builds MobileNetV2 and ResNet-50 for 224×224 pixels with random weights (a kernel's instructions hardly depend on their
values), in ONNX and TFLite, fp32 and int8, as bundles in FOLDER; counts them on both CPUs; prints a table. The
published figures were measured with other engines, other versions of them and, where stated, four threads: a quarter of
the bound is what four cores could reach at best. An engine that computes a convolution with fewer multiplications
(Winograd), or in half precision, executes other instructions and may be faster than the bound of this one.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

SIZE = (224, 224)
FORMATS = {"onnx": ("ONNX Runtime", "onnxruntime"), "tflite": ("LiteRT", "ai-edge-litert")}
PRECISIONS = ("fp32", "int8")


@dataclass(frozen=True)
class Published:
    """A latency that somebody measured on a board; ``threads`` is None where they did not say."""

    network: str
    cpu: str
    precision: str
    ms: float
    engine: str
    threads: int | None


PUBLISHED = (
    Published("resnet50", "cortex-a72", "fp32", 263, "ncnn", 4),
    Published("resnet50", "cortex-a72", "int8", 197, "ncnn", 4),
    Published("resnet50", "cortex-a76", "fp32", 46, "ncnn", 4),
    Published("resnet50", "cortex-a76", "int8", 41, "ncnn", 4),
    Published("mobilenet_v2", "cortex-a76", "fp32", 10.9, "XNNPACK", None),
    Published("mobilenet_v2", "cortex-a76", "int8", 4.0, "XNNPACK", None),
    Published("mobilenet_v2", "cortex-a72", "fp32", 44, "not said", None),
)


class Classifier(nn.Module):
    """An ImageNet network that takes a grey ``uint8`` frame as three channels and gives logits ``(1, 1000, 1, 1)``."""

    def __init__(self, name: str) -> None:
        super().__init__()
        from fetaledge.models.torchvision_stub import make_torchvision_importable

        make_torchvision_importable()
        import torchvision

        torch.manual_seed(0)
        network = getattr(torchvision.models, name)(weights=None)
        if name == "resnet50":
            parts, channels = list(network.children())[:-2], 2048
        else:
            parts, channels = [network.features], 1280
        self.features = nn.Sequential(*parts)
        self.pool = nn.AvgPool2d(7)
        self.head = nn.Conv2d(channels, 1000, 1)
        self.eval()

    def forward(self, frame: torch.Tensor) -> torch.Tensor:
        scaled = frame.to(torch.float32) / 127.5 - 1
        logits: torch.Tensor = self.head(self.pool(self.features(torch.cat([scaled] * 3, dim=1))))
        return logits


def write_bundle(folder: Path, name: str) -> Path:
    """A bundle of one network with every format and precision, as far as ``fetaledge cost`` reads it."""
    from fetaledge_export.formats.registry import format_named
    from fetaledge_export.multiply_adds import multiply_adds
    from fetaledge_runtimes.bundle import Manifest, ModelInput, ModelOutput, StoredFile, Variant
    from fetaledge_runtimes.engines.registry import engine_class

    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, SIZE).astype(np.uint8) for _ in range(4)]
    network = Classifier(name)
    variants = []
    for format_name, (engine, package) in FORMATS.items():
        chosen, runner = format_named(format_name), engine_class(format_name)
        base = chosen.convert(network, SIZE, folder, False)
        for precision in PRECISIONS:
            path = folder / f"{format_name}-{precision}{runner.suffix}"
            files = chosen.write(base, path, precision, frames, {}, False)
            stored = tuple(StoredFile.of(file) for file in files)
            variants.append(Variant(path.stem, format_name, precision, stored, engine, version(package), runner.oldest))
        base.unlink()
    golden: dict[str, Any] = {"pixel_mm": np.full((1, 2), np.nan), "frame_0": frames[0]}
    for variant in variants:
        golden |= {f"{variant.name}/hc_mm": np.full(1, np.nan), f"{variant.name}/mask_0": np.zeros(6272, np.uint8)}
    np.savez_compressed(folder / "golden.npz", **golden)
    grid, logits = ModelInput(*SIZE, 1.0, 0.0), ModelOutput(1000, 1, 1)
    names = ("background", "head")
    Manifest(
        name=name,
        task="head",
        classes=names,
        input=grid,
        output=logits,
        multiply_adds=multiply_adds(network, torch.zeros((1, 1, *SIZE), dtype=torch.uint8)),
        variants=tuple(variants),
        others=(),
        source={},
        calibration=None,
        fetaledge="0.1.0",
        created="2026-01-01",
    ).write(folder)
    return folder


def rows(documents: Sequence[dict[str, Any]]) -> list[list[str]]:
    """One row a published figure and engine of ours: the bound, a quarter of it, and how many times it is exceeded."""
    table = []
    for figure in PUBLISHED:
        document = next(document for document in documents if document["bundle"] == figure.network)
        for result in document["results"]:
            right = result["cpu"] == figure.cpu and result["variant"].endswith(figure.precision)
            if not right or result["bound"] is None:
                continue
            least = result["bound"]["ms"]
            table.append(
                [
                    figure.network,
                    figure.precision,
                    figure.cpu,
                    f"{result['engine']} {result['engine_version']}",
                    f"{least:.1f}",
                    f"{least / 4:.1f}",
                    f"{figure.ms:g} ({figure.engine}, {figure.threads or 'unstated'} threads)",
                    f"{figure.ms / least:.2f}×",
                    f"{figure.ms / (least / 4):.2f}×",
                ]
            )
    return table


HEADER = (
    "network",
    "precision",
    "CPU",
    "counted in",
    "≥ ms, one core (bound, not a measurement)",
    "≥ ms, four cores at best (bound)",
    "published ms",
    "published ÷ one core",
    "published ÷ four cores",
)


def main() -> None:
    """Build, count, print a Markdown table."""
    from fetaledge_benchmarks.cost import CORES, measure_cost
    from fetaledge_runtimes.files import write_json

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    documents = []
    for name in ("mobilenet_v2", "resnet50"):
        folder = given.folder / name
        if not folder.is_dir():
            write_bundle(folder, name)
        documents.append(measure_cost(folder, cpus=list(CORES), progress=print))
    if given.json is not None:
        write_json(given.json, documents)
    for row in (HEADER, ["---"] * len(HEADER), *rows(documents)):
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
