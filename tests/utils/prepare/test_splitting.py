"""The split: each photo on one side, groups together, shares near the wish, the same for a seed."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.errors import UserError
from utils.prepare.labelled import UNKNOWN
from utils.prepare.photo_facts import Facts
from utils.prepare.splitting import choose_test, groups_of

pytest.importorskip("iterstrat", reason="needs iterative-stratification")


def draw(seed, count, classes, rate=0.2, unknown=0.1):
    """Targets (N, C)."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((count, classes)) < rate).astype(int)
    targets[rng.random((count, classes)) < unknown] = UNKNOWN
    return targets


@given(st.integers(0, 999), st.integers(2, 120), st.integers(1, 6), st.floats(0.05, 0.9), st.integers(0, 99))
def test_every_split_is_one(seed, count, classes, share, split_seed):
    targets = draw(seed, count, classes)
    group = np.random.default_rng(seed).integers(0, max(2, count // 3), count)
    if len(set(group.tolist())) < 2:
        group[0] = group[1:].max() + 1
    in_test = choose_test(targets, group, share, split_seed)
    assert in_test.shape == (count,)
    assert in_test.dtype == bool
    assert 0 < in_test.sum() < count
    for leader in set(group.tolist()):
        assert len(set(in_test[group == leader].tolist())) == 1
    assert np.array_equal(in_test, choose_test(targets, group, share, split_seed))


@given(st.integers(0, 999), st.sampled_from((0.1, 0.2, 0.3, 0.5)), st.integers(1, 8))
def test_shares_are_near_the_wish(seed, share, classes):
    """Of 200 photos, of each class's positives, and of what is unknown."""
    targets = draw(seed, 200, classes)
    in_test = choose_test(targets, np.arange(200), share, 0)
    assert abs(in_test.sum() - share * 200) <= 4
    for value, most in ((1, 4), (UNKNOWN, 3)):
        there, chosen = (targets == value).sum(axis=0), (targets[in_test] == value).sum(axis=0)
        assert (np.abs(chosen - share * there) <= most).all()


@given(st.integers(0, 999))
def test_groups_of_different_size_still_give_the_share(seed):
    """Scenes of 1 to 20 photos, 200 in all."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(200), rng.integers(1, 21, 200))[:200]
    in_test = choose_test(draw(seed, 200, 4), group, 0.2, 0)
    assert abs(in_test.mean() - 0.2) <= 0.06


def test_a_group_has_the_labels_of_all_its_photos():
    """Ten classes, whose positives are the first of two photos; chance alone misses by more."""
    missed = []
    for seed in range(4):
        targets = draw(seed, 400, 10, rate=0.3, unknown=0)
        targets[1::2] = 0
        in_test = choose_test(targets, np.arange(400) // 2, 0.2, 0)
        missed.append(np.abs(targets[in_test].sum(axis=0) - 0.2 * targets.sum(axis=0)).max())
    assert np.mean(missed) <= 2


def test_rare_classes():
    """Five positives give one for the test; of one, which side gets it does not matter."""
    for positives in range(1, 21):
        targets = np.zeros((200, 1), int)
        targets[:positives] = 1
        found = int(targets[choose_test(targets, np.arange(200), 0.2, 0)].sum())
        assert abs(found - 0.2 * positives) < 1
        assert found < positives


def test_another_seed_gives_another_split():
    targets = draw(0, 200, 4)
    splits = {choose_test(targets, np.arange(200), 0.2, seed).tobytes() for seed in range(5)}
    assert len(splits) == 5


@pytest.mark.parametrize("value", [0, 1, UNKNOWN])
def test_all_the_same_label(value):
    in_test = choose_test(np.full((50, 1), value), np.arange(50), 0.2, 0)
    assert in_test.sum() == 10


def test_two_photos_are_one_and_one():
    for targets in ([[1], [1]], [[1], [0]], [[0], [0]], [[1, 0], [0, 1]]):
        for seed in range(10):
            assert choose_test(targets, np.arange(2), 0.2, seed).sum() == 1


def test_labels_of_one_photo_each():
    """The stratification alone would put every one into training."""
    group = np.array([0, 0, 0, 1, 2, 2, 2, 2])
    in_test = choose_test(np.eye(8, dtype=int), group, 0.1, 0)
    assert in_test.tolist() == [False] * 3 + [True] + [False] * 4


def test_one_group_cannot_be_split():
    with pytest.raises(
        UserError, match="3 photos, all alike, cannot be split; give --test_share 0, or more photos"
    ):
        choose_test(np.zeros((3, 2)), np.zeros(3, int), 0.2, 0)


# --- groups


def facts(prints):
    """Facts of photos; a print of None is that of one without structure, whose bytes others have."""
    return [
        Facts(None, digest=b"flat" if bits is None else bits.tobytes(), fingerprint=bits) for bits in prints
    ]


def test_groups_are_what_looks_alike_and_what_is_the_same():
    prints = list(np.random.default_rng(0).random((10, 256)) < 0.5)
    prints[7] = prints[2].copy()
    prints[7][:30] ^= True
    prints[3] = prints[5] = None
    group, note = groups_of(facts(prints), 0.2)
    assert note is None
    assert group.tolist() == [0, 1, 2, 3, 4, 3, 6, 2, 8, 9]


def test_photos_of_one_scene_are_kept_apart_by_bytes_alone():
    scene = np.random.default_rng(0).random(256) < 0.5
    prints = [scene.copy() for _ in range(10)]
    for number, bits in enumerate(prints[:9]):
        bits[number] ^= True
    prints[4] = prints[1]
    group, note = groups_of(facts(prints), 0.2)
    assert group.tolist() == [0, 1, 2, 3, 1, 5, 6, 7, 8, 9]
    assert note.startswith("10 of 10 photos look alike, so only files of the same bytes")
    eight = [*prints[:8], *(np.random.default_rng(1).random((2, 256)) < 0.5)]  # a group that a side can hold
    assert groups_of(facts(eight), 0.2)[0].tolist() == [0] * 8 + [8, 9]


def test_photos_that_all_look_alike_take_little_memory():
    """A camera that stands still: 2 million pairs, of which a list would take 300 MB."""
    facts = [
        Facts(None, digest=bytes(divmod(row, 256)), fingerprint=np.ones(256, bool)) for row in range(2000)
    ]
    tracemalloc.start()
    group, note = groups_of(facts, 0.2)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert note.startswith("2000 of 2000 photos look alike")
    assert group.tolist() == list(range(2000))
    assert most < 40e6
