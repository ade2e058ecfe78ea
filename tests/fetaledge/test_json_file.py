"""``--json`` and ``--out`` of ``benchmark`` and ``cost``, and ``--json FILE`` as earlier versions took it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from fetaledge.cli.output import print_table
from fetaledge_runtimes.records import to_text
from tests.benchmarks.old_record import old_record

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(call: Call, monkeypatch: pytest.MonkeyPatch) -> Call:
    """``fetaledge benchmark`` with the measuring replaced; its rows are not valid, so that it leaves with an error."""

    from fetaledge.workflows import benchmark as workflow

    monkeypatch.setattr(workflow, "benchmark_bundle", lambda bundle, *_, **__: old_record())

    def benchmark(*arguments: object) -> tuple[int, str, str]:
        return call("benchmark", *arguments, "--data", "frames")

    return benchmark


def test_json_is_a_flag(run: Call) -> None:
    for arguments in (("bundle", "--json"), ("--json", "bundle"), ("bundle", "--json", "-"), ("bundle", "--json=-")):
        _, out, err = run(*arguments)
        assert json.loads(out) == json.loads(to_text(old_record())), arguments
        assert "note:" not in err


def test_out_names_a_file(run: Call, tmp_path: Path) -> None:
    _, out, err = run("bundle", "--out", tmp_path / "a.json")
    assert "torch-fp32" in out and not out.startswith("{") and f"wrote {tmp_path / 'a.json'}" in err
    assert json.loads((tmp_path / "a.json").read_text()) == json.loads(to_text(old_record()))
    _, out, _ = run("bundle", "--out", tmp_path / "b.json", "--json")
    assert json.loads(out) == json.loads((tmp_path / "b.json").read_text())
    code, _, err = run("bundle", "--out", tmp_path / "a.json")
    assert code == 3 and "a.json" in err
    assert run("bundle", "--out", tmp_path / "a.json", "--force")[1].startswith("variant")


@pytest.mark.parametrize(
    "arguments",
    [("bundle", "--json", "FILE"), ("--json", "FILE", "bundle"), ("bundle", "--json=FILE"), ("--json=FILE", "bundle")],
)
def test_a_file_after_json_is_still_taken(arguments: Sequence[str], run: Call, tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    _, out, err = run(*(word.replace("FILE", str(file)) for word in arguments))
    assert json.loads(file.read_text())["schema"] == "fetaledge/benchmark/1"
    assert out.startswith("variant") and "note: --json FILE is now --out FILE" in err


def test_no_bundle_is_still_an_error(run: Call) -> None:
    code, _, err = run("--json")
    assert code == 2 and "BUNDLE" in err


def test_a_table_cuts_nothing_off(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_table(("variant", "ms", "note"), [("onnx-fp32", "1.5", "long " * 40 + "[red]end[/red]"), ("b", "12", "")])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[2].endswith("long [red]end[/red]")
    assert lines[0].startswith("variant") and lines[0].index("ms") == lines[3].index("12")
    assert set(lines[1]) == {"─", " "}


def test_benchmarks_are_imported_without_matplotlib() -> None:
    """``verify --target`` uses the benchmark and draws nothing."""
    code = "import fetaledge_benchmarks, fetaledge_benchmarks.cost, sys; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
