"""One inference of a variant between the two marks that ``count.c`` waits for; this program runs in the emulator.

python counted_inference.py FORMAT MODEL FRAME.npy WARMUP
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from pathlib import Path

import numpy as np

from fetaledge_runtimes.engines.registry import open_engine
from fetaledge_runtimes.errors import FetalEdgeError

MARK = 0xFE7A
OPEN, CLOSE = 1, 0


def mark(what: int) -> None:
    """The system call that a kernel refuses, and that the plugin sees."""
    with contextlib.suppress(OSError):
        os.getpriority(MARK, what)


def main(format_name: str, model: str, frame: str, warmup: str) -> None:
    """Load, warm up on one thread, and count one call of the engine."""
    engine = open_engine(format_name, Path(model), 1)
    pixels = np.load(frame)
    gc.disable()
    for _ in range(int(warmup)):
        engine(pixels)
    mark(OPEN)
    engine(pixels)
    mark(CLOSE)
    print(engine.version)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except FetalEdgeError as error:
        sys.exit(f"error: {error}")
