"""``python -m fetaledge_runtimes``, as a device runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fetaledge_runtimes.__main__ import main
from fetaledge_runtimes.view.check import NO_CHECK

VARIANTS = ["onnx-fp32", "openvino-fp32", "tflite-fp32"]


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fetaledge_runtimes", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_predict_keeps_its_streams_apart(variant: str, bundle_folder: Path, frame_folder: Path, tmp_path: Path) -> None:
    """The document on standard output; on standard error what the bundle cannot tell, and not a word of an engine's."""
    out = tmp_path / "out"
    done = run("predict", bundle_folder, frame_folder, "--variant", variant, "--pixel-mm", 0.15, "--out", out, "--json")
    assert (done.returncode, done.stderr) == (0, f"{NO_CHECK}\n")
    document = json.loads(done.stdout)
    assert [e["status"] for e in document["frames"]] == ["ok", "ok", "no-scan"]
    assert json.loads((out / "prediction.json").read_text(encoding="utf-8")) == document


def test_predict_prints_a_line_a_frame(
    bundle_folder: Path, frame_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(bundle_folder), str(frame_folder), "--pixel-mm", "0.15"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and "HC" in lines[0] and "no-scan" in lines[2]


def test_predict_exits_3_after_a_bad_file(
    bundle_folder: Path, frame_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (frame_folder / "b.png").write_bytes(b"")
    assert main(["predict", str(bundle_folder), str(frame_folder), "--pixel-mm", "0.15"]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and "unreadable" in lines[1] and "HC" in lines[0]


def test_a_pair_and_remarks_on_the_command_line(
    bundle_folder: Path, frame_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (frame_folder / "pixels.csv").write_text("filename,pixel_mm\nnone.png,0.2\n", encoding="utf-8")
    assert main(["predict", str(bundle_folder), str(frame_folder), "--pixel-mm", "0.15,0.16", "--json"]) == 0
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert {tuple(entry["pixel_mm"]) for entry in document["frames"]} == {(0.15, 0.16)}
    assert shown.err.splitlines() == [NO_CHECK, *document["remarks"]]
    assert main(["predict", str(bundle_folder), str(frame_folder), "--region", "2"]) == 3
    assert "only DICOM files have several" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["predict"],
        ["bench", "b"],
        ["predict", "b", "i", "--pixel-mm", "x"],
        ["predict", "b", "i", "--pixel-mm", "0.1,0.1,0.1"],
        ["predict", "b", "i", "--orientation", "upside-down"],
    ],
)
def test_wrong_usage_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("extra", "code", "complaint"),
    [
        (["--threads", "0"], 2, "0 threads"),
        (["--variant", "onnx-int4"], 2, "no variant 'onnx-int4'"),
        (["--pixel-mm", "0"], 2, "pixel spacing"),
        (["--ga-weeks", "99"], 2, "99.0 weeks"),
        (["--orientation", "mirrored"], 2, "an orientation was given to a model for the task head"),
    ],
)
def test_values_that_make_no_sense(
    extra: list[str],
    code: int,
    complaint: str,
    bundle_folder: Path,
    frame_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["predict", str(bundle_folder), str(frame_folder), *extra]) == code
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.startswith("error: ") and complaint in shown.err
    assert shown.err.count("\n") == 1


def test_a_broken_bundle_exits_3(bundle_copy: Path, frame_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bundle_copy / "onnx-fp32.onnx").write_bytes(b"")
    for arguments in (["predict", str(frame_folder)], ["verify"], ["bench", "--frames", str(frame_folder)]):
        assert main([arguments[0], str(bundle_copy), *arguments[1:]]) == 3
        assert "onnx-fp32.onnx has 0 bytes" in capsys.readouterr().err


def test_verify(bundle_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(bundle_folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ") for line in lines] == [
        ["onnx-fp32", "ONNX Runtime", "ok"],
        ["openvino-fp32", "OpenVINO", "ok"],
        ["tflite-fp32", "LiteRT", "ok"],
    ]
    assert main(["verify", str(bundle_folder), "--variant", "tflite-fp32", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "fetaledge/verify/1"
    assert document["variants"] == [{"variant": "tflite-fp32", "engine": "LiteRT", "result": "ok", "details": []}]


def test_verify_exits_1_where_a_variant_differs(bundle_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fetaledge_runtimes.selftest.MIN_DICE", 1.1)  # a limit that no mask can keep
    assert main(["verify", str(bundle_folder)]) == 1


def test_verify_without_any_engine_exits_3(
    bundle_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fetaledge_runtimes.engines.registry.is_installed", lambda _: False)
    assert main(["verify", str(bundle_folder)]) == 3
    assert "pip install onnxruntime" in capsys.readouterr().err


def test_ctrl_c_is_no_traceback_and_leaves_nothing(bundle_folder: Path, frame_folder: Path, tmp_path: Path) -> None:
    """A real signal to a real process in the middle of many frames."""
    out = tmp_path / "out"
    content = (frame_folder / "a.png").read_bytes()
    for number in range(2000):
        (frame_folder / f"{number:04d}.png").write_bytes(content)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "fetaledge_runtimes",
            "predict",
            str(bundle_folder),
            str(frame_folder),
            "--out",
            str(out),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "interrupted\n"
    assert [p.name for p in tmp_path.iterdir()] == ["frames"]


def test_help_needs_no_engine() -> None:
    done = run("--help")
    assert done.returncode == 0 and "verify" in done.stdout


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
@pytest.mark.parametrize("arguments", [("--help",), ("verify",), ("verify", "--json"), ("verify", "nowhere")])
def test_a_reader_who_leaves_is_no_error(arguments: tuple[str, ...], closed: str, bundle_folder: Path) -> None:
    """As in ``… | head``: nothing is said, and the exit code is that of a program which SIGPIPE ended."""
    words = [
        *arguments[:1],
        *([] if "nowhere" in arguments or "--help" in arguments else [bundle_folder]),
        *arguments[1:],
    ]
    reader, writer = os.pipe()
    os.close(reader)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, closed: writer}
    buffered = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "fetaledge_runtimes", *map(str, words)]
    done = subprocess.run(command, check=False, env=buffered, **streams)
    os.close(writer)
    silent = (closed == "stderr") != ("nowhere" in arguments)  # nothing is written to the stream that is closed
    assert done.returncode == ((3 if "nowhere" in arguments else 0) if silent else 141)
    assert b"Error" not in (done.stderr or b"") and b"Traceback" not in (done.stderr or b"")


def test_nothing_half_written_where_the_reader_leaves(bundle_folder: Path, frame_folder: Path, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [
            sys.executable,
            "-u",
            "-m",
            "fetaledge_runtimes",
            "predict",
            bundle_folder,
            frame_folder,
            "--out",
            tmp_path / "o",
        ],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"") and [path.name for path in tmp_path.iterdir()] == ["frames"]
