"""The names that users import are exactly these, and each is there."""

from __future__ import annotations

import pytest

import fetaledge_runtimes


def test_public_names() -> None:
    assert set(fetaledge_runtimes.__all__) == set(fetaledge_runtimes._HOMES)
    for name in fetaledge_runtimes.__all__:
        assert getattr(fetaledge_runtimes, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        fetaledge_runtimes.Nothing  # noqa: B018
