"""What is chosen for a device, before anything is sent to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as with_changes

from fetaledge_devices.deploy import engine_choice
from fetaledge_devices.deploy.engine_choice import choose, choose_native
from fetaledge_devices.deploy.memory_estimate import estimate
from fetaledge_devices.facts.model import Platform
from fetaledge_devices.wheels.pins import package_of
from fetaledge_devices.wheels.resolve import NoSuchWheel
from fetaledge_devices.wheels.wheel_tags import describe, wheel_tags
from fetaledge_runtimes.bundle import Manifest, ModelInput, ModelOutput, StoredFile, Variant
from fetaledge_runtimes.errors import TargetError, UsageError

PI4 = Platform("linux", "aarch64", "glibc 2.36", (3, 11), ("cortex-a72",), 3978, 2983, 1500, True)
GATED = {"onnx": "1.31.1", "openvino": "2026.4.1", "tflite": "2.3.0"}


def manifest(*names: str, megabytes: float = 1, gated: dict[str, str] = GATED) -> Manifest:
    variants = []
    for name in names:
        kind, precision = name.split("-")
        files = (StoredFile(name, int(megabytes * 1e6), "0" * 64),)
        variants.append(Variant(name, kind, precision, files, kind, gated[kind], "1"))
    return Manifest(
        name="some",
        task="head",
        classes=("background", "head"),
        input=ModelInput(256, 256, 1.0, 0.0),
        output=ModelOutput(1, 256, 256),
        variants=tuple(variants),
        others=(),
        source={},
        calibration=None,
        fetaledge="0.1.0",
        created="2026-01-01",
    )


Asked = list[str]


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Asked]:
    """Stand in for the package index: it has every wheel but those of the packages or requirements that it lacks."""

    def prepare(*lacking: str) -> Asked:
        asked: Asked = []

        def resolve(platform: Platform, requirements: Sequence[str]) -> tuple[Path, ...]:
            for text in requirements:
                if text in lacking or package_of(text) in lacking:
                    raise NoSuchWheel(text, wheel_tags(platform), ["9.9"])
            asked[:] = requirements
            versions = [text.partition("==")[2] or "9.9" for text in requirements]
            names = [package_of(text).replace("-", "_") for text in requirements]
            return tuple(tmp_path / f"{n}-{v}-py3-none-any.whl" for n, v in zip(names, versions, strict=True))

        monkeypatch.setattr(engine_choice, "resolve", resolve)
        monkeypatch.setattr(engine_choice, "runtimes_wheel", lambda: tmp_path / "fetaledge_runtimes-0-py3-none-any.whl")
        return asked

    return prepare


def test_the_versions_of_the_gate_are_asked_for(index: Callable[..., Asked]) -> None:
    asked = index()
    given = manifest("onnx-fp32", "tflite-int8")
    chosen = choose(given, given.variants, PI4)
    assert set(asked[-2:]) == {"onnxruntime==1.31.1", "ai-edge-litert==2.3.0"}
    base = {"numpy", "opencv-python-headless", "msgspec", "pillow"}
    assert {text.partition("==")[0] for text in asked[:-2]} == base
    assert chosen.versions == {"onnxruntime": "1.31.1", "ai-edge-litert": "2.3.0"}
    assert (chosen.refused, chosen.notes) == ({}, {})
    assert chosen.wheels[-1].name.startswith("fetaledge_runtimes")


def test_a_version_that_is_known_to_fail_there_is_replaced_and_said(index: Callable[..., Asked]) -> None:
    asked = index()
    given = manifest("onnx-fp32", gated={"onnx": "1.21.0"})
    chosen = choose(given, given.variants, PI4)
    assert "onnxruntime==1.22.0" in asked
    other, reason = chosen.notes["onnx-fp32"]
    assert other == "runs in onnxruntime 1.22.0, its gate was passed in 1.21.0" and "illegal instruction" in reason


def test_a_fault_without_a_remedy_is_said(index: Callable[..., Asked]) -> None:
    asked = index()
    given = manifest("openvino-fp32", "openvino-int8")
    chosen = choose(given, given.variants, PI4)
    assert "openvino==2026.4.1" in asked and set(chosen.notes) == {"openvino-int8"}
    assert any("openvino 2026.4 cannot run int8" in note for note in chosen.notes["openvino-int8"])


def test_a_pin_is_kept_to_even_where_it_is_known_to_fail(index: Callable[..., Asked]) -> None:
    asked = index()
    given = manifest("onnx-fp32")
    chosen = choose(given, given.variants, PI4, ["onnxruntime==1.21.0"])
    assert "onnxruntime==1.21.0" in asked
    assert any("23957" in note for note in chosen.notes["onnx-fp32"])


@pytest.mark.parametrize("pin", ["onnxruntime", "onnxruntime>=1.2", "torch==2.0", "--no-deps", "onnxruntime==1 ; x"])
def test_a_pin_that_is_none_is_refused(pin: str) -> None:
    given = manifest("onnx-fp32")
    with pytest.raises(UsageError, match="PACKAGE==VERSION"):
        choose(given, given.variants, PI4, [pin])


def test_without_a_wheel_of_that_version_another_is_taken(index: Callable[..., Asked]) -> None:
    asked = index("onnxruntime==1.31.1")
    given = manifest("onnx-fp32")
    chosen = choose(given, given.variants, PI4)
    assert "onnxruntime>=1" in asked
    assert chosen.notes["onnx-fp32"] == ("runs in onnxruntime 9.9, its gate was passed in 1.31.1",)


def test_an_engine_without_any_wheel_is_refused_with_its_variants_alone(index: Callable[..., Asked]) -> None:
    index("openvino")
    given = manifest("openvino-fp32", "onnx-fp32")
    chosen = choose(given, given.variants, PI4)
    assert [variant.name for variant in chosen.variants] == ["onnx-fp32"]
    assert chosen.refused == {
        "openvino-fp32": "there is no wheel of openvino>=1 for Python 3.11 on manylinux_2_36_aarch64"
    }


def test_no_wheel_of_a_pin_or_of_numpy_is_an_error(index: Callable[..., Asked]) -> None:
    given = manifest("onnx-fp32")
    index("onnxruntime==1.2.3")
    with pytest.raises(NoSuchWheel, match="onnxruntime==1.2.3"):
        choose(given, given.variants, PI4, ["onnxruntime==1.2.3"])
    index("numpy")
    with pytest.raises(NoSuchWheel, match="numpy"):
        choose(given, given.variants, PI4)


def test_too_little_memory_refuses_a_variant_with_both_numbers(index: Callable[..., Asked]) -> None:
    asked = index()
    small, large = manifest("onnx-int8").variants[0], manifest("openvino-fp32", megabytes=400).variants[0]
    given = with_changes(manifest("onnx-int8"), variants=(small, large))
    chosen = choose(given, given.variants, replace(PI4, available_mb=300))
    assert [variant.name for variant in chosen.variants] == ["onnx-int8"]
    (reason,) = chosen.refused.values()
    assert reason.startswith("it needs about 959 MB of memory and the device has 300 MB available")
    assert not any(text.startswith("openvino") for text in asked)  # nothing is fetched for what cannot run


def test_an_estimate_of_memory_can_be_ignored(index: Callable[..., Asked]) -> None:
    asked = index()
    given = manifest("openvino-fp32", megabytes=400)
    little = replace(PI4, available_mb=300)
    chosen = choose(given, given.variants, little, ignore_memory=True)
    assert chosen.refused == {} and [variant.name for variant in chosen.variants] == ["openvino-fp32"]
    assert any(text.startswith("openvino") for text in asked)
    assert any(
        note.startswith("tried although it needs about 959 MB of memory and the device has 300 MB")
        for note in chosen.notes["openvino-fp32"]
    )
    versions = {"openvino": "2026.4.1"}
    native = choose_native(given, given.variants, little, versions, ignore_memory=True)
    assert native.refused == {} and "tried although" in native.notes["openvino-fp32"][-1]
    assert "openvino-fp32" in choose_native(given, given.variants, little, versions).refused


def test_the_estimate_of_memory_is_above_what_was_measured() -> None:
    """Peak MB of the 256×256 U-Net's variants on x86-64, with the size of their files."""
    measured = {
        "openvino-int8": (163, 7.2), "tflite-int8": (119, 7.35), "onnx-int8": (124, 7.03), "openvino-fp32": (201, 26.6),
        "tflite-fp32": (170, 26.7), "onnx-fp32": (194, 26.5), "openvino-fp16": (188, 13.5), "tflite-fp16": (163, 13.6),
        "onnx-fp16": (183, 13.3),
    }  # fmt: skip
    for name, (peak_mb, file_mb) in measured.items():
        given = with_changes(manifest(name, megabytes=file_mb), source={"architecture": {"name": "unet"}})
        found = estimate(given, given.variants[0])
        assert peak_mb < found.needed_mb < 1.6 * peak_mb and found.basis == "estimated from U-Nets"


@pytest.mark.parametrize(
    ("heads", "size", "file_mb", "peak_mb"),
    [(6, 256, 29.9, 151), (6, 512, 32.1, 368), (12, 512, 81.7, 661), (12, 1024, 91.1, 5887), (12, 512, 367.3, 1373)],
)
def test_a_sam_is_estimated_by_its_attention(heads: int, size: int, file_mb: float, peak_mb: int) -> None:
    """Peak MB of onnx-fp32 in ONNX Runtime on x86-64: SAMs of width 192 and 768, the last a whole ViT-B."""
    source = {"architecture": {"name": "sam", "shape": {"heads": heads, "patch": 16}}}
    given = with_changes(
        manifest("onnx-fp32", megabytes=file_mb), source=source, input=ModelInput(size, size, 1.0, 0.0)
    )
    found = estimate(given, given.variants[0])
    assert peak_mb < found.needed_mb < 1.3 * peak_mb and "SAM" in found.basis


def test_a_network_of_another_kind_is_estimated_and_said_to_be_unknown() -> None:
    given = manifest("onnx-fp32")
    sentence = estimate(given, given.variants[0]).too_little(10)
    assert sentence is not None and "this network was never measured" in sentence and "--ignore-memory" in sentence


def test_a_phone_runs_what_its_runner_holds() -> None:
    phone = Platform("android", "aarch64", "bionic", None, ("cortex-a76",), 7838, 3919, 1500, True)
    given = manifest("onnx-fp32", "openvino-fp32")
    chosen = choose_native(given, given.variants, phone, {"onnxruntime": "1.31.1"})
    assert [variant.name for variant in chosen.variants] == ["onnx-fp32"]
    assert chosen.refused == {"openvino-fp32": "the native runner has no openvino"}
    assert chosen.wheels == ()


def test_a_device_in_one_line() -> None:
    line = "aarch64, cortex-a72, glibc 2.36, Python 3.11, 2983 of 3978 MB memory available, 1500 MB of space free"
    assert describe(PI4) == line
    assert "no Python" in describe(replace(PI4, python=None, available_mb=None, free_mb=None))


def test_the_tags_of_a_debian_12_and_13() -> None:
    tags = wheel_tags(PI4)
    assert (tags.python, tags.abis) == ("311", ("cp311", "abi3", "none"))
    assert tags.platforms[0] == "manylinux_2_36_aarch64" and tags.platforms[-1] == "manylinux2014_aarch64"
    assert "manylinux_2_17_aarch64" in tags.platforms and "manylinux_2_37_aarch64" not in tags.platforms
    trixie = wheel_tags(replace(PI4, libc="glibc 2.41", python=(3, 13)))
    assert trixie.abis[0] == "cp313" and trixie.platforms[0] == "manylinux_2_41_aarch64"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"machine": "armv7l"}, "32-bit system .armv7l.*64-bit Raspberry Pi OS"),
        ({"machine": "armv6l"}, "32-bit"),
        ({"machine": "riscv64"}, "riscv64 where aarch64 and x86_64"),
        ({"libc": "musl"}, "musl where glibc"),
        ({"libc": ""}, "unknown where glibc"),
        ({"libc": "glibc 2.13"}, "2.17 is the oldest"),
        ({"python": None}, "no python3"),
        ({"python": (3, 9)}, "Python 3.9 where 3.11"),
        ({"system": "darwin"}, "darwin where Linux"),
    ],
)
def test_a_device_that_nothing_runs_on_is_refused_in_a_sentence(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(TargetError, match=sentence):
        wheel_tags(replace(PI4, **changes))  # type: ignore[arg-type]
