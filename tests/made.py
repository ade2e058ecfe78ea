"""What many tests need and what takes long to make: a run, a bundle. Each is made once for all workers, and kept."""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

TOP = Path(__file__).resolve().parents[1]
# An artefact is made anew when one of these has changed.
SOURCES = ("runtimes", "export", "devices", "benchmarks", "fetaledge", "reference", "constraints.txt")
MAKERS = ("made.py", "conftest.py", "*/conftest.py", "export/networks.py")
KEPT_S = 3600.0

State = dict[str, tuple[int, int]]


class Made:
    """A folder of artefacts, shared by the workers of a test run and kept for the next run of the same sources.

    Call it with a name and a function that writes the folder it is given; the folder comes back. Read it only: a test
    run whose tests change one of its files fails.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / _digest()
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "used").touch()
        self._given: dict[Path, State] = {}

    def __call__(self, name: str, make: Callable[[Path], object]) -> Path:
        place = self.folder / name
        with FileLock(self.folder / f"{name}.lock"):
            if not place.is_dir():
                partial = self.folder / f"{name}.partial"
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir()
                make(partial / name)
                partial.rename(place)
        self._given.setdefault(place, _state(place))
        return place / name

    def changed(self) -> list[str]:
        """The artefacts of which a file was added, removed or written since they were given out."""
        return sorted(place.name for place, before in self._given.items() if _state(place) != before)

    def forget_others(self) -> None:
        """Remove what was made of other sources, unless another test run may be at work with it."""
        for other in self.folder.parent.iterdir():
            used = other / "used"
            if other != self.folder and used.is_file() and time.time() - used.stat().st_mtime > KEPT_S:
                shutil.rmtree(other, ignore_errors=True)


@pytest.fixture(scope="session")
def store(request: pytest.FixtureRequest) -> Iterator[Made]:
    """For what takes a few seconds, as frames do."""
    store = Made(request.config.cache.mkdir("made"))  # type: ignore[union-attr]
    store.forget_others()
    yield store
    assert not store.changed(), f"a test wrote to what others read: {', '.join(store.changed())}"


@pytest.fixture(scope="session")
def made(store: Made) -> Made:
    """For what takes longer, as a run does: a test that needs this, through whichever fixture, is no unit test."""
    return store


def _digest() -> str:
    """One name for the sources, the packages that they are pinned to, and this Python."""
    found = hashlib.sha256(sys.version.encode())
    makers = [path for pattern in MAKERS for path in sorted((TOP / "tests").glob(pattern))]
    for path in (*(TOP / source for source in SOURCES), *makers):
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        for file in sorted(files):
            if "__pycache__" not in file.parts and not any(part.endswith(".egg-info") for part in file.parts):
                found.update(f"{file.relative_to(TOP)}\0".encode() + file.read_bytes())
    return found.hexdigest()[:16]


def _state(place: Path) -> State:
    files = (path for path in place.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}
