"""From photo to array: the golden pixels, every kind of file, boxes, and augmentation."""

import hashlib
import io
import json
import os
import re
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import ks_2samp

from datasets import transforms
from datasets.transforms import (
    AUGMENTATIONS,
    MOST_PIXELS,
    RATIO,
    SCALE,
    _random_box,
    photo_size,
    read_photo,
    transform,
)
from utils.errors import UserError

REPO = Path(__file__).resolve().parents[2]
PHOTOS = ("000002.jpg", "000004.jpg", "000007.jpg", "000122.jpg")
BILINEAR = Image.Resampling.BILINEAR
MODES = ("RGB", "L", "P", "RGBA", "CMYK", "1", "LA")
FORMATS = {mode: "JPEG" if mode == "CMYK" else "PNG" for mode in MODES}


def noise(width, height, mode="RGB", seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def png(width, height, bit_depth=8, color_type=2, rows=b"", transparency=None):
    """A PNG file whose header may promise more than it holds."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, bit_depth, color_type, 0, 0, 0)
    extra = b"" if transparency is None else chunk(b"tRNS", transparency)
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + pixels + chunk(b"IEND", b"")


def read_or_error(path, box=None):
    """(image, None) or (None, what the UserError says); any other exception passes."""
    try:
        return read_photo(path, box), None
    except UserError as error:
        return None, str(error)


def sha256(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


class Draws:
    """Stands for a NumPy generator: random() gives `value`, the rest comes from a real one."""

    def __init__(self, value):
        self.value = value
        self.real = np.random.default_rng(0)

    def random(self):
        return self.value

    def __getattr__(self, name):
        return getattr(self.real, name)


FLIP, KEEP = 0.0, 0.99


# --- evaluation pixels


@pytest.mark.parametrize("size", [448, 224, 112])
@pytest.mark.parametrize("name", PHOTOS)
def test_golden_pixels(shared_path, name, size):
    golden = json.loads(shared_path("golden/transforms.json").read_text())["photos"][name]
    image = read_photo(shared_path(f"golden/photos/{name}"))
    assert list(image.size) == golden["decoded_size_wh"]
    pixels = transform(image, size)
    np.testing.assert_array_equal(pixels, np.asarray(image.resize((size, size), BILINEAR)))
    if sha256(np.asarray(image)) != golden["decoded_rgb_sha256"]:
        pytest.skip("this JPEG decoder differs from the golden one; the resize was compared with Pillow's")
    assert sha256(pixels) == golden["resized"][str(size)]["uint8_sha256"]


def test_golden_arrays(shared_path):
    golden = np.load(shared_path("golden/transforms.npz"))
    image = read_photo(shared_path(f"golden/photos/{golden['photo']}"))
    plain, flipped = transform(image, 112), transform(image, 112, ("randomflip",), Draws(FLIP))
    np.testing.assert_array_equal(flipped, plain[:, ::-1])
    pixels = json.loads(shared_path("golden/transforms.json").read_text())["photos"][str(golden["photo"])]
    if sha256(np.asarray(image)) != pixels["decoded_rgb_sha256"]:
        pytest.skip("this JPEG decoder differs from the golden one")
    np.testing.assert_array_equal(plain, golden["resized_112"])
    np.testing.assert_array_equal(flipped, golden["flipped_112"])
    np.testing.assert_array_equal(flipped, golden["flip_then_resize_112"])


@given(
    width=st.integers(1, 60),
    height=st.integers(1, 60),
    size=st.integers(1, 40),
    mode=st.sampled_from(MODES),
    seed=st.integers(0, 99),
)
def test_evaluation_pixels_are_those_of_pillows_resize(width, height, size, mode, seed):
    file = io.BytesIO()
    noise(width, height, mode, seed).save(file, FORMATS[mode])
    expected = Image.open(file).convert("RGB").resize((size, size), BILINEAR)
    file.seek(0)
    image = read_photo(file)
    pixels = transform(image, size)
    assert image.size == (width, height)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (size, size, 3)
    np.testing.assert_array_equal(pixels, np.asarray(expected))


def test_channels_are_red_green_blue(tmp_path):  # fault 28
    Image.new("RGB", (8, 6), (250, 100, 20)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(transform(read_photo(tmp_path / "a.png"), 4), [[[250, 100, 20]] * 4] * 4)


def test_a_photo_is_squashed_and_not_cropped(tmp_path):  # fault 28
    image = Image.new("RGB", (90, 10), (0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 10, 10))
    image.paste((255, 0, 0), (80, 0, 90, 10))
    pixels = transform(image, 9)
    assert pixels[4, 0].tolist() == pytest.approx([255, 255, 255], abs=40)
    assert pixels[4, 8].tolist() == pytest.approx([255, 0, 0], abs=40)


# --- kinds of files


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_rgb(tmp_path, mode):  # fault 29
    path = tmp_path / f"photo.{FORMATS[mode].lower()}"
    noise(9, 7, mode).save(path)
    image = read_photo(path)
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), np.asarray(Image.open(path).convert("RGB")))


@pytest.mark.parametrize("name", ["a.JPG", "a.jpeg", "a.png", "a.bmp", "a.webp", "png_inside.jpg"])
def test_the_formats_of_the_readme(tmp_path, name):  # fault 30
    noise(9, 7).save(tmp_path / name, "PNG" if name == "png_inside.jpg" else None)
    assert read_photo(tmp_path / name).size == (9, 7)


def test_16_bit_grey_keeps_its_shades(tmp_path):
    grey = np.arange(0, 65536, 1024, dtype=">u2").reshape(8, 8)
    rows = b"".join(b"\0" + row.tobytes() for row in grey)
    (tmp_path / "a.png").write_bytes(png(8, 8, bit_depth=16, color_type=0, rows=rows))
    pixels = np.asarray(read_photo(tmp_path / "a.png"))
    np.testing.assert_array_equal(pixels, np.repeat((grey >> 8)[:, :, None], 3, axis=2))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_ignored(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    noise(16, 8).save(tmp_path / "turned.jpg", exif=exif)
    noise(16, 8).save(tmp_path / "plain.jpg")
    turned, plain = (read_photo(tmp_path / name) for name in ("turned.jpg", "plain.jpg"))
    assert turned.size == (16, 8)
    np.testing.assert_array_equal(np.asarray(turned), np.asarray(plain))


@pytest.mark.parametrize("augmentations", [(), AUGMENTATIONS])
@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1)])
def test_the_smallest_photos(shape, augmentations):
    for seed in range(20):
        pixels = transform(Image.new("RGB", shape, (9, 9, 9)), 8, augmentations, np.random.default_rng(seed))
        assert pixels.shape == (8, 8, 3)


# --- files that are no photo


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"some text\n",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a\x01\0\x01\0\0\0\0;",
        png(4, 4, rows=b"\0"),
        png(4, 4, color_type=3, rows=bytes(20), transparency=b"\0"),
        png(0, 0),
    ],
    ids=["missing", "empty", "text", "jpeg_start", "png_start", "gif", "short", "no_palette", "0x0"],
)
def test_a_file_that_is_no_photo_is_named(tmp_path, content):
    path = tmp_path / "broken.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=f"cannot read photo {re.escape(str(path))}: "):
        read_photo(path)


def test_a_folder_in_place_of_a_photo_is_named(tmp_path):
    with pytest.raises(UserError, match=re.escape(str(tmp_path))):
        read_photo(tmp_path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "webp"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_truncated_photo_is_named(tmp_path, suffix, share):
    path = tmp_path / f"half.{suffix}"
    noise(64, 64).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=re.escape(str(path))):
        read_photo(path)


@given(data=st.data(), suffix=st.sampled_from(["jpeg", "png", "bmp", "webp"]))
def test_whatever_is_broken_in_a_file_is_the_users_error(tmp_path_factory, data, suffix):
    file = io.BytesIO()
    noise(16, 16).save(file, suffix.upper())
    content = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / f"damaged.{suffix}"
    path.write_bytes(content)
    image, said = read_or_error(path)
    assert image.mode == "RGB" if image else str(path) in said


@pytest.mark.parametrize("side", [9_460, 60_000], ids=["over our limit", "over Pillow's"])
@pytest.mark.parametrize("read", [read_photo, photo_size])
def test_a_small_file_that_unpacks_to_a_giant_is_refused_before_it_is_unpacked(tmp_path, read, side):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(side, side))
    with pytest.raises(UserError, match=f"bomb.png: it has more than {MOST_PIXELS} pixels"):
        read(path)


def test_a_photo_at_the_limit_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(transforms, "MOST_PIXELS", 12)
    noise(4, 3).save(tmp_path / "at.png")
    noise(13, 1).save(tmp_path / "over.png")
    assert read_photo(tmp_path / "at.png").size == (4, 3)
    with pytest.raises(UserError, match="over.png"):
        read_photo(tmp_path / "over.png")


def test_pillow_s_own_warning_is_no_second_line(tmp_path):
    """In a process of its own: pytest resets what a module does to warnings."""
    (tmp_path / "bomb.png").write_bytes(png(10_000, 10_000))
    code = "import sys; from datasets.transforms import read_photo; read_photo(sys.argv[1])"
    command = [sys.executable, "-c", code, str(tmp_path / "bomb.png")]
    run = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    assert run.returncode == 1
    assert "UserError: cannot read photo" in run.stderr
    assert "Warning" not in run.stderr


def test_the_limit_of_pixels_is_no_matter_of_warnings(tmp_path):
    """A user's own settings of warnings change nothing."""
    (tmp_path / "bomb.png").write_bytes(png(10_000, 10_000))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(UserError, match="pixels"):
            read_photo(tmp_path / "bomb.png")


def test_a_pipe_in_place_of_a_photo_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(UserError, match="a.jpg: it is a pipe"):
        read_photo(tmp_path / "a.jpg")


# --- boxes


@pytest.fixture
def white(tmp_path):
    """A white photo of 20 x 10."""
    Image.new("RGB", (20, 10), (255, 255, 255)).save(tmp_path / "white.png")
    return tmp_path / "white.png"


@pytest.mark.parametrize(
    ("box", "size"),
    [
        ((0, 0, 20, 10), (20, 10)),
        ((5, 2, 4, 3), (4, 3)),
        ((-5, -5, 10, 10), (5, 5)),
        ((15, 5, 100, 100), (5, 5)),
        ((-50, -50, 500, 500), (20, 10)),
        ((2.5, 1.5, 3.0, 2.0), (4, 3)),  # a pixel that is touched counts
        ((0.9, 0.9, 0.2, 0.2), (2, 2)),
        ((19.5, 9.5, 5.0, 5.0), (1, 1)),
        ([3, 3, 1, 1], (1, 1)),
    ],
)
def test_a_box_is_clipped_to_the_photo_without_black(white, box, size):  # fault 17
    image = read_photo(white, box)
    assert image.size == size
    assert np.asarray(image).min() == 255
    assert transform(image, 8).min() == 255


def test_a_box_keeps_the_pixels_that_it_says(tmp_path):
    noise(12, 9).save(tmp_path / "a.png")
    expected = np.asarray(noise(12, 9))[2:7, 3:7]
    np.testing.assert_array_equal(np.asarray(read_photo(tmp_path / "a.png", (3, 2, 4, 5))), expected)


@given(x=st.floats(-30, 30), y=st.floats(-30, 30), width=st.floats(-5, 50), height=st.floats(-5, 50))
def test_any_box_is_clipped_or_refused(tmp_path_factory, x, y, width, height):  # fault 17
    path = tmp_path_factory.getbasetemp() / "white_for_boxes.png"
    Image.new("RGB", (20, 10), (255, 255, 255)).save(path)
    image, said = read_or_error(path, (x, y, width, height))
    if image is None:
        assert "lies outside" in said
    else:
        assert 1 <= image.width <= 20
        assert 1 <= image.height <= 10
        assert np.asarray(image).min() == 255


@pytest.mark.parametrize(
    "box",
    [
        (20, 0, 5, 5),
        (-9, 0, 9, 9),
        (0, 10, 1, 1),
        (3, 3, 0, 4),
        (3, 3, 4, -2),
        (3.5, 3, 0, 4),
        (3, 3.5, 4, -0.1),
    ],
)
def test_a_box_outside_the_photo_is_named(white, box):  # fault 17
    with pytest.raises(UserError) as error:
        read_photo(white, box)
    assert str(white) in str(error.value)
    assert str(list(box)) in str(error.value)
    assert "20 x 10" in str(error.value)


# --- augmentation


def test_half_of_the_photos_are_flipped():
    rng, image = np.random.default_rng(0), noise(8, 8)
    plain = transform(image, 8)
    flipped = 0
    for _ in range(2000):
        pixels = transform(image, 8, ("randomflip",), rng)
        assert (pixels == plain).all() or (pixels == plain[:, ::-1]).all()
        flipped += not (pixels == plain).all()
    assert 900 < flipped < 1100


def boxes_of_the_reference(width, height, count, seed):
    """torchvision's RandomResizedCrop(scale=(0.7, 1)), written anew: boxes (left, top, w, h)."""
    rng, found = np.random.default_rng(seed), []
    while len(found) < count:
        area = rng.uniform(0.7, 1.0, 10) * width * height
        aspect = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3), 10))
        w, h = np.round(np.sqrt(area * aspect)), np.round(np.sqrt(area / aspect))
        fits = np.flatnonzero((w <= width) & (h <= height) & (w > 0) & (h > 0))
        if len(fits):
            w, h = int(w[fits[0]]), int(h[fits[0]])
            found.append((rng.integers(0, width - w + 1), rng.integers(0, height - h + 1), w, h))
        elif width / height > 4 / 3:
            w = round(height * 4 / 3)
            found.append(((width - w) // 2, 0, w, height))
        else:
            h = round(width / (3 / 4))
            found.append((0, (height - h) // 2, width, h))
    return np.array(found, dtype=float)


@pytest.mark.parametrize(("width", "height"), [(500, 375), (335, 500), (400, 400), (900, 300)])
def test_crops_are_distributed_as_the_references(width, height):
    rng = np.random.default_rng(1)
    boxes = np.array([_random_box(width, height, rng) for _ in range(3000)], dtype=float)
    left, top, w, h = boxes[:, 0], boxes[:, 1], boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert left.min() >= 0
    assert top.min() >= 0
    assert boxes[:, 2].max() <= width
    assert boxes[:, 3].max() <= height
    expected = boxes_of_the_reference(width, height, 3000, seed=2)
    for ours, theirs in [
        (left, expected[:, 0]),
        (top, expected[:, 1]),
        (w * h, expected[:, 2] * expected[:, 3]),
        (w / h, expected[:, 2] / expected[:, 3]),
    ]:
        assert ks_2samp(ours, theirs).pvalue > 0.001


@given(width=st.integers(1, 300), height=st.integers(1, 300), seed=st.integers(0, 99))
def test_crops_lie_within_the_photo(width, height, seed):
    left, top, right, bottom = _random_box(width, height, np.random.default_rng(seed))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_crops_keep_to_the_bounds_of_area_and_shape():
    rng = np.random.default_rng(0)
    boxes = np.array([_random_box(400, 400, rng) for _ in range(3000)], dtype=float)
    w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    share, aspect = w * h / 400**2, w / h
    assert SCALE == (0.7, 1.0)
    assert RATIO == (3 / 4, 4 / 3)
    assert 0.695 < share.min() < 0.72
    assert 0.96 < share.max() <= 1
    assert 0.745 < aspect.min() < 0.77
    assert 1.3 < aspect.max() < 1.34


def test_a_crop_takes_nothing_from_outside_it():
    """As in the reference; Pillow's resize(box=...) blends neighbours in at the edges."""
    image, seed = noise(40, 30), 5
    box = _random_box(40, 30, np.random.default_rng(seed))
    expected = image.crop([int(edge) for edge in box]).resize((16, 16), BILINEAR)
    pixels = transform(image, 16, ("resizedcrop",), np.random.default_rng(seed))
    np.testing.assert_array_equal(pixels, np.asarray(expected))


@pytest.mark.parametrize("augmentations", [(name,) for name in AUGMENTATIONS] + [AUGMENTATIONS])
def test_augmentation_follows_from_the_generator_alone(augmentations):
    image = noise(40, 30)
    first, again, other = (
        [transform(image, 16, augmentations, np.random.default_rng(seed + i)) for i in range(16)]
        for seed in (0, 0, 100)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert {pixels.shape for pixels in first} == {(16, 16, 3)}
    assert {pixels.dtype for pixels in first} == {np.dtype("uint8")}
    np.testing.assert_array_equal(np.asarray(image), np.asarray(noise(40, 30)))  # the photo itself stays


def test_no_flip_without_being_asked():
    image = noise(8, 8)
    np.testing.assert_array_equal(
        transform(image, 8, ("randomflip",), Draws(KEEP)), transform(image, 8, (), Draws(FLIP))
    )


def test_color_jitter_changes_brightness_contrast_and_colour():
    image = Image.new("RGB", (8, 8), (120, 80, 40))
    pixels = np.array(
        [transform(image, 8, ("colorjitter",), np.random.default_rng(s))[0, 0] for s in range(300)]
    )
    brightness = pixels.mean(axis=1) / 80  # contrast and colour keep the mean grey of a plain photo, about
    assert 0.4 < brightness.min() < 0.6
    assert 1.4 < brightness.max() < 1.6
    colour = np.ptp(pixels.astype(int), axis=1) / pixels.mean(axis=1)  # 1 in the photo; contrast acts too
    assert 0.2 < colour.min() < 0.4
    assert 1.7 < colour.max() < 2.4
