"""What the native runner exchanges: frames on the network's grid, and the logits that it gives for them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.files import atomic_path
from fetaledge_runtimes.frames.frame import Frame, Logits
from fetaledge_runtimes.preprocess import network_input


def write_prepared(frames: Iterable[tuple[str, Frame]], size: tuple[int, int], folder: Path) -> int:
    """Write each frame as ``NAME.raw``: ``uint8``, the scan resized to ``size`` = (height, width), row by row.

    :func:`fetaledge_runtimes.predictor.interpret` makes a prediction of what :func:`read_logits` reads back.

    Returns:
        how many were written.

    Raises:
        InputError: two frames share a name, or a name is no file name.
        OutputError: the folder cannot be written.
    """
    written: set[str] = set()
    for name, frame in frames:
        if name in written:
            raise InputError(f"two frames have the name {name}", "give each its own file name")
        if name.startswith(".") or Path(name).name != name or "\0" in name:
            raise InputError(f"the frame's name {name!r} cannot be a file name", "rename it")
        with atomic_path(folder / f"{name}.raw") as partial:
            partial.write_bytes(network_input(frame.pixels, size)[0].tobytes())
        written.add(name)
    return len(written)


def read_logits(path: Path, shape: tuple[int, int, int]) -> Logits:
    """The ``float32`` logits of ``shape`` = (C, h, w) in a file ``NAME.logits``.

    Raises:
        InputError: it cannot be read, or has another size.
    """
    expected = 4 * shape[0] * shape[1] * shape[2]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "measure again") from None
    if len(data) != expected:
        raise InputError(
            f"{path} has {len(data)} bytes where {expected} were expected for logits {shape}", "measure again"
        )
    return np.frombuffer(data, "<f4").reshape(shape).astype(np.float32)
