"""Opening a bundle: what is refused, in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fetaledge_runtimes.bundle import Bundle, Manifest
from fetaledge_runtimes.errors import BundleError, UsageError


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "manifest.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def refusal(folder: Path) -> BundleError:
    with pytest.raises(BundleError) as caught:
        Bundle.open(folder)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value) and caught.value.hint
    return caught.value


def test_opens_and_reads_back_the_same(bundle_folder: Path, tmp_path: Path) -> None:
    manifest = Bundle.open(bundle_folder).manifest
    assert [v.name for v in manifest.variants] == ["onnx-fp32", "openvino-fp32", "tflite-fp32"]
    assert manifest.notice == "research software, not a medical device"
    manifest.write(tmp_path)
    assert Manifest.read(tmp_path) == manifest


def test_takes_a_name_as_text(bundle_folder: Path) -> None:
    assert Bundle.open(str(bundle_folder)).folder == bundle_folder


@pytest.mark.parametrize("make", ["nothing", "file", "empty-folder"])
def test_refuses_what_is_no_bundle(make: str, tmp_path: Path) -> None:
    place = tmp_path / "place"
    if make == "file":
        place.write_text("{}", encoding="utf-8")
    elif make == "empty-folder":
        place.mkdir()
    said = "does not exist" if make == "nothing" else "is not a bundle"
    assert said in refusal(place).message


@pytest.mark.parametrize("file", ["onnx-fp32.onnx", "openvino-fp32.bin", "tflite-fp32.tflite", "golden.npz"])
def test_refuses_a_missing_file(file: str, bundle_copy: Path) -> None:
    (bundle_copy / file).unlink()
    assert f"{file} is missing" in refusal(bundle_copy).message


@pytest.mark.parametrize("file", ["onnx-fp32.onnx", "openvino-fp32.bin", "golden.npz"])
def test_refuses_a_truncated_file(file: str, bundle_copy: Path) -> None:
    content = (bundle_copy / file).read_bytes()
    (bundle_copy / file).write_bytes(content[:-1])
    message = refusal(bundle_copy).message
    assert file in message and f"{len(content) - 1} bytes" in message


@pytest.mark.parametrize("file", ["openvino-fp32.xml", "tflite-fp32.tflite"])
def test_refuses_an_altered_byte(file: str, bundle_copy: Path) -> None:
    content = bytearray((bundle_copy / file).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle_copy / file).write_bytes(content)
    assert f"{file} was altered" in refusal(bundle_copy).message


@pytest.mark.parametrize("schema", ["fetaledge/bundle/99", "", None, 1])
def test_refuses_an_unknown_schema(schema: object, bundle_copy: Path) -> None:
    edit(bundle_copy, lambda document: document.update(schema=schema))
    assert repr(schema) in refusal(bundle_copy).message


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"text"', "\x00\x01"])
def test_refuses_a_manifest_that_is_none(text: str, bundle_copy: Path) -> None:
    (bundle_copy / "manifest.json").write_text(text, encoding="utf-8")
    assert "manifest.json" in refusal(bundle_copy).message


def test_refuses_a_manifest_of_bytes(bundle_copy: Path) -> None:
    (bundle_copy / "manifest.json").write_bytes(b"\xff\xfe\x00\x80")
    assert "manifest.json" in refusal(bundle_copy).message


@pytest.mark.parametrize("key", ["task", "input", "variants", "others", "classes"])
def test_refuses_a_missing_key(key: str, bundle_copy: Path) -> None:
    edit(bundle_copy, lambda document: document.pop(key))
    assert key in refusal(bundle_copy).message


def test_refuses_an_unknown_key(bundle_copy: Path) -> None:
    edit(bundle_copy, lambda document: document.update(surprise=1))
    assert "has an unknown key surprise" in refusal(bundle_copy).message


def test_names_the_path_of_an_unknown_key(bundle_copy: Path) -> None:
    edit(bundle_copy, lambda document: document["variants"][1]["files"][0].update(surprise=1))
    assert "has an unknown key variants[1].files[0].surprise" in refusal(bundle_copy).message


@pytest.mark.parametrize("value", [None, 3, ["onnx"], [None]])
def test_refuses_variants_of_another_type(value: object, bundle_copy: Path) -> None:
    edit(bundle_copy, lambda document: document.update(variants=value))
    assert "manifest.json" in refusal(bundle_copy).message


@pytest.mark.parametrize(
    ("height", "said"),
    [
        ("64", "in input.height: expected `int`, got `str`"),
        (0, "in input: 0 x 96"),
        (-1, "in input: -1 x 96"),
        (64.0, "in input.height: expected `int`, got `float`"),
        (None, "in input.height: expected `int`, got `null`"),
        (True, "in input.height: expected `int`, got `bool`"),
    ],
)
def test_refuses_a_size_that_is_none(height: object, said: str, bundle_copy: Path) -> None:
    edit(bundle_copy, lambda document: document["input"].update(height=height))
    assert f"has an unusable value {said}" in refusal(bundle_copy).message


@pytest.mark.parametrize("change", [{"format": "ncnn"}, {"format": None}, {"name": 3}, {"files": []}])
def test_refuses_a_variant_that_no_engine_runs(change: dict[str, Any], bundle_copy: Path) -> None:
    edit(bundle_copy, lambda document: document["variants"][0].update(change))
    assert "unusable value in variants" in refusal(bundle_copy).message


def test_a_bundle_without_variants_opens_and_says_so(bundle_copy: Path) -> None:
    edit(bundle_copy, lambda document: document.update(variants=[]))
    bundle = Bundle.open(bundle_copy)
    for name in (None, "onnx-fp32"):
        with pytest.raises(BundleError, match=r"holds no variant; none passed the gate"):
            bundle.variant(name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (3, "in others[0].file: expected `str`, got `int`"),
        (None, "in others[0].file: expected `str`, got `null`"),
        ("", "in a file's name: ''"),
    ],
)
def test_refuses_a_file_without_a_name(name: object, said: str, bundle_copy: Path) -> None:
    edit(bundle_copy, lambda document: document["others"][0].update(file=name))
    assert f"has an unusable value {said}" in refusal(bundle_copy).message


@pytest.mark.parametrize("name", ["../outside.onnx", "/etc/hostname", "sub/../../outside.onnx", ".."])
def test_refuses_a_path_that_leaves_the_folder(name: str, bundle_copy: Path) -> None:
    (bundle_copy.parent / "outside.onnx").write_bytes((bundle_copy / "onnx-fp32.onnx").read_bytes())
    edit(bundle_copy, lambda document: document["variants"][0]["files"][0].update(file=name))
    refusal(bundle_copy)


def test_finds_a_variant_by_name(bundle_folder: Path) -> None:
    bundle = Bundle.open(bundle_folder)
    variant = bundle.variant("tflite-fp32")
    assert bundle.model_path(variant) == bundle_folder / "tflite-fp32.tflite"
    assert bundle.variant().name == "onnx-fp32"
    with pytest.raises(UsageError, match=r"'tflite-int8'.*it holds onnx-fp32, openvino-fp32, tflite-fp32"):
        bundle.variant("tflite-int8")
