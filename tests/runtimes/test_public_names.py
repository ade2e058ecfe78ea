"""The names that users import are exactly these, and each is there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import fetaledge_runtimes


def test_public_names() -> None:
    assert set(fetaledge_runtimes.__all__) == set(fetaledge_runtimes._HOMES)
    for name in fetaledge_runtimes.__all__:
        assert getattr(fetaledge_runtimes, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        fetaledge_runtimes.Nothing  # noqa: B018


def test_naming_an_engine_imports_none() -> None:
    code = (
        "import sys; from fetaledge_runtimes.engines.registry import formats, is_installed; "
        "[is_installed(f) for f in formats()]; "
        "print(sorted({'onnxruntime', 'openvino', 'ai_edge_litert', 'torch'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
