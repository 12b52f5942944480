"""Batches: the same whatever the number of workers, every photo once, errors and threads that end."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from datasets.cache import RamCache
from datasets.loader import Loader, ordered_map
from datasets.records import Records
from datasets.transforms import AUGMENTATIONS
from utils.errors import UserError


@pytest.fixture
def records(make_photo):
    """Seven photos; the label of photo i is i in bits."""
    paths = [make_photo(f"{i}.png", width=20 + i, height=16, seed=i) for i in range(7)]
    labels = np.array([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(7)], dtype="int8")
    return Records(paths, labels, [None] * 5 + [[2, 2, 9, 9]] * 2)


def load(records, num_workers=0, epoch=1, seed=0, augmentations=(), shuffle=True, batch_size=3):
    """All batches of an epoch."""
    order = {"shuffle": shuffle, "seed": seed}
    loader = Loader(records, 16, batch_size, augmentations, num_workers=num_workers, **order)
    return list(loader.epoch(epoch))


def joined(batches):
    """(photos, labels, indices) of an epoch."""
    batches = list(batches)
    return [
        np.concatenate([getattr(batch, name) for batch in batches])
        for name in ("photos", "labels", "indices")
    ]


@pytest.fixture(autouse=True)
def _no_thread_stays():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("num_workers", [1, 4])
@pytest.mark.parametrize("augmentations", [(), AUGMENTATIONS])
def test_the_number_of_workers_changes_nothing(records, num_workers, augmentations):
    alone = joined(load(records, 0, augmentations=augmentations))
    for ours, expected in zip(
        joined(load(records, num_workers, augmentations=augmentations)), alone, strict=True
    ):
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("shuffle", [False, True])
def test_every_photo_comes_once_an_epoch_with_its_labels(records, shuffle):  # fault 26
    for epoch in (1, 2):
        photos, labels, indices = joined(load(records, 2, epoch, shuffle=shuffle))
        assert sorted(indices) == list(range(7))
        np.testing.assert_array_equal(labels, records.labels[indices])
        inorder = joined(load(records, shuffle=False))[0]
        np.testing.assert_array_equal(photos, inorder[indices])


def test_without_shuffle_the_order_is_that_of_the_records(records):
    assert joined(load(records, 2, shuffle=False))[2].tolist() == list(range(7))


def test_the_last_batch_may_be_smaller(records):
    batches = load(records)
    assert [batch.photos.shape for batch in batches] == [(3, 16, 16, 3), (3, 16, 16, 3), (1, 16, 16, 3)]
    assert [batch.labels.shape for batch in batches] == [(3, 3), (3, 3), (1, 3)]
    assert {batch.photos.dtype for batch in batches} == {np.dtype("uint8")}
    assert len(Loader(records, 16, 3)) == 3
    assert len(Loader(records, 16, 7)) == 1
    assert len(Loader(records, 16, 100)) == 1


def test_order_and_pixels_follow_from_seed_and_epoch(records):  # fault 18
    first = joined(load(records, 0, 1, 0, AUGMENTATIONS))
    again = joined(load(records, 3, 1, 0, AUGMENTATIONS))
    next_epoch = joined(load(records, 0, 2, 0, AUGMENTATIONS))
    other_seed = joined(load(records, 0, 1, 1, AUGMENTATIONS))
    np.testing.assert_array_equal(first[0], again[0])
    for other in (next_epoch, other_seed):
        assert other[2].tolist() != first[2].tolist()
        same_photo = [list(part[2]).index(0) for part in (first, other)]
        assert not np.array_equal(first[0][same_photo[0]], other[0][same_photo[1]])


def test_an_epoch_can_be_had_without_those_before_it(records):
    loader = Loader(records, 16, 3, AUGMENTATIONS, shuffle=True)
    list(loader.epoch(1))
    np.testing.assert_array_equal(
        joined(list(loader.epoch(2)))[0], joined(load(records, epoch=2, augmentations=AUGMENTATIONS))[0]
    )


def test_photos_of_a_batch_are_augmented_each_in_its_own_way(records):
    same = Records(records.paths[:1] * 6, records.labels[:6], [None] * 6)
    (batch,) = load(same, augmentations=("resizedcrop",), batch_size=6)
    assert len({photo.tobytes() for photo in batch.photos}) > 3


@pytest.mark.parametrize("num_workers", [0, 3])
def test_an_unreadable_photo_ends_the_epoch_with_its_path(records, num_workers):
    with open(records.paths[5], "wb") as file:
        file.write(b"no photo")
    batches = Loader(records, 16, 2, num_workers=num_workers).epoch()
    assert [list(next(batches).indices) for _ in range(2)] == [[0, 1], [2, 3]]
    with pytest.raises(UserError, match="cannot read photo .*5.png"):
        next(batches)


def test_leaving_an_epoch_early_stops_the_threads(records):
    for _ in Loader(records, 16, 1, num_workers=3).epoch():
        break


def test_an_error_of_the_caller_stops_the_threads(records):
    def fail():
        for _ in Loader(records, 16, 1, num_workers=3).epoch():
            raise RuntimeError("of the caller")

    with pytest.raises(RuntimeError):
        fail()


def test_no_thread_is_started_without_workers_nor_stays_after_an_epoch(records):  # fault 16
    before = threading.active_count()
    for _ in Loader(records, 16, 2, num_workers=0).epoch():
        assert threading.active_count() == before
    for _ in Loader(records, 16, 2, num_workers=2).epoch():
        assert threading.active_count() <= before + 2
    assert threading.active_count() == before


@pytest.mark.parametrize("num_workers", [0, 1, 5])
def test_ordered_map_keeps_the_order_and_stays_bounded(num_workers):
    started, lead = [], []

    def work(item):
        started.append(item)
        time.sleep(0.002 * (item % 3))  # later items may be done before earlier ones
        return item * item

    results = []
    for result in ordered_map(work, range(60), num_workers, ahead=4):
        results.append(result)
        time.sleep(0.005)  # a slow consumer: the workers could run far ahead
        lead.append(len(started) - len(results))
    assert results == [item * item for item in range(60)]
    assert sorted(started) == list(range(60))
    assert max(lead) <= (4 if num_workers else 0)


def test_ordered_map_begins_nothing_more_once_it_is_left():
    started = []

    def work(item):
        started.append(item)
        time.sleep(0.01)

    results = ordered_map(work, range(99), num_workers=2, ahead=40)
    next(results)
    results.close()
    assert len(started) < 10
    count = len(started)
    time.sleep(0.05)
    assert len(started) == count


@pytest.mark.parametrize("num_workers", [0, 2])
def test_ordered_map_raises_where_the_result_is_due(num_workers):
    results = ordered_map(lambda item: 1 / (item - 2), range(9), num_workers, ahead=8)
    assert [next(results), next(results)] == [-0.5, -1]
    with pytest.raises(ZeroDivisionError):
        next(results)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_ordered_map_of_nothing(num_workers):
    assert list(ordered_map(str, [], num_workers, ahead=3)) == []


@pytest.mark.parametrize("num_workers", [0, 3])
@pytest.mark.parametrize("augmentations", [(), AUGMENTATIONS])
def test_a_cache_changes_nothing_but_the_reading(records, augmentations, num_workers):
    plain = Loader(records, 16, 3, augmentations, shuffle=True)
    cached = Loader(records, 16, 3, augmentations, shuffle=True, num_workers=num_workers, cache=RamCache())
    expected = [joined(plain.epoch(epoch)) for epoch in (1, 2)]
    for path in records.paths:  # all were read when the cache was made: they are few
        Path(path).unlink()
    for epoch in (1, 2):
        for ours, other in zip(joined(cached.epoch(epoch)), expected[epoch - 1], strict=True):
            np.testing.assert_array_equal(ours, other)
