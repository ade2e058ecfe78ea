"""``--json`` prints a document and ``--out`` writes the same one, in every command that has them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fetaledge.cli.output import raise_if_lost
from fetaledge_runtimes.errors import TargetError
from fetaledge_runtimes.records import Document, from_json

Call = Callable[..., tuple[int, str, str]]
EARLIER = Path(__file__).resolve().parents[1] / "records/v0.1"


def printed(call: Call, folder: Path, *words: object) -> dict[str, Any]:
    """What a command prints with ``--json``; ``--out`` must write the same, and replace nothing unasked."""
    file = folder / "document.json"
    code, out, err = call(*words, "--json", "--out", file)
    assert code == 0 and f"wrote {file}" in err, err
    document: dict[str, Any] = json.loads(out)
    assert json.loads(file.read_text(encoding="utf-8")) == document
    code, out, err = call(*words, "--out", file)
    assert code == 3 and not out and "document.json exists already" in err
    return document


def test_inspect(call: Call, tmp_path: Path) -> None:
    from fetaledge.workflows.inspection import Inspection, inspect_bundle

    document = printed(call, tmp_path, "inspect", EARLIER / "unet-bundle")
    assert from_json(document, Inspection, "it") == inspect_bundle(EARLIER / "unet-bundle")
    code, out, _ = call("inspect", EARLIER / "unet-bundle")
    assert code == 0 and out.startswith("bundle") and "onnx-int8" in out
    assert "view check  none: frames that show something else are measured too" in out


def test_what_an_earlier_version_printed_is_read() -> None:
    from fetaledge.workflows.inspection import Inspection

    earlier = json.loads((EARLIER / "inspect.json").read_text(encoding="utf-8"))
    assert from_json(earlier, Inspection, "inspect.json").manifest.task == "head"


def test_data_check(call: Call, phantoms: Path, tmp_path: Path) -> None:
    from fetaledge.data.check import DataCheck

    document = printed(call, tmp_path, "data", "check", phantoms)
    assert from_json(document, DataCheck, "it").usable == 20


def test_devices(call: Call, tmp_path: Path) -> None:
    document = printed(call, tmp_path, "devices")
    assert document["schema"] == "fetaledge/devices/1"


def test_evaluate_prints_one_record_or_several(call: Call, phantoms: Path, tmp_path: Path) -> None:
    from fetaledge.runs.evaluate import Evaluations
    from fetaledge_runtimes.scores.documents import evaluation_type
    from fetaledge_runtimes.tasks.registry import task_named

    kind: type[Document] = evaluation_type(task_named("head"))
    data = tmp_path / "data"
    shutil.copytree(phantoms, data)
    words = ("evaluate", EARLIER / "unet-bundle", "--data", data, "--split", "all", "--variant", "onnx-int8")
    from_json(printed(call, tmp_path, *words), kind, "it")
    code, out, _ = call(*words, "--variant", "onnx-int8", "--json")
    assert code == 0
    both = from_json(json.loads(out), Evaluations, "it")
    assert [record["variant"] for record in both.records] == ["onnx-int8", "onnx-int8"]
    assert all(isinstance(from_json(record, kind, "it"), kind) for record in both.records)


def test_verify(call: Call, tmp_path: Path) -> None:
    from fetaledge_runtimes.selftest import Verification

    document = printed(call, tmp_path, "verify", EARLIER / "unet-bundle")
    assert [one.result for one in from_json(document, Verification, "it").variants] == ["ok"] * len(
        document["variants"]
    )


def test_a_lost_target_is_named_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    raise_if_lost({})
    with pytest.raises(TargetError) as lost:
        raise_if_lost({"ssh://pi": "ssh://pi cannot be reached; switch it on", "adb://x": "it dropped out"})
    assert str(lost.value) == (
        "ssh://pi, adb://x gave no results, or not all; ssh://pi: ssh://pi cannot be reached; switch it on"
    )
    assert "lost: adb://x: it dropped out" in capsys.readouterr().err


def test_verifying_on_devices_loads_neither_plotting_nor_pytorch() -> None:
    code = (
        "import sys, fetaledge.workflows.verify_on_devices, fetaledge.workflows.inspection\n"
        "print(*sorted({'matplotlib', 'torch', 'jinja2', 'typer'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
