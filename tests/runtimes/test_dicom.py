"""Ultrasound DICOM: real files, and files made or altered to hold each hard case."""

from __future__ import annotations

import io
import sys
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.dicom_pixels import MAX_INFLATED_BYTES
from fetaledge_runtimes.frames.frame import Frame
from fetaledge_runtimes.frames.read import read_frames

pydicom = pytest.importorskip("pydicom")

from pydicom import uid  # noqa: E402
from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402

REAL = Path(__file__).parents[3] / "shared" / "dicom"
real = pytest.mark.skipif(not REAL.is_dir(), reason="../shared/dicom is not here")
PLAIN = uid.ExplicitVRLittleEndian


@pytest.fixture(scope="module")
def scan() -> np.ndarray:
    """uint8 (160, 240), smooth, spanning 0 to 255."""
    noise = np.random.default_rng(5).random((160, 240)).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 5), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def region(box: tuple[int, int, int, int] = (20, 30, 219, 139), **changes: Any) -> Dataset:
    """A B-mode region with box x0, y0, x1, y1 (inclusive), 0.02 cm a row and 0.03 cm a column."""
    item = Dataset()
    item.RegionSpatialFormat = 1
    item.RegionDataType = 1
    item.RegionFlags = 0
    item.RegionLocationMinX0, item.RegionLocationMinY0, item.RegionLocationMaxX1, item.RegionLocationMaxY1 = box
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX, item.PhysicalDeltaY = 0.03, 0.02
    for name, value in changes.items():
        setattr(item, name, value)
    return item


def dataset(pixels: np.ndarray, *regions: Dataset, syntax: uid.UID = PLAIN, **changes: Any) -> Dataset:
    """``pixels`` (H, W), (N, H, W) with ``NumberOfFrames``, or (H, W, 3)."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = uid.UltrasoundImageStorage
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = uid.generate_uid(entropy_srcs=["test"])
    made.Modality = "US"
    colour = pixels.shape[-1] == 3
    made.Rows, made.Columns = pixels.shape[-3:-1] if colour else pixels.shape[-2:]
    made.SamplesPerPixel = 3 if colour else 1
    made.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        made.PlanarConfiguration = 0
    made.BitsAllocated = made.BitsStored = pixels.dtype.itemsize * 8
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = 0
    made.PixelData = pixels.tobytes()
    if regions:
        made.SequenceOfUltrasoundRegions = list(regions)
    for name, value in changes.items():
        setattr(made, name, value)
    made["PixelData"].VR = "OW" if made.BitsAllocated > 8 else "OB"
    return made


def put(path: Path, made: Dataset) -> Path:
    made.save_as(path, enforce_file_format=True)
    return path


def one(path: Path, made: Dataset) -> Frame:
    (frame,) = read_frames(put(path / "a.dcm", made))
    assert frame.pixels.dtype == np.uint8
    return frame


def refused(path: Path, words: str) -> InputError:
    with pytest.raises(InputError) as caught:
        list(read_frames(path))
    assert str(path) in caught.value.message
    assert words in caught.value.message.replace(str(path), "")
    assert caught.value.hint
    return caught.value


# ---- real files ----


@real
def test_real_jpeg_2000_without_regions_is_whole_and_has_no_spacing() -> None:
    (frame,) = read_frames(REAL / "US1_J2KR.dcm")
    assert frame.pixels.shape == (480, 640) and frame.pixel_mm is None
    assert frame.pixels[33, 20:168].max() > 200  # the hospital's name in white letters
    assert 30 < frame.pixels[110:330, 20:620].mean() < 90


@real
def test_real_palette_is_cropped_and_its_box_beyond_the_frame_gives_no_spacing() -> None:
    (frame,) = read_frames(REAL / "examples_palette.dcm")
    assert frame.pixels.shape == (290, 680)  # x from 120, y from 60, to the frame's edge
    assert frame.pixel_mm is None
    assert frame.pixels[40, 290:380].min() > 100  # just below the face of the convex probe
    assert frame.pixels.max() == 255


@real
def test_real_cine_was_shrunk_after_its_region_was_written_so_its_spacing_is_not_used() -> None:
    frames = list(read_frames(REAL / "examples_ybr_color.dcm"))
    assert [frame.index for frame in frames] == list(range(30))
    assert {frame.pixel_mm for frame in frames} == {None}
    assert {frame.pixels.shape for frame in frames} == {(209, 236)}
    assert np.abs(frames[0].pixels.astype(int) - frames[15].pixels).mean() > 1  # the heart moves
    given = list(read_frames(REAL / "examples_ybr_color.dcm", pixel_mm=1.02))
    assert {frame.pixel_mm for frame in given} == {(1.02, 1.02)}


@real
def test_real_dual_display_gives_a_frame_a_region() -> None:
    left, right = read_frames(REAL / "gdcm-US-ALOKA-16.dcm")
    assert (left.region, right.region, left.index, right.index) == (1, 2, 0, 0)
    assert left.pixels.shape == (392, 304)
    assert left.pixel_mm == pytest.approx((0.3826530650, 0.3826530650)) and left.spacing_from == "DICOM"
    assert np.abs(left.pixels.astype(int).mean() - right.pixels.mean()) > 1
    (alone,) = read_frames(REAL / "gdcm-US-ALOKA-16.dcm", region=2)
    assert alone.region == 2
    np.testing.assert_array_equal(alone.pixels, right.pixels)


@real
def test_real_palette_of_16_bits_with_one_region_left(tmp_path: Path) -> None:
    made = pydicom.dcmread(REAL / "gdcm-US-ALOKA-16.dcm")
    del made.SequenceOfUltrasoundRegions[1]
    frame = one(tmp_path, made)
    assert frame.pixels.shape == (392, 304)
    assert frame.pixel_mm == pytest.approx((0.3826530650, 0.3826530650))
    assert 20 < frame.pixels.mean() < 100 and frame.pixels.max() > 200


@real
def test_a_real_cine_cut_short_is_refused_where_it_breaks_off(tmp_path: Path) -> None:
    data = (REAL / "examples_ybr_color.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(data[: len(data) // 2])
    refused(tmp_path / "cut.dcm", "cannot be decoded")


# ---- regions ----


def test_the_region_is_cropped_and_gives_row_and_column_spacing(tmp_path: Path, scan: np.ndarray) -> None:
    frame = one(tmp_path, dataset(scan, region()))
    np.testing.assert_array_equal(frame.pixels, scan[30:140, 20:220])
    assert frame.pixels.flags.c_contiguous
    assert frame.pixel_mm == pytest.approx((0.2, 0.3))


def test_a_name_burned_in_outside_the_region_is_gone(tmp_path: Path, scan: np.ndarray) -> None:
    marked = scan // 2
    cv2.putText(marked, "DOE JANE", (2, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 2)
    assert (marked == 255).any()
    frame = one(tmp_path, dataset(marked, region(), BurnedInAnnotation="NO"))
    assert frame.pixels.max() < 128


def test_negative_deltas_count_by_their_size(tmp_path: Path, scan: np.ndarray) -> None:
    frame = one(tmp_path, dataset(scan, region(PhysicalDeltaX=-0.03, PhysicalDeltaY=-0.02)))
    assert frame.pixel_mm == pytest.approx((0.2, 0.3))


@pytest.mark.parametrize(
    "changes",
    [
        {"PhysicalUnitsXDirection": 4},
        {"PhysicalUnitsYDirection": 0},
        {"PhysicalDeltaX": 0.0},
        {"PhysicalDeltaY": None},
        {"PhysicalDeltaX": 1.0},
        {"PhysicalDeltaX": float("nan")},
    ],
)
def test_no_length_no_spacing_but_the_crop(tmp_path: Path, scan: np.ndarray, changes: dict[str, Any]) -> None:
    frame = one(tmp_path, dataset(scan, region(**changes), PixelSpacing=[0.5, 0.5]))
    assert frame.pixel_mm is None
    assert frame.pixels.shape == (110, 200)


def test_a_missing_delta_gives_no_spacing(tmp_path: Path, scan: np.ndarray) -> None:
    item = region()
    del item.PhysicalDeltaX
    assert one(tmp_path, dataset(scan, item)).pixel_mm is None


def test_a_spacing_that_a_region_contradicts_is_named_and_not_taken(tmp_path: Path, scan: np.ndarray) -> None:
    frame = one(tmp_path, dataset(scan, region(PhysicalUnitsXDirection=4), PixelSpacing=[0.5, 0.4]))
    assert frame.pixel_mm is None and frame.spacing_from is None
    assert frame.remark is not None and "0.5,0.4 mm (row,column) in PixelSpacing (0028,0030), not taken" in frame.remark
    assert frame.remark.endswith("give --pixel-mm 0.5,0.4")
    shrunk = one(tmp_path, dataset(scan, region((0, 0, 479, 319))))
    assert shrunk.remark is not None and "0.2,0.3" in shrunk.remark and "beyond the frame" in shrunk.remark


def test_one_number_is_the_distance_of_the_rows(tmp_path: Path, scan: np.ndarray) -> None:
    path = put(tmp_path / "a.dcm", dataset(scan, region()))
    (frame,) = read_frames(path, pixel_mm=0.1)
    assert frame.pixel_mm == pytest.approx((0.1, 0.15))
    assert frame.spacing_from == "option, columns by the region's PhysicalDeltaX and PhysicalDeltaY"
    (frame,) = read_frames(path, pixel_mm=(0.1, 0.1))
    assert frame.pixel_mm == (0.1, 0.1) and frame.spacing_from == "option"


def test_an_aspect_ratio_without_a_spacing_stretches_the_columns(tmp_path: Path, scan: np.ndarray) -> None:
    """So that an angle is true where nothing is known in mm."""
    frame = one(tmp_path, dataset(scan, PixelAspectRatio=[3, 4]))
    assert frame.pixel_mm is None and frame.pixels.shape == (160, 320)
    assert frame.remark is not None and r"PixelAspectRatio 3\4" in frame.remark
    for square in ([1, 1], [0, 1], [100, 1]):
        assert one(tmp_path, dataset(scan, PixelAspectRatio=square)).pixels.shape == scan.shape


def test_a_table_fills_in_for_a_file_without_a_spacing(tmp_path: Path, scan: np.ndarray) -> None:
    (tmp_path / "pixels.csv").write_text("filename,pixel_mm\na,0.4\n", encoding="utf-8")
    frame = one(tmp_path, dataset(scan))
    assert (frame.pixel_mm, frame.spacing_from) == ((0.4, 0.4), "pixels.csv")
    assert one(tmp_path, dataset(scan, region())).spacing_from == "DICOM"


def test_the_users_spacing_takes_the_place_of_the_files(tmp_path: Path, scan: np.ndarray) -> None:
    (frame,) = read_frames(put(tmp_path / "a.dcm", dataset(scan, region())), pixel_mm=(0.1, 0.11))
    assert frame.pixel_mm == (0.1, 0.11)


def test_doppler_and_annotation_regions_beside_the_b_mode_one(tmp_path: Path, scan: np.ndarray) -> None:
    colour = region((40, 40, 120, 120), RegionDataType=2)
    spectral = region((0, 141, 239, 159), RegionSpatialFormat=3, RegionDataType=3)
    bar = region((0, 0, 10, 100), RegionSpatialFormat=0, RegionDataType=13)
    frame = one(tmp_path, dataset(scan, colour, spectral, region(), bar))
    np.testing.assert_array_equal(frame.pixels, scan[30:140, 20:220])


def test_two_b_mode_regions_are_frames_of_their_own(tmp_path: Path, scan: np.ndarray) -> None:
    left, right = region((0, 0, 119, 159)), region((120, 0, 239, 159), PhysicalDeltaX=0.04, PhysicalDeltaY=0.04)
    spectrum = region((0, 100, 239, 159), RegionSpatialFormat=3, RegionDataType=3)
    cine = np.stack([scan, scan[::-1]])
    path = put(tmp_path / "two.dcm", dataset(cine, left, spectrum, right, NumberOfFrames=2))
    frames = list(read_frames(path))
    assert [(frame.index, frame.region) for frame in frames] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert [frame.pixel_mm for frame in frames[:2]] == [pytest.approx((0.2, 0.3)), pytest.approx((0.4, 0.4))]
    np.testing.assert_array_equal(frames[3].pixels, scan[::-1][:, 120:])
    assert [frame.index for frame in read_frames(path, region=2)] == [0, 1]
    for number in (0, 3):
        with pytest.raises(InputError, match=f"has no region {number}: it has 2"):
            list(read_frames(path, region=number))
    assert one(tmp_path, dataset(scan, region(), region())).pixels.shape == (110, 200)


def test_regions_without_b_mode_are_refused(tmp_path: Path, scan: np.ndarray) -> None:
    path = put(tmp_path / "m.dcm", dataset(scan, region(RegionSpatialFormat=2)))
    refused(path, "no B-mode region")


def test_a_box_of_exclusive_corners_keeps_its_spacing_and_one_beyond_loses_it(tmp_path: Path, scan: np.ndarray) -> None:
    frame = one(tmp_path, dataset(scan, region((0, 0, 240, 160))))
    assert frame.pixels.shape == (160, 240) and frame.pixel_mm == pytest.approx((0.2, 0.3))
    frame = one(tmp_path, dataset(scan, region((0, 0, 479, 319))))
    assert frame.pixels.shape == (160, 360) and frame.pixel_mm is None  # the ratio is left


@pytest.mark.parametrize("box", [(0, 0, 0, 0), (100, 100, 50, 50), (300, 0, 400, 100), (0, 0, 239, 10)])
def test_a_box_that_holds_no_picture_is_refused(
    tmp_path: Path, scan: np.ndarray, box: tuple[int, int, int, int]
) -> None:
    refused(put(tmp_path / "box.dcm", dataset(scan, region(box))), "which is not an ultrasound frame")


def test_a_region_without_its_box_is_refused(tmp_path: Path, scan: np.ndarray) -> None:
    item = region()
    del item.RegionLocationMaxX1
    refused(put(tmp_path / "box.dcm", dataset(scan, item)), "RegionLocationMaxX1")


# ---- pixels ----


def test_colours_become_grey(tmp_path: Path, scan: np.ndarray) -> None:
    colour = np.stack([scan, scan[:, ::-1], scan[::-1]], axis=2)
    expected = colour @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(one(tmp_path, dataset(colour)).pixels, expected, atol=0.51)
    planes = dataset(np.ascontiguousarray(colour), PlanarConfiguration=1)
    planes.PixelData = np.ascontiguousarray(colour.transpose(2, 0, 1)).tobytes()
    np.testing.assert_allclose(one(tmp_path, planes).pixels, expected, atol=0.51)


def test_ybr_becomes_grey_in_every_frame(tmp_path: Path, scan: np.ndarray) -> None:
    neutral = np.full_like(scan, 128)
    cine = np.stack([np.stack([np.roll(scan, 9 * n, 1), neutral, neutral], axis=2) for n in range(3)])
    path = put(tmp_path / "a.dcm", dataset(cine, PhotometricInterpretation="YBR_FULL", NumberOfFrames=3))
    frames = list(read_frames(path))
    for n, frame in enumerate(frames):
        assert np.abs(frame.pixels.astype(int) - np.roll(scan, 9 * n, 1)).max() <= 1
    assert len(frames) == 3


def test_monochrome1_is_inverted(tmp_path: Path, scan: np.ndarray) -> None:
    np.testing.assert_array_equal(
        one(tmp_path, dataset(scan, PhotometricInterpretation="MONOCHROME1")).pixels, 255 - scan
    )


def test_12_of_16_bits_are_scaled_by_the_bits_stored(tmp_path: Path, scan: np.ndarray) -> None:
    deep = np.rint(scan * (4095 / 255)).astype(np.uint16)
    frame = one(tmp_path, dataset(deep, BitsStored=12, HighBit=11))
    np.testing.assert_array_equal(frame.pixels, scan)
    dark = one(tmp_path, dataset(np.rint(scan * 4.0).astype(np.uint16), BitsStored=12, HighBit=11))
    assert dark.pixels.max() == pytest.approx(255 * 1020 / 4095, abs=1)


def test_signed_pixels_are_refused(tmp_path: Path, scan: np.ndarray) -> None:
    refused(put(tmp_path / "s.dcm", dataset(scan.astype(np.int16), PixelRepresentation=1)), "signed")


def jpeg_of(pixels: np.ndarray, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Pillow.fromarray(pixels).save(stream, kind, **options)
    data = stream.getvalue()
    return data + b"\0" * (len(data) % 2)


@pytest.mark.parametrize(
    ("kind", "syntax", "options", "off"),
    [
        ("jpeg", uid.JPEGBaseline8Bit, {"quality": 95}, 12),
        ("jpeg2000", uid.JPEG2000Lossless, {"no_jp2": True}, 0),
    ],
)
def test_compressed_cines(
    tmp_path: Path, scan: np.ndarray, kind: str, syntax: uid.UID, options: dict[str, Any], off: int
) -> None:
    cine = np.stack([np.roll(scan, 11 * n, axis=1) for n in range(4)])
    data = encapsulate([jpeg_of(frame, kind, **options) for frame in cine])
    path = put(tmp_path / "a.dcm", dataset(cine, region(), syntax=syntax, NumberOfFrames=4, PixelData=data))
    frames = list(read_frames(path))
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    for frame, expected in zip(frames, cine, strict=True):
        assert np.abs(frame.pixels.astype(int) - expected[30:140, 20:220]).max() <= off


def test_a_cine_with_fewer_frames_than_it_states_is_refused(tmp_path: Path, scan: np.ndarray) -> None:
    data = encapsulate([jpeg_of(scan, "jpeg")] * 2)
    cine = np.stack([scan] * 4)
    path = put(tmp_path / "a.dcm", dataset(cine, syntax=uid.JPEGBaseline8Bit, NumberOfFrames=4, PixelData=data))
    refused(path, "2 of the 4 frames")
    refused(put(tmp_path / "b.dcm", dataset(cine[:2], NumberOfFrames=4)), "cannot be decoded")


@pytest.mark.parametrize(("kind", "syntax"), [("jpeg", uid.JPEGBaseline8Bit), ("jpeg2000", uid.JPEG2000Lossless)])
def test_a_frame_of_another_size_is_not_decoded(tmp_path: Path, scan: np.ndarray, kind: str, syntax: uid.UID) -> None:
    """A few bytes may say that they are a picture of a gigabyte."""
    large = jpeg_of(np.zeros((3000, 4000), np.uint8), kind, **({"no_jp2": True} if kind == "jpeg2000" else {}))
    made = dataset(scan, syntax=syntax, PixelData=encapsulate([large]))
    refused(put(tmp_path / "a.dcm", made), "it is a picture of 4000x3000")


def test_a_jpeg_frame_that_breaks_off_is_refused_whatever_decodes_it(tmp_path: Path, scan: np.ndarray) -> None:
    whole = jpeg_of(scan, "jpeg")
    broken = whole[: len(whole) // 4 * 2] + bytes(len(whole) // 2)
    made = dataset(np.stack([scan] * 2), syntax=uid.JPEGBaseline8Bit, NumberOfFrames=2)
    made.PixelData = encapsulate([whole, broken + bytes(len(broken) % 2)])
    frames = read_frames(put(tmp_path / "a.dcm", made))
    assert next(frames).index == 0
    with pytest.raises(InputError, match=r"frame 1 of .* \(its JPEG ends before its last marker\)"):
        next(frames)


def test_a_large_frame_in_colour_is_refused(tmp_path: Path) -> None:
    refused(put(tmp_path / "a.dcm", dataset(np.zeros((3600, 3600, 3), np.uint8))), "in colour, above the limit of 12")


def test_run_length_cine(tmp_path: Path, scan: np.ndarray) -> None:
    cine = np.stack([scan, scan[::-1]])
    made = dataset(cine, NumberOfFrames=2)
    made.compress(uid.RLELossless)
    frames = list(read_frames(put(tmp_path / "a.dcm", made)))
    np.testing.assert_array_equal([frame.pixels for frame in frames], cine)


@pytest.mark.parametrize("syntax", [uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.HTJ2K])
def test_a_compression_that_cannot_be_decoded_is_named(tmp_path: Path, scan: np.ndarray, syntax: uid.UID) -> None:
    if pydicom.pixels.get_decoder(syntax).is_available:
        pytest.skip(f"a decoder for {syntax.name} is installed")
    made = dataset(scan, syntax=syntax, PixelData=encapsulate([b"\xff\xd8\xff\xd9"]))
    error = refused(put(tmp_path / "a.dcm", made), syntax.name)
    assert 'pip install "fetaledge-runtimes[dicom-all]"' in error.hint


def test_what_is_no_video_stream_is_not_handed_to_ffmpeg(tmp_path: Path, scan: np.ndarray) -> None:
    made = dataset(scan, syntax=uid.MPEG4HP41, PixelData=encapsulate([b"#EXTM3U\n#EXTINF:1,\nother.mp4\n"]))
    refused(put(tmp_path / "a.dcm", made), "no video stream")


@pytest.mark.parametrize(
    "syntax", [uid.ImplicitVRLittleEndian, PLAIN, uid.DeflatedExplicitVRLittleEndian, uid.ExplicitVRBigEndian]
)
def test_every_uncompressed_encoding(tmp_path: Path, scan: np.ndarray, syntax: uid.UID) -> None:
    cine = np.stack([scan, scan[::-1]])
    path = put(tmp_path / "a.dcm", dataset(cine, region(), syntax=syntax, NumberOfFrames=2))
    np.testing.assert_array_equal([frame.pixels for frame in read_frames(path)], cine[:, 30:140, 20:220])


def test_a_deflated_file_is_bounded_and_its_damage_told(tmp_path: Path, scan: np.ndarray) -> None:
    made = dataset(scan, region(), syntax=uid.DeflatedExplicitVRLittleEndian)
    whole = put(tmp_path / "a.dcm", made).read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "cut.dcm", "damaged or cut short")
    made.PixelData = bytes(MAX_INFLATED_BYTES)
    path = put(tmp_path / "bomb.dcm", made)
    assert path.stat().st_size < 1_000_000
    tracemalloc.start()
    refused(path, "256 MB once inflated")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def palette_of(pixels: np.ndarray, scale: int) -> Dataset:
    made = dataset(pixels, PhotometricInterpretation="PALETTE COLOR")
    for colour in ("Red", "Green", "Blue"):
        setattr(made, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(made, f"{colour}PaletteColorLookupTableData", (np.arange(256) * scale).astype("<u2").tobytes())
    return made


@pytest.mark.parametrize("scale", [1, 4, 16, 256, 257])
def test_a_palette_of_16_bits_is_as_bright_as_its_entries(tmp_path: Path, scan: np.ndarray, scale: int) -> None:
    frame = one(tmp_path, palette_of(scan, scale))
    assert np.abs(frame.pixels.astype(int) - scan).max() <= 1


@pytest.mark.parametrize(
    ("scale", "changes"),
    [
        (1, {}),
        (1, {"BitsStored": 12, "HighBit": 11}),
        (4, {}),
        (16, {}),
        (16, {"BitsStored": 12, "HighBit": 15}),
        (1, {"WindowCenter": 128, "WindowWidth": 256}),
        (1, {"WindowCenter": ["128", "500"], "WindowWidth": ["256", "1000"]}),
    ],
)
def test_16_bits_that_hold_less_are_not_black(
    tmp_path: Path, scan: np.ndarray, scale: int, changes: dict[str, Any]
) -> None:
    made = dataset(scan.astype(np.uint16) * scale, **changes)
    if "WindowCenter" in changes:  # drawn marks at full white
        pixels = scan.astype(np.uint16)
        pixels[:3, :3] = 65535
        made.PixelData = pixels.tobytes()
    assert np.abs(one(tmp_path, made).pixels[3:].astype(int) - scan[3:]).max() <= 1


def test_a_dark_frame_of_a_deep_cine_stays_dark(tmp_path: Path, scan: np.ndarray) -> None:
    cine = np.stack([scan.astype(np.uint16), scan.astype(np.uint16) * 257])
    dark, bright = read_frames(put(tmp_path / "a.dcm", dataset(cine, NumberOfFrames=2)))
    assert dark.pixels.max() <= 1 and dark.bits == 16
    np.testing.assert_array_equal(bright.pixels, scan)


def test_a_cine_is_streamed(tmp_path: Path) -> None:
    cine = np.random.default_rng(0).integers(0, 255, (60, 300, 400), np.uint8)
    path = put(tmp_path / "a.dcm", dataset(cine, region(), NumberOfFrames=60))
    next(read_frames(path))
    tracemalloc.start()
    count = sum(1 for _ in read_frames(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 60
    assert peak < cine.nbytes / 4


# ---- what it is not ----


def test_another_modality_is_named(tmp_path: Path, scan: np.ndarray) -> None:
    refused(put(tmp_path / "ct.dcm", dataset(scan, Modality="CT")), "CT")
    refused(put(tmp_path / "none.dcm", dataset(scan, Modality="")), "no modality")


def test_no_pixels(tmp_path: Path, scan: np.ndarray) -> None:
    made = dataset(scan)
    del made.PixelData
    refused(put(tmp_path / "a.dcm", made), "holds no pixels")
    del made.Rows
    refused(put(tmp_path / "b.dcm", made), "holds no pixels")


def test_broken_files(tmp_path: Path, scan: np.ndarray) -> None:
    whole = put(tmp_path / "whole.dcm", dataset(scan, region())).read_bytes()
    for name, data, words in (
        ("empty.dcm", b"", "empty"),
        ("text.dcm", b"not a scan\n" * 40, "no DICOM file"),
        ("cut.dcm", whole[: len(whole) // 2], "cannot be decoded"),
        ("header.dcm", whole[:200], "no modality"),
        ("zeros.dcm", bytes(128) + b"DICM" + bytes(4000), "no modality"),
        ("noise.dcm", whole[:140] + np.random.default_rng(1).bytes(4000), ""),
    ):
        (tmp_path / name).write_bytes(data)
        refused(tmp_path / name, words)


def test_every_cut_of_a_file_is_refused_not_half_read(tmp_path: Path, scan: np.ndarray) -> None:
    whole = put(tmp_path / "whole.dcm", dataset(scan, region())).read_bytes()
    path = tmp_path / "cut.dcm"
    for end in [*range(1, len(whole) - scan.size, 37), len(whole) - 1]:
        path.write_bytes(whole[:end])
        refused(path, "")


@real
def test_damaged_bytes_anywhere_in_the_header_never_end_in_another_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = (REAL / "examples_ybr_color.dcm").read_bytes()
    header = whole.index(b"\xe0\x7f\x10\x00")
    random = np.random.default_rng(0)
    path = tmp_path / "damaged.dcm"
    refusals = 0
    for _ in range(150):
        data = bytearray(whole[: header + 20000])
        for at in random.integers(132, header, 20):
            data[at] = random.integers(256)
        path.write_bytes(data)
        try:
            next(read_frames(path))
        except InputError:
            refusals += 1
    assert refusals > 20
    assert capfd.readouterr() == ("", "")


def test_a_file_is_known_by_its_magic_too(tmp_path: Path, scan: np.ndarray) -> None:
    put(tmp_path / "IM000001", dataset(scan, region()))
    put(tmp_path / "DICOMDIR", dataset(scan, region()))
    frames = list(read_frames(tmp_path))
    assert [Path(frame.source).name for frame in frames] == ["IM000001"]


def test_without_pydicom_the_pip_line_is_given(
    tmp_path: Path, scan: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path / "a.dcm", dataset(scan))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    error = refused(path, "pydicom is not installed")
    assert error.hint == 'pip install "fetaledge-runtimes[dicom]"'


def test_nothing_reaches_stderr(tmp_path: Path, scan: np.ndarray, capfd: pytest.CaptureFixture[str]) -> None:
    made = dataset(scan, region())
    made.PixelData += bytes(64)  # pydicom warns of what is too much
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.PatientID = "x" * 80  # and of a value that is too long
        put(tmp_path / "a.dcm", made)
    capfd.readouterr()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert len(list(read_frames(tmp_path / "a.dcm"))) == 1
    assert not caught
    assert capfd.readouterr() == ("", "")


def test_a_small_region_beside_a_picture_is_left_out(tmp_path: Path, scan: np.ndarray) -> None:
    path = put(tmp_path / "a.dcm", dataset(scan, region((0, 0, 99, 99)), region((110, 0, 129, 19))))
    (frame,) = read_frames(path)
    assert frame.region == 1 and frame.pixels.shape == (100, 100)
    assert [frame.region for frame in read_frames(path, region=1)] == [1]
    with pytest.raises(InputError, match="20x20"):
        list(read_frames(path, region=2))


def test_a_region_beyond_the_frame_still_tells_the_shape_of_its_pixels(tmp_path: Path, scan: np.ndarray) -> None:
    """The frame was shrunk after the region was written: lengths are lost, and the ratio is not."""
    beyond = region((0, 0, 499, 499), PhysicalDeltaX=0.03, PhysicalDeltaY=0.02)
    (frame,) = read_frames(put(tmp_path / "a.dcm", dataset(scan, beyond)), pixel_mm=0.1)
    assert frame.pixel_mm == pytest.approx((0.1, 0.15)) and frame.remark is not None


def test_two_equal_columns_of_a_table_are_a_pair(tmp_path: Path, scan: np.ndarray) -> None:
    """Whoever states both knows that the pixels are square; one number is that of the rows."""
    put(tmp_path / "a.dcm", dataset(scan, PixelAspectRatio=["2", "3"]))
    for columns, row, expected in (
        ("row_mm,column_mm", "0.1,0.1", (0.1, 0.1)),
        ("pixel_mm", "0.1", (0.1, 0.15)),
    ):
        (tmp_path / "pixels.csv").write_text(f"filename,{columns}\na.dcm,{row}\n", encoding="utf-8")
        (frame,) = read_frames(tmp_path / "a.dcm")
        assert frame.pixel_mm == pytest.approx(expected)
