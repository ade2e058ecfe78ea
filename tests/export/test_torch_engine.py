from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import nn


def test_gives_the_networks_logits_of_three_equal_channels(network: nn.Module) -> None:
    import torch

    from fetaledge_export.torch_engine import TorchEngine

    pixels = np.random.default_rng(0).integers(0, 256, (64, 96), dtype=np.uint8)
    engine = TorchEngine(network, 1 / 127.5, -1.0, 1)
    with torch.no_grad():
        frame = torch.from_numpy(np.repeat(pixels[None, None], 3, axis=1)).float() / 127.5 - 1
        expected = network(frame)[0].numpy()
    given = engine(pixels)
    assert given.shape == (1, 64, 96) and given.dtype == np.float32
    np.testing.assert_allclose(given, expected, rtol=0, atol=1e-4)
    assert engine.name == "PyTorch" and engine.version == torch.__version__
