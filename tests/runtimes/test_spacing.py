"""``pixels.csv``: one reader for prediction and for labelled data."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.frames.read import read_frames
from fetaledge_runtimes.frames.spacing import check_pixel_mm, parse_pixel_mm, read_pixels, spacing_of, unmatched_rows

Spacing = tuple[float, float] | None


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.full((64, 80), 90, np.uint8))
    return tmp_path


def stated(pictures: Path, text: str) -> list[Spacing]:
    """What ``predict`` takes from a table, for a.png and b.png."""
    (pictures / "pixels.csv").write_text(text, encoding="utf-8")
    return [frame.pixel_mm for frame in read_frames(pictures)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("filename,pixel_mm\na.png,0.1\nb.png,0.2\n", [(0.1, 0.1), (0.2, 0.2)]),
        ("filename, pixel_mm\na.png, 0.1 \n", [(0.1, 0.1), None]),
        ("\ufefffilename,pixel_mm\r\na.png,0.1\r\n", [(0.1, 0.1), None]),
        ("filename,pixel_mm\na.png,\nb.png\n", [None, None]),
        ("column_mm,row_mm,filename,note\n0.2,0.1,a.png,blurred\n,,b.png\n\n,,,\n", [(0.1, 0.2), None]),
        ("filename,pixel_mm,note\na.png,0.1,first\na.png,0.1,again\n", [(0.1, 0.1), None]),
        ("filename,subject\na.png,mary\n", [None, None]),
        ("filename,pixel_mm\na,0.1\nb.jpg,0.2\n", [(0.1, 0.1), (0.2, 0.2)]),
        ("filename,pixel_mm\na.bmp,0.1\na.jpg,0.2\n", [None, None]),
        ("filename,pixel_mm,row_mm,column_mm\na.png,0.1,,\nb.png,,0.2,0.3\n", [(0.1, 0.1), (0.2, 0.3)]),
    ],
)
def test_a_table_is_read(pictures: Path, text: str, expected: list[Spacing]) -> None:
    assert stated(pictures, text) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "lacks the column 'filename': it has no header"),
        ("filename,spacing\na.png,1\n", r"has the columns filename, spacing; .*filename,pixel_mm"),
        ("name,pixel_mm\na.png,1\n", "lacks the column 'filename': it has name, pixel_mm"),
        ("filename,pixel_mm\na.png,zero\n", "line 2: pixel_mm is 'zero', not a number"),
        ("filename,pixel_mm\nb.png,0.2\na.png,0\n", "line 3: pixel_mm is 0, which must be above zero"),
        ("filename,pixel_mm\na.png,-0.1\n", "line 2: pixel_mm is -0.1, which must"),
        ("filename,pixel_mm\na.png,nan\n", "line 2: pixel_mm is nan"),
        ("filename,row_mm,column_mm\na.png,0.1,9\n", "line 2: column_mm is 9, which is not within 0.005 to 5 mm"),
        ("filename,row_mm,column_mm\na.png,0.1,\n", "line 2: column_mm is empty and row_mm is not"),
        ("filename,pixel_mm\na.png,0.1\nb.png,0.1\na.png,0.2\n", r"of a\.png: 0\.1 in line 2, 0\.2 in line 4"),
        ("filename,pixel_mm\n,0.1\n", "line 2 names no file"),
    ],
)
def test_a_bad_table_names_its_line(pictures: Path, text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=rf"pixels\.csv .*{complaint}"):
        stated(pictures, text)


def test_a_row_about_another_file_stops_nothing(pictures: Path) -> None:
    (pictures / "b.bmp").write_bytes((pictures / "b.png").read_bytes())
    assert stated(pictures, "filename,pixel_mm\nb.bmp,0.4\nother.png,wide\n") == [None, (0.4, 0.4), None]


def test_a_table_that_is_no_text(pictures: Path) -> None:
    (pictures / "pixels.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match="cannot be read as a table"):
        list(read_frames(pictures))


def test_no_table(tmp_path: Path) -> None:
    assert read_pixels(tmp_path / "pixels.csv").rows == {}


def test_numbers_of_a_row(pictures: Path) -> None:
    (pictures / "pixels.csv").write_text("filename,pixel_mm,hc_mm\na.png,0.1,200\n")
    row = read_pixels(pictures / "pixels.csv").row_of(pictures / "a.png")
    assert row is not None and (row.line, row.number("hc_mm"), spacing_of(row)) == (2, 200.0, (0.1, 0.1))


@pytest.mark.parametrize(
    "name", ["scan.1", "scan.1.png", "scan.1.jpg", "from/there/scan.1.png", r"C:\\scans\\scan.1.png"]
)
def test_a_row_names_its_file_in_full_or_by_its_stem(tmp_path: Path, name: str) -> None:
    cv2.imwrite(str(tmp_path / "scan.1.png"), np.full((64, 80), 90, np.uint8))
    (tmp_path / "pixels.csv").write_text(f"filename,pixel_mm\n{name},0.1\n", encoding="utf-8")
    (frame,) = read_frames(tmp_path)
    assert frame.pixel_mm == (0.1, 0.1) and unmatched_rows(tmp_path) == []


def test_rows_that_match_no_file_are_told(pictures: Path) -> None:
    rows = "".join(f"{name}.png,0.1\n" for name in "abcdefg")
    (pictures / "pixels.csv").write_text("filename,pixel_mm\n" + rows, encoding="utf-8")
    (remark,) = unmatched_rows(pictures)
    assert "names c.png, d.png, e.png and 2 more, which match no file" in remark
    (pictures / "pixels.csv").unlink()
    assert unmatched_rows(pictures) == []


@pytest.mark.parametrize("table", ["test_set_pixel_size.csv", "test_set_pixel_size_and_HC.csv"])
def test_hc18s_tables_lie_one_folder_up(
    pictures: Path, table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "test_set"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (pictures / name).rename(folder / name)
    (tmp_path / table).write_text("filename,pixel size(mm)\na.png,0.1\nb.png,9\n", encoding="utf-8")
    (frame,) = read_frames(folder / "a.png")
    assert (frame.pixel_mm, frame.spacing_from) == ((0.1, 0.1), table)
    with pytest.raises(InputError, match=r"line 3: pixel size\(mm\) is 9"):
        list(read_frames(folder))
    monkeypatch.chdir(folder)
    (frame,) = read_frames("a.png")
    assert frame.pixel_mm == (0.1, 0.1)
    (folder / "pixels.csv").write_text("filename,row_mm,column_mm\na.png,0.2,0.3\n", encoding="utf-8")
    (frame,) = read_frames("a.png")
    assert (frame.pixel_mm, frame.spacing_from) == ((0.2, 0.3), "pixels.csv")


def test_the_table_beside_images_and_masks(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (pictures / "a.png").rename(tmp_path / "images" / "a.png")
    (tmp_path / "pixels.csv").write_text("filename,pixel_mm\na,0.1\n", encoding="utf-8")
    (frame,) = read_frames(tmp_path / "images")
    assert frame.pixel_mm == (0.1, 0.1)


@pytest.mark.parametrize(("text", "expected"), [("0.2", 0.2), ("0.2,0.3", (0.2, 0.3)), ("0.2, 0.3", (0.2, 0.3))])
def test_one_number_or_a_pair_on_the_command_line(text: str, expected: object) -> None:
    assert check_pixel_mm(parse_pixel_mm(text)) == expected


@pytest.mark.parametrize("text", ["x", "", "0.1,", "0.1,0.2,0.3", "0.1 0.2"])
def test_what_is_no_pair(text: str) -> None:
    with pytest.raises(ValueError):
        parse_pixel_mm(text)


def test_an_implausible_pair(pictures: Path) -> None:
    with pytest.raises(UsageError, match="0.005 to 5 mm"):
        read_frames(pictures, pixel_mm=(0.1, 50))
