"""What training sees, read off its pixels: crops and mirroring are distributed as the reference's.

The photo is a ramp, red = column and green = row, so that a result tells which part of
it was taken. And: a JPEG decoded at a part of its size looks the same, in training alone.
"""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import binomtest, ks_2samp, kstest

from datasets.transforms import (
    AUGMENTATIONS,
    _random_box,
    draw_flip,
    enough_to_crop,
    read_photo,
    transform,
)

WIDTH, HEIGHT, SIZE, DRAWS = 240, 200, 64, 1500
RECIPE = ("randomflip", "resizedcrop")
EXACT = 0.7  # pixels of the photo, to which a part can be read off a result


def ramp():
    """A photo of WIDTH x HEIGHT whose red is the column and whose green is the row."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return Image.fromarray(np.stack([columns, rows, 0 * rows], axis=2).astype(np.uint8))


def part(values):
    """(start, length) of what was taken of a ramp and squashed to these values; length < 0: mirrored."""
    places = np.arange(len(values)) + 0.5
    slope, zero = np.polyfit(places[2:-2], values[2:-2] + 0.5, 1)  # at the edges the filter is cut off
    length = slope * len(values)
    return zero + min(length, 0), length


def part_taken(pixels):
    """flip, left, top, w, h in pixels of the ramp."""
    (left, w), (top, h) = (part(pixels[:, :, channel].mean(axis=channel)) for channel in (0, 1))
    return w < 0, left, top, abs(w), h


@pytest.fixture(scope="module")
def drawn():
    """What DRAWS augmentations took: arrays flip, left, top, w, h."""
    photo = ramp()
    parts = [part_taken(transform(photo, SIZE, RECIPE, np.random.default_rng(seed))) for seed in range(DRAWS)]
    return SimpleNamespace(**dict(zip(("flip", "left", "top", "w", "h"), np.array(parts).T, strict=True)))


def reference_shapes(count, seed):
    """(w, h) as torchvision's RandomResizedCrop(scale=(0.7, 1)) draws them, written anew: (count,) each."""
    rng = np.random.default_rng(seed)
    area = rng.uniform(0.7, 1, 9 * count) * WIDTH * HEIGHT
    ratio = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3), 9 * count))
    w, h = np.sqrt(area * ratio), np.sqrt(area / ratio)
    fits = (w <= WIDTH) & (h <= HEIGHT)  # what does not fit is drawn again
    return w[fits][:count], h[fits][:count]


# --- distribution


def test_half_of_the_photos_are_mirrored(drawn):
    assert binomtest(int(drawn.flip.sum()), DRAWS).pvalue > 0.001


def test_scale_and_ratio_are_distributed_as_the_references(drawn):
    w, h = reference_shapes(20 * DRAWS, seed=1)
    assert ks_2samp(drawn.w * drawn.h, w * h).pvalue > 0.001
    assert ks_2samp(np.log(drawn.w / drawn.h), np.log(w / h)).pvalue > 0.001


class Recorder:
    """A NumPy generator that keeps what uniform() gave."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.given = []

    def uniform(self, low, high):
        self.given.append(self.rng.uniform(low, high))
        return self.given[-1]

    def integers(self, low, high):
        return self.rng.integers(low, high)


def test_scale_and_ratio_are_uniform_before_what_does_not_fit_is_drawn_again():
    """The share of the area in 0.7 to 1, the logarithm of width / height in that of 3/4 to 4/3."""
    recorders = [Recorder(seed) for seed in range(DRAWS)]
    for recorder in recorders:
        left, top, right, bottom = _random_box(WIDTH, HEIGHT, recorder)
        if (right - left, bottom - top) == (WIDTH, HEIGHT):  # ten draws did not fit: the whole photo
            assert len(recorder.given) == 20
            continue
        scale, log_ratio = recorder.given[-2:]
        assert (right - left) * (bottom - top) == pytest.approx(scale * WIDTH * HEIGHT, rel=0.01)
        assert (right - left) / (bottom - top) == pytest.approx(math.exp(log_ratio), rel=0.01)
    first_scale, first_log_ratio = np.array([recorder.given[:2] for recorder in recorders]).T
    assert kstest(first_scale, "uniform", (0.7, 0.3)).pvalue > 0.001
    assert kstest(first_log_ratio, "uniform", (math.log(3 / 4), math.log(16 / 9))).pvalue > 0.001


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_place_of_a_crop_is_uniform_in_the_free_room(drawn, mirrored):
    rng = np.random.default_rng(2)
    for start, free in ((drawn.left, WIDTH - drawn.w), (drawn.top, HEIGHT - drawn.h)):
        some = (drawn.flip == mirrored) & (free > 8)
        places = (np.round(start) + rng.uniform(size=DRAWS)) / (np.round(free) + 1)  # whole pixels, made even
        assert some.sum() > 0.3 * DRAWS
        assert kstest(places[some], "uniform").pvalue > 0.001


# --- pixels


def test_a_result_shows_the_part_that_was_drawn(drawn):
    for seed in range(0, DRAWS, 20):
        rng = np.random.default_rng(seed)
        flip = int(draw_flip(rng))
        left, top, right, bottom = _random_box(WIDTH, HEIGHT, rng)
        if flip:
            left, right = WIDTH - right, WIDTH - left
        ours = [getattr(drawn, name)[seed] for name in ("flip", "left", "top", "w", "h")]
        assert ours == pytest.approx([flip, left, top, right - left, bottom - top], abs=EXACT)


@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    size=st.integers(1, 60),
    seed=st.integers(0, 999),
    augmentations=st.sampled_from([AUGMENTATIONS, RECIPE, ("randomflip",)]),
)
def test_pixels_are_those_of_mirroring_first(width, height, size, seed, augmentations):
    """The reference mirrors the whole photo and crops then; mirroring the result gives equal pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    photo = Image.fromarray(pixels)
    rest = [name for name in augmentations if name != "randomflip"]
    rng = np.random.default_rng(seed)
    mirrored_first = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if draw_flip(rng) else photo
    expected = transform(mirrored_first, size, rest, rng)
    ours = transform(photo, size, augmentations, np.random.default_rng(seed))
    np.testing.assert_array_equal(ours, expected)


# --- JPEG files decoded at a part of their size


def smooth_photo(width, height, seed=0):
    """Soft blobs of colour."""
    pixels = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def jpeg(tmp_path):
    """A JPEG file of 800 x 600."""
    smooth_photo(800, 600).save(tmp_path / "large.jpg", quality=92)
    return tmp_path / "large.jpg"


@pytest.mark.parametrize(
    ("enough", "size"),
    [(None, (800, 600)), (601, (800, 600)), (301, (800, 600)), (300, (400, 300)), (151, (400, 300)),
     (150, (200, 150)), (75, (100, 75)), (1, (100, 75))],
)  # fmt: skip
def test_a_jpeg_is_decoded_as_small_as_suffices(jpeg, enough, size):
    assert read_photo(jpeg, enough=enough).size == size


def test_a_part_of_a_photo_is_cut_from_all_its_pixels(jpeg):
    box = (100, 100, 500, 400)
    np.testing.assert_array_equal(read_photo(jpeg, box, enough=10), read_photo(jpeg, box))


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp"])
def test_other_formats_are_decoded_whole(tmp_path, suffix):
    smooth_photo(200, 100).save(tmp_path / f"a.{suffix}")
    assert read_photo(tmp_path / f"a.{suffix}", enough=10).size == (200, 100)


def test_evaluation_takes_all_pixels():
    assert enough_to_crop(448, ()) is None


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("augmentations", [RECIPE, ("randomflip",), ("colorjitter", "resizedcrop")])
def test_a_photo_decoded_small_looks_the_same(jpeg, augmentations, seed):
    size = 64
    enough = enough_to_crop(size, augmentations)
    whole, small = read_photo(jpeg), read_photo(jpeg, enough=enough)
    assert small.width < whole.width / 2
    expected, ours = (
        transform(photo, size, augmentations, np.random.default_rng(seed)).astype(int)
        for photo in (whole, small)
    )
    assert np.abs(ours - expected).mean() < 1.5  # of 255; a crop may lie a pixel of the small photo beside
    assert np.abs(ours - expected).max() <= 8


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (4, 1)])
def test_what_is_enough_lets_no_crop_be_enlarged(shape):
    size, rng = 100, np.random.default_rng(0)
    width, height = (enough_to_crop(size, RECIPE) * side for side in shape)
    boxes = [_random_box(width, height, rng) for _ in range(2000)]
    smallest = min(min(right - left, bottom - top) for left, top, right, bottom in boxes)
    assert smallest >= size
    assert smallest <= 1.05 * size or shape != (1, 1)  # and not more than that
    assert enough_to_crop(size, ("randomflip",)) == size
