"""A bundle: the folder that export writes and a device opens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fetaledge_runtimes.engines.registry import engine_class, is_installed, is_known
from fetaledge_runtimes.errors import BundleError, EngineMissing, UsageError
from fetaledge_runtimes.files import sha256
from fetaledge_runtimes.notice import NOTICE
from fetaledge_runtimes.preprocess import RESIZE_RULE
from fetaledge_runtimes.records import Document, Part, read_document, write_document

SCHEMA = "fetaledge/bundle/1"
MANIFEST = "manifest.json"


class StoredFile(Part, frozen=True):
    """A file of the bundle: its name inside the folder, bytes and hex SHA-256."""

    file: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> StoredFile:
        return cls(path.name, path.stat().st_size, sha256(path))


class Variant(Part, frozen=True):
    """One model of the bundle.

    Attributes:
        name: ``FORMAT-PRECISION``.
        format: which engine runs it: ``onnx``, ``openvino``, ``tflite``, or one that a package brought.
        precision: ``fp32``, ``fp16`` or ``int8``.
        files: the model file first; OpenVINO's weights second.
        engine: the engine it was gated with, and ``engine_version`` that engine's version.
        engine_oldest: the oldest version known to run it.
    """

    name: str
    format: str
    precision: str
    files: tuple[StoredFile, ...]
    engine: str
    engine_version: str
    engine_oldest: str


class ModelInput(Part, frozen=True):
    """What a variant takes: ``uint8`` grey (height, width) after the resize; scale and offset are inside its graph."""

    height: int
    width: int
    scale: float
    offset: float
    dtype: str = "uint8"
    resize: str = RESIZE_RULE


class ModelOutput(Part, frozen=True):
    """What a variant gives: ``float32 (channels, height, width)`` logits."""

    channels: int
    height: int
    width: int
    dtype: str = "float32"


class Manifest(Document, kw_only=True, frozen=True):
    """``manifest.json``.

    ``multiply_adds``: of the network for one frame, as the device runs it; bundles of early versions lack it.
    ``view`` names the view check among ``others``; null in bundles without one, and early ones lack the key.
    ``source`` and ``calibration`` are facts about the run and its data, with fingerprints.
    """

    schema: str = SCHEMA
    name: str
    task: str
    classes: tuple[str, ...]
    input: ModelInput
    output: ModelOutput
    multiply_adds: int | None = None
    variants: tuple[Variant, ...]
    others: tuple[StoredFile, ...]
    view: str | None = None
    source: dict[str, Any]
    calibration: dict[str, Any] | None
    fetaledge: str
    created: str
    notice: str = NOTICE

    def write(self, folder: Path) -> None:
        write_document(folder / MANIFEST, self)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read and check ``manifest.json``.

        Raises:
            BundleError: no such file, an unknown schema, a missing or ill-typed key.
        """
        path = folder / MANIFEST
        if not folder.exists():
            raise BundleError(f"{folder} does not exist", "pass the folder that fetaledge export wrote")
        if not path.is_file():
            raise BundleError(
                f"{folder} is not a bundle: it holds no {MANIFEST}", "pass the folder that fetaledge export wrote"
            )
        hint = "export the bundle again, or install the fetaledge that wrote it"
        manifest = read_document(path, cls, "bundle", BundleError, hint)
        wrong = manifest._first_invalid_key()
        if wrong:
            raise BundleError(f"{path} has an unusable value in {wrong}", "export the bundle again")
        return manifest

    def _first_invalid_key(self) -> str | None:
        """The first key whose value no code could use."""
        for key, grid in (("input", self.input), ("output", self.output)):
            if not all(side > 0 for side in (grid.height, grid.width)):
                return f"{key}: {grid.height!r} x {grid.width!r} pixels"
        for variant in self.variants:
            name = f"{variant.format}-{variant.precision}"  # names become those of files and folders
            if not is_known(variant.format) or variant.name != name or not name.replace("-", "").isalnum():
                return f"variants: {variant.name!r} of the format {variant.format!r}"
            if not variant.files:
                return f"variants: {variant.name!r} has no file"
        for stored in (*(f for variant in self.variants for f in variant.files), *self.others):
            if not stored.file:
                return f"a file's name: {stored.file!r}"
        if self.view is not None and self.view not in {stored.file for stored in self.others}:
            return f"view: {self.view!r} is none of the bundle's other files"
        return None


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: its folder and its manifest."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: Path | str, variants: Sequence[str] | None = None) -> Bundle:
        """Open a bundle; every file's size and SHA-256 is compared with the manifest.

        Args:
            folder: that export wrote.
            variants: names of the variants to use; only their model files are compared. None: those of all variants.

        Raises:
            BundleError: not a bundle, or a file is missing, truncated or altered.
            UsageError: no variant has such a name.
        """
        folder = Path(folder)
        bundle = cls(folder, Manifest.read(folder))
        models = bundle.manifest.variants if variants is None else [bundle.variant(name) for name in variants]
        for stored in (*(stored for variant in models for stored in variant.files), *bundle.manifest.others):
            bundle.check(stored)
        return bundle

    def files(self) -> tuple[StoredFile, ...]:
        """Every file of the bundle but the manifest."""
        return tuple(f for variant in self.manifest.variants for f in variant.files) + self.manifest.others

    def check(self, stored: StoredFile) -> None:
        """Raise :class:`BundleError` where one file is missing, truncated or altered."""
        path = self.folder / stored.file
        if Path(stored.file).name != stored.file:
            raise BundleError(
                f"{self.folder / MANIFEST} names the file {stored.file!r} outside the bundle", "do not use it"
            )
        if not path.is_file():
            raise BundleError(f"{path} is missing", "copy the bundle again, whole")
        size = path.stat().st_size
        if size != stored.bytes:
            raise BundleError(
                f"{path} has {size} bytes where the manifest says {stored.bytes}", "copy the bundle again, whole"
            )
        if sha256(path) != stored.sha256:
            raise BundleError(
                f"{path} was altered: its SHA-256 differs from the manifest's", "copy the bundle again, whole"
            )

    def variant(self, name: str | None = None) -> Variant:
        """The variant of this name; without one, the first whose engine is installed, in the manifest's order.

        Raises:
            BundleError: there is no variant at all.
            UsageError: no variant has this name.
            EngineMissing: no engine that runs any variant is installed.
        """
        if not self.manifest.variants:
            raise BundleError(
                f"{self.folder} holds no variant", "none passed the gate; read the reasons with fetaledge inspect"
            )
        if name is None:
            return first_runnable(self.manifest.variants)
        for variant in self.manifest.variants:
            if variant.name == name:
                return variant
        names = ", ".join(v.name for v in self.manifest.variants)
        raise UsageError(f"{self.folder} holds no variant {name!r}", f"it holds {names}")

    def model_path(self, variant: Variant) -> Path:
        return self.folder / variant.files[0].file


def first_runnable(variants: Sequence[Variant]) -> Variant:
    """The first of these variants whose engine is installed.

    Raises:
        EngineMissing: none is.
    """
    for variant in variants:
        if is_installed(variant.format):
            return variant
    packages = " or ".join(sorted({engine_class(v.format).distribution for v in variants}))
    raise EngineMissing("none of the bundle's engines is installed", f"run: pip install {packages}")


def choose_variants(bundle: Bundle, names: Sequence[str] | None) -> tuple[Variant, ...]:
    """The bundle's variants of these names, all without; in the order given, each once.

    Raises:
        UsageError: a name that the bundle does not hold.
        BundleError: the bundle holds no variant at all.
    """
    chosen = bundle.manifest.variants if names is None else tuple(bundle.variant(name) for name in dict.fromkeys(names))
    if not chosen:
        bundle.variant()
    return chosen
