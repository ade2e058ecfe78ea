from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from fetaledge_export.gate import Limits
from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.engines.base import Engine
from fetaledge_runtimes.errors import InputError, OutputError, UsageError
from fetaledge_runtimes.frames.frame import LabelledFrame
from fetaledge_runtimes.predictor import Predictor
from fetaledge_runtimes.selftest import check_golden

if TYPE_CHECKING:
    from torch import nn

PLACES_OF_OUR_OWN = (
    "fetaledge_export.variant_export.scores_of",
    "fetaledge_export.variant_export.paired_change",
    "fetaledge_export.variant_export.judge",
    "fetaledge_export.parity.Difference.between",
)
NAMES = [f"{f}-{p}" for p in ("int8", "fp32", "fp16") for f in ("openvino", "tflite", "onnx")]


def test_the_bundle_is_whole_and_every_variant_passed(exported) -> None:
    assert [(variant.name, variant.reasons) for variant in exported.result.failed] == []
    bundle = Bundle.open(exported.result.folder)
    assert [variant.name for variant in bundle.manifest.variants] == NAMES
    listed = {stored.file for stored in bundle.files()} | {"manifest.json"}
    assert listed == {path.name for path in bundle.folder.iterdir()}
    assert bundle.manifest.calibration is not None and bundle.manifest.calibration["frames"] == 12


def test_the_manifest_states_the_multiply_adds(exported) -> None:
    """By hand: outputs times 9 weights times inputs of each convolution, the first of which reads one grey channel."""
    down = 8 * 32 * 48 * 9 * 1 + 16 * 16 * 24 * 9 * 8 + 32 * 8 * 12 * 9 * 16
    up = 16 * 16 * 24 * 9 * 48 + 16 * 32 * 48 * 9 * 24 + 8 * 64 * 96 * 9 * 16 + 1 * 64 * 96 * 9 * 8
    assert Bundle.open(exported.result.folder).manifest.multiply_adds == down + up


def test_the_gate_measured_something(exported) -> None:
    """The reference segments the heads, int8 moves a little and fp32 does not."""
    assert min(score.dice for score in exported.result.reference) > 0.9
    changes = {variant.name: variant.change for variant in exported.result.variants}
    for name in NAMES:
        largest = changes[name].measures["hc_mm"].max
        assert largest > 0 if name.endswith("int8") else largest < (0.01 if name.endswith("fp32") else 0.5)
        assert changes[name].n == changes[name].measures["hc_mm"].n == 12


@pytest.mark.parametrize("name", NAMES)
def test_golden_frames_verify(exported, name: str) -> None:
    assert check_golden(Bundle.open(exported.result.folder), name) == []


def test_the_predictor_measures_a_head(exported, validation: list[LabelledFrame]) -> None:
    prediction = Predictor(Bundle.open(exported.result.folder))(validation[0].frame)
    assert prediction.status == "ok"
    assert 100 < prediction.measures["hc_mm"] < 300


def test_evaluation_json_holds_every_case_and_card_says_what_it_is(exported) -> None:
    record = json.loads((exported.result.folder / "evaluation.json").read_text())
    assert record["schema"] == "fetaledge/gate/1" and record["limits"]["hc_abs_mean_mm"] == 2
    assert [variant["variant"] for variant in record["variants"]] == NAMES
    for part in [record["reference"], *(variant["evaluation"] for variant in record["variants"])]:
        assert len(part["per_case"]) == 12
    card = (exported.result.folder / "card.md").read_text()
    assert "Research software, not a medical device." in card
    assert "Synthetic frames" in card and "nothing about clinical accuracy" in card
    assert "Made up." in card and all(name in card for name in NAMES)


def test_progress_names_every_long_step(exported) -> None:
    for name in NAMES:
        assert any(step.startswith(f"{name}: converting") for step in exported.steps)


def test_rows_are_a_table(exported) -> None:
    header, rows = exported.result.table()
    assert [row[0] for row in rows] == ["torch-fp32", *NAMES]
    assert {len(row) for row in rows} == {len(header)}


@pytest.mark.integration
def test_a_variant_that_breaks_a_limit_is_left_out_and_the_others_kept(export, tmp_path: Path) -> None:
    tight = Limits(measures={"hc_abs_mean_mm": 0.005})
    result = export(tmp_path / "b", formats=("onnx",), precisions=("fp32", "int8"), limits=tight).result
    assert [variant.name for variant in result.failed] == ["onnx-int8"]
    bundle = Bundle.open(tmp_path / "b")
    assert [variant.name for variant in bundle.manifest.variants] == ["onnx-fp32"]
    assert not list((tmp_path / "b").glob("*int8*"))
    record = json.loads((tmp_path / "b/evaluation.json").read_text())
    refused = record["variants"][0]
    assert refused["variant"] == "onnx-int8" and not refused["passed"]
    assert refused["reasons"][0].startswith("mean |ΔHC|") and len(refused["evaluation"]["per_case"]) == 12
    assert "above 0.005 mm" in (tmp_path / "b/card.md").read_text()


@pytest.mark.integration
def test_where_nothing_passes_the_bundle_says_why(export, tmp_path: Path) -> None:
    result = export(tmp_path / "b", formats=("onnx",), precisions=("int8",), limits=Limits(dice_drop=-1)).result
    assert len(result.failed) == 1
    bundle = Bundle.open(tmp_path / "b")
    assert bundle.manifest.variants == ()
    assert {stored.file for stored in bundle.files()} == {"evaluation.json", "card.md"}


@pytest.mark.integration
def test_a_conversion_that_fails_costs_its_own_variants_alone(export, network: nn.Module, tmp_path: Path) -> None:
    from tests.export.networks import Sideways

    result = export(tmp_path / "b", network=Sideways(network), formats=("onnx", "tflite"), precisions=("fp32",)).result
    assert [variant.name for variant in result.failed] == ["tflite-fp32"]
    (reason,) = result.failed[0].reasons
    assert reason.startswith("it could not be converted: ") and reason.endswith(" (logs/tflite-fp32.log)")
    log = (tmp_path / "b/logs/tflite-fp32.log").read_text(encoding="utf-8")
    assert "Traceback (most recent call last)" in log and "TRANSPOSE" in log
    assert [path.name for path in (tmp_path / "b/logs").iterdir()] == ["tflite-fp32.log"]
    assert [variant.name for variant in result.manifest.variants] == ["onnx-fp32"]
    record = json.loads((tmp_path / "b/evaluation.json").read_text())
    assert record["variants"][0]["evaluation"] is None


def test_a_fault_of_our_own_is_not_the_variants(export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in scoring, in the gate or in the comparison of logits ends the export with its own traceback."""
    once = {"formats": ("onnx",), "precisions": ("fp32",)}

    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("a fault of our own")

    for place in PLACES_OF_OUR_OWN:
        with monkeypatch.context() as patch:
            patch.setattr(place, broken)
            with pytest.raises(ZeroDivisionError, match="a fault of our own"):
                export(tmp_path / "b", **once)
        assert nothing_left(tmp_path), place


class FailsLater:
    """An engine that runs a few frames and then no more."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.left = engine, 3
        self.name, self.version = engine.name, engine.version

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("the engine gave up")
        return self.engine(pixels)


def test_an_engine_that_fails_on_a_frame_keeps_its_traceback(
    export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fetaledge_export import conversion

    opened = conversion.open_engine
    monkeypatch.setattr(conversion, "open_engine", lambda *arguments: FailsLater(opened(*arguments)))
    result = export(tmp_path / "b", formats=("onnx",), precisions=("fp32",)).result
    (reason,) = result.failed[0].reasons
    assert reason == "it does not run: RuntimeError: the engine gave up (logs/onnx-fp32.log)"
    log = (tmp_path / "b/logs/onnx-fp32.log").read_text(encoding="utf-8")
    assert "Traceback (most recent call last)" in log and "in __call__" in log
    assert not list((tmp_path / "b").glob("onnx-fp32.*"))


NO_SPACING = "HC not judged: no frame has a spacing and a head in both masks"
FEW = "HC not judged: 4 frames have it, and 5 are needed"


@pytest.mark.parametrize(("spaced", "note"), [(0, NO_SPACING), (4, FEW)])
def test_a_variant_whose_measure_was_not_judged_stays_out(
    export, validation: list[LabelledFrame], tmp_path: Path, spaced: int, note: str
) -> None:
    """No limit that HC could break is judged, whatever its value: Dice alone is no gate."""
    blind = [replace(case, frame=replace(case.frame, pixel_mm=None)) for case in validation[spaced:8]]
    once = {"formats": ("onnx",), "precisions": ("fp32",), "validation": [*validation[:spaced], *blind]}
    limits = Limits(measures={"hc_abs_mean_mm": -1})
    result = export(tmp_path / "b", limits=limits, **once).result
    (variant,) = result.failed
    assert (variant.verdict, variant.kept, variant.reasons, variant.notes) == ("unmeasured", False, (), (note,))
    assert Bundle.open(tmp_path / "b").manifest.variants == () and not list((tmp_path / "b").glob("*.onnx"))
    record = json.loads((tmp_path / "b/evaluation.json").read_text())
    assert (record["variants"][0]["verdict"], record["variants"][0]["passed"]) == ("unmeasured", False)
    assert record["variants"][0]["notes"] == [note] and record["limits"]["min_cases"] == 5
    assert note in (tmp_path / "b/card.md").read_text()

    accepted = export(tmp_path / "c", limits=limits, allow_unmeasured=True, **once).result
    assert accepted.failed == () and accepted.variants[0].notes == (note,)
    assert [kept.name for kept in Bundle.open(tmp_path / "c").manifest.variants] == ["onnx-fp32"]
    assert f"unmeasured, let in; {note}" in (tmp_path / "c/card.md").read_text()


def test_a_broken_limit_is_a_failure_whatever_was_not_judged(
    export, validation: list[LabelledFrame], tmp_path: Path
) -> None:
    blind = [replace(case, frame=replace(case.frame, pixel_mm=None)) for case in validation[:3]]
    once = {"formats": ("onnx",), "precisions": ("fp32",), "allow_unmeasured": True}
    result = export(tmp_path / "b", validation=blind, limits=Limits(dice_drop=-1), **once).result
    assert result.failed[0].verdict == "failed" and "is above -1" in result.failed[0].reasons[0]


def test_fewer_cases_are_enough_where_that_is_asked_for(
    export, validation: list[LabelledFrame], tmp_path: Path
) -> None:
    once = {"formats": ("onnx",), "precisions": ("fp32",), "validation": validation[:1]}
    result = export(tmp_path / "b", limits=Limits(min_cases=1), **once).result
    assert result.failed == () and result.variants[0].verdict == "passed"


def nothing_left(folder: Path) -> bool:
    return list(folder.iterdir()) == []


def test_shared_subjects_are_refused_by_name(export, calibration, validation, tmp_path: Path) -> None:
    mixed = [*validation, replace(calibration[3], name="again"), replace(calibration[7], name="too")]
    with pytest.raises(InputError, match="2 subjects are among both .* train_3, train_7"):
        export(tmp_path / "b", validation=mixed)
    assert nothing_left(tmp_path)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"formats": ("coreml",)}, UsageError, "'coreml' is no format"),
        ({"precisions": ("int4",)}, UsageError, "'int4' is no precision"),
        ({"formats": ()}, UsageError, "no format was asked for"),
        ({"calibration": ()}, UsageError, "int8 needs calibration frames"),
        ({"validation": ()}, InputError, "no validation frame"),
        ({"size": (50, 50)}, InputError, "cannot run on a frame of 50x50"),
    ],
)
def test_wrong_input_is_one_sentence_and_nothing_is_left(export, tmp_path: Path, changes, error, message: str) -> None:
    with pytest.raises(error, match=message):
        export(tmp_path / "b", **changes)
    assert nothing_left(tmp_path)


def test_nan_weights_are_refused(export, network: nn.Module, tmp_path: Path) -> None:
    broken = copy.deepcopy(network)
    broken.get_parameter("head.bias").data[:] = np.nan
    with pytest.raises(InputError, match=r"head\.bias holds NaN"):
        export(tmp_path / "b", network=broken)
    assert nothing_left(tmp_path)


@pytest.mark.integration
def test_an_existing_bundle_is_replaced_only_by_force(export, tmp_path: Path) -> None:
    once = {"formats": ("onnx",), "precisions": ("fp32",)}
    export(tmp_path / "b", name="first", **once)
    with pytest.raises(OutputError, match="exists already"):
        export(tmp_path / "b", **once)
    assert Bundle.open(tmp_path / "b").manifest.name == "first"
    export(tmp_path / "b", name="second", force=True, **once)
    assert Bundle.open(tmp_path / "b").manifest.name == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_force_does_not_replace_a_folder_that_is_no_bundle(export, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.txt").write_text("years of work")
    with pytest.raises(OutputError, match=r"holds no manifest\.json"):
        export(tmp_path / "thesis", force=True)
    assert (tmp_path / "thesis/chapter.txt").read_text() == "years of work"


@pytest.mark.integration
@pytest.mark.parametrize(
    "at", ["reading", "torch-fp32", "onnx-int8: converting", "onnx-int8: ONNX", "onnx-fp32: conv", "writing"]
)
def test_ctrl_c_leaves_nothing_behind(export, tmp_path: Path, at: str) -> None:
    def interrupt(step: str) -> None:
        if step.startswith(at):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(tmp_path / "b", formats=("onnx",), progress=interrupt)
    assert nothing_left(tmp_path)


@pytest.mark.integration
def test_export_prints_nothing(export, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    export(tmp_path / "b", precisions=("int8",))
    assert capfd.readouterr() == ("", "")
