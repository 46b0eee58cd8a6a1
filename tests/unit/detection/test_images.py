"""Reading photographs: every kind of file gives the pixels the rules promise, and everything else one clear error."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

import detection.images as images
from detection.images import decode_image, kinds, list_images, look_through, read_image, to_grey, upright, write_image
from minicnn.errors import DtypeError, ImageError, MissingDependencyError, OptionError, ShapeError
from tests.unit.detection.pictures import encode, exif, gradient, png_block, png_promising

PICTURE = gradient()
LOSSLESS = {
    "png": encode(PICTURE, "PNG"),
    "webp": encode(PICTURE, "WEBP", lossless=True),
    "bmp": encode(PICTURE, "BMP"),
    "ppm": encode(PICTURE, "PPM"),
}
JPEG = encode(PICTURE, "JPEG", quality=95)
FILES = LOSSLESS | {
    "jpg": JPEG,
    "progressive.jpg": encode(PICTURE, "JPEG", progressive=True),
    "lossy.webp": encode(PICTURE, "WEBP"),
    "pgm": encode(PICTURE[:, :, 0], "PPM"),
}


def refused(data: bytes, *parts: str) -> None:
    with pytest.raises(ImageError) as caught:
        decode_image(data, "holiday.jpg")
    message = str(caught.value)
    assert message.startswith("'holiday.jpg': Expected ")
    for part in ("Received: ", *parts):
        assert part in message


class TestPixels:
    @pytest.mark.parametrize("kind", LOSSLESS)
    def test_a_lossless_file_gives_every_pixel_back(self, kind) -> None:
        read = decode_image(LOSSLESS[kind], kind)
        np.testing.assert_array_equal(read, PICTURE)
        assert read.dtype == np.uint8
        assert read.flags.c_contiguous

    @pytest.mark.parametrize("kind", ["jpg", "progressive.jpg", "lossy.webp"])
    def test_a_lossy_file_gives_nearly_every_pixel_back(self, kind) -> None:
        assert np.abs(decode_image(FILES[kind], kind).astype(int) - PICTURE).mean() < 3

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "PPM", "BMP"])
    def test_grey_is_repeated_in_all_three_channels(self, kind) -> None:
        read = decode_image(encode(PICTURE[:, :, 0], kind), kind)
        assert read.shape == PICTURE.shape
        assert np.abs(read.astype(int) - PICTURE[:, :, :1]).max() < 8

    def test_sixteen_bits_are_rounded_to_eight(self) -> None:
        deep = np.array([[0, 128, 129, 257, 32768, 65406, 65407, 65535]], np.uint16)
        read = decode_image(encode(deep, "PNG"), "deep.png")
        np.testing.assert_array_equal(read[0, :, 0], np.rint(deep[0] / 257))
        pgm = b"P5 8 1 65535\n" + deep.astype(">u2").tobytes()
        np.testing.assert_array_equal(decode_image(pgm, "deep.pgm"), read)

    @pytest.mark.parametrize("kind", ["PNG", "WEBP"])
    def test_transparency_is_laid_over_white(self, kind) -> None:
        alpha = np.arange(PICTURE.shape[0] * PICTURE.shape[1]).reshape(PICTURE.shape[:2]) % 256
        rgba = np.dstack([PICTURE, alpha]).astype(np.uint8)
        share = alpha[:, :, None] / 255
        expected = np.rint(PICTURE * share + 255 * (1 - share))
        options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
        np.testing.assert_array_equal(decode_image(encode(rgba, kind, **options), kind), expected)

    def test_the_padding_of_a_bmp_is_no_transparency(self) -> None:
        rows = np.dstack([PICTURE[:, :, ::-1], np.zeros(PICTURE.shape[:2], np.uint8)])[::-1].tobytes()
        header = struct.pack("<2sIIIIiiHHIIiiII", b"BM", 54 + len(rows), 0, 54, 40, 64, 48, 1, 32, 0, 0, 0, 0, 0, 0)
        np.testing.assert_array_equal(decode_image(header + rows, "padded.bmp"), PICTURE)

    def test_palettes_and_single_bits(self) -> None:
        image = Image.fromarray(PICTURE)
        for mode in ("P", "1"):
            converted = image.convert(mode)
            expected = np.asarray(converted.convert("RGB"))
            np.testing.assert_array_equal(decode_image(encode(converted, "PNG"), mode), expected)

    def test_cmyk(self) -> None:
        data = encode(Image.fromarray(PICTURE).convert("CMYK"), "JPEG", quality=95)
        expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
        assert np.abs(decode_image(data, "print.jpg") - expected).max() < 8

    @pytest.mark.parametrize("kind", ["PNG", "WEBP"])
    def test_an_animation_gives_its_first_frame(self, kind) -> None:
        frames = [Image.fromarray(np.roll(PICTURE, 20 * i, axis=1)) for i in range(3)]
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        np.testing.assert_array_equal(decode_image(data, kind), PICTURE)


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
    def test_all_eight_agree_with_pillow(self, kind, order, orientation) -> None:
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encode(PICTURE, kind, exif=exif(orientation, order), **options)
        expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
        read = decode_image(data, kind)
        assert read.shape == expected.shape
        assert np.abs(read.astype(int) - expected).max() <= (8 if kind == "JPEG" else 0)
        assert read.flags.c_contiguous

    @pytest.mark.parametrize(
        "note", [exif(0), exif(9), exif(6)[:20], b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff"]
    )
    def test_nonsense_leaves_the_picture_as_stored(self, note) -> None:
        segment = b"\xff\xe1" + struct.pack(">H", len(note) + 2) + note
        np.testing.assert_array_equal(decode_image(JPEG[:2] + segment + JPEG[2:], "x"), decode_image(JPEG, "x"))

    def test_an_unknown_orientation_is_an_error(self) -> None:
        with pytest.raises(OptionError, match="1 to 8"):
            upright(PICTURE, 0)


class TestBadFiles:
    @given(st.sampled_from(sorted(FILES)), st.floats(0, 1, exclude_max=True))
    def test_a_file_cut_anywhere_is_refused(self, kind, share) -> None:
        refused(FILES[kind][: int(share * len(FILES[kind]))])

    @given(st.sampled_from(sorted(FILES)), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
    def test_a_changed_byte_gives_a_picture_or_an_image_error(self, kind, share, change) -> None:
        data = bytearray(FILES[kind])
        data[int(share * len(data))] ^= change
        try:
            read = decode_image(bytes(data), kind)
        except ImageError:
            return
        assert read.dtype == np.uint8
        assert read.ndim == 3
        assert read.shape[2] == 3

    def test_a_jpeg_without_its_end_is_refused_even_with_a_whole_thumbnail_inside(self) -> None:
        thumbnail = encode(PICTURE[::4, ::4], "JPEG")  # it brings an end marker of its own
        note = exif(1) + thumbnail
        whole = JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(note) + 2) + note + JPEG[2:]
        np.testing.assert_array_equal(decode_image(whole, "whole"), decode_image(JPEG, "plain"))
        refused(whole[:-2], "stops early", "incomplete")

    def test_what_follows_the_end_of_a_jpeg_does_no_harm(self) -> None:  # phones append a film there
        np.testing.assert_array_equal(decode_image(JPEG + b"\0" * 99, "x"), decode_image(JPEG, "x"))

    @pytest.mark.parametrize("size", [(60_000, 60_000), (50_001, 1000), (0, 10), (2**31, 2**31)])
    def test_the_size_is_checked_before_anything_is_decoded(self, size, monkeypatch) -> None:
        cv2 = pytest.importorskip("cv2", reason="OpenCV decodes the pictures")
        monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
        refused(png_promising(*size), "1 to 50 megapixels", f"{size[0]}x{size[1]}")

    def test_a_header_without_pixels(self) -> None:
        refused(png_promising(20, 10), "10 rows of 20 pixels", "cannot decode")

    def test_a_jpeg_of_tables_only(self) -> None:
        refused(b"\xff\xd8\xff\xdb\x00\x02\xff\xd9", "without")

    def test_a_wrong_checksum_in_a_png(self) -> None:
        data = bytearray(LOSSLESS["png"])
        data[data.index(b"IDAT") + 10] ^= 1
        refused(bytes(data), "checksums", "IDAT", "damaged")

    def test_a_png_that_does_not_begin_with_its_size(self) -> None:
        refused(b"\x89PNG\r\n\x1a\n" + png_block(b"IEND", b""), "begins with its size")

    def test_a_pgm_whose_line_ends_were_changed(self) -> None:
        pixels = bytes(range(8))
        refused(b"P5\r\n4 2\r\n255\r\n" + pixels, "8 bytes of pixels for 4x2", "9", "line endings")
        refused(b"P5\n4 2\n255\n" + pixels[:-1], "7", "incomplete")

    def test_a_pgm_that_opencv_would_read_too_dark(self) -> None:
        refused(b"P5 1 1 100\n\x64", "255 or 65535", "100")

    @pytest.mark.parametrize(
        ("data", "named"),
        [
            (b"", "empty"),
            (b"Dear diary, today", "text"),
            (b"<!DOCTYPE html><html>", "HTML"),
            (b"GIF89a" + bytes(20), "GIF"),
            (b"II*\0" + bytes(20), "TIFF"),
            (b"\0\0\0\x18ftypheic" + bytes(20), "HEIC"),
            (b"\0\0\0\x18ftypisom" + bytes(20), "video"),
            (b"%PDF-1.7", "PDF"),
            (b"PK\x03\x04", "zip"),
            (b"\x00\x01\x02\x03", "00 01 02 03"),
        ],
    )
    def test_what_is_no_picture_is_named(self, data, named) -> None:
        refused(data, named)


class TestFiles:
    def test_names_in_any_alphabet(self, tmp_path) -> None:
        path = tmp_path / "søster – 写真 é.png"
        write_image(path, PICTURE)
        np.testing.assert_array_equal(read_image(path), PICTURE)
        np.testing.assert_array_equal(read_image(str(path)), PICTURE)

    def test_the_content_counts_not_the_name(self, tmp_path) -> None:
        (tmp_path / "really-a-png.jpg").write_bytes(LOSSLESS["png"])
        np.testing.assert_array_equal(read_image(tmp_path / "really-a-png.jpg"), PICTURE)
        (tmp_path / "text.png").write_text("no picture")
        with pytest.raises(ImageError, match=r"text\.png.*Received: text"):
            read_image(tmp_path / "text.png")

    def test_missing_files_folders_and_pipes(self, tmp_path) -> None:
        with pytest.raises(ImageError, match=r"gone\.jpg.*no such file"):
            read_image(tmp_path / "gone.jpg")
        with pytest.raises(ImageError, match="a folder"):
            read_image(tmp_path)
        with pytest.raises(ImageError, match="Expected"):
            read_image("a\0b.png")
        if hasattr(os, "mkfifo"):
            os.mkfifo(tmp_path / "pipe.jpg")
            with pytest.raises(ImageError, match="pipe") as raised:
                read_image(tmp_path / "pipe.jpg")
            assert str(raised.value).count("Expected") == 1

    def test_a_file_beyond_all_measure_is_not_read(self, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr(images, "MAX_BYTES", 100)
        (tmp_path / "film.png").write_bytes(LOSSLESS["png"])
        with pytest.raises(ImageError, match=r"film\.png.*at most"):
            read_image(tmp_path / "film.png")

    @pytest.mark.parametrize("suffix", [".png", ".bmp", ".ppm", ".webp", ".jpg", ".jfif", ".JPEG"])
    def test_what_is_written_can_be_read(self, tmp_path, suffix) -> None:
        write_image(tmp_path / f"a{suffix}", PICTURE)
        difference = np.abs(read_image(tmp_path / f"a{suffix}").astype(int) - PICTURE)
        assert difference.mean() < (3 if suffix.lower() in (".webp", ".jpg", ".jfif", ".jpeg") else 1e-9)

    @pytest.mark.parametrize("suffix", [".png", ".pgm", ".bmp"])
    def test_grey_can_be_written(self, tmp_path, suffix) -> None:
        write_image(tmp_path / f"a{suffix}", PICTURE[:, :, 0])
        np.testing.assert_array_equal(read_image(tmp_path / f"a{suffix}"), np.repeat(PICTURE[:, :, :1], 3, axis=2))

    def test_an_interrupted_write_leaves_the_old_picture_and_nothing_else(self, tmp_path, monkeypatch) -> None:
        write_image(tmp_path / "a.png", PICTURE)

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(ImageError, match=r"a\.png.*No space left"):
            write_image(tmp_path / "a.png", 255 - PICTURE)
        np.testing.assert_array_equal(read_image(tmp_path / "a.png"), PICTURE)
        assert [path.name for path in tmp_path.iterdir()] == ["a.png"]

    def test_what_cannot_be_written(self, tmp_path) -> None:
        with pytest.raises(OptionError, match=r"\.png"):
            write_image(tmp_path / "a.doc", PICTURE)
        with pytest.raises(DtypeError, match="uint8"):
            write_image(tmp_path / "a.png", PICTURE / 255)
        with pytest.raises(ShapeError, match="H, W, 3"):
            write_image(tmp_path / "a.png", PICTURE[None])
        with pytest.raises(ImageError, match="folder exists"):
            write_image(tmp_path / "nowhere" / "a.png", PICTURE)
        assert list(tmp_path.iterdir()) == []


class TestGrey:
    def test_the_weights_of_bt601(self) -> None:
        expected = PICTURE @ np.array([0.299, 0.587, 0.114])
        assert np.abs(to_grey(PICTURE) - expected).max() <= 0.51

    def test_grey_stays_itself(self) -> None:
        levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
        np.testing.assert_array_equal(to_grey(np.repeat(levels[:, :, None], 3, axis=2)), levels)

    def test_only_rgb_is_taken(self) -> None:
        with pytest.raises(ShapeError, match=r"np\.repeat"):
            to_grey(PICTURE[:, :, 0])
        with pytest.raises(DtypeError, match="float64"):
            to_grey(PICTURE / 255)


class TestFolders:
    def test_recursive_sorted_without_hidden_files_and_links_that_lead_outside(self, tmp_path) -> None:
        outside, folder = tmp_path / "outside", tmp_path / "album"
        for path in (outside, folder / "b" / "deep", folder / ".thumbnails"):
            path.mkdir(parents=True)
        kept = [folder / "a.JPG", folder / "b" / "c.webp", folder / "b" / "deep" / "d.jfif"]
        for path in [
            *kept,
            folder / "notes.txt",
            folder / "._a.jpg",
            folder / ".thumbnails" / "t.png",
            outside / "o.png",
        ]:
            path.write_bytes(b"")
        (folder / "inside.png").symlink_to(kept[1])
        (folder / "escape.png").symlink_to(outside / "o.png")
        (folder / "dangling.png").symlink_to(folder / "nothing.png")
        (folder / "linked").symlink_to(outside, target_is_directory=True)
        assert list_images(folder) == [kept[0], kept[1], kept[2], folder / "inside.png"]
        others = [folder / name for name in ("dangling.png", "escape.png", "notes.txt")]
        assert look_through(folder) == (list_images(folder), others)

    def test_kinds_are_counted_the_most_frequent_first_and_not_all_of_them(self, tmp_path) -> None:
        (tmp_path / "out.png").symlink_to(tmp_path / "nothing.png")
        names = ("a.heic", "b.HEIC", "c.gif", "README", "out.png")
        assert kinds(tmp_path / name for name in names) == "2 .heic, 1 .gif, 1 linked .png, 1 without a suffix"
        assert kinds(Path(f"a.{letter}") for letter in "hgfedcba") == "1 .a, 1 .b, 1 .c, 1 .d, 1 .e, 1 .f, 2 more"

    def test_no_pictures_no_folder_and_a_file(self, tmp_path) -> None:
        with pytest.raises(ImageError, match="no files at all"):
            list_images(tmp_path)
        (tmp_path / ".picture.png").write_text("")
        with pytest.raises(ImageError, match="Received: nothing but what is hidden"):
            list_images(tmp_path)
        (tmp_path / "notes.txt").write_text("")
        with pytest.raises(ImageError, match=r"Received: 1 other file: 1 \.txt\..*\.jpg"):
            list_images(tmp_path)
        (tmp_path / "IMG_1.HEIC").write_text("")
        (tmp_path / "IMG_2.heic").write_text("")
        with pytest.raises(ImageError, match=r"Received: 3 other files: 2 \.heic, 1 \.txt\."):
            list_images(tmp_path)
        with pytest.raises(ImageError, match="no such folder"):
            list_images(tmp_path / "gone")
        with pytest.raises(ImageError, match="a file"):
            list_images(tmp_path / "notes.txt")


def test_without_opencv_the_error_says_how_to_get_it(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(MissingDependencyError, match=r"Reading photographs.*minicnn\[faces\]"):
        decode_image(JPEG, "x")
