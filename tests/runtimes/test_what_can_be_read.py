"""The table "What can be read" of the documentation: one test a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.frame import Frame
from fetaledge_runtimes.frames.read import list_files, read_frames

from .test_dicom import dataset, palette_of, put, region, scan  # noqa: F401

PAGE = Path(__file__).parents[2] / "docs" / "predict.md"
FIELD = Path(__file__).parents[3] / "shared" / "field"
ROWS: dict[str, Callable[..., None]] = {}
Scan = np.ndarray


def row(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Names the row of the table that a test is about."""

    def keep(test: Callable[..., None]) -> Callable[..., None]:
        ROWS[name] = test
        return test

    return keep


def refused(path: Path, words: str) -> None:
    with pytest.raises(InputError) as caught:
        list(read_frames(path))
    assert str(path) in caught.value.message and words in str(caught.value)


def differ(frame: Frame, pixels: np.ndarray) -> float:
    return float(np.abs(frame.pixels.astype(int) - pixels).mean())


def write_video(path: Path, scan: Scan, code: str) -> Path:  # noqa: F811
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 20.0, (240, 160))
    assert writer.isOpened()
    for shift in range(4):
        writer.write(cv2.cvtColor(np.roll(scan, 10 * shift, axis=1), cv2.COLOR_GRAY2BGR))
    writer.release()
    return path


def write_gif(path: Path, scan: Scan, frames: int, aspect: int = 0) -> Path:  # noqa: F811
    pictures = [Pillow.fromarray(np.roll(scan, 10 * shift, axis=1)) for shift in range(frames)]
    pictures[0].save(path, "GIF", save_all=True, append_images=pictures[1:])
    data = bytearray(path.read_bytes())
    data[12] = aspect
    path.write_bytes(data)
    return path


@row("PNG, JPEG, BMP, TIFF")
def test_pictures(tmp_path: Path, scan: Scan) -> None:  # noqa: F811
    for name, kind in (("a.png", "png"), ("b.jpg", "jpeg"), ("c", "bmp"), ("d.dat", "tiff"), ("e.mp4", "png")):
        path = tmp_path / name
        Pillow.fromarray(scan).save(path, kind)
        (frame,) = read_frames(path, pixel_mm=(0.1, 0.2))
        assert differ(frame, scan) < 3 and (frame.pixel_mm, frame.spacing_from) == ((0.1, 0.2), "option")
        path.write_bytes(path.read_bytes()[:-900])
        refused(path, "damaged")
        path.unlink()
    Pillow.new("L", (6000, 5000)).save(tmp_path / "large.png")
    refused(tmp_path / "large.png", "limit of 25 megapixels")


@row("GIF")
def test_gif(tmp_path: Path, scan: Scan) -> None:  # noqa: F811
    (still,) = read_frames(write_gif(tmp_path / "a.gif", scan, 1), pixel_mm=0.2)
    assert differ(still, scan) < 2 and still.pixel_mm == (0.2, 0.2)
    frames = list(read_frames(write_gif(tmp_path / "b", scan, 3)))
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert all(differ(frame, np.roll(scan, 10 * frame.index, axis=1)) < 2 for frame in frames)


@row("MP4, MOV, AVI, MKV, WebM, MPEG, WMV")
def test_videos(tmp_path: Path, scan: Scan) -> None:  # noqa: F811
    kinds = [("avi", "MJPG"), ("mp4", "mp4v"), ("mov", "mp4v"), ("mkv", "MJPG"), ("webm", "VP80"), ("wmv", "WMV2")]
    for suffix, code in [*kinds, ("mpg", "MPG2"), ("ts", "MPG2")]:
        path = write_video(tmp_path / f"a.{suffix}", scan, code)
        for name in (f"b.{suffix}", "b.m4v", "c", "d.png"):
            frames = list(read_frames(path.rename(tmp_path / name), pixel_mm=0.2))
            assert [frame.index for frame in frames] == [0, 1, 2, 3], (suffix, name)
            assert all(differ(frame, np.roll(scan, 10 * frame.index, axis=1)) < 12 for frame in frames)
            path = tmp_path / name
    (tmp_path / "pixels.csv").write_text("filename,pixel_mm\nd.png,0.3\n", encoding="utf-8")
    assert {frame.spacing_from for frame in read_frames(tmp_path / "d.png")} == {"pixels.csv"}


@row("a video whose pixels are not square")
def test_video_of_pixels_that_are_not_square(tmp_path: Path, scan: Scan) -> None:  # noqa: F811
    """GIF states (aspect + 15) / 64; the recording of a scanner's screen 64:45."""
    squeezed = cv2.resize(scan, (120, 160), interpolation=cv2.INTER_AREA)
    (frame,) = read_frames(write_gif(tmp_path / "a.gif", squeezed, 1, aspect=2 * 64 - 15), pixel_mm=0.2)
    assert frame.pixels.shape == (160, 240) and differ(frame, scan) < 3
    assert frame.pixel_mm == (0.2, 0.2)
    assert frame.spacing_from == "option, of the picture as players show it"
    assert frame.remark is not None and "2 times as wide as high" in frame.remark
    recording = FIELD / "video-non-square-pixels" / "sar_64_45.mp4"
    if recording.is_file():
        assert {frame.pixels.shape for frame in read_frames(recording)} == {(270, 398)}


@row("DICOM with ultrasound regions")
def test_dicom_regions(tmp_path: Path, scan: Scan) -> None:  # noqa: F811
    path = put(tmp_path / "IM1", dataset(scan, region((0, 0, 119, 159)), region((120, 0, 239, 159))))
    left, right = read_frames(path)
    assert (left.region, right.region) == (1, 2)
    assert left.pixel_mm == pytest.approx((0.2, 0.3)) and left.spacing_from == "DICOM"
    np.testing.assert_array_equal(next(read_frames(path, region=2)).pixels, scan[:, 120:])
    refused(put(tmp_path / "b.dcm", dataset(scan, region(RegionSpatialFormat=2))), "no B-mode region")
    refused(put(tmp_path / "c.dcm", dataset(scan, Modality="CT")), "the modality")


@row("DICOM without regions")
def test_dicom_without_regions(tmp_path: Path, scan: Scan) -> None:  # noqa: F811
    from pydicom.dataset import Dataset

    (frame,) = read_frames(put(tmp_path / "a.dcm", dataset(scan, PixelSpacing=[0.5, 0.4])))
    assert (frame.pixel_mm, frame.spacing_from) == ((0.5, 0.4), "DICOM PixelSpacing")
    assert frame.remark is not None and "PixelSpacing (0028,0030)" in frame.remark

    def group(spacing: Sequence[float]) -> Dataset:
        measures, made = Dataset(), Dataset()
        measures.PixelSpacing = spacing
        made.PixelMeasuresSequence = [measures]
        return made

    cine = np.stack([scan, scan])
    made = dataset(cine, NumberOfFrames=2, SharedFunctionalGroupsSequence=[group([0.2, 0.3])])
    frames = list(read_frames(put(tmp_path / "b.dcm", made)))
    assert {(frame.pixel_mm, frame.spacing_from) for frame in frames} == {((0.2, 0.3), "DICOM PixelMeasuresSequence")}
    made.PerFrameFunctionalGroupsSequence = [group([0.2, 0.3]), group([0.25, 0.3])]
    assert [frame.pixel_mm for frame in read_frames(put(tmp_path / "c.dcm", made))] == [(0.2, 0.3), (0.25, 0.3)]
    for keyword in ("ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        (frame,) = read_frames(put(tmp_path / "d.dcm", dataset(scan, **{keyword: [0.5, 0.4]})))
        assert frame.pixel_mm is None and frame.remark is not None
        assert keyword in frame.remark and "give --pixel-mm 0.5,0.4" in frame.remark


@row("DICOM whose pixels are not square")
def test_dicom_of_pixels_that_are_not_square(tmp_path: Path, scan: Scan) -> None:  # noqa: F811
    path = put(tmp_path / "a.dcm", dataset(scan, PixelAspectRatio=[3, 4]))
    (frame,) = read_frames(path, pixel_mm=0.3)
    assert frame.pixel_mm == pytest.approx((0.3, 0.4)) and frame.pixels.shape == scan.shape
    assert frame.spacing_from == r"option, columns by PixelAspectRatio 3\4"
    assert frame.remark is not None and "0.3 mm was taken for the rows and 0.4 mm for the columns" in frame.remark
    (frame,) = read_frames(path, pixel_mm=(0.3, 0.35))
    assert (frame.pixel_mm, frame.spacing_from, frame.remark) == ((0.3, 0.35), "option", None)


@row("DICOM of 16 bits, or with a palette")
def test_dicom_of_16_bits(tmp_path: Path, scan: Scan) -> None:  # noqa: F811
    for made in (palette_of(scan, 1), palette_of(scan, 256), dataset(scan.astype(np.uint16))):
        (frame,) = read_frames(put(tmp_path / "a.dcm", made))
        assert np.abs(frame.pixels.astype(int) - scan).max() <= 1
    refused(put(tmp_path / "s.dcm", dataset(scan.astype(np.int16), PixelRepresentation=1)), "signed")


@row("DICOM, compressed")
def test_dicom_compressed(tmp_path: Path, scan: Scan) -> None:  # noqa: F811
    from pydicom import uid

    deflated = put(tmp_path / "a.dcm", dataset(scan, region(), syntax=uid.DeflatedExplicitVRLittleEndian))
    np.testing.assert_array_equal(next(read_frames(deflated)).pixels, scan[30:140, 20:220])
    made = dataset(scan, region())
    made.compress(uid.RLELossless)
    np.testing.assert_array_equal(next(read_frames(put(tmp_path / "b.dcm", made))).pixels, scan[30:140, 20:220])


@pytest.mark.parametrize(
    "name", ["JPEGLosslessProcess14", "JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEGLSNearLossless"]
)
def test_dicom_of_the_extra_dicom_all(tmp_path: Path, scan: Scan, name: str) -> None:  # noqa: F811
    gdcm: Any = pytest.importorskip("gdcm", reason="python-gdcm of the extra dicom-all is not installed")
    cine = np.stack([scan, scan[::-1]])
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(put(tmp_path / "a.dcm", dataset(cine, region(), NumberOfFrames=2))))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, name)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(tmp_path / "b.dcm"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    np.testing.assert_array_equal([frame.pixels for frame in read_frames(tmp_path / "b.dcm")], cine[:, 30:140, 20:220])


@row("DICOM that holds a video stream")
def test_dicom_of_a_video_stream(tmp_path: Path, scan: Scan) -> None:  # noqa: F811
    from pydicom import uid
    from pydicom.encaps import encapsulate

    colour = np.zeros((160, 240, 3), np.uint8)
    streams = [(write_video(tmp_path / "a.mpg", scan, "MPG2"), uid.MPEG2MPML, 4)]
    if (FIELD / "video-suffixes").is_dir():
        streams.append((FIELD / "video-suffixes" / "phone.m4v", uid.MPEG4HP41, 2))
    for stream, syntax, count in streams:
        frames = list(read_frames(stream))
        made = dataset(colour, region(), syntax=syntax, NumberOfFrames=count)
        made.Rows, made.Columns = frames[0].pixels.shape
        made.PixelData = encapsulate([stream.read_bytes() + bytes(stream.stat().st_size % 2)])
        found = list(read_frames(put(tmp_path / "a.dcm", made)))
        assert [frame.index for frame in found] == list(range(count))
        assert found[0].pixel_mm == pytest.approx((0.2, 0.3))
        np.testing.assert_array_equal(found[1].pixels, frames[1].pixels[30:140, 20:220])
        made.NumberOfFrames = count + 3
        refused(put(tmp_path / "b.dcm", made), f"{count} of the {count + 3} frames")


@row("a folder")
def test_folder(tmp_path: Path, scan: Scan) -> None:  # noqa: F811
    Pillow.fromarray(scan).save(tmp_path / "a.png")
    put(tmp_path / "IM1", dataset(scan))
    (tmp_path / "notes.txt").write_text("GE, 5 MHz\n", encoding="utf-8")
    assert [path.name for path in list_files(tmp_path)] == ["IM1", "a.png"]
    (tmp_path / "pixels.csv").write_text("filename,pixel_mm\na,0.2\nIM1,0.3\n", encoding="utf-8")
    assert [frame.pixel_mm for frame in read_frames(tmp_path)] == [(0.3, 0.3), (0.2, 0.2)]
    for path in (tmp_path / "a.png", tmp_path / "IM1"):
        path.unlink()
    refused(tmp_path, "holds no picture, video or DICOM file")


@row("anything else")
def test_anything_else(tmp_path: Path) -> None:
    for name, data, words in (
        ("a.heic", b"\0\0\0\x18ftypheic" + bytes(400), "of no kind that can be read"),
        ("a.mp4", b"\0\0\0\x18ftypheic" + bytes(400), "whatever its name says"),
        ("a.webp", b"RIFF\x64\0\0\0WEBPVP8 " + bytes(400), "of no kind that can be read"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nother.mp4\n", "of no kind that can be read"),
        ("BMx", b"BM is no picture, and a long line of text follows it here", "of no kind that can be read"),
    ):
        (tmp_path / name).write_bytes(data)
        refused(tmp_path / name, words)
    if Path("/dev/zero").exists():
        (tmp_path / "zero.png").symlink_to("/dev/zero")
        refused(tmp_path / "zero.png", "no regular file")


def test_each_row_of_the_documentation_has_its_test() -> None:
    section = PAGE.read_text(encoding="utf-8").split("## What can be read")[1].split("\n## ")[0]
    named = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")]
    assert named[2:] == list(ROWS)


def test_a_gif_that_breaks_off_is_told(tmp_path: Path, scan: Scan) -> None:  # noqa: F811
    data = write_gif(tmp_path / "whole.gif", scan, 4).read_bytes()
    (tmp_path / "cut.gif").write_bytes(data[: int(len(data) * 0.6)])
    whole = [frame.pixels for frame in read_frames(tmp_path / "whole.gif", pixel_mm=0.2)]
    seen = []
    with pytest.raises(InputError, match="cut short"):
        for frame in read_frames(tmp_path / "cut.gif", pixel_mm=0.2):
            seen.append(frame.pixels)
    assert 0 < len(seen) < 4
    assert all((one == other).all() for one, other in zip(seen, whole, strict=False))


@pytest.mark.parametrize("text", ["The free scans", "See wide views", "Run skip them"])
def test_text_is_no_video(text: str, tmp_path: Path) -> None:
    from fetaledge_runtimes.frames.containers import container_of

    assert container_of(f"{text} of today\n".encode()) is None


def test_a_colon_in_a_name_is_no_protocol(tmp_path: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    write_gif(tmp_path / "a.gif", scan, 2).rename(tmp_path / "T12:30:05.gif")
    monkeypatch.chdir(tmp_path)
    assert len(list(read_frames(Path("T12:30:05.gif"), pixel_mm=0.2))) == 2


def test_a_depth_that_cannot_be_is_not_believed(tmp_path: Path) -> None:
    import struct
    import zlib

    from fetaledge_runtimes.frames.images import read_stored

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + b"\x0a\xbc" * 64 for _ in range(64))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 16, 0, 0, 0, 0))
    for bits, known in ((12, 12), (24, None), (200, None)):
        parts = header, chunk(b"sBIT", bytes([bits])), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
        (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
        assert read_stored(tmp_path / "a.png").bits == known
