"""The bootstrap: the same as drawing photos and calling average_precision, and intervals that hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.evaluation import bootstrap
from utils.evaluation.bootstrap import ap_of_draws, draws, draws_of_photos, interval, mean_of_classes
from utils.evaluation.metrics import AP_KINDS, IGNORED, average_precision

pytestmark = pytest.mark.filterwarnings("error")


@given(st.integers(0, 999), st.integers(1, 25), st.sampled_from(AP_KINDS), st.booleans())
def test_draws_weigh_photos_as_copies_do(seed, photos, kind, ties):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 6, (photos, 3)) / 5 if ties else rng.random((photos, 3))
    labels = rng.choice([1, 1, 0, 0, IGNORED], (photos, 3))
    times = draws(photos, 6, seed)
    found = ap_of_draws(scores, labels, times, kind)
    for row, ap in zip(times, found, strict=True):
        copies = np.repeat(np.arange(photos), row)
        np.testing.assert_allclose(ap, average_precision(scores[copies], labels[copies], kind), rtol=1e-12)


def test_draws_are_with_replacement_and_repeatable():
    times = draws(40, 300, seed=3)
    assert (times.sum(axis=1) == 40).all()
    assert times.max() > 2
    assert (times == draws(40, 300, seed=3)).all()
    assert (times != draws(40, 300, seed=4)).any()
    assert abs((times == 0).mean() - (1 - 1 / 40) ** 40) < 0.01  # photos that a draw leaves out


def test_boxes_of_one_photo_are_drawn_together():
    times = draws_of_photos(["b", "a", "b", "c"], 200)
    assert (times[:, 0] == times[:, 2]).all()
    assert (times[:, [0, 1, 3]] == draws(3, 200)).all()
    assert (draws_of_photos(list("abcd"), 200) == draws(4, 200)).all()


def test_memory_is_bounded_without_another_result(monkeypatch):
    rng = np.random.default_rng(0)
    scores, labels, times = rng.random((30, 2)), rng.integers(0, 2, (30, 2)), draws(30, 50)
    whole = ap_of_draws(scores, labels, times)
    monkeypatch.setattr(bootstrap, "CHUNK", 30 * 7)
    np.testing.assert_allclose(ap_of_draws(scores, labels, times), whole, rtol=1e-12)


def test_interval_is_the_middle_of_the_values():
    values = np.arange(1001.0)
    assert interval(values) == (25, 975)
    low, high = interval(np.stack([values, np.full(1001, np.nan), np.where(values < 500, np.nan, values)], 1))
    assert low[0] == 25
    assert np.isnan([low[1], high[1]]).all()
    assert 500 < low[2] < high[2] < 1000


def test_mean_leaves_out_classes_without_an_ap():
    nan = np.nan
    np.testing.assert_array_equal(
        mean_of_classes(np.array([[0.2, 0.4], [nan, 0.4], [nan, nan]])), [(0.2 + 0.4) / 2, 0.4, nan]
    )


def test_paired_draws_narrow_the_interval_of_a_difference():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (200, 1))
    scores = labels * 0.3 + rng.random((200, 1))
    better = scores + 0.02 * labels
    first, second = (ap_of_draws(each, labels, draws(200)) for each in (better, scores))
    low, high = interval(first - second)
    alone_low, alone_high = interval(first)
    assert 0 < low < high < alone_high - alone_low
