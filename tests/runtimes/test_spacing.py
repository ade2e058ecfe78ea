"""``pixels.csv``: one reader for prediction and for labelled data."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.read import read_frames
from fetaledge_runtimes.frames.spacing import read_pixels, spacing_of

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
