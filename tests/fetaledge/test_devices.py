"""The reference model on the stand-ins, by the real command: deployed, tested, benchmarked, gated again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fetaledge_runtimes.bundle import MANIFEST
from fetaledge_runtimes.files import read_json, sha256, write_json
from fetaledge_runtimes.selftest import GOLDEN
from tests.command import Command
from tests.made import Made
from tests.stand_ins.phone import Phone
from tests.stand_ins.pi import Pi

REFERENCE = Path(__file__).resolve().parents[2] / "reference/unet-head"
# A quarter of the reference's pixels: in the emulator a frame in fp32 takes a minute at 256x256.
SIZE = 128
FP32, INT8 = 0.9999, 0.995


def keep_one_golden_frame(bundle: Path) -> None:
    """Each golden frame of a float variant costs seconds in the emulator."""
    with np.load(bundle / GOLDEN) as golden:
        kept = {name: golden[name] for name in golden.files if not name.endswith(("_1", "_2", "_3"))}
    kept = {
        name: value[:1] if name == "pixel_mm" or name.endswith(("_mm", "_deg")) else value
        for name, value in kept.items()
    }
    np.savez_compressed(bundle / GOLDEN, **kept)
    manifest = read_json(bundle / MANIFEST)
    for stored in manifest["others"]:
        if stored["file"] == GOLDEN:
            stored |= {"bytes": (bundle / GOLDEN).stat().st_size, "sha256": sha256(bundle / GOLDEN)}
    write_json(bundle / MANIFEST, manifest)


@pytest.fixture(scope="module")
def bundle(phantoms: Path, made: Made, tmp_path_factory: pytest.TempPathFactory, fetaledge: Command) -> Path:
    """The reference model's weights at another input size, in the three formats."""
    name = f"reference-{SIZE}"

    def export(folder: Path) -> None:
        run = tmp_path_factory.mktemp("runs") / name
        shutil.copytree(REFERENCE, run)
        document = read_json(run / "run.json")
        document["size"] = [SIZE, SIZE]
        write_json(run / "run.json", document)
        limits = ("--max-hc-mean-mm", 2, "--max-hc-bias-mm", 2, "--max-hc-p95-mm", 6, "--max-dice-drop", 0.02)
        done = fetaledge("export", run, "--out", folder, "--data", phantoms, "--int8", *limits)
        assert done.returncode == 0, done.stdout + done.stderr
        keep_one_golden_frame(folder)

    return made(name, export)


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from fetaledge.phantoms.head import write_head_phantoms

    folder = tmp_path_factory.mktemp("data") / "one"
    write_head_phantoms(folder, 1, seed=77)
    return folder


@pytest.fixture(scope="module")
def environment(pi4: Pi, pi5: Pi, phone: Phone) -> dict[str, str]:
    """What the command needs to reach all three."""
    return os.environ | pi4.environment | pi5.environment | phone.environment


@pytest.fixture(scope="module")
def record(
    bundle: Path, frames: Path, pi4: Pi, pi5: Pi, phone: Phone, environment: dict[str, str],
    fetaledge: Command, tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:  # fmt: skip
    """One benchmark of every variant on the three stand-ins, side by side."""
    folder = tmp_path_factory.mktemp("records")
    targets = [word for stand_in in (pi4, pi5, phone) for word in ("--target", stand_in.address)]
    done = fetaledge(
        "benchmark", bundle, "--data", frames, *targets, "--json", folder / "record.json",
        "--report", folder / "report", env=environment,
    )  # fmt: skip
    assert done.returncode == 5, done.stdout + done.stderr
    assert "emulated" in done.stderr and "Traceback" not in done.stderr
    assert {path.name for path in (folder / "report").iterdir()} == {"report.html", "benchmark.json"}
    return json.loads((folder / "record.json").read_text())  # type: ignore[no-any-return]


def rows_of(record: dict[str, Any], target: str) -> dict[str, dict[str, Any]]:
    return {row["variant"]: row for row in record["results"] if row["target"] == target}


@pytest.mark.parametrize("board", ["pi4", "pi5", "phone"])
def test_masks_agree_with_this_machines(record: dict[str, Any], board: str, request: pytest.FixtureRequest) -> None:
    rows = rows_of(record, request.getfixturevalue(board).address)
    ran = {name: row for name, row in rows.items() if row["accuracy"] is not None}
    formats = {"onnx", "tflite"} if board == "phone" else {"onnx", "tflite", "openvino"}
    assert {name.split("-")[0] for name in ran} == formats
    assert {f"{name}-fp32" for name in formats} <= set(ran) and {"onnx-int8", "tflite-int8"} <= set(ran)
    for name, row in ran.items():
        assert row["accuracy"]["cases"] == row["against_local"]["n"] == 1
        limit = INT8 if name.endswith("int8") else FP32
        assert row["against_local"]["dice_min"] >= limit, (name, row["against_local"])
        assert row["against_local"]["hc_abs_mean_mm"] < (0.5 if name.endswith("int8") else 0.05)


def test_no_time_of_an_emulated_device_is_kept(record: dict[str, Any]) -> None:
    for row in record["results"]:
        assert row["emulated"] and not row["valid"]
        assert row["latency_ms"] is row["load_ms"] is row["peak_rss_mb"] is row["speedup_over_torch"] is None
        assert not any(row["samples_ms"].values())
    assert record["lost"] == {}


def test_what_does_not_run_says_why(record: dict[str, Any], phone: Phone, pi4: Pi) -> None:
    for row in record["results"]:
        if row["accuracy"] is None:
            assert row["reasons"] and all(reason.strip() for reason in row["reasons"])
    assert "openvino" in rows_of(record, phone.address)["openvino-fp32"]["reasons"][0].lower()
    facts = record["devices"][pi4.address]
    assert facts["facts"]["model"].startswith("Raspberry Pi 4") and facts["engines"]["onnxruntime"]
    assert facts["before"]["temperature_c"] is not None and "boot_id" not in facts["before"]


def test_verify_runs_the_golden_frames_there(
    bundle: Path,
    pi5: Pi,
    environment: dict[str, str],
    fetaledge: Command,
) -> None:
    flags = ("--target", pi5.address, "--variant", "tflite-int8")
    done = fetaledge("verify", bundle, *flags, "--json", env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    (result,) = json.loads(done.stdout)["results"]
    assert (result["variant"], result["result"], result["engine"]) == ("tflite-int8", "ok", "LiteRT")
    assert "self-test" in done.stderr  # it ran now: an earlier answer is not repeated


def test_the_gate_is_repeated_there(
    bundle: Path,
    phantoms: Path,
    phone: Phone,
    environment: dict[str, str],
    fetaledge: Command,
) -> None:
    flags = ("--target", phone.address, "--variant", "tflite-int8", "--data", phantoms)
    done = fetaledge("verify", bundle, *flags, "--json", env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    gate = read_json(bundle / "evaluation.json")
    (here,) = [entry for entry in gate["variants"] if entry["variant"] == "tflite-int8"]
    (there,) = document["results"]
    assert there["passed"] and document["cases"] == gate["cases"] and document["limits"] == gate["limits"]
    assert there["against_fp32"]["n"] == gate["cases"]
    assert there["against_fp32"]["dice_drop"] == pytest.approx(here["against_fp32"]["dice_drop"], abs=1e-3)


def test_frames_that_the_gate_did_not_see_are_refused(
    bundle: Path,
    frames: Path,
    environment: dict[str, str],
    pi5: Pi,
    fetaledge: Command,
) -> None:
    done = fetaledge("verify", bundle, "--target", pi5.address, "--data", frames, env=environment)
    assert done.returncode == 3 and "frames that the gate was judged on" in done.stderr


def test_a_lost_target_loses_no_other(
    bundle: Path, frames: Path, tmp_path: Path, environment: dict[str, str], fetaledge: Command
) -> None:
    flags = ("--variant", "tflite-int8", "--samples", 4, "--rounds", 1, "--json", tmp_path / "record.json")
    targets = ("--target", "local", "--target", "ssh://nobody@no-such-host.invalid")
    done = fetaledge("benchmark", bundle, "--data", frames, *targets, *flags, env=environment)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "no-such-host.invalid" in done.stderr and "Traceback" not in done.stderr
    document = json.loads((tmp_path / "record.json").read_text())
    assert document["results"][0]["latency_ms"]["kernel"]["n"] == 4 and list(document["lost"]) == [targets[3]]


class Running:
    """A benchmark of one variant on a stand-in in the background, followed through what it says."""

    def __init__(self, bundle: Path, frames: Path, target: str, record: Path, environment: dict[str, str]) -> None:
        command = [sys.executable, "-u", "-m", "fetaledge", "benchmark", bundle, "--data", frames, "--target", target]
        command += ["--variant", "onnx-fp32", "--json", record]
        self.process = subprocess.Popen(
            list(map(str, command)), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self.said = ""

    def until(self, text: str) -> None:
        """Read on until a line holds ``text``."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            if text in line:
                return
        pytest.fail(f"the benchmark never said {text!r}: {self.said}")

    def end(self) -> int:
        assert self.process.stderr is not None
        with self.process.stderr:
            self.said += self.process.stderr.read()
        return self.process.wait(timeout=60)


def worker_runs(pi: Pi, timeout_s: float = 60) -> None:
    """Wait until the worker is at work there."""
    deadline = time.monotonic() + timeout_s
    while not any("fetaledge_runtimes" in line for line in pi.processes()):
        assert time.monotonic() < deadline, pi.processes()
        time.sleep(0.1)


def write_frames(folder: Path, count: int) -> Path:
    """Frames enough for the emulator to be busy for a while."""
    from fetaledge.phantoms.head import write_head_phantoms

    write_head_phantoms(folder, count, seed=78)
    return folder


def test_a_cut_connection_costs_one_process(
    record: dict[str, Any], bundle: Path, pi4: Pi, environment: dict[str, str], tmp_path: Path
) -> None:
    frames = write_frames(tmp_path / "frames", 4)
    running = Running(bundle, frames, pi4.address, tmp_path / "record.json", environment)
    running.until("accuracy 1 of 1")
    worker_runs(pi4)
    pi4.cut()
    assert running.end() == 5, running.said
    assert "restarting the interrupted step" in running.said
    document = json.loads((tmp_path / "record.json").read_text())
    (row,) = document["results"]
    assert row["interruptions"] == 1 and row["accuracy"]["cases"] == 4 and document["lost"] == {}


def test_ctrl_c_leaves_nothing_running_there(
    record: dict[str, Any], bundle: Path, pi4: Pi, environment: dict[str, str], tmp_path: Path
) -> None:
    frames = write_frames(tmp_path / "frames", 16)
    running = Running(bundle, frames, pi4.address, tmp_path / "record.json", environment)
    running.until("accuracy 1 of 1")
    worker_runs(pi4)
    second = Running(bundle, frames, pi4.address, tmp_path / "second.json", environment)
    assert second.end() == 4 and "another fetaledge" in second.said, second.said
    running.process.send_signal(signal.SIGINT)
    assert running.end() == 130, running.said
    assert not [line for line in pi4.processes() if "fetaledge" in line]
    assert not (tmp_path / "record.json").exists()
    assert not list((pi4.home / ".fetaledge" / "jobs").glob("*"))
