"""A small network in every format, exported for real, and a bundle made of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from fetaledge_runtimes.bundle import Bundle, Manifest, ModelInput, ModelOutput, StoredFile, Variant
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.engines.registry import engine_class, open_engine
from fetaledge_runtimes.frames.frame import Frame
from fetaledge_runtimes.predictor import Predictor
from fetaledge_runtimes.selftest import GOLDEN, write_golden
from fetaledge_runtimes.tasks.head import HEAD
from fetaledge_runtimes.tasks.ps_fh import PS_FH

SIZE = (64, 96)
FILES = {"onnx": ("net.onnx",), "openvino": ("net.xml", "net.bin"), "tflite": ("net.tflite",)}


@dataclass(frozen=True)
class Exported:
    """One network: its torch module, its files by format, and the size it takes."""

    module: Any
    paths: dict[str, Path]
    size: tuple[int, int]


def export(module: Any, folder: Path, size: tuple[int, int]) -> Exported:
    """Write ``module`` as ONNX, OpenVINO IR and TFLite, by the routes that the project uses."""
    import litert_torch
    import openvino
    import torch

    sample = torch.zeros((1, 1, *size), dtype=torch.uint8)
    onnx_path, xml_path, tflite_path = (folder / names[0] for names in FILES.values())
    torch.onnx.export(module, (sample,), str(onnx_path), dynamo=True, external_data=False, verbose=False)
    openvino.save_model(openvino.convert_model(str(onnx_path)), str(xml_path), compress_to_fp16=False)
    channel_last = litert_torch.to_channel_last_io(module, args=[0], outputs=[0]).eval()
    litert_torch.convert(channel_last, (sample.permute(0, 2, 3, 1).contiguous(),)).export(str(tflite_path))
    return Exported(module, {"onnx": onnx_path, "openvino": xml_path, "tflite": tflite_path}, size)


@pytest.fixture(scope="session")
def random_net(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Two classes, a stride, an up-sampling, seeded random weights: logits at half the input's size."""
    import torch
    from torch import nn

    class RandomNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.Conv2d(1, 8, 3, stride=4, padding=1)
            self.mix = nn.Conv2d(8, 8, 3, padding=1)
            self.head = nn.Conv2d(8, 2, 1)

        def forward(self, frame: torch.Tensor) -> torch.Tensor:
            features = torch.relu(self.mix(torch.relu(self.down(frame.float() / 255))))
            return self.head(nn.functional.interpolate(features, scale_factor=2.0, mode="nearest"))

    torch.manual_seed(3)
    return export(RandomNet().eval(), tmp_path_factory.mktemp("random-net"), SIZE)


@pytest.fixture(scope="session")
def bright_net(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """One class: a pixel is head where the mean of its neighbourhood is above 100 of 255."""
    import torch
    from torch import nn

    class BrightNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mean = nn.Conv2d(1, 1, 3, padding=1)
            nn.init.constant_(self.mean.weight, 20 / 9)
            nn.init.constant_(self.mean.bias, -20 * 100 / 255)

        def forward(self, frame: torch.Tensor) -> torch.Tensor:
            return self.mean(frame.float() / 255)

    return export(BrightNet().eval(), tmp_path_factory.mktemp("bright-net"), SIZE)


@pytest.fixture(scope="session")
def bright_frame() -> Callable[..., Frame]:
    """Make a frame: a bright ellipse (180) on a dark ground (20), so that BrightNet's threshold is its very edge."""

    def make(
        ellipse: Ellipse | None,
        pixel_mm: tuple[float, float] | None = (0.15, 0.15),
        shape: tuple[int, int] = (540, 800),
        source: str = "bright.png",
    ) -> Frame:
        pixels = np.full(shape, 20, np.uint8)
        if ellipse is not None:
            pixels[ellipse.rasterise(shape) > 0] = 180
        return Frame(pixels, pixel_mm, source)

    return make


@pytest.fixture(scope="session")
def head() -> Ellipse:
    """A head of 250 by 190 pixels, tilted, in a frame of 540 by 800."""
    return Ellipse(410.3, 262.7, 250.0, 190.0, 17.0)


@pytest.fixture(scope="session")
def bundle_folder(
    bright_net: Exported,
    bright_frame: Callable[..., Frame],
    head: Ellipse,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A bundle of three variants with golden vectors. Read it; copy it (``bundle_copy``) before you break it."""
    folder = tmp_path_factory.mktemp("bundle") / "bright"
    folder.mkdir()
    variants = []
    for name, path in bright_net.paths.items():
        files = []
        for file in FILES[name]:
            target = folder / f"{name}-fp32{Path(file).suffix}"
            shutil.copy(path.with_name(file), target)
            files.append(StoredFile.of(target))
        engine = open_engine(name, folder / files[0].file, 1)
        label = engine_class(name).name
        variants.append(Variant(f"{name}-fp32", name, "fp32", tuple(files), label, engine.version, engine.version))
    manifest = Manifest(
        name="bright",
        task="head",
        classes=("background", "head"),
        input=ModelInput(*SIZE, scale=1 / 255, offset=0.0),
        output=ModelOutput(1, *SIZE),
        variants=tuple(variants),
        others=(),
        source={"run": "none", "data": "none"},
        calibration=None,
        fetaledge="0.1.0",
        created="2026-01-01T00:00:00+00:00",
    )
    manifest.write(folder)
    bundle = Bundle.open(folder)
    frames = [bright_frame(head), bright_frame(Ellipse(300, 250, 200, 160, 70), None), bright_frame(None)]
    golden = {v.name: [Predictor(bundle, v.name)(frame) for frame in frames] for v in variants}
    write_golden(folder / GOLDEN, HEAD, frames, golden)
    msgspec.structs.replace(manifest, others=(StoredFile.of(folder / GOLDEN),)).write(folder)
    return folder


@pytest.fixture
def bundle_copy(bundle_folder: Path, tmp_path: Path) -> Path:
    """The same bundle, to be broken."""
    return Path(shutil.copytree(bundle_folder, tmp_path / "bundle"))


@pytest.fixture
def frame_folder(bright_frame: Callable[..., Frame], head: Ellipse, tmp_path: Path) -> Path:
    """Three PNG frames (a head, a smaller one, nothing) and their ``pixels.csv``."""
    folder = tmp_path / "frames"
    folder.mkdir()
    ellipses = {"a": head, "b": Ellipse(300, 250, 200, 160, 70), "c": None}
    for name, ellipse in ellipses.items():
        cv2.imwrite(str(folder / f"{name}.png"), bright_frame(ellipse).pixels)
    (folder / "pixels.csv").write_text("filename,pixel_mm\na.png,0.15\nb.png,0.2\nc.png,0.15\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def psfh_frame() -> Callable[..., Frame]:
    """Make a transperineal frame: a head of 130 and a symphysis of 220 on dark noise, which PSFH_NET tells apart."""

    def make(symphysis: Ellipse | None, pixel_mm: tuple[float, float] | None = (0.5, 0.5)) -> Frame:
        pixels = np.random.default_rng(0).integers(15, 26, (256, 256), np.uint8)
        pixels[Ellipse(125, 150, 66, 54, 25).rasterise((256, 256)) > 0] = 130
        if symphysis is not None:
            pixels[symphysis.rasterise((256, 256)) > 0] = 220
        return Frame(pixels, pixel_mm, "psfh.png")

    return make


@pytest.fixture(scope="session")
def psfh_bundle(psfh_frame: Callable[..., Frame], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the task ps-fh with one variant: head above 80 of 255, symphysis above 175."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    side = 192
    weights = numpy_helper.from_array(np.array([0, 2, 1], np.float32).reshape(3, 1, 1, 1), "weights")
    bias = numpy_helper.from_array(np.array([0, -255, -80], np.float32), "bias")
    nodes = [
        helper.make_node("Cast", ["frame"], ["level"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["level", "weights", "bias"], ["logits"]),
    ]
    taken = helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, 1, side, side])
    given = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3, side, side])
    graph = helper.make_graph(nodes, "psfh", [taken], [given], [weights, bias])
    folder = tmp_path_factory.mktemp("psfh-bundle") / "levels"
    folder.mkdir()
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(folder / "onnx-fp32.onnx"))
    stored = StoredFile.of(folder / "onnx-fp32.onnx")
    engine = open_engine("onnx", folder / stored.file, 1)
    manifest = Manifest(
        name="levels",
        task="ps-fh",
        classes=("background", "pubic-symphysis", "head"),
        input=ModelInput(side, side, scale=1.0, offset=0.0),
        output=ModelOutput(3, side, side),
        variants=(Variant("onnx-fp32", "onnx", "fp32", (stored,), engine.name, engine.version, engine.version),),
        others=(),
        source={"run": "none", "data": "none"},
        calibration=None,
        fetaledge="0.1.0",
        created="2026-01-01T00:00:00+00:00",
    )
    manifest.write(folder)
    predictor = Predictor(Bundle.open(folder))
    frames = [psfh_frame(Ellipse(70, 60, 30, 11, 0)), psfh_frame(Ellipse(80, 55, 28, 10, 20), None), psfh_frame(None)]
    write_golden(folder / GOLDEN, PS_FH, frames, {"onnx-fp32": [predictor(frame) for frame in frames]})
    msgspec.structs.replace(manifest, others=(StoredFile.of(folder / GOLDEN),)).write(folder)
    return folder
