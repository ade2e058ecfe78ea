"""``fetaledge verify`` on targets: what the repeated gate refuses, says and judges, with the measuring itself replaced;
that runs on the stand-ins in ``test_devices.py``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from msgspec.structs import replace as with_changes

from fetaledge.data.layouts.open import open_dataset
from fetaledge.workflows.device_documents import DeviceGateVerdict
from fetaledge_benchmarks import BenchmarkOptions, BenchmarkRecord
from fetaledge_devices.deploy import Deployment
from fetaledge_devices.targets import Target
from fetaledge_devices.wheels.pins import engine_package
from fetaledge_export.gate import Limits
from fetaledge_runtimes import selftest
from fetaledge_runtimes.bundle import Manifest, ModelInput, ModelOutput, StoredFile, Variant
from fetaledge_runtimes.engines.registry import formats
from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.records import write_document
from fetaledge_runtimes.scores.case import CaseScore, score_case
from fetaledge_runtimes.scores.record import evaluation_record
from fetaledge_runtimes.selftest import VariantVerdict
from fetaledge_runtimes.tasks.head import HEAD
from tests.benchmarks.old_record import old_record, result

Call = Callable[..., tuple[int, str, str]]
UNKNOWN = "HC not judged: no frame has a spacing and a head in both masks"
KNOWN = "OpenVINO computes int8 in another precision there"
PI = "ssh://pi@clinic-pi"


def write_frames(folder: Path, width: int) -> Path:
    """Two heads whose names are the same in every folder, with their spacing."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for number in range(2):
        mask = np.zeros((96, 96), np.uint8)
        cv2.ellipse(mask, (48, 48), (width + number, 24), 20, 0, 360, 255, cv2.FILLED)
        for part in ("images", "masks"):
            cv2.imwrite(str(folder / part / f"{number:03d}_HC.png"), mask)
    (folder / "pixels.csv").write_text("filename,pixel_mm\n000_HC.png,0.5\n001_HC.png,0.5\n")
    return folder


def scores_of(data: Path) -> list[CaseScore]:
    return [score_case(case, case.mask, HEAD) for case in open_dataset(data)]


def record_of(scores: Sequence[CaseScore]) -> dict[str, Any]:
    return evaluation_record(scores, task=HEAD, variant="v", engine="e", data="d", synthetic=False)


def write_bundle(folder: Path, reference: Sequence[CaseScore]) -> Path:
    """One variant, and what the gate keeps of PyTorch's scores."""
    folder.mkdir()
    (folder / "onnx-int8.onnx").write_bytes(b"no model")
    stored = (StoredFile.of(folder / "onnx-int8.onnx"),)
    Manifest(
        name="heads",
        task="head",
        classes=("background", "head"),
        input=ModelInput(96, 96, 1.0, 0.0),
        output=ModelOutput(1, 96, 96),
        variants=(Variant("onnx-int8", "onnx", "int8", stored, "ONNX Runtime", "1", "1"),),
        others=(),
        source={},
        calibration=None,
        fetaledge="0.1.0",
        created="2026-01-01",
    ).write(folder)
    from fetaledge_export.results import GateRecord

    subjects = len({score.subject for score in reference})
    gate = GateRecord(
        task="head",
        data="heads",
        cases=len(reference),
        subjects=subjects,
        synthetic=False,
        limits=Limits(min_cases=2).document(HEAD),
        reference=record_of(reference),
        variants=[],
    )
    write_document(folder / "evaluation.json", gate)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_frames(tmp_path / "data", 34)


@pytest.fixture
def bundle(tmp_path: Path, data: Path) -> Path:
    return write_bundle(tmp_path / "bundle", scores_of(data))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[CaseScore]], list[BenchmarkOptions]]:
    """Say what scores a Pi gives; the options of each benchmark."""

    from fetaledge.workflows import verify_on_devices

    def measure(scores: Sequence[CaseScore]) -> list[BenchmarkOptions]:
        row = result("onnx-int8", target=PI, engine="ONNX Runtime", engine_version="1", reasons=())
        old = old_record()
        notes = {"onnx-int8": (KNOWN,), "onnx-fp32": ("of another",)}
        record = with_changes(
            old,
            devices={PI: with_changes(old.devices["local"], notes=notes)},
            evaluations={f"onnx-int8 on {PI}": record_of(scores)},
            results=(row,),
        )
        asked: list[BenchmarkOptions] = []

        def run_benchmark(folder: Path, frames: Any, options: BenchmarkOptions, *_: Any, **__: Any) -> BenchmarkRecord:
            asked.append(options)
            return record

        monkeypatch.setattr(verify_on_devices, "run_benchmark", run_benchmark)
        return asked

    return measure


def gate(bundle: Path, data: Path) -> DeviceGateVerdict:
    from fetaledge.workflows import verify_on_devices

    document = verify_on_devices.gate_on_targets(
        bundle, data, [PI], variants=None, threads=1, engines=(), progress=lambda line: None
    )
    (result,) = document.results
    return result


def test_the_gates_own_frames_pass_and_what_is_known_is_said(
    bundle: Path, data: Path, measured: Callable[..., None], call: Call
) -> None:
    measured(scores_of(data))
    result = gate(bundle, data)
    assert (
        result.passed
        and result.against_fp32 is not None
        and result.against_fp32["hc_n"] == 2
        and result.notes == (KNOWN,)
    )
    code, out, _ = call("verify", bundle, "--target", PI, "--data", data)
    assert code == 0 and out.rstrip().endswith(f"passed; {KNOWN}")


def test_other_frames_of_the_same_names_are_refused(
    bundle: Path, tmp_path: Path, measured: Callable[..., None]
) -> None:
    other = write_frames(tmp_path / "other", 38)
    measured(scores_of(other))
    with pytest.raises(
        InputError, match="000_HC of .*other is not the frame that the gate was judged on: .* HC"
    ) as wrong:
        gate(bundle, other)
    assert wrong.value.exit_code == 3


def test_the_right_pictures_without_their_spacing_are_refused(
    bundle: Path, data: Path, measured: Callable[..., None]
) -> None:
    (data / "pixels.csv").unlink()
    measured(scores_of(data))
    with pytest.raises(InputError, match=r"HC unknown where the gate had .* HC \d+\.\d\d mm"):
        gate(bundle, data)


def test_a_device_without_the_measure_that_the_gate_had_does_not_pass(
    bundle: Path, data: Path, measured: Callable[..., None]
) -> None:
    scores = scores_of(data)
    measured([replace(one, measures={"hc_mm": replace(one.measures["hc_mm"], value=None)}) for one in scores])
    result = gate(bundle, data)
    assert not result.passed and result.notes == (KNOWN,)
    assert result.reasons == ("2 new failures, 0 allowed: 000_HC, 001_HC", UNKNOWN)


def test_what_the_gate_could_not_judge_either_is_said(
    tmp_path: Path, data: Path, measured: Callable[..., None], call: Call
) -> None:
    (data / "pixels.csv").unlink()
    bundle = write_bundle(tmp_path / "bundle", scores_of(data))
    measured(scores_of(data))
    assert gate(bundle, data).passed
    code, out, _ = call("verify", bundle, "--target", PI, "--data", data)
    assert code == 0 and f"passed; {UNKNOWN}; {KNOWN}" in out


@pytest.fixture
def tested(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A self-test here that fails; the threads of each."""

    from fetaledge.workflows import verify_on_devices

    asked: list[int] = []

    def verify_bundle(bundle: Any, variants: Sequence[Variant], threads: int = 1) -> list[VariantVerdict]:
        asked.append(threads)
        return [VariantVerdict(variant=v.name, engine="e", result="differs", details=["Dice 0.5"]) for v in variants]

    for module in (selftest, verify_on_devices):
        monkeypatch.setattr(module, "verify_bundle", verify_bundle)
    return asked


def test_this_machine_as_a_target_is_verified_as_without_one(bundle: Path, tested: list[int], call: Call) -> None:
    words = ("verify", bundle, "--threads", 3, "--json")
    plain, local = call(*words), call(*words, "--target", "local", "--target", "local")
    assert plain == local and plain[0] == 1 and "Dice 0.5" in plain[1] and tested == [3, 3]


def test_this_machine_is_verified_beside_devices(bundle: Path, tested: list[int]) -> None:
    from fetaledge.workflows import verify_on_devices

    document = verify_on_devices.verify_on_targets(
        bundle, ["local"], variants=None, engines=(), progress=lambda line: None
    )
    (result,) = document.results
    assert (result.target, result.result, result.details) == ("local", "refused", "Dice 0.5")
    assert tested == [1] and document.lost == {}


def test_threads_that_the_golden_frames_would_not_use_are_refused(bundle: Path, call: Call) -> None:
    code, _, err = call("verify", bundle, "--target", PI, "--target", "local", "--threads", 4)
    assert code == UsageError.exit_code == 2 and "--threads 4" in err and "--data" in err


def test_the_estimate_of_memory_can_be_ignored(
    bundle: Path,
    data: Path,
    measured: Callable[..., list[BenchmarkOptions]],
    monkeypatch: pytest.MonkeyPatch,
    call: Call,
) -> None:
    from fetaledge.workflows import verify_on_devices

    wishes: list[dict[str, Any]] = []

    def deploy(folder: Path, target: Target, **wish: Any) -> Deployment:
        wishes.append(wish)
        return Deployment(target, "/there", ("python3",), False, ("onnx-int8",), {}, {}, {})

    monkeypatch.setattr(verify_on_devices, "deploy", deploy)
    options = measured(scores_of(data))
    for words in ((), ("--ignore-memory",)):
        assert call("verify", bundle, "--target", PI, *words)[0] == 0
        assert call("verify", bundle, "--target", PI, "--data", data, *words)[0] == 0
    assert [wish["ignore_memory"] for wish in wishes] == [one.ignore_memory for one in options] == [False, True]
    code, _, err = call("verify", bundle, "--ignore-memory")
    assert code == UsageError.exit_code and "--ignore-memory are for devices" in err


@pytest.mark.parametrize("format_name", formats())
def test_every_engine_states_its_version(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, format_name: str
) -> None:
    from fetaledge.workflows import verify_on_devices

    folder = write_bundle(tmp_path / "bundle", scores_of(data))
    manifest = Manifest.read(folder)
    name = f"{format_name}-int8"
    variants = (with_changes(manifest.variants[0], name=name, format=format_name),)
    with_changes(manifest, variants=variants).write(folder)
    versions = {engine_package(format_name): "9.9"}

    def deploy(folder: Path, target: Target, **_: Any) -> Deployment:
        return Deployment(target, "/there", ("python3",), False, (name,), {}, versions, {})

    monkeypatch.setattr(verify_on_devices, "deploy", deploy)
    document = verify_on_devices.verify_on_targets(folder, [PI], variants=None, engines=(), progress=lambda line: None)
    (result,) = document.results
    assert (result.variant, result.engine_version, result.result) == (name, "9.9", "ok")
