"""Steps of the optimizer, dealt out to processes and batches: each photo once, and nothing but its share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.loader import Batches, Loader, Share, epoch_order
from datasets.records import Records
from datasets.transforms import AUGMENTATIONS

SPLITS = st.fixed_dictionaries(
    {
        "count": st.integers(1, 40),
        "batch_size": st.integers(1, 6),
        "world": st.integers(1, 5),
        "accum_steps": st.integers(1, 4),
        "shuffle": st.booleans(),
        "seed": st.integers(0, 9),
    }
)


class Numbers(Batches):
    """In place of photos their rows; `asked` are those that were asked for, in order."""

    def _inputs(self, rows, epoch):
        for row in rows:
            self.asked = [*getattr(self, "asked", []), row]
            yield np.array([row, epoch])


def loaders(count, batch_size, world, accum_steps, shuffle, seed):
    """A loader for each process. A third of the labels is ignored."""
    labels = np.random.default_rng(seed).integers(-1, 2, (count, 3)).astype("int8")
    records = Records([""] * count, labels, [None] * count)
    shares = [Share(rank, world, accum_steps) for rank in range(world)]
    return [Numbers(records, batch_size, shuffle, seed, share) for share in shares]


def assert_same_batch(batch, expected):
    for name in ("photos", "labels", "indices"):
        np.testing.assert_array_equal(getattr(batch, name), getattr(expected, name))


def assert_same_steps(steps, expected):
    for (known, batches), (their_known, theirs) in zip(steps, expected, strict=True):
        assert known == their_known
        for batch, other in zip(batches, theirs, strict=True):
            assert_same_batch(batch, other)


@given(split=SPLITS, epoch=st.integers(0, 3))
def test_the_photos_of_a_step_come_once_in_all_processes_together(split, epoch):
    ranks = loaders(**split)
    labels, size = ranks[0].records.labels, ranks[0].step_size
    assert size == split["batch_size"] * split["world"] * split["accum_steps"]
    order = epoch_order(split["count"], split["shuffle"], split["seed"], epoch)
    steps = list(zip(*(loader.steps(epoch) for loader in ranks), strict=True))
    assert {len(loader) for loader in ranks} == {len(steps)}
    for number, parts in enumerate(steps):
        expected = order[number * size : (number + 1) * size]
        taken = []
        for rank, (known, batches) in enumerate(parts):
            assert known * split["world"] == pytest.approx(np.count_nonzero(labels[expected] >= 0))
            assert 1 <= len(batches) <= split["accum_steps"]
            assert all(1 <= len(batch.indices) <= split["batch_size"] for batch in batches)
            rows = np.concatenate([batch.indices for batch in batches])
            np.testing.assert_array_equal(
                np.concatenate([batch.photos for batch in batches]), [[row, epoch] for row in rows]
            )
            own = np.concatenate([batch.labels for batch in batches])
            if rank < len(expected):
                np.testing.assert_array_equal(own, labels[rows])
                taken.append(rows)
            else:  # no photo is left for it: one that teaches nothing
                assert own.shape == (1, 3)
                assert (own == -1).all()
        assert sorted(np.concatenate(taken)) == sorted(expected)
        assert max(map(len, taken)) - min(map(len, taken)) <= 1


@given(split=SPLITS, epoch=st.integers(0, 3), done=st.integers(0, 40))
def test_steps_from_a_later_one_on_are_those_of_the_whole_epoch(split, epoch, done):
    """And no photo of an earlier one is read."""
    for loader, again in zip(loaders(**split), loaders(**split), strict=True):
        whole = list(loader.steps(epoch))
        assert_same_steps(again.steps(epoch, done), whole[done:])
        rest = [row for _, batches in whole[done:] for batch in batches for row in batch.indices]
        assert getattr(again, "asked", []) == rest


@given(split=SPLITS, epoch=st.integers(0, 3))
def test_an_epoch_has_the_batches_of_one_process_whoever_has_them(split, epoch):
    ranks = loaders(**split)
    (alone,) = loaders(**{**split, "world": 1, "accum_steps": 1})
    expected = list(alone.epoch(epoch))
    for rank, loader in enumerate(ranks):
        own = expected[rank :: split["world"]]
        for batch, other in zip(loader.epoch(epoch), own, strict=True):
            assert_same_batch(batch, other)


@given(split=SPLITS, epoch=st.integers(0, 3))
def test_alone_and_without_accumulation_a_step_is_a_batch_of_the_epoch(split, epoch):
    (loader,) = loaders(**{**split, "world": 1, "accum_steps": 1})
    steps = list(loader.steps(epoch))
    for (known, batches), expected in zip(steps, loader.epoch(epoch), strict=True):
        (batch,) = batches
        assert_same_batch(batch, expected)
        assert known == np.count_nonzero(batch.labels >= 0)


def test_the_records_keep_their_labels():
    """A process without a photo ignores the labels of one, in its own copy."""
    loader = loaders(3, 2, 5, 1, False, seed=0)[4]
    before = loader.records.labels.copy()
    ((_, (batch,)),) = loader.steps(0)
    assert (batch.labels == -1).all()
    np.testing.assert_array_equal(loader.records.labels, before)


@pytest.mark.parametrize("num_workers", [0, 3])
def test_photos_of_later_steps_are_augmented_as_in_a_whole_epoch(make_photo, num_workers):
    paths = [make_photo(f"{i}.png", seed=i) for i in range(7)]
    records = Records(paths, np.zeros((7, 2), "int8"), [None] * 7)
    loader = Loader(records, 16, 2, AUGMENTATIONS, num_workers=num_workers, shuffle=True)
    assert_same_steps(loader.steps(3, 2), list(loader.steps(3))[2:])
