"""Every engine against torch, on files that the real exporters wrote."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fetaledge_runtimes.bundle import Bundle, first_runnable
from fetaledge_runtimes.engines import base
from fetaledge_runtimes.engines.registry import engine_class, formats, is_installed, open_engine
from fetaledge_runtimes.errors import EngineMissing, InputError
from fetaledge_runtimes.predictor import Predictor

FORMATS = sorted(formats())


def torch_logits(module: Any, pixels: np.ndarray) -> np.ndarray:
    import torch

    with torch.no_grad():
        result: np.ndarray = module(torch.from_numpy(pixels)[None, None])[0].numpy()
    return result


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("threads", [1, 2])
def test_gives_the_logits_of_torch(format_name: str, threads: int, random_net: Any) -> None:
    engine = open_engine(format_name, random_net.paths[format_name], threads)
    rng = np.random.default_rng(0)
    for _ in range(3):
        pixels = rng.integers(0, 256, random_net.size, dtype=np.uint8)
        logits = engine(pixels)
        assert logits.shape == (2, 32, 48)
        assert logits.dtype == np.float32 and logits.flags.c_contiguous
        np.testing.assert_allclose(logits, torch_logits(random_net.module, pixels), atol=2e-6)


@pytest.mark.parametrize("format_name", FORMATS)
def test_logits_survive_the_next_call(format_name: str, bright_net: Any) -> None:
    engine = open_engine(format_name, bright_net.paths[format_name], 1)
    first = engine(np.full(bright_net.size, 200, np.uint8))
    kept = first.copy()
    second = engine(np.zeros(bright_net.size, np.uint8))
    np.testing.assert_array_equal(first, kept)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("format_name", FORMATS)
def test_takes_a_view_of_a_larger_array(format_name: str, random_net: Any) -> None:
    wide = np.random.default_rng(1).integers(0, 256, (64, 192), dtype=np.uint8)
    engine = open_engine(format_name, random_net.paths[format_name], 1)
    np.testing.assert_array_equal(engine(wide[:, ::2]), engine(np.ascontiguousarray(wide[:, ::2])))


@pytest.mark.parametrize("format_name", FORMATS)
def test_says_name_and_version(format_name: str, bright_net: Any) -> None:
    engine = open_engine(format_name, bright_net.paths[format_name], 1)
    assert engine.name in ("ONNX Runtime", "OpenVINO", "LiteRT")
    assert engine.version.split(".")[0].isdigit()


def precisions(engine: Any) -> dict[str, set[str]]:
    """The precisions in which OpenVINO's CPU plugin executes each kind of layer."""
    found: dict[str, set[str]] = {}
    for op in engine.request.get_compiled_model().get_runtime_model().get_ordered_ops():
        facts = op.get_rt_info()
        found.setdefault(facts["layerType"].astype(str), set()).add(facts["runtimePrecision"].astype(str))
    return found


def test_openvino_computes_in_float32(random_net: Any) -> None:
    """Also on a CPU that has bf16, which it would use without a word."""
    engine: Any = open_engine("openvino", random_net.paths["openvino"], 1)
    compiled = engine.request.get_compiled_model()
    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert precisions(engine)["Convolution"] == {"f32"}


CLOSED_IN_THE_ORDER_OF_OPENING = """
import signal, sys
from pathlib import Path
from fetaledge_runtimes.engines.registry import open_engine

first = open_engine(sys.argv[1], Path(sys.argv[2]), 1)
second = open_engine(sys.argv[1], Path(sys.argv[2]), 1)
del first
del second
signal.signal(signal.SIGINT, lambda *_: print("handled"))
signal.raise_signal(signal.SIGINT)
"""


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_signal_is_handled_after_engines_were_closed(format_name: str, bright_net: Any) -> None:
    """OpenVINO's plug-in moves the signal stack: Ctrl-C ended in a segmentation fault, and so did a test's child."""
    script = [sys.executable, "-c", CLOSED_IN_THE_ORDER_OF_OPENING, format_name, str(bright_net.paths[format_name])]
    done = subprocess.run(script, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr


@pytest.mark.integration
def test_the_float32_hint_leaves_int8_kernels_alone(random_net: Any, tmp_path: Path) -> None:
    import nncf
    import openvino

    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (1, 1, *random_net.size), dtype=np.uint8) for _ in range(4)]
    model = openvino.Core().read_model(str(random_net.paths["openvino"]))
    quantized = nncf.quantize(model, nncf.Dataset(frames), preset=nncf.QuantizationPreset.MIXED, subset_size=4)
    openvino.save_model(quantized, str(tmp_path / "int8.xml"), compress_to_fp16=False)
    engine = open_engine("openvino", tmp_path / "int8.xml", 1)
    assert precisions(engine)["Convolution"] & {"i8", "u8"}
    expected = torch_logits(random_net.module, frames[0][0, 0])
    assert np.abs(engine(frames[0][0, 0]) - expected).max() < 0.1 * np.ptp(expected)


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("damage", ["missing", "empty", "text", "half"])
def test_refuses_a_damaged_file(format_name: str, damage: str, random_net: Any, tmp_path: Path) -> None:
    original = random_net.paths[format_name]
    path = tmp_path / f"damaged{original.suffix}"
    content = original.read_bytes()
    if damage != "missing":
        path.write_bytes({"empty": b"", "text": b"hello\n" * 40, "half": content[: len(content) // 2]}[damage])
    with pytest.raises(InputError, match=f"damaged{original.suffix}") as caught:
        open_engine(format_name, path, 1)
    assert caught.value.hint and "\n" not in str(caught.value)


@pytest.mark.parametrize("format_name", FORMATS)
def test_refuses_a_frame_of_another_size(format_name: str, bright_net: Any) -> None:
    engine = open_engine(format_name, bright_net.paths[format_name], 1)
    with pytest.raises(InputError, match=r"\(64, 96\).*\(96, 64\)"):
        engine(np.zeros((96, 64), np.uint8))


def test_refuses_a_model_with_float_input(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "float.onnx"
    sample = torch.zeros((1, 3, 8, 8))
    network = torch.nn.Conv2d(3, 1, 1).eval()
    torch.onnx.export(network, (sample,), str(path), dynamo=True, external_data=False, verbose=False)
    for format_name in ("onnx", "openvino"):
        with pytest.raises(InputError, match=r"takes float32 \(1, 3, 8, 8\) where a fixed uint8"):
            open_engine(format_name, path, 1)


def test_refuses_a_channel_first_tflite(random_net: Any) -> None:
    with pytest.raises(InputError, match=r"takes uint8 \(1, 64, 96, 1\) where a fixed uint8 \(1, 1, height"):
        open_engine("openvino", random_net.paths["tflite"], 1)


def test_an_engine_not_installed_names_the_pip_line(
    monkeypatch: pytest.MonkeyPatch, bundle_folder: Path, bright_net: Any
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] in ("onnxruntime", "ai_edge_litert")]:
        monkeypatch.delitem(sys.modules, name)
    real = importlib.util.find_spec
    missing = {"onnxruntime", "ai_edge_litert", "tflite_runtime"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in missing else real(name))
    assert not is_installed("onnx") and not is_installed("tflite") and is_installed("openvino")
    with pytest.raises(EngineMissing, match="pip install onnxruntime"):
        open_engine("onnx", bright_net.paths["onnx"], 1)
    with pytest.raises(EngineMissing, match="pip install ai-edge-litert"):
        open_engine("tflite", bright_net.paths["tflite"], 1)
    variants = Bundle.open(bundle_folder).manifest.variants
    assert first_runnable(variants).name == "openvino-fp32"
    with pytest.raises(EngineMissing, match="none of the bundle's engines"):
        first_runnable([v for v in variants if v.format != "openvino"])


def test_a_broken_installation_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, bright_net: Any, tmp_path: Path
) -> None:
    package = tmp_path / "onnxruntime"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('libonnxruntime.so: wrong ELF class')\n", encoding="utf-8")
    for name in [name for name in sys.modules if name.split(".")[0] == "onnxruntime"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(
        EngineMissing, match=r"ONNX Runtime cannot be loaded: libonnxruntime.so.*pip install onnxruntime"
    ):
        open_engine("onnx", bright_net.paths["onnx"], 1)


def test_litert_is_preferred_to_its_predecessor() -> None:
    assert engine_class("tflite").packages == ("ai_edge_litert", "tflite_runtime")


@pytest.mark.parametrize("format_name", FORMATS)
def test_an_engine_too_old_says_which_is_needed(
    format_name: str, bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an old engine that fails; one that works is not asked for its age."""
    bundle = Bundle.open(bundle_folder)
    variant = bundle.variant(f"{format_name}-fp32")
    path, cls = bundle.model_path(variant), engine_class(format_name)
    monkeypatch.setattr(base, "version", lambda name: "1.17.3")
    Predictor(bundle, variant.name)
    damaged = tmp_path / f"of-tomorrow{path.suffix}"
    damaged.write_bytes(b"of tomorrow")
    needed = "9.20.1" if format_name == "openvino" else "1.20.1"
    said = (
        rf"^{cls.distribution} 1.17.3 is installed, this bundle needs {needed} or later; "
        rf"run: pip install '{cls.distribution}>={needed}'$"
    )
    with pytest.raises(InputError, match=said):
        open_engine(format_name, damaged, 1, needed)
    with pytest.raises(InputError, match="cannot be loaded"):
        open_engine(format_name, damaged, 1, "1.17.3")


def test_predict_and_verify_say_so_too(
    bundle_folder: Path, frame_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    """An old onnxruntime as a device meets it: the session refuses a file of a format that it does not know."""
    import onnxruntime

    from fetaledge_runtimes.__main__ import main

    def refuse(*arguments: object, **options: object) -> None:
        raise RuntimeError("[ONNXRuntimeError] : 1 : FAIL : Unsupported model IR version: 10, max supported: 9")

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    monkeypatch.setattr(base, "version", lambda name: "1.17.3")
    needed = Bundle.open(bundle_folder).variant("onnx-fp32").engine_oldest
    sentence = f"onnxruntime 1.17.3 is installed, this bundle needs {needed} or later"
    variant = ("--variant", "onnx-fp32")
    assert main(["predict", str(bundle_folder), str(frame_folder), *variant]) == 3
    assert capfd.readouterr().err.startswith(f"error: {sentence}; run: pip install")
    assert main(["bench", str(bundle_folder), "--frames", str(frame_folder), *variant]) == 3
    assert capfd.readouterr().err.startswith(f"error: {sentence}; run: pip install")
    assert main(["verify", str(bundle_folder), *variant]) == 1
    assert f"unusable  {sentence}" in capfd.readouterr().out


def test_the_predecessor_of_litert_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "of-tomorrow.tflite"
    path.write_bytes(b"of tomorrow")
    monkeypatch.setattr(engine_class("tflite"), "installed", lambda: ("tflite-runtime", "2.14.0"))
    with pytest.raises(InputError, match="^tflite-runtime 2.14.0 is installed, this bundle needs ai-edge-litert 1.4.0"):
        open_engine("tflite", path, 1, "1.4.0")
