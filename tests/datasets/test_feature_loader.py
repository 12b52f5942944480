"""Batches of feature maps: those that a Loader makes of the same photos in the same epoch.

The maps of a photo are its pixels here, so that both can be compared to the bit.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.features import FeatureLoader
from datasets.loader import Loader
from datasets.records import Records

SIZE = 16  # of photos and maps: nothing is resized, and mirrored pixels are exact


@pytest.fixture
def records(make_photo):
    """Eleven photos; the label of photo i is i in bits."""
    paths = [make_photo(f"{i}.png", SIZE, SIZE, seed=i) for i in range(11)]
    labels = np.array([[i >> bit & 1 for bit in range(4)] for i in range(11)], dtype="int8")
    return Records(paths, labels, [None] * 11)


def as_maps(photos):
    """Photos (B, S, S, 3) as a trunk's feature maps (B, 3, S, S)."""
    return photos.transpose(0, 3, 1, 2).astype("float16")


def feature_loader(records, mirrored, **options):
    """A loader of all photos, plain and, with `mirrored`, mirrored."""
    photos = next(Loader(records, SIZE, len(records)).epoch()).photos
    views = (as_maps(photos), as_maps(photos[:, :, ::-1]) if mirrored else None)
    return FeatureLoader(records, *views, batch_size=4, **options)


def assert_same_batches(loader, photo_loader, epoch):
    pairs = list(zip(loader.epoch(epoch), photo_loader.epoch(epoch), strict=True))
    for batch, expected in pairs:
        np.testing.assert_array_equal(batch.indices, expected.indices)
        np.testing.assert_array_equal(batch.labels, expected.labels)
        np.testing.assert_array_equal(batch.photos, as_maps(expected.photos))
    return pairs


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_those_photos_are_mirrored_that_a_loader_mirrors(records, seed, epoch):
    photo_loader = Loader(records, SIZE, 4, ("randomflip",), shuffle=True, seed=seed)
    pairs = assert_same_batches(
        feature_loader(records, mirrored=True, shuffle=True, seed=seed), photo_loader, epoch
    )
    plain = feature_loader(records, mirrored=False).plain
    same = [(batch.photos == plain[batch.indices]).all(axis=(1, 2, 3)) for batch, _ in pairs]
    assert 0 < np.concatenate(same).sum() < 11  # some are mirrored, some are not


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("epoch", [1, 2])
def test_without_mirrored_maps_nothing_is_mirrored(records, seed, epoch):
    loader = feature_loader(records, mirrored=False, shuffle=True, seed=seed)
    assert_same_batches(loader, Loader(records, SIZE, 4, shuffle=True, seed=seed), epoch)


def test_without_shuffle_the_order_is_that_of_the_records(records):
    loader = feature_loader(records, mirrored=False)
    assert np.concatenate([batch.indices for batch in loader.epoch()]).tolist() == list(range(11))
    assert_same_batches(loader, Loader(records, SIZE, 4), 0)


def test_the_last_batch_may_be_smaller(records):
    loader = feature_loader(records, mirrored=True, shuffle=True)
    batches = list(loader.epoch(1))
    assert [batch.photos.shape for batch in batches] == [(4, 3, SIZE, SIZE)] * 2 + [(3, 3, SIZE, SIZE)]
    assert [batch.labels.shape for batch in batches] == [(4, 4), (4, 4), (3, 4)]
    assert len(loader) == 3


def test_labels_and_types_are_those_of_the_records(records):
    for batch in feature_loader(records, mirrored=True, shuffle=True).epoch(5):
        np.testing.assert_array_equal(batch.labels, records.labels[batch.indices])
        assert (batch.photos.dtype, batch.labels.dtype) == (np.float16, np.int8)


@given(
    count=st.integers(1, 20), batch_size=st.integers(1, 25), seed=st.integers(0, 9), epoch=st.integers(0, 9)
)
def test_every_photo_comes_once_an_epoch(count, batch_size, seed, epoch):
    records = Records([""] * count, np.arange(count, dtype="int8")[:, None], [None] * count)
    plain = np.arange(count, dtype="float16").reshape(count, 1, 1, 1)
    loader = FeatureLoader(records, plain, -plain, batch_size=batch_size, shuffle=True, seed=seed)
    batches = list(loader.epoch(epoch))
    assert len(batches) == len(loader)
    indices = np.concatenate([batch.indices for batch in batches])
    assert sorted(indices) == list(range(count))
    maps = np.concatenate([batch.photos for batch in batches]).ravel()
    np.testing.assert_array_equal(np.abs(maps), indices)
