"""Photos that show the same are found, others are not."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from utils.prepare.duplicates import CLOSE, fingerprint, groups, near_rows

DEMO = sorted((Path(__file__).resolve().parents[3] / "utils/demo_images").glob("*.jpg"))


def pairs_of(prints, close=CLOSE):
    return [[row, other] for row, others in near_rows(prints, close) for other in others.tolist()]


def encoded(image, **options):
    """The image as a file of it is read again."""
    file = io.BytesIO()
    image.save(file, **options)
    return Image.open(file)


CHANGES = {
    "png": lambda photo: encoded(photo, format="PNG"),
    "quality": lambda photo: encoded(photo, format="JPEG", quality=40),
    "half": lambda photo: photo.resize((photo.width // 2, photo.height // 2)),
    "double": lambda photo: photo.resize((photo.width * 2, photo.height * 2)),
    "brighter": lambda photo: ImageEnhance.Brightness(photo).enhance(1.2),
    "grey": lambda photo: photo.convert("L"),
    "edge": lambda photo: photo.crop((4, 4, photo.width - 4, photo.height - 4)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_photo_is_near_its_original(change):
    photos = [Image.open(path).convert("RGB") for path in DEMO]
    prints = [fingerprint(photo) for photo in [*photos, *map(CHANGES[change], photos)]]
    assert pairs_of(prints) == [[row, row + len(DEMO)] for row in range(len(DEMO))]


def test_the_draft_decoding_of_a_jpeg_has_the_same_fingerprint():
    for path in DEMO:
        small = Image.open(path)
        small.draft("L", (64, 64))
        assert np.sum(fingerprint(small) != fingerprint(Image.open(path))) <= CLOSE // 2


def test_photos_without_structure_are_near_nothing():
    prints = [fingerprint(Image.new("RGB", (40, 30), colour)) for colour in ("red", "blue", "red")]
    assert prints == [None] * 3
    assert pairs_of(prints) == []
    assert pairs_of([]) == []


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(0, 60))
def test_near_rows_are_those_a_count_finds(seed, count, close):
    rng = np.random.default_rng(seed)
    base = rng.random((4, 256)) < 0.5
    prints = [base[rng.integers(4)] ^ (rng.random(256) < 0.1) for _ in range(count)]
    expected = [
        [i, j]
        for i in range(count)
        for j in range(i + 1, count)
        if np.count_nonzero(prints[i] != prints[j]) <= close
    ]
    assert pairs_of(prints, close) == expected


def test_more_photos_than_are_compared_at_a_time():
    rng = np.random.default_rng(0)
    prints = list(rng.random((1100, 256)) < 0.5)
    prints[1050] = prints[3].copy()
    prints[700] = prints[1099].copy()
    assert pairs_of(prints) == [[3, 1050], [700, 1099]]


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=25))
def test_groups_are_the_connected_parts(pairs):
    found = groups(20, pairs)
    reach = np.eye(20, dtype=bool)
    for i, j in pairs:
        reach[i, j] = reach[j, i] = True
    for _ in range(5):
        reach = reach @ reach
    assert found.tolist() == [int(np.flatnonzero(row)[0]) for row in reach]
