"""A tiny U-Net trained for a few seconds on bright ellipses: small enough for seconds, real enough for a gate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from fetaledge_export.gate import Limits
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.frames.frame import Frame, LabelledFrame
from fetaledge_runtimes.preprocess import resize
from fetaledge_runtimes.tasks.head import HEAD
from tests.made import Made

if TYPE_CHECKING:
    from torch import nn

    from fetaledge_export.results import ExportResult

SIZE = (64, 96)
SCALE, OFFSET = 1 / 127.5, -1.0
# A pixel of this grid is 1.5 mm, and seven convolutions average out little of what int8 rounds.
WIDE = Limits(measures={"hc_abs_mean_mm": 2, "hc_bias_mm": 2, "hc_p95_mm": 4})


def bright_ellipse(seed: int, subject: str, pixel_mm: tuple[float, float] | None = (0.8, 0.8)) -> LabelledFrame:
    """A noisy frame of 128×180 with one bright ellipse."""
    rng = np.random.default_rng(seed)
    a = rng.uniform(30, 48)
    ellipse = Ellipse(rng.uniform(70, 110), rng.uniform(55, 73), a, a * rng.uniform(0.7, 0.9), rng.uniform(0, 180))
    mask = ellipse.rasterise((128, 180))
    pixels = np.clip(50 + 110 * mask + rng.normal(0, 25, mask.shape), 0, 255).astype(np.uint8)
    return LabelledFrame(Frame(pixels, pixel_mm, f"{seed}.png"), mask, f"frame_{seed}", subject, synthetic=True)


@pytest.fixture(scope="session")
def calibration() -> list[LabelledFrame]:
    return [bright_ellipse(seed, f"train_{seed}") for seed in range(12)]


@pytest.fixture(scope="session")
def validation() -> list[LabelledFrame]:
    return [bright_ellipse(100 + seed, f"valid_{seed // 2}") for seed in range(12)]


@pytest.fixture(scope="session")
def golden() -> list[Frame]:
    return [bright_ellipse(200 + seed, "golden").frame for seed in range(2)]


def train_tiny_unet() -> nn.Module:
    import torch
    from torch import nn

    from tests.export.networks import TinyUnet

    torch.manual_seed(0)
    torch.set_num_threads(1)
    cases = [bright_ellipse(1000 + seed, "x") for seed in range(48)]
    x = np.stack([resize(case.frame.pixels, SIZE) for case in cases])
    y = np.stack([cv2.resize(case.mask, SIZE[::-1], interpolation=cv2.INTER_NEAREST) for case in cases])
    frames = (torch.from_numpy(x)[:, None].float() * SCALE + OFFSET).expand(-1, 3, -1, -1)
    masks = torch.from_numpy(y)[:, None].float()
    net = TinyUnet().train()
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    for step in range(90):
        batch = slice(8 * (step % 6), 8 * (step % 6) + 8)
        loss = nn.functional.binary_cross_entropy_with_logits(net(frames[batch]), masks[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert math.isfinite(loss.item())
    return net


@pytest.fixture(scope="session")
def network(made: Made) -> nn.Module:
    from safetensors.torch import load_model, save_model

    from tests.export.networks import TinyUnet

    weights = made("tiny.safetensors", lambda path: save_model(train_tiny_unet(), str(path)))
    net = TinyUnet()
    load_model(net, weights)
    return net.eval()


@dataclass
class Exported:
    result: ExportResult
    steps: list[str] = field(default_factory=list)


Export = Callable[..., Exported]


@pytest.fixture(scope="session")
def export(
    network: nn.Module, calibration: list[LabelledFrame], validation: list[LabelledFrame], golden: list[Frame]
) -> Export:
    from fetaledge_export.export import export_bundle

    def run(out: Path, **changes: Any) -> Exported:
        steps: list[str] = []
        arguments: dict[str, Any] = {
            "network": network,
            "name": "tiny",
            "task": HEAD,
            "size": SIZE,
            "scale": SCALE,
            "offset": OFFSET,
            "calibration": calibration,
            "validation": validation,
            "golden": golden,
            "source": {"run": "tiny", "encoder": "none", "seed": 0},
            "limits": WIDE,
            "data": "bright ellipses",
            "data_note": "Made up.",
            "progress": steps.append,
            "threads": 1,
            **changes,
        }
        net = arguments.pop("network")
        return Exported(export_bundle(net, out=out, **arguments), steps)

    return run


@pytest.fixture(scope="session")
def exported(export: Export, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """All nine variants; made once."""
    return export(tmp_path_factory.mktemp("export") / "tiny", precisions=("fp32", "fp16", "int8"))
