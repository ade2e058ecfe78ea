"""The self-test of a bundle on its device: golden frames, with what every variant gave for them at export."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fetaledge_runtimes.bundle import Bundle, Variant
from fetaledge_runtimes.engines.registry import engine_class
from fetaledge_runtimes.errors import BundleError, EngineMissing, InputError
from fetaledge_runtimes.files import atomic_path
from fetaledge_runtimes.frames.frame import Frame
from fetaledge_runtimes.predictor import Prediction, Predictor
from fetaledge_runtimes.records import Document, Part
from fetaledge_runtimes.scores.metrics import overlap
from fetaledge_runtimes.tasks.registry import task_named
from fetaledge_runtimes.tasks.task import Task

GOLDEN = "golden.npz"
QUALITY = "quality"
# Kernels of another CPU round differently: int8 U-Nets agreed to a Dice of 0.9993 between x86 and Arm in ONNX Runtime.
# OpenVINO on Arm (0.98) fails, and should: it computes int8 models in another precision there.
MIN_DICE = 0.995
MAX_QUALITY_CHANGE = 0.2
AGAIN = "copy the bundle again, or export it again"


def write_golden(
    path: Path, task: Task, frames: Sequence[Frame], predictions: Mapping[str, Sequence[Prediction]]
) -> None:
    """Write ``golden.npz``: the frames, and for each variant's name mask, measures and quality of each frame.

    The frames must be synthetic: a bundle is passed on, and no patient's frame may travel with it.

    Raises:
        ValueError: a variant has not one prediction a frame.
        OutputError: the file cannot be written.
    """
    arrays: dict[str, npt.NDArray[Any]] = {
        "pixel_mm": np.array([frame.pixel_mm or (np.nan, np.nan) for frame in frames], np.float64)
    }
    for number, frame in enumerate(frames):
        arrays[f"frame_{number}"] = frame.pixels
    for variant, given in predictions.items():
        if len(given) != len(frames):
            raise ValueError(f"{variant} has {len(given)} predictions for {len(frames)} frames")
        for measure in task.measures:
            values = [p.measures.get(measure.key) for p in given]
            arrays[f"{variant}/{measure.key}"] = np.array([np.nan if v is None else v for v in values], np.float64)
        qualities = [p.quality for p in given]
        arrays[f"{variant}/{QUALITY}"] = np.array([np.nan if q is None else q for q in qualities], np.float64)
        for number, prediction in enumerate(given):
            planes = np.stack([prediction.mask == label for label in task.labels])
            arrays[f"{variant}/mask_{number}"] = np.packbits(planes)
    with atomic_path(path) as partial:
        np.savez_compressed(partial, **arrays)  # type: ignore[arg-type]


def check_golden(bundle: Bundle, variant: str, threads: int = 1) -> list[str]:
    """Run the golden frames through a variant; what :func:`compare_golden` says of them: an empty list is a pass.

    Raises:
        BundleError: there is no usable ``golden.npz``, or it knows nothing of this variant.
        EngineMissing: the variant's engine is not installed.
        InputError: the engine cannot load the file.
    """
    frames = golden_frames(bundle, variant)
    predictor = Predictor(bundle, variant, threads)
    return compare_golden(bundle, variant, [predictor(frame) for frame in frames])


def golden_frames(bundle: Bundle, variant: str) -> list[Frame]:
    """The bundle's golden frames. Raises BundleError where it has none, or none for this variant."""
    return _read_golden(bundle, variant)[0]


def compare_golden(bundle: Bundle, variant: str, predictions: Sequence[Prediction]) -> list[str]:
    """One sentence for each golden frame whose prediction differs from the golden one: an empty list is a pass.

    A frame passes when each structure's mask has a Dice of at least 0.995 with the golden one, each measure of the task
    is within its tolerance (HC 0.5 mm, angle of progression 1 degree), and the quality is within 0.2 where a view check
    gave one (the native runner of a phone has no view check, and early bundles state none).

    Raises:
        BundleError: there is no usable ``golden.npz``, or it knows nothing of this variant.
        ValueError: there is not one prediction a frame.
    """
    task = task_named(bundle.manifest.task)
    frames, masks, golden_values = _read_golden(bundle, variant)
    if len(predictions) != len(frames):
        raise ValueError(f"{len(predictions)} predictions of {len(frames)} golden frames")
    differences = []
    for number, prediction in enumerate(predictions):
        place = f"{variant} frame {number}"
        planes = [(prediction.mask == label).astype(np.uint8) for label in task.labels]
        dice = min(overlap(plane, golden).dice for plane, golden in zip(planes, masks[number], strict=True))
        if dice < MIN_DICE:
            differences.append(f"{place}: Dice {dice:.4f} with the golden mask, below {MIN_DICE}")
        for measure in task.measures:
            golden, unit = float(golden_values[measure.key][number]), measure.unit_name
            given = prediction.measures.get(measure.key)
            value = float("nan") if given is None else given
            if np.isnan(value) != np.isnan(golden) or abs(value - golden) > measure.golden_tolerance:
                differences.append(
                    f"{place}: {measure.name} {value:.2f} {unit} where the golden value is {golden:.2f} {unit}"
                )
        expected = float(golden_values[QUALITY][number])
        if prediction.quality is not None and abs(prediction.quality - expected) > MAX_QUALITY_CHANGE:
            differences.append(
                f"{place}: quality {prediction.quality:.2f} where the golden value is {expected:.2f}, by the view check"
            )
    return differences


class VariantVerdict(Part, kw_only=True, frozen=True):
    """The self-test of one variant."""

    variant: str
    engine: str
    result: str
    details: list[str]


class Verification(Document, kw_only=True, frozen=True):
    """The self-test of a bundle."""

    schema: str = "fetaledge/verify/1"
    bundle: str
    variants: list[VariantVerdict]


def verify_bundle(bundle: Bundle, variants: Sequence[Variant], threads: int = 1) -> list[VariantVerdict]:
    """The self-test of several variants.

    ``result`` is ``ok``, ``differs`` (it ran, and gave something else), ``unusable`` (the engine could not load or run
    it) or ``engine-missing``; ``details`` are sentences.

    Raises:
        BundleError: there is no usable ``golden.npz``, or no variant.
    """
    if not variants:
        bundle.variant()
    results = []
    for variant in variants:
        try:
            details = check_golden(bundle, variant.name, threads)
            result = "differs" if details else "ok"
        except BundleError:
            raise
        except EngineMissing as error:
            result, details = "engine-missing", [str(error)]
        except InputError as error:
            result, details = "unusable", [str(error)]
        engine = engine_class(variant.format).name
        results.append(VariantVerdict(variant=variant.name, engine=engine, result=result, details=details))
    return results


def verify_document(bundle: Bundle, results: Sequence[VariantVerdict]) -> Verification:
    """The document ``fetaledge/verify/1``."""
    return Verification(bundle=bundle.manifest.name, variants=list(results))


def exit_code(results: Sequence[VariantVerdict]) -> int:
    """0 where every variant that has an engine here passed, 1 where one did not.

    Raises:
        EngineMissing: no variant could be run, so nothing was verified.
    """
    if results and all(result.result == "engine-missing" for result in results):
        raise EngineMissing("no variant could be run", results[0].details[0])
    return 1 if any(result.result in ("differs", "unusable") for result in results) else 0


def _read_golden(
    bundle: Bundle, variant: str
) -> tuple[list[Frame], list[npt.NDArray[np.uint8]], dict[str, npt.NDArray[np.float64]]]:
    """Frames, their masks ``(structures, H, W)``, each measure and the quality (NaN where there is none)."""
    task = task_named(bundle.manifest.task)
    path, structures = bundle.folder / GOLDEN, len(task.labels)
    if not path.is_file():
        raise BundleError(f"{path} does not exist", AGAIN)
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as golden:
            if f"{variant}/{task.measure_of_tables.key}" not in golden.files:
                raise BundleError(f"{path} holds nothing of the variant {variant}", AGAIN)
            spacing = golden["pixel_mm"]
            values = {measure.key: golden[f"{variant}/{measure.key}"] for measure in task.measures}
            stated = f"{variant}/{QUALITY}"
            values[QUALITY] = golden[stated] if stated in golden.files else np.full(len(spacing), np.nan)
            frames, masks = [], []
            for number, (row_mm, column_mm) in enumerate(spacing.tolist()):
                pixels = golden[f"frame_{number}"]
                known = None if np.isnan(row_mm) else (row_mm, column_mm)
                frames.append(Frame(pixels, known, f"{GOLDEN}[{number}]", number))
                bits = np.unpackbits(golden[f"{variant}/mask_{number}"], count=structures * pixels.size)
                masks.append(bits.reshape(structures, *pixels.shape))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(f"{path} cannot be read: {error}", AGAIN) from error
    return frames, masks, values
