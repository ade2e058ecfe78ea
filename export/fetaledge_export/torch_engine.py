"""The trained network in PyTorch, eager and in fp32: the reference that every variant is held against."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import nn

from fetaledge_export.device_model import input_channels
from fetaledge_runtimes.engines.base import Engine
from fetaledge_runtimes.errors import UsageError
from fetaledge_runtimes.frames.frame import Image, Logits


class TorchEngine(Engine):
    """Runs a network as it was trained: the grey frame, scaled, once for each channel that it takes.

    It is made from a module, not from a file. Thread counts are PyTorch's own, for the whole process.
    """

    name: ClassVar[str] = "PyTorch"
    packages: ClassVar[tuple[str, ...]] = ("torch",)

    def __init__(self, network: nn.Module, scale: float, offset: float, threads: int) -> None:
        """Raises UsageError where ``threads`` is below 1."""
        if threads < 1:
            raise UsageError(f"{threads} threads were asked for", "give 1 or more")
        torch.set_num_threads(threads)
        self.version = str(torch.__version__)  # it is a str of a kind of its own, which records refuse
        self.threads = threads
        self._network = network.eval()
        self._channels = input_channels(network)
        self._scale, self._offset = scale, offset

    def __call__(self, pixels: Image) -> Logits:
        frame = torch.from_numpy(np.ascontiguousarray(pixels))[None, None].to(torch.float32)
        with torch.inference_mode():
            logits = self._network((frame * self._scale + self._offset).expand(-1, self._channels, -1, -1))
        result: Logits = logits[0].numpy()
        return result
