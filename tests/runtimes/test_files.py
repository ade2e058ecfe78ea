"""Files are whole or absent, also on a full disk, a read-only place and after Ctrl-C."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

from fetaledge_runtimes.errors import InputError, OutputError
from fetaledge_runtimes.files import atomic_folder, atomic_path, read_json, sha256, write_json


def test_appears_when_done(tmp_path: Path) -> None:
    path = tmp_path / "new" / "result.json"
    with atomic_path(path) as partial:
        assert partial.suffix == ".json"
        partial.write_text("1", encoding="utf-8")
        assert not path.exists()
    assert path.read_text(encoding="utf-8") == "1"
    assert [p.name for p in path.parent.iterdir()] == ["result.json"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file(failure: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(failure), atomic_path(path) as partial:
        partial.write_text("half", encoding="utf-8")
        raise failure
    assert path.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """A folder below a file refuses everybody, root too."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot write") as caught, atomic_path(tmp_path / "file" / "result.json"):
        raise AssertionError("the block must not run")
    assert caught.value.exit_code == 3 and "\n" not in str(caught.value)
    with pytest.raises(OutputError, match="cannot write"), atomic_folder(tmp_path / "file" / "folder"):
        raise AssertionError("the block must not run")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc, the read-only place of this test")
def test_a_read_only_file_system() -> None:
    with (
        pytest.raises(OutputError, match=r"cannot write /proc/self/result\.json"),
        atomic_path("/proc/self/result.json"),
    ):
        raise AssertionError("the block must not run")


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from fetaledge_runtimes.errors import OutputError
from fetaledge_runtimes.files import atomic_folder, atomic_path

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
for target, write in (
    (atomic_path("result.bin"), lambda path: path.write_bytes(bytes(10000))),
    (atomic_folder("folder"), lambda path: (path / "result.bin").write_bytes(bytes(10000))),
):
    try:
        with target as partial:
            write(partial)
    except OutputError as error:
        print(error)
"""


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """The kernel refuses to write past 4096 bytes, as it does where the disk is full."""
    run = subprocess.run([sys.executable, "-c", FULL_DISK], cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = run.stdout.splitlines()
    assert len(lines) == 2 and all(line.startswith("cannot write ") for line in lines), run.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_appears_when_done(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with atomic_folder(target) as partial:
        (partial / "a").write_text("1", encoding="utf-8")
        assert not target.exists()
    assert (target / "a").is_file()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_no_folder(failure: type[BaseException], tmp_path: Path) -> None:
    with pytest.raises(failure), atomic_folder(tmp_path / "out") as partial:
        (partial / "a").write_text("1", encoding="utf-8")
        raise failure
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_needs_force(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "marker").write_text("old", encoding="utf-8")
    with pytest.raises(OutputError, match="exists already"), atomic_folder(target, marker="marker"):
        raise AssertionError("the block must not run")
    with atomic_folder(target, force=True, marker="marker") as partial:
        (partial / "marker").write_text("new", encoding="utf-8")
    assert (target / "marker").read_text(encoding="utf-8") == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


class Renames:
    """Lets the renames with these numbers, from 1, fail as on a disk that is full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failing: tuple[int, ...], error: type[BaseException]) -> None:
        self.count, self.failing, self.error, self.real = 0, failing, error, Path.rename
        monkeypatch.setattr(Path, "rename", lambda path, target: self(path, target))

    def __call__(self, path: Path, target: Path) -> Path:
        self.count += 1
        if self.count in self.failing:
            raise self.error("no rename")
        return self.real(path, target)


@pytest.mark.parametrize("failing", [1, 2])
@pytest.mark.parametrize(("error", "seen"), [(OSError, OutputError), (KeyboardInterrupt, KeyboardInterrupt)])
def test_a_folder_that_cannot_be_replaced_keeps_its_name(
    failing: int,
    error: type[BaseException],
    seen: type[BaseException],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "marker").write_text("old", encoding="utf-8")
    Renames(monkeypatch, (failing,), error)
    with pytest.raises(seen), atomic_folder(target, force=True, marker="marker") as partial:
        (partial / "marker").write_text("new", encoding="utf-8")
    assert (target / "marker").read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_folder_that_cannot_be_put_back_is_kept_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "marker").write_text("old", encoding="utf-8")
    Renames(monkeypatch, (2, 3), OSError)
    with pytest.raises(OutputError) as caught, atomic_folder(target, force=True, marker="marker") as partial:
        (partial / "marker").write_text("new", encoding="utf-8")
    (kept,) = tmp_path.iterdir()
    assert str(kept / "out") in caught.value.hint
    assert (kept / "out" / "marker").read_text(encoding="utf-8") == "old"


def test_force_keeps_its_hands_off_other_peoples_folders(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years", encoding="utf-8")
    with pytest.raises(OutputError, match="not made by this command"), atomic_folder(tmp_path, force=True, marker="m"):
        raise AssertionError("the block must not run")
    assert (tmp_path / "thesis.tex").is_file()


def test_json_there_and_back(tmp_path: Path) -> None:
    document = {"text": "Präparat µ", "values": [1, 2.5, None, True]}
    write_json(tmp_path / "a.json", document)
    assert read_json(tmp_path / "a.json") == document
    assert "µ" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_json_has_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"dice": math.nan})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff\xfe"])
def test_unreadable_json_names_the_file(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json"):
        read_json(tmp_path / "a.json")


def test_sha256_of_a_known_text(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
