"""The wheel of fetaledge-runtimes itself, made from the package that is installed here."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from importlib import metadata
from pathlib import Path

import fetaledge_runtimes
from fetaledge_devices.cache import folder
from fetaledge_runtimes.files import atomic_path

MOMENT = (1980, 1, 1, 0, 0, 0)  # the first that a zip file can say: the same sources give the same bytes


def runtimes_wheel() -> Path:
    """A wheel with every module of fetaledge_runtimes, in the cache; the same bytes from the same sources.

    Raises:
        OutputError: the cache cannot be written.
    """
    version = fetaledge_runtimes.__version__
    package = Path(fetaledge_runtimes.__file__).parent
    info = f"fetaledge_runtimes-{version}.dist-info"
    files = {
        f"fetaledge_runtimes/{path.relative_to(package).as_posix()}": path.read_bytes()
        for path in sorted(package.rglob("*"))
        if path.is_file() and path.suffix in (".py", ".typed") and "__pycache__" not in path.parts
    }
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: fetaledge-runtimes\nVersion: {version}\n".encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: fetaledge\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    entry_points = metadata.distribution("fetaledge-runtimes").read_text("entry_points.txt")
    if entry_points:  # by which tasks and engines are found on the device
        files[f"{info}/entry_points.txt"] = entry_points.encode()
    record = [f"{name},sha256={_digest(content)},{len(content)}\n" for name, content in files.items()]
    files[f"{info}/RECORD"] = "".join([*record, f"{info}/RECORD,,\n"]).encode()
    wheel = folder("wheels") / f"fetaledge_runtimes-{version}-py3-none-any.whl"
    with atomic_path(wheel) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, MOMENT)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return wheel


def _digest(content: bytes) -> str:
    """A digest as a wheel's RECORD writes it (PEP 376)."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
