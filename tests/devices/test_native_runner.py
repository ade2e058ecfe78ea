"""The native runner: what it exchanges with this machine, and the program itself, here and under QEMU."""

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
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fetaledge_benchmarks.cost.emulation.boards import BOARDS
from fetaledge_benchmarks.cost.emulation.qemu import qemu_command
from fetaledge_benchmarks.worker_client import parse_result
from fetaledge_devices.native_runner.build import LIBRARIES, build_runner, compile_runner
from fetaledge_devices.native_runner.exchange import read_logits, write_prepared
from fetaledge_runtimes.engines.registry import open_engine
from fetaledge_runtimes.errors import InputError, OutputError, TargetError
from fetaledge_runtimes.frames.frame import Frame
from tests.bright_bundle import write_onnx
from tests.stand_ins.fixtures import lacking, program

SIZE, LOGITS = (24, 32), (3, 12, 16)
CPU = "cortex-a76"
# Of the programs and packages that a build needs; whatever else goes wrong is a fault of it.
LACKING = ("is not installed", "Debian's packages: no ", "apt-get update", "connect to the internet")
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


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    paths = {name: folder / f'{name}-"fp32".{name}' for name in LIBRARIES}
    write_tflite(paths["tflite"])
    weights = np.random.default_rng(2).normal(0, 0.02, (LOGITS[0], 1, 3, 3))
    write_onnx(paths["onnx"], SIZE, weights, stride=2)
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
    """Where this machine lacks something for a build, the test is skipped, in CI it fails."""
    try:
        yield
    except TargetError as error:
        if not any(words in f"{error.message}; {error.hint}" for words in LACKING):
            raise
        lacking(str(error))


@pytest.mark.parametrize(
    ("message", "hint", "ci", "outcome"),
    [
        ("the native runner is compiled with zig, which is not installed", "run: pip install ziglang", "", "Skipped"),
        ("the package index cannot be reached", "connect to the internet once", "", "Skipped"),
        ("the package index cannot be reached", "connect to the internet once", "true", "Failed"),
        ("zig cannot compile the native runner, it said: error", "try another version of ziglang", "", "TargetError"),
    ],
)
def test_a_runner_that_does_not_compile_is_no_reason_to_skip(
    message: str, hint: str, ci: str, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(BaseException, match=message) as raised, buildable():
        raise TargetError(message, hint)
    assert raised.type.__name__ == outcome


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
    program("qemu-aarch64")
    with buildable():
        built = build_runner()
    root, place = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("phone")
    (root / "proc").mkdir()
    (root / "proc" / "cpuinfo").write_text(BOARDS[CPU].cpuinfo(), encoding="ascii")
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


@pytest.mark.integration
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
    answer = parse_result(done.stdout, 4)
    assert len(answer.series["kernel_ms"]) == 4 and min(answer.series["kernel_ms"]) > 0
    assert document["load_ms"] > 0 and document["peak_rss_mb"] > 1
    assert tuple(document["logits"]) == LOGITS
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name}.logits" for name in frames]
    for name, pixels in frames.items():
        expected = engine(pixels)
        assert expected.std() > 0.5
        np.testing.assert_allclose(read_logits(tmp_path / f"{name}.logits", LOGITS), expected, atol=1e-5)


@pytest.mark.integration
def test_without_samples_every_frame_is_predicted(
    here: Start, models: dict[str, Path], prepared: Path, tmp_path: Path
) -> None:
    done = here(*usual(models["tflite"], prepared, masks=tmp_path, samples=0))
    assert parse_result(done.stdout, 0).series["kernel_ms"] == ()
    assert len(list(tmp_path.glob("*.logits"))) == 3


@pytest.mark.integration
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


@pytest.mark.integration
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


@pytest.mark.integration
def test_a_wrong_model_is_one_sentence_on_the_phone_too(emulated: Start, prepared: Path, tmp_path: Path) -> None:
    (tmp_path / "text.tflite").write_text("no model", encoding="utf-8")
    done = emulated(*usual(tmp_path / "text.tflite", prepared))
    assert done.returncode == 3 and done.stderr.count("\n") == 1
    assert "text.tflite: LiteRT's CreateModelFromFile gave status" in done.stderr
    assert "Model provided" in done.stderr  # why, in the engine's words


@pytest.mark.integration
def test_what_may_not_be_read_is_one_sentence(
    here: Start, models: dict[str, Path], prepared: Path, tmp_path: Path
) -> None:
    shutil.copytree(prepared, tmp_path / "frames")
    command = here(*usual(models["tflite"], tmp_path / "frames")).args
    environment = {"LD_LIBRARY_PATH": str(Path(command[0]).parent)}
    if os.geteuid() == 0:  # root may read everything, unless it gives that up
        command = [program("setpriv"), "--bounding-set=-all", "--inh-caps=-all", *command]
    (tmp_path / "frames" / "frame 1.raw").chmod(0)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and "frame 1.raw cannot be read: Permission denied" in done.stderr


@pytest.mark.integration
def test_an_engine_that_was_not_sent_is_named(
    here: Start, models: dict[str, Path], prepared: Path, tmp_path: Path
) -> None:
    for format_name, library in LIBRARIES.items():
        done = here(*usual(models[format_name], prepared), library_path=tmp_path)
        assert done.returncode == 3 and f"error: {library.name} cannot be loaded" in done.stderr


@pytest.mark.integration
def test_logits_that_cannot_be_written_whole_are_not_left(
    here: Start, models: dict[str, Path], prepared: Path, tmp_path: Path
) -> None:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write then fails as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    done = here(*usual(models["tflite"], prepared, masks=tmp_path), preexec_fn=limit, restore_signals=False)
    assert done.returncode == 3 and "frame 0.logits cannot be written: File too large" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.integration
def test_an_answer_that_cannot_be_written_is_an_error(here: Start, models: dict[str, Path], prepared: Path) -> None:
    with Path("/dev/full").open("w") as full:
        command = here(*usual(models["tflite"], prepared)).args
        environment = {"LD_LIBRARY_PATH": str(Path(command[0]).parent)}
        done = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 3 and "the answer cannot be written: No space left on device" in done.stderr


@pytest.mark.integration
def test_it_needs_no_library_of_the_phone(
    models: dict[str, Path], prepared: Path, frames: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """In a root of its own that holds nothing but what is sent and what every kernel shows."""
    qemu = program("qemu-aarch64-static")
    if os.geteuid() != 0:
        lacking("a change of root needs root")
    with buildable():
        built = build_runner()
    place, system = tmp_path / "data" / "fetaledge", tmp_path / "sys" / "devices" / "system" / "cpu"
    for folder in (place, system, tmp_path / "proc", tmp_path / "masks"):
        folder.mkdir(parents=True)
    shutil.copy(qemu, tmp_path / "qemu")
    (tmp_path / "proc" / "cpuinfo").write_text(BOARDS[CPU].cpuinfo(), encoding="ascii")
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
        (system / name).write_text(BOARDS[CPU].cpu_files()[name], encoding="ascii")
    for format_name, model in models.items():
        done = start(f"model.{format_name}")
        assert (done.returncode, done.stderr) == (0, "")
        for name, pixels in frames.items():
            given = read_logits(tmp_path / "masks" / f"{name}.logits", LOGITS)
            np.testing.assert_allclose(given, open_engine(format_name, model, 1)(pixels), atol=1e-5)
