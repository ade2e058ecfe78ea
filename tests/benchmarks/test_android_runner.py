"""The native runner: its build, what it exchanges with this machine, and the program itself, here and under QEMU."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fetaledge_benchmarks.android import __main__ as android_main
from fetaledge_benchmarks.android import build, glibc
from fetaledge_benchmarks.android.__main__ import main
from fetaledge_benchmarks.android.benchmark_model import check_tool, command_line, parse
from fetaledge_benchmarks.android.build import LIBRARIES, Runner, build_runner, compile_runner
from fetaledge_benchmarks.android.prepared import read_logits, write_prepared
from fetaledge_benchmarks.emulation.qemu import qemu_command
from fetaledge_benchmarks.worker import parse_answer
from fetaledge_runtimes.engines import open_engine
from fetaledge_runtimes.errors import FetalEdgeError, InputError, OutputError, TargetError, UsageError
from fetaledge_runtimes.frame import Frame

SIZE, LOGITS = (24, 32), (3, 12, 16)
CPU = "cortex-a76"
# The engines read the cores' design from here; QEMU has to show them Arm cores, not this machine's.
CPUINFO = """processor\t: 0
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1
"""
Start = Callable[..., "subprocess.CompletedProcess[str]"]


# --- the files that are exchanged


def test_prepared_frames_are_resized_and_read_back(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64)).astype(np.uint8)
    same = pixels[: SIZE[0], : SIZE[1]]
    frames = [("a", Frame(pixels, None, "a.png")), ("b.c d", Frame(same, (1.0, 1.0), "b.png"))]
    assert write_prepared(frames, SIZE, tmp_path / "frames") == 2
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == ["a.raw", "b.c d.raw"]
    assert (tmp_path / "frames" / "b.c d.raw").read_bytes() == same.tobytes()
    halves = np.frombuffer((tmp_path / "frames" / "a.raw").read_bytes(), np.uint8).reshape(SIZE)
    means = pixels.reshape(24, 2, 32, 2).mean(axis=(1, 3))
    assert np.abs(halves - means).max() <= 0.5


@pytest.mark.parametrize("names", [["a", "a"], ["../a"], ["a/b"], [".a"], ["a\0"]])
def test_names_that_cannot_be_files_are_refused(tmp_path: Path, names: list[str]) -> None:
    frame = Frame(np.zeros(SIZE, np.uint8), None, "x")
    with pytest.raises(InputError, match=r"name"):
        write_prepared([(name, frame) for name in names], SIZE, tmp_path / "frames")
    assert not (tmp_path / "a.raw").exists()


def test_prepared_frames_need_a_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        write_prepared([("a", Frame(np.zeros(SIZE, np.uint8), None, "x"))], SIZE, tmp_path / "file")


def test_logits_keep_their_order_and_need_their_size(tmp_path: Path) -> None:
    values = np.arange(np.prod(LOGITS), dtype=np.float32).reshape(LOGITS)
    path = tmp_path / "a.logits"
    path.write_bytes(values.astype("<f4").tobytes())
    np.testing.assert_array_equal(read_logits(path, LOGITS), values)
    with pytest.raises(InputError, match=r"has 2304 bytes where 1536 were expected"):
        read_logits(path, (2, 12, 16))
    with pytest.raises(InputError, match="cannot be read"):
        read_logits(tmp_path / "b.logits", LOGITS)


# --- benchmark_model: each text is what the tool printed on a device, its paths apart

OLD = """STARTING!
Log parameter values verbosely: [0]
Num threads: [4]
Graph: [./mobilenet_v1_1.0_224.tflite]
#threads used for CPU inference: [4]
Loaded model ./mobilenet_v1_1.0_224.tflite
The input model file size (MB): 16.9008
Initialized session in 17.187ms.
Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
count=1 curr=3512391

Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
count=50 first=2990275 curr=2913402 min=2727568 max=3189954 avg=2.95034e+06 std=109798

Inference timings in us: Init: 17187, First inference: 3512391, Warmup (avg): 3.51239e+06, Inference (avg): 2.95034e+06
Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the actual memory
Memory footprint delta from the start of the tool (MB): init=4.21094 overall=46.0859
"""
NEW = """INFO: STARTING!
INFO: Graph: [mobilenet_quant_v1_224.tflite]
INFO: Loaded model mobilenet_quant_v1_224.tflite
INFO: The input model file size (MB): 4.2761
INFO: Initialized session in 1361.24ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=5 first=125113 curr=112537 min=111758 max=125113 avg=115344 std=4959 p5=111758 median=112912 p95=125113

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
INFO: count=50 first=119614 curr=115889 min=111842 max=119614 avg=115246 std=1329 p5=112107 median=115350 p95=116620

INFO: Inference timings in us: Init: 1361236, First inference: 125113, Warmup (avg): 115344, Inference (avg): 115246
INFO: Memory footprint delta from the start of the tool (MB): init=14.4414 overall=14.8164
"""


def test_benchmark_model_without_percentiles() -> None:
    times = parse(OLD, 50)
    assert (times.runs, times.init_ms, times.first_ms, times.warmup_ms) == (50, 17.187, 3512.391, 3512.39)
    assert (times.mean_ms, times.min_ms, times.max_ms, times.std_ms) == (2950.34, 2727.568, 3189.954, 109.798)
    assert times.p5_ms is times.median_ms is times.p95_ms is None


def test_benchmark_model_with_percentiles() -> None:
    times = parse(NEW, 50)
    assert (times.p5_ms, times.median_ms, times.p95_ms) == (112.107, 115.35, 116.62)
    assert (times.mean_ms, times.init_ms) == (115.246, 1361.236)


def test_benchmark_model_with_one_run() -> None:
    text = OLD.replace(OLD.splitlines()[12], "count=1 curr=2950340")
    times = parse(text, 1)
    assert times.mean_ms == times.min_ms == times.max_ms == 2950.34 and times.std_ms == 0


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("Inference timings in us", "Inference timing", "gave 0 lines of inference timings"),
        ("STARTING!", "Inference timings in us: Init: 1", "gave 2 lines of inference timings"),
        ("Inference (avg): 2.95034e+06", "Inference (avg): nan", "is of an unknown form"),
        ("Init: 17187,", "Init: 17187 ms,", "is of an unknown form"),
        (" std=109798", " std=109798 p99=3", "is of an unknown form"),
        ("max=3189954 avg=2.95034e+06", "max=3189954 avg=2.9e+06", "two averages differ"),
        ("min=2727568 max=3189954", "min=3189954 max=2727568", "are in no order"),
        ("count=50", "count=47", "took 47 samples where 50 were asked for; the tool ends after 150 s"),
        (
            "Loaded model",
            "Though XNNPACK delegate is explicitly applied, the model graph will not be executed by the delegate.\n",
            "could not use XNNPACK",
        ),
    ],
)
def test_benchmark_model_that_says_something_else_is_refused(before: str, after: str, sentence: str) -> None:
    assert OLD.count(before) == 1
    with pytest.raises(InputError, match=sentence):
        parse(OLD.replace(before, after), 50)


def test_benchmark_model_without_counts_is_refused() -> None:
    with pytest.raises(InputError, match="no line of counts"):
        parse("\n".join(line for line in OLD.splitlines() if "count=" not in line), 50)


def test_benchmark_models_command() -> None:
    command = command_line("/d/benchmark_model", "/d/a b.tflite", threads=4, samples=50, warmup=5)
    assert command[:2] == ("/d/benchmark_model", "--graph=/d/a b.tflite")
    assert {"--num_threads=4", "--num_runs=50", "--min_secs=0", "--warmup_runs=5", "--use_xnnpack=true"} < set(command)


def test_benchmark_model_has_to_be_a_program_for_arm(tmp_path: Path) -> None:
    tool = tmp_path / "benchmark_model"
    tool.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\xb7\x00" + bytes(40))
    check_tool(tool)
    tool.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00" + bytes(40))
    with pytest.raises(InputError, match="no program for 64-bit Arm"):
        check_tool(tool)
    with pytest.raises(InputError, match="cannot be read"):
        check_tool(tmp_path / "none")


# --- the build, without building


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FETALEDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The packages of each build, in place of the builds' programs and downloads."""
    seen: list[list[str]] = []

    def wheels(libraries: list[Any]) -> tuple[Path, ...]:
        seen.append([f"{library.package}=={library.version}" for library in libraries])
        return tuple(Path(library.name) for library in libraries)

    def gather(place: Path) -> dict[str, str]:
        (place / glibc.LOADER).write_bytes(b"loader")
        return dict.fromkeys(glibc.PACKAGES, "1")

    monkeypatch.setattr(build, "compile_runner", lambda binary: binary.write_bytes(b"runner"))
    monkeypatch.setattr(build, "_extract", lambda wheel, member, file: file.write_bytes(member.encode()))
    monkeypatch.setattr(build, "_wheels", wheels)
    monkeypatch.setattr(glibc, "gather", gather)
    return seen


def test_a_build_is_kept_by_what_went_into_it(own_cache: Path, builds: list[list[str]]) -> None:
    runner = build_runner(["tflite"])
    assert runner.versions == {"ai-edge-litert": LIBRARIES["tflite"].version}
    assert set(runner.files) == {"runner", "libLiteRt.so", glibc.LOADER, "NOTICE.txt"}
    assert build_runner(["tflite", "tflite"]) == runner and len(builds) == 1
    assert build_runner(["tflite", "onnx"]) != runner
    assert build_runner(["onnx"], ["onnxruntime==1.25.0", "openvino==2025.4.1"]).versions == {"onnxruntime": "1.25.0"}
    assert builds[1:] == [["ai-edge-litert==2.3.0", "onnxruntime==1.31.1"], ["onnxruntime==1.25.0"]]
    assert "LGPL-2.1" in runner.files["NOTICE.txt"].read_text(encoding="utf-8")


@pytest.mark.parametrize("damage", ["file", "missing", "record"])
def test_a_damaged_build_is_made_again(own_cache: Path, builds: list[list[str]], damage: str) -> None:
    runner = build_runner(["tflite"])
    if damage == "missing":
        runner.files["runner"].unlink()
    else:
        runner.files["runner"].with_name("runner" if damage == "file" else "runner.json").write_bytes(b"{}")
    assert build_runner(["tflite"]).files["runner"].read_bytes() == b"runner" and len(builds) == 2


def test_a_build_that_fails_leaves_nothing(
    own_cache: Path, builds: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(place: Path) -> dict[str, str]:
        raise TargetError("no packages")

    monkeypatch.setattr(glibc, "gather", fails)
    with pytest.raises(TargetError, match="no packages"):
        build_runner(["tflite"])
    assert list((own_cache / "android-runner").iterdir()) == []


def test_what_the_runner_cannot_run_is_refused(own_cache: Path) -> None:
    with pytest.raises(UsageError, match="no engine for 'openvino'; it runs tflite and onnx"):
        build_runner(["openvino"])
    with pytest.raises(UsageError, match=r"written for ai-edge-litert 2\.3\.0, not 2\.1\.0"):
        build_runner(["tflite"], ["ai-edge-litert==2.1.0"])


def test_what_a_build_needs_is_named(own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "find_spec", lambda name: None)
    with pytest.raises(TargetError, match="zig, which is not installed; run: pip install ziglang"):
        build_runner(["tflite"])
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(TargetError, match=r"no apt-get here; run python -m fetaledge_benchmarks\.android on Debian"):
        glibc.gather(tmp_path)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("E: Unable to locate package libc6-arm64-cross", "knows no libc6-arm64-cross.*run apt-get update as root"),
        ("Err:1 x\nE: Failed to fetch http://x  Could not connect", "cannot download.*connect to the internet once"),
        ("", "cannot download.*it said nothing"),
    ],
)
def test_an_archive_that_cannot_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, sentence: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(
        glibc, "run_tool", lambda command, *_, **__: subprocess.CompletedProcess(command, 100, "", said)
    )
    with pytest.raises(TargetError, match=sentence):
        glibc.gather(tmp_path)


def test_the_command_brings_its_own_loader() -> None:
    assert Runner({}, {}).command("/data/local/tmp/x") == (
        "/data/local/tmp/x/ld-linux-aarch64.so.1",
        "--library-path",
        "/data/local/tmp/x",
        "/data/local/tmp/x/runner",
    )


def test_the_engines_are_those_that_this_project_is_tested_with() -> None:
    assert {library.package: library.version for library in LIBRARIES.values()} == {
        library.package: version(library.package) for library in LIBRARIES.values()
    }


def test_the_command_says_what_was_built(
    own_cache: Path, builds: list[list[str]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main() == 0
    output = capsys.readouterr().out.splitlines()
    assert len(output) == 6 and output[-1].endswith(str(next((own_cache / "android-runner").iterdir())))
    monkeypatch.setattr(android_main, "build_runner", build_runner_that_fails)
    assert main() == 4
    assert capsys.readouterr().err == "error: no network\n"


def build_runner_that_fails(**_: Any) -> Runner:
    raise TargetError("no network")


# --- the program


def write_tflite(path: Path) -> None:
    """A real TFLite file: a cast and one convolution of stride 2, three classes, seeded weights."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    weights = np.random.default_rng(1).normal(0, 0.02, (LOGITS[0], 3, 3, 1)).astype("<f4")
    bias = np.array([0.5, -1.0, 2.0], "<f4")
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs = 3, [graph]
    model.buffers = [schema.BufferT() for _ in range(3)]
    model.buffers[1].data = np.frombuffer(weights.tobytes(), np.uint8)
    model.buffers[2].data = np.frombuffer(bias.tobytes(), np.uint8)
    shapes = [(1, *SIZE, 1), (1, *SIZE, 1), weights.shape, bias.shape, (1, *LOGITS[1:], LOGITS[0])]
    graph.tensors = []
    for index, shape in enumerate(shapes):
        tensor = schema.TensorT()
        tensor.shape, tensor.buffer, tensor.name = list(shape), {2: 1, 3: 2}.get(index, 0), f"t{index}".encode()
        tensor.type = schema.TensorType.UINT8 if index == 0 else schema.TensorType.FLOAT32
        graph.tensors.append(tensor)
    graph.inputs, graph.outputs, graph.operators, model.operatorCodes = [0], [4], [], []
    for kind, inputs, output in (("CAST", [0], 1), ("CONV_2D", [1, 2, 3], 4)):
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode, code.version = code.builtinCode, 1
        operator.opcodeIndex, operator.inputs, operator.outputs = len(model.operatorCodes), inputs, [output]
        if kind == "CONV_2D":
            operator.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
            operator.builtinOptions = options = schema.Conv2DOptionsT()
            options.strideH = options.strideW = 2
            options.padding = schema.Padding.SAME
        model.operatorCodes.append(code)
        graph.operators.append(operator)
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))


def write_onnx(path: Path) -> None:
    """The like in ONNX, with other weights."""
    import onnx
    from onnx import TensorProto, helper

    weights = np.random.default_rng(2).normal(0, 0.02, (LOGITS[0], 1, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["frame"], ["grey"], to=TensorProto.FLOAT),
            helper.make_node("Conv", ["grey", "weights"], ["logits"], pads=[1, 1, 1, 1], strides=[2, 2]),
        ],
        "small",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, 1, *SIZE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, *LOGITS])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    paths = {name: folder / f'{name}-"fp32".{name}' for name in LIBRARIES}
    write_tflite(paths["tflite"])
    write_onnx(paths["onnx"])
    return paths


@pytest.fixture(scope="session")
def frames(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {f"frame {index}": rng.integers(0, 255, SIZE).astype(np.uint8) for index in range(3)}


@pytest.fixture(scope="session")
def prepared(frames: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    write_prepared(((name, Frame(pixels, None, name)) for name, pixels in frames.items()), SIZE, folder)
    (folder / "pixels.csv").write_text("not a frame", encoding="utf-8")
    return folder


@contextlib.contextmanager
def buildable() -> Iterator[None]:
    try:
        yield
    except FetalEdgeError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def here(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """The runner compiled for this machine, on the engines that its Python has."""
    folder = tmp_path_factory.mktemp("here")
    with buildable():
        compile_runner(folder / "runner", f"{platform.machine()}-linux-gnu.2.28")
    for library in LIBRARIES.values():
        package, _, beginning = library.member.rpartition("/")
        spec = find_spec(package.split("/")[0])
        assert spec is not None and spec.origin is not None
        inside = Path(spec.origin).parent.joinpath(*package.split("/")[1:])
        (found,) = inside.glob(f"{beginning}*")
        (folder / library.name).symlink_to(found)

    def start(*arguments: object, library_path: Path = folder, **options: Any) -> subprocess.CompletedProcess[str]:
        environment = {"LD_LIBRARY_PATH": str(library_path), **options.pop("env", {})}
        command = [str(folder / "runner"), *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, **options)

    return start


@pytest.fixture(scope="session")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """What a phone is sent, under QEMU: its own loader and libraries, and a root that holds none."""
    with buildable():
        qemu_command(Path("/"), CPU, {}, ["/none"])
        built = build_runner()
    root, place = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("phone")
    (root / "proc").mkdir()
    (root / "proc" / "cpuinfo").write_text(CPUINFO, encoding="ascii")
    for name, path in built.files.items():
        shutil.copy(path, place / name)

    def start(*arguments: object, env: dict[str, str] | None = None, log: Path | None = None) -> Any:
        command = qemu_command(root, CPU, env or {}, [*built.command(str(place)), *map(str, arguments)])
        if log is not None:
            command[command.index("-cpu") : command.index("-cpu")] = ["-strace", "-D", str(log)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    return start


def usual(model: Path, frames: Path, **options: object) -> list[object]:
    given: dict[str, object] = {"frames": frames, "threads": 1, "samples": 4, "warmup": 1} | options
    return [model, *(part for name, value in given.items() for part in (f"--{name}", value))]


@pytest.mark.slow
@pytest.mark.parametrize("format_name", list(LIBRARIES))
@pytest.mark.parametrize("machine", ["here", "emulated"])
def test_the_logits_are_those_of_the_python_engine(
    machine: str,
    format_name: str,
    models: dict[str, Path],
    frames: dict[str, np.ndarray],
    prepared: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    start: Start = request.getfixturevalue(machine)
    model = models[format_name]
    done = start(*usual(model, prepared, masks=tmp_path, threads=2))
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    engine = open_engine(format_name, model, 1)
    assert (document["engine"], document["engine_version"]) == (engine.name, engine.version)
    assert document["variant"] == model.stem and document["threads"] == 2
    assert document["file_mb"] == pytest.approx(model.stat().st_size / 1e6, abs=1e-6)
    answer = parse_answer(done.stdout, 4)
    assert len(answer.series["kernel_ms"]) == 4 and min(answer.series["kernel_ms"]) > 0
    assert document["load_ms"] > 0 and document["peak_rss_mb"] > 1
    assert tuple(document["logits"]) == LOGITS
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name}.logits" for name in frames]
    for name, pixels in frames.items():
        expected = engine(pixels)
        assert expected.std() > 0.5
        np.testing.assert_allclose(read_logits(tmp_path / f"{name}.logits", LOGITS), expected, atol=1e-5)


@pytest.mark.slow
def test_without_samples_every_frame_is_predicted(
    here: Start, models: dict[str, Path], prepared: Path, tmp_path: Path
) -> None:
    done = here(*usual(models["tflite"], prepared, masks=tmp_path, samples=0))
    assert parse_answer(done.stdout, 0).series["kernel_ms"] == ()
    assert len(list(tmp_path.glob("*.logits"))) == 3


@pytest.mark.slow
@pytest.mark.parametrize("format_name", list(LIBRARIES))
def test_the_engine_gets_the_threads_asked_for(
    here: Start, models: dict[str, Path], prepared: Path, tmp_path: Path, format_name: str
) -> None:
    counts = []
    for threads in (1, 3):
        masks = tmp_path / str(threads)
        masks.mkdir()
        command = here(*usual(models[format_name], prepared, threads=threads)).args
        command[command.index("--samples") + 1] = "10000000"
        environment = {"LD_LIBRARY_PATH": str(Path(command[0]).parent)}
        with subprocess.Popen([*command, "--masks", str(masks)], env=environment) as process:
            while len(list(masks.glob("*.logits"))) < 3 and process.poll() is None:
                time.sleep(0.02)
            counts.append(len(list(Path(f"/proc/{process.pid}/task").iterdir())))
            process.kill()
    assert counts[1] - counts[0] == 2


@pytest.mark.slow
def test_what_cannot_be_used_is_one_sentence(
    here: Start, models: dict[str, Path], prepared: Path, tmp_path: Path
) -> None:
    model = models["tflite"]
    text, other, swapped = (tmp_path / name for name in ("text.tflite", "model.bin", "swapped.tflite"))
    text.write_text("no model", encoding="utf-8")
    other.write_bytes(model.read_bytes())
    swapped.write_bytes(models["onnx"].read_bytes())
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(models["onnx"].read_bytes()[:100])
    empty, small = tmp_path / "empty", tmp_path / "small"
    empty.mkdir()
    small.mkdir()
    (small / "a.raw").write_bytes(bytes(10))
    for arguments, code, sentence in (
        (usual(tmp_path / "none.tflite", prepared), 3, "none.tflite cannot be read: No such file"),
        (usual(text, prepared), 3, "text.tflite: LiteRT's CreateModelFromFile gave status"),
        (usual(swapped, prepared), 3, "swapped.tflite: LiteRT's"),
        (usual(broken, prepared), 3, "broken.onnx: ONNX Runtime says"),
        (usual(other, prepared), 3, "model.bin has a suffix that no engine here runs"),
        (usual(model, tmp_path / "nowhere"), 3, "nowhere cannot be read: No such file"),
        (usual(model, empty), 3, "empty holds no frame, expected was NAME.raw"),
        (usual(model, small), 3, "a.raw has 10 bytes where the model takes 24 x 32"),
        (usual(model, prepared, masks=tmp_path / "no" / "where"), 3, "where cannot be made: No such file"),
        (usual(model, prepared, threads=0), 2, "--threads takes a number from 1"),
        (usual(model, prepared, samples="5x"), 2, "--samples takes a number from 0"),
        (usual(model, prepared, speed=1), 2, "--speed is no option"),
        ([model], 2, "expected was MODEL --frames DIR"),
        ([model, "--frames"], 2, "--frames is unknown or needs a value"),
    ):
        done = here(*arguments)
        assert (done.returncode, done.stdout) == (code, ""), (arguments, done)
        assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1 and sentence in done.stderr


@pytest.mark.slow
def test_a_wrong_model_is_one_sentence_on_the_phone_too(emulated: Start, prepared: Path, tmp_path: Path) -> None:
    (tmp_path / "text.tflite").write_text("no model", encoding="utf-8")
    done = emulated(*usual(tmp_path / "text.tflite", prepared))
    assert done.returncode == 3 and done.stderr.count("\n") == 1
    assert "text.tflite: LiteRT's CreateModelFromFile gave status" in done.stderr
    assert "Model provided" in done.stderr  # why, in the engine's words


@pytest.mark.slow
def test_what_may_not_be_read_is_one_sentence(
    here: Start, models: dict[str, Path], prepared: Path, tmp_path: Path
) -> None:
    shutil.copytree(prepared, tmp_path / "frames")
    command = here(*usual(models["tflite"], tmp_path / "frames")).args
    environment = {"LD_LIBRARY_PATH": str(Path(command[0]).parent)}
    if os.geteuid() == 0:  # root may read everything, unless it gives that up
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("setpriv is not installed, and root may read everything")
        command = [setpriv, "--bounding-set=-all", "--inh-caps=-all", *command]
    (tmp_path / "frames" / "frame 1.raw").chmod(0)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and "frame 1.raw cannot be read: Permission denied" in done.stderr


@pytest.mark.slow
def test_an_engine_that_was_not_sent_is_named(
    here: Start, models: dict[str, Path], prepared: Path, tmp_path: Path
) -> None:
    for format_name, library in LIBRARIES.items():
        done = here(*usual(models[format_name], prepared), library_path=tmp_path)
        assert done.returncode == 3 and f"error: {library.name} cannot be loaded" in done.stderr


@pytest.mark.slow
def test_logits_that_cannot_be_written_whole_are_not_left(
    here: Start, models: dict[str, Path], prepared: Path, tmp_path: Path
) -> None:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write then fails as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    done = here(*usual(models["tflite"], prepared, masks=tmp_path), preexec_fn=limit, restore_signals=False)
    assert done.returncode == 3 and "frame 0.logits cannot be written: File too large" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_answer_that_cannot_be_written_is_an_error(here: Start, models: dict[str, Path], prepared: Path) -> None:
    with Path("/dev/full").open("w") as full:
        command = here(*usual(models["tflite"], prepared)).args
        environment = {"LD_LIBRARY_PATH": str(Path(command[0]).parent)}
        done = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 3 and "the answer cannot be written: No space left on device" in done.stderr


@pytest.mark.slow
def test_it_needs_no_library_of_the_phone(
    models: dict[str, Path], prepared: Path, frames: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """In a root of its own that holds nothing but what is sent and what every kernel shows."""
    qemu = shutil.which("qemu-aarch64-static")
    if qemu is None or os.geteuid() != 0:
        pytest.skip("a change of root needs root, and qemu-user-static")
    with buildable():
        built = build_runner()
    place, system = tmp_path / "data" / "fetaledge", tmp_path / "sys" / "devices" / "system" / "cpu"
    for folder in (place, system, tmp_path / "proc", tmp_path / "masks"):
        folder.mkdir(parents=True)
    shutil.copy(qemu, tmp_path / "qemu")
    (tmp_path / "proc" / "cpuinfo").write_text(CPUINFO, encoding="ascii")
    shutil.copytree(prepared, tmp_path / "frames")
    for name, path in {**built.files, **{f"model.{name}": path for name, path in models.items()}}.items():
        shutil.copy(path, place / name)

    def start(model: str) -> subprocess.CompletedProcess[str]:
        command = [*built.command("/data/fetaledge"), f"/data/fetaledge/{model}", "--frames", "/frames"]
        command += ["--samples", "0", "--masks", "/masks"]
        return subprocess.run(
            ["chroot", str(tmp_path), "/qemu", "-cpu", CPU, *command], capture_output=True, text=True, timeout=300
        )

    done = start("model.tflite")
    assert done.returncode == 3 and "gave status" in done.stderr and "cpuinfo" in done.stderr  # the engine's own words
    assert done.stderr.count("error: ") == 1 and done.stderr.count("\n") == 1
    for name in ("possible", "present"):
        (system / name).write_text("0\n", encoding="ascii")
    for format_name, model in models.items():
        done = start(f"model.{format_name}")
        assert (done.returncode, done.stderr) == (0, "")
        for name, pixels in frames.items():
            given = read_logits(tmp_path / "masks" / f"{name}.logits", LOGITS)
            np.testing.assert_allclose(given, open_engine(format_name, model, 1)(pixels), atol=1e-5)
