"""Task ``ps-fh``: a U-Net of three logits, and a network of attention in two parts, both trained in seconds."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from fetaledge_export.formats import tflite_file
from fetaledge_export.gate import Limits
from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.frame import Frame, LabelledFrame
from fetaledge_runtimes.predictor import Predictor
from fetaledge_runtimes.preprocess import resize
from fetaledge_runtimes.scores.case import score_case
from fetaledge_runtimes.scores.change import paired_change
from fetaledge_runtimes.selftest import check_golden
from fetaledge_runtimes.tasks.ps_fh import PS_FH

if TYPE_CHECKING:
    from torch import nn

    from fetaledge_export.results import ExportResult

FORMATS = ("openvino", "tflite", "onnx")
PRECISIONS = ("int8", "fp32", "fp16")
SIZE = (64, 96)
SCALE, OFFSET = 1 / 127.5, -1.0
STRUCTURES = {"task": PS_FH}
# The symphysis is ten pixels of this grid long; what int8 rounds turns its axis by more than it would a real one's.
WIDE = Limits(dice_drop=0.02, measures={"aop_abs_mean_deg": 4, "aop_p95_deg": 10})


def two_structures(seed: int, subject: str) -> LabelledFrame:
    """A noisy frame of 128×192: a bright symphysis, upper left of a grey head."""
    rng = np.random.default_rng(seed)
    symphysis = Ellipse(rng.uniform(56, 64), rng.uniform(20, 25), rng.uniform(20, 24), 9, rng.uniform(-10, 12))
    head = Ellipse(rng.uniform(92, 102), rng.uniform(84, 88), rng.uniform(36, 42), rng.uniform(28, 32), 0)
    mask = np.zeros((128, 192), np.uint8)
    mask[head.rasterise(mask.shape) > 0] = 2
    mask[symphysis.rasterise(mask.shape) > 0] = 1
    pixels = np.choose(mask, (30, 220, 120)) + rng.normal(0, 12, mask.shape)
    frame = Frame(np.clip(pixels, 0, 255).astype(np.uint8), None, f"{seed}.png")
    return LabelledFrame(frame, mask, f"frame_{seed}", subject, synthetic=True)


def fit(network: nn.Module, steps: int) -> nn.Module:
    """Train on a few frames; logits may be of half the size."""

    import torch
    from torch import nn

    torch.set_num_threads(1)
    cases = [two_structures(1000 + seed, "x") for seed in range(32)]
    pixels = np.stack([resize(case.frame.pixels, SIZE) for case in cases])
    frames = (torch.from_numpy(pixels)[:, None].float() * SCALE + OFFSET).expand(-1, 3, -1, -1)
    height, width = network.eval()(frames[:1]).shape[2:]
    masks = [cv2.resize(case.mask, (width, height), interpolation=cv2.INTER_NEAREST) for case in cases]
    labels = torch.from_numpy(np.stack(masks)).long()
    optimiser = torch.optim.Adam(network.train().parameters(), 4e-3)
    for step in range(steps):
        batch = slice(8 * (step % 4), 8 * (step % 4) + 8)
        loss = nn.functional.cross_entropy(network(frames[batch]), labels[batch], torch.tensor([1.0, 3.0, 1.0]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.eval()


@pytest.fixture(scope="module")
def frames() -> dict[str, list[LabelledFrame]]:
    return {
        "calibration": [two_structures(seed, f"train_{seed}") for seed in range(12)],
        "validation": [two_structures(100 + seed, f"valid_{seed}") for seed in range(8)],
    }


@pytest.fixture(scope="module")
def exported_transformer(export, frames, tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    import torch

    from tests.export.networks import TinyTransformer

    torch.manual_seed(0)
    golden = [two_structures(200, "golden").frame]
    out = tmp_path_factory.mktemp("structures") / "b"
    network = fit(TinyTransformer(), 160)
    return export(  # type: ignore[no-any-return]
        out, network=network, golden=golden, limits=WIDE, precisions=PRECISIONS, **frames, **STRUCTURES
    ).result


def test_what_a_network_is_decides_how_it_is_quantised(network: nn.Module) -> None:
    from fetaledge_export.device_model import is_transformer
    from tests.export.networks import TinyTransformer

    assert is_transformer(TinyTransformer()) and not is_transformer(network)


def test_a_device_model_of_two_parts_is_the_network_and_shares_its_weights() -> None:
    import torch

    from fetaledge_export.device_model import DecoderAlone, DeviceModel, EncoderAlone
    from tests.export.networks import TinyTransformer

    network = TinyTransformer().eval()
    model = DeviceModel(network, SCALE, OFFSET)
    frame = torch.randint(0, 256, (1, 1, *SIZE), dtype=torch.uint8)
    with torch.no_grad():
        embedding = network.encode((frame.float() * SCALE + OFFSET).expand(-1, 3, -1, -1))
        torch.testing.assert_close(EncoderAlone(model)(frame), embedding, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(model(frame), network.decode(embedding), rtol=1e-4, atol=1e-5)
        steps = torch.randint(0, 256, (1, 1, 48, 96), dtype=torch.uint8)
        expected = network.decode((steps.float() / 127.5 - 1).reshape(1, 48, 8, 12))
        torch.testing.assert_close(DecoderAlone(model, (48, 8, 12))(steps), expected)
    shared = {tensor.data_ptr() for tensor in network.parameters()}
    assert sum(tensor.data_ptr() not in shared for tensor in model.parameters()) == 1  # the folded convolution


def test_a_network_that_no_file_can_hold_is_refused() -> None:
    from fetaledge_export.device_model import refuse_too_large
    from tests.export.networks import TinyTransformer

    refuse_too_large(TinyTransformer())
    with pytest.raises(InputError, match=r"weights take 0\.00 GB, and a model file can hold 0\.00 GB") as caught:
        refuse_too_large(TinyTransformer(), largest=1000)
    assert caught.value.hint.startswith("distil it")


def test_parity_is_against_the_largest_value() -> None:
    from fetaledge_export.parity import Difference, Parity

    expected = [np.array([[[0.0, -4.0]]], np.float32), np.array([[[2.0, 1.0]]], np.float32)]
    difference = Difference.between([expected[0] + 0.004, expected[1] - 0.008], expected)
    assert difference.max_abs == pytest.approx(0.008, rel=1e-4)
    assert difference.max_rel == pytest.approx(0.002, rel=1e-4)
    (refusal,) = Parity(2, difference, Difference(0.1, 1e-4)).refusals("fp32")
    assert refusal == "the logits differ from PyTorch's by 2.0e-03 of the largest, 0.001 allowed"
    assert Parity(2, difference).refusals("int8") == () == Parity(2, Difference(0.1, 1e-4)).refusals("fp32")
    assert len(Parity(2, difference, Difference(1, float("nan"))).refusals("fp32")) == 2


def test_the_columns_follow_the_task(frames) -> None:
    from fetaledge_export.results import change_cells, change_header, table

    scores = [score_case(case, case.mask, PS_FH) for case in frames["validation"]]
    header, rows = table(scores, (), PS_FH)
    assert header[2:4] == ("Dice", "ΔDice (n)") and not [name for name in header if "HC" in name]
    assert header[4:7] == ("mean |ΔAoP| ° (n)", "bias ΔAoP ° (n)", "p95 |ΔAoP| °") == change_header(PS_FH)[1:]
    assert rows == [("torch-fp32", "–", "1.0000", "–", "–", "–", "–", "reference")]
    cells = change_cells(replace(paired_change(scores, scores), n=9).document(PS_FH), PS_FH)
    assert cells == ("+0.0000 (9)", f"0.000 ({len(scores)})", f"+0.000 ({len(scores)})", "0.000")


@pytest.mark.integration
def test_every_variant_of_a_transformer_passes(exported_transformer: ExportResult) -> None:
    assert [(variant.name, variant.reasons) for variant in exported_transformer.failed] == []
    assert len(exported_transformer.variants) == 9
    assert min(score.dice for score in exported_transformer.reference) > 0.8
    assert all(variant.change.measures["aop_deg"].n >= 7 for variant in exported_transformer.variants)
    for variant in exported_transformer.variants:
        assert check_golden(Bundle.open(exported_transformer.folder), variant.name) == []


@pytest.mark.integration
def test_parity_and_times_of_both_parts_stand_in_the_record(exported_transformer: ExportResult) -> None:
    from fetaledge_export.formats.registry import format_named

    record = json.loads((exported_transformer.folder / "evaluation.json").read_text())
    assert record["limits"] == {
        "dice_drop": 0.02, "new_failures": 0, "min_cases": 5, "aop_abs_mean_deg": 4, "aop_p95_deg": 10
    }  # fmt: skip
    for variant in record["variants"]:
        worst = max(variant["parity"][part]["max_rel"] for part in ("embedding", "logits"))
        assert worst < {"fp32": 1e-4, "fp16": 0.02, "int8": 0.3}[variant["variant"].rpartition("-")[2]]
        if variant["variant"].endswith("int8"):
            assert worst > 1e-4
        times = variant["parts_ms"]
        assert times["threads"] == 1 and min(times[part] for part in ("encoder", "decoder", "whole")) > 0
    card = (exported_transformer.folder / "card.md").read_text()
    assert "mean \\|ΔAoP\\| °" in card and "HC" not in card and "## Encoder and decoder" in card
    assert format_named("tflite").int8_of_transformers in card


@pytest.mark.integration
def test_int8_is_in_the_encoder_alone(exported_transformer: ExportResult) -> None:
    """Seven linear layers in the encoder of two blocks with four each, one in the decoder."""
    import onnx
    import openvino

    folder = exported_transformer.folder
    kinds = Counter(node.op_type for node in onnx.load(folder / "onnx-int8.onnx").graph.node)
    assert kinds["MatMulInteger"] == 8
    model = openvino.Core().read_model(folder / "openvino-int8.xml")
    small = [op for op in model.get_ops() if op.get_type_name() == "Constant" and "8" in str(op.get_element_type())]
    weights = [tuple(op.get_output_shape(0)) for op in small if len(op.get_output_shape(0)) > 1]
    assert len([shape for shape in weights if len(shape) == 2]) == 8
    tflite = tflite_file.read(folder / "tflite-int8.tflite")
    graph, int8 = tflite.subgraphs[0], 9
    quantised = [
        operator
        for operator in graph.operators
        if any(number >= 0 and graph.tensors[number].type == int8 for number in operator.inputs)
    ]
    assert {tflite_file.operation_name(tflite, operator) for operator in quantised} == {"FULLY_CONNECTED"}
    assert len(quantised) == 8


@pytest.mark.integration
def test_inspect_shows_the_angle(exported_transformer: ExportResult, capsys: pytest.CaptureFixture[str]) -> None:
    from fetaledge.cli.inspect import inspect

    inspect(exported_transformer.folder, as_json=False)
    shown = capsys.readouterr().out
    assert "mean |ΔAoP| °" in shown and "HC" not in shown and "ps-fh: background, pubic-symphysis, head" in shown


@pytest.mark.integration
@pytest.mark.parametrize("format_name", FORMATS)
def test_a_unet_of_three_logits_in_every_precision(
    export, network: nn.Module, frames, tmp_path: Path, format_name: str
) -> None:
    import torch
    from torch import nn

    torch.manual_seed(0)
    unet = type(network)(3)
    unet.head = nn.Conv2d(8, 3, 3, padding=1)
    result = export(
        tmp_path / "b",
        network=fit(unet, 60),
        golden=[],
        limits=WIDE,
        formats=(format_name,),
        precisions=PRECISIONS,
        **frames,
        **STRUCTURES,
    ).result
    assert [(variant.name, variant.reasons) for variant in result.failed] == []
    assert result.variants[0].parity.embedding is None and result.variants[0].notes == ()
    bundle = Bundle.open(tmp_path / "b")
    assert bundle.manifest.output.channels == 3
    prediction = Predictor(bundle)(frames["validation"][0].frame)
    assert set(np.unique(prediction.mask)) == {0, 1, 2} and prediction.status == "ok"
    assert 60 < prediction.measures["aop_deg"] < 180
