"""Distillation: a student learns the answers of finished runs, its teachers, beside the labels or without them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from fetaledge.data.dataset import Item
from fetaledge.data.layouts.psfhs import Psfhs
from fetaledge.runs.run import Run
from fetaledge.runs.unet_run import Teacher, UnlabelledFrames
from fetaledge.training.unet.frames import Soft
from fetaledge_export.device_model import input_channels
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.depth import Depth
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.frames.images import read_bytes
from fetaledge_runtimes.frames.read import depth_of, list_files, read_frames
from fetaledge_runtimes.preprocess import resize

SOFT_WEIGHT = 0.5
"""Half for the label, which alone is right where the teachers err, and half for the teachers, who alone tell a clear
border from a doubtful one, and whose mean over many frames is steadier than one outline."""
PICTURES = ("images", "training_set")


def teacher_facts(runs: Sequence[Run], held_out: Collection[str]) -> tuple[Teacher, ...]:
    """The facts that a student's run keeps of its teachers.

    A teacher that was trained on frames that the student holds out makes the student's score there a little too good:
    the count of these frames says so. Of an imported network nobody knows it.

    Args:
        runs: the teachers.
        held_out: content hashes of the student's validation frames.
    """
    return tuple(
        Teacher(
            run=source["run"],
            weights_sha256=source["weights_sha256"],
            trained_on_validation=_seen(source, held_out),
        )
        for source in (run.source() for run in runs)
    )


def _seen(source: Mapping[str, Any], held_out: Collection[str]) -> int | None:
    return None if "imported" in source else len(set(source["trained_on"]) & set(held_out))


class Teachers:
    """The mean answer of several runs of one task, each asked at its own size and intensity."""

    def __init__(self, runs: Sequence[Run], size: tuple[int, int], device: torch.device) -> None:
        """``size`` = (height, width) of the answer. Raises InputError where a run's weights are unusable."""
        self.size, self.device = size, device
        self.teachers = [(run.network().to(device), run) for run in runs]

    def __call__(self, pixels: Image) -> Soft:
        """Of a frame ``uint8 (H, W)`` the probability of each structure, ``float16 (K, *size)``.

        It is the softmax (with one logit the sigmoid) of the mean of the teachers' logits.
        """
        with torch.inference_mode():
            mean = torch.stack([self._logits(network, run, pixels) for network, run in self.teachers]).mean(0)
            answer = torch.cat([torch.zeros_like(mean[:, :1]), mean], dim=1).softmax(1)[0, 1:]
        soft: Soft = answer.half().cpu().numpy()
        return soft

    def _logits(self, network: torch.nn.Module, run: Run, pixels: Image) -> torch.Tensor:
        """Logits of the structures ``(1, K, *size)``, the background's being 0: so one logit and two are alike."""
        grey = torch.from_numpy(resize(pixels, run.size))[None, None].to(self.device).float()
        logits = network((grey * run.scale + run.offset).expand(-1, input_channels(network), -1, -1)).float()
        if logits.shape[1] > 1:
            logits = logits[:, 1:] - logits[:, :1]
        return functional.interpolate(logits, size=self.size, mode="bilinear", align_corners=False)


class _FramesOfPsfhs(Psfhs):
    """The frames of PSFHS alone: labels are not read, and need not be there."""

    def scan(self) -> tuple[Item, ...]:
        return tuple(self.make_item(stem, path, path, None) for stem, path in self._by_stem(self.IMAGES).items())


@dataclass(frozen=True)
class Unlabelled:
    """Frames without labels: iterating reads them, ``uint8 (H, W)``, file by file.

    Attributes:
        name: the folder's.
        hashes: of each file that is used, the first 16 hex digits of the SHA-256 of its content.
        left_out: how many files are not used because their frames are labelled or held out.
    """

    name: str
    hashes: dict[Path, str]
    left_out: int
    read: Callable[[Path], Iterable[Image]]

    @classmethod
    def open(cls, path: Path, known: Collection[str]) -> Unlabelled:
        """Open a folder of pictures, videos or DICOM files, one such file, or a data set, whose labels are ignored.

        Args:
            path: of the folder.
            known: content hashes of frames to leave out: those held out, or labelled already.

        Raises:
            InputError: there is no such folder, or no frame that is not known.
        """
        read: Callable[[Path], Iterable[Image]]
        if (path / Psfhs.IMAGES).is_dir():
            psfhs = _FramesOfPsfhs(path)
            items = {item.image: item for item in psfhs.items}
            files, read = list(items), lambda file: [psfhs.read_image(items[file])]
        else:
            files = list_files(next((path / part for part in PICTURES if (path / part).is_dir()), path))
            read = partial(_read_pixels, depth_of(files))
        hashes = {file: hashlib.sha256(read_bytes(file)).hexdigest()[:16] for file in files}
        used = {file: value for file, value in hashes.items() if value not in known}
        if not files:
            raise InputError(f"{path / Psfhs.IMAGES} holds no .mha file", "pass a folder of frames with --unlabelled")
        if not used:
            raise InputError(
                f"every frame of {path} is labelled or held out in the data already", "pass other frames, or none"
            )
        return cls(path.resolve().name, used, len(hashes) - len(used), read)

    def __iter__(self) -> Iterator[Image]:
        return (pixels for file in self.hashes for pixels in self.read(file))

    def facts(self) -> UnlabelledFrames:
        """The folder for ``run.json``."""
        digest = hashlib.sha256("".join(self.hashes.values()).encode()).hexdigest()
        return UnlabelledFrames(name=self.name, files=len(self.hashes), left_out=self.left_out, fingerprint=digest)


def _read_pixels(depth: Depth, file: Path) -> Iterator[Image]:
    return (frame.pixels for frame in read_frames(file, bits=depth))
