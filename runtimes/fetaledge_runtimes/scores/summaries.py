"""Summaries of per-case values, with an interval by subject: two frames of one subject are not independent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

RESAMPLES = 1000
Known = tuple[str, float]
"""A case's subject and its value."""


def summary(known: Sequence[Known]) -> dict[str, Any]:
    """``{"n", "mean", "median", "min", "p95", "max", "ci95"}``; null where there is no value."""
    if not known:
        return {"n": 0, "mean": None, "median": None, "min": None, "p95": None, "max": None, "ci95": None}
    values = np.array([value for _, value in known])
    return {
        "n": len(values),
        "mean": float(values.mean()),
        "median": float(np.median(values)),
        "min": float(values.min()),
        "p95": float(np.percentile(values, 95)),
        "max": float(values.max()),
        "ci95": interval([subject for subject, _ in known], values),
    }


def error_summary(known: Sequence[Known]) -> dict[str, Any]:
    """Of signed errors: ``{"n", "mae", "bias", "p95", "max", "ci95"}``, the last three of the absolute error."""
    if not known:
        return {"n": 0, "mae": None, "bias": None, "p95": None, "max": None, "ci95": None}
    errors = np.array([error for _, error in known])
    size = np.abs(errors)
    return {
        "n": len(errors),
        "mae": float(size.mean()),
        "bias": float(errors.mean()),
        "p95": float(np.percentile(size, 95)),
        "max": float(size.max()),
        "ci95": interval([subject for subject, _ in known], size),
    }


def interval(subjects: Sequence[str], values: np.ndarray) -> list[float] | None:
    """Percentile bootstrap of the mean, resampling whole subjects; None below two."""
    names, owner = np.unique(np.array(subjects), return_inverse=True)
    if len(names) < 2:
        return None
    sums = np.bincount(owner, weights=values, minlength=len(names))
    counts = np.bincount(owner, minlength=len(names))
    drawn = np.random.default_rng(0).integers(0, len(names), size=(RESAMPLES, len(names)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    return [float(bound) for bound in np.percentile(means, [2.5, 97.5])]
