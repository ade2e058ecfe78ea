"""The typed structs of ``fetaledge/prediction/1``."""

from __future__ import annotations

from functools import cache
from types import GenericAlias
from typing import Any

import msgspec

from fetaledge_runtimes.records import Document, Part
from fetaledge_runtimes.tasks.registry import all_keys, all_measures, tasks


class Latency(Part, kw_only=True, frozen=True):
    """Milliseconds of one frame: the engine's call is ``kernel``; ``end_to_end``: from decoded frame to measures."""

    preprocess: float
    kernel: float
    postprocess: float
    end_to_end: float


class FrameFields(Part, kw_only=True, frozen=True):
    """One frame. Each installed task adds its keys, null unless the frame is of that task and its status is ``ok``.

    ``orientation`` is ``standard`` or ``mirrored``, as it was given; null where it was not, or the task has none.
    ``spacing_from`` begins with ``option``, ``DICOM`` or the name of a table, such as ``pixels.csv``; more words say
    which tag, or what the columns follow from. ``region`` is the number of a DICOM file's B-mode region, from 1; null
    where there is one picture only. ``crop`` is the part of the frame in which the scan was
    found: top, left, height and width in pixels; null where it is the whole frame. ``depth_mm`` is the height of that
    part. ``quality`` (0 to 1) says how far the frame is from being withheld by the view check: below one half it was;
    null without one.
    """

    source: str
    index: int
    status: str
    pixel_mm: tuple[float, float] | None
    mask: str | None
    overlay: str | None
    latency_ms: Latency | None
    bits: int | None = None
    spacing_from: str | None = None
    depth_mm: float | None = None
    region: int | None = None
    crop: tuple[int, int, int, int] | None = None
    quality: float | None = None
    orientation: str | None = None
    message: str | None = None


class SummaryFields(Part, kw_only=True, frozen=True):
    """One file, or one region of it: its frames by status, and of each measure median and range of its ``n`` good ones.

    The range is the interquartile one.

    ``verdict`` of a cine is ``ok``, ``few-good-frames`` (fewer than half of them are good: no median) or
    ``frames-disagree`` (their range is wide); null of a single frame, which has its status.
    """

    source: str
    frames: int
    statuses: dict[str, int]
    n: int
    region: int | None = None
    verdict: str | None = None


class Prediction(Document, kw_only=True, frozen=True):
    """What every prediction has. The frames and summaries have keys by task.

    ``view_check``: whether the bundle can tell a frame that shows something else. ``remarks``: sentences about the
    files, such as a spacing that one states and that was not taken, or rows of a table that match no file.
    """

    schema: str = "fetaledge/prediction/1"
    notice: str
    task: str
    variant: str
    engine: str
    engine_version: str
    view_check: bool = False
    remarks: tuple[str, ...] = ()


@cache
def prediction_type() -> type[Document]:
    """The document of predictions with the tasks that are installed."""
    values: list[Any] = [(key, float | dict[str, float | None] | None, None) for key in all_keys()]
    medians: list[Any] = [
        (f"{measure.key}_{what}", float | None, None) for measure in all_measures() for what in ("median", "iqr")
    ]
    frame = _struct("Frame", values, FrameFields)
    summary = _struct("FileSummary", medians, SummaryFields)
    texts: list[Any] = [(key, str | None, None) for task in tasks() for key in task.definitions]
    lists: list[Any] = [("frames", GenericAlias(list, frame)), ("summary", GenericAlias(list, summary))]
    kind: type[Document] = _struct("PredictionOfTasks", [*lists, *texts], Prediction)
    return kind


def _struct(name: str, fields: list[Any], base: type[Part]) -> Any:
    return msgspec.defstruct(name, fields, bases=(base,), kw_only=True, frozen=True, forbid_unknown_fields=True)
