"""Thresholds by class against a search over all of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from utils.evaluation.calibration import calibrate, fit_temperature
from utils.evaluation.metrics import precision_recall
from utils.evaluation.thresholds import best_thresholds, held_out, threshold_lines, tune_thresholds
from utils.predictions import labels_of

pytestmark = pytest.mark.filterwarnings("error")

SCORE = st.one_of(st.floats(0, 1, width=32), st.sampled_from([0.0, 0.25, 0.5, 1.0]))  # some are equal
GOALS = [("f1", None)] + [
    (name, least) for name in ("precision", "recall") for least in (0.0, 0.55, 0.9, 1.0)
]


@st.composite
def splits(draw):
    """scores (N, 2) float32 and labels (N, 2) with ignored ones."""
    shape = draw(st.integers(1, 20)), 2
    scores = draw(hnp.arrays("float32", shape, elements=SCORE))
    return scores, draw(hnp.arrays("int8", shape, elements=st.sampled_from([-1, 0, 1])))


def figures_at(score, label, threshold):
    """Precision, recall and F1 of one class, by counting; precision None where nothing is predicted."""
    predicted = (score >= np.float32(threshold)) & (label != -1)
    hits = int((predicted & (label == 1)).sum())
    precision = hits / predicted.sum() if predicted.any() else None
    recall = hits / (label == 1).sum()
    return precision, recall, 2 * hits / (predicted.sum() + (label == 1).sum())


def candidates(score):
    """Thresholds that predict each of the sets that a threshold can, one photo at least."""
    return np.unique(score)[::-1]  # the highest first


@given(splits(), st.sampled_from(GOALS))
def test_each_class_gets_what_was_promised(split, goal):
    scores, labels = split
    name, least = goal
    for c, threshold in enumerate(best_thresholds(scores, labels, goal)):
        score, label = scores[:, c], labels[:, c]
        if not (label == 1).any():
            assert np.isnan(threshold)
            continue
        every = [figures_at(score, label, at) for at in candidates(score[label != -1])]
        if name == "precision" and not any(precision >= least for precision, _, _ in every):
            assert np.isnan(threshold)
            continue
        assert 0 <= threshold <= 1
        assert np.float32(threshold) == threshold
        precision, recall, f1 = figures_at(score, label, threshold)
        if name == "f1":
            assert f1 == max(f1 for _, _, f1 in every)
        elif name == "recall":  # the highest threshold: no set with fewer photos reaches it
            assert recall >= least
            assert precision == next(p for p, r, _ in every if r >= least)
        else:
            assert precision >= least
            assert recall == max(r for p, r, _ in every if p >= least)


@given(splits(), st.sampled_from(GOALS))
def test_thresholds_lie_between_two_scores(split, goal):
    """Moving one by a little changes no label, unless the scores themselves are that near."""
    scores, labels = split
    for c, threshold in enumerate(best_thresholds(scores, labels, goal)):
        if np.isnan(threshold):
            continue
        score = np.unique(np.append(scores[labels[:, c] != -1, c], np.float32(0)))
        upper = score[score >= threshold].min()
        lower = score[score < upper].max(initial=0)
        assert lower < threshold <= upper or threshold == upper == 0
        assert abs(threshold - (float(upper) + float(lower)) / 2) <= np.spacing(upper)


def test_midway():
    scores = np.float32([[0.9], [0.8], [0.4], [0.2]])
    labels = np.array([[1], [1], [0], [1]])
    assert best_thresholds(scores, labels, ("precision", 0.9)) == pytest.approx(0.6)
    assert best_thresholds(scores, labels, ("recall", 0.6)) == pytest.approx(0.6)
    assert best_thresholds(scores, labels, ("recall", 0.9)) == pytest.approx(0.1)  # halfway to 0
    assert best_thresholds(scores, labels, ("precision", 0.7)) == pytest.approx(0.1)
    assert best_thresholds(scores, labels, ("f1", None)) == pytest.approx(0.1)  # 6/7 against 4/5


def test_of_equal_f1_the_highest_threshold():
    tie = np.float32([[0.9], [0.5], [0.4], [0.3]]), np.array([[1], [0], [0], [1]])  # F1: 2/3 1/2 2/5 2/3
    assert best_thresholds(*tie, ("f1", None)) == pytest.approx(0.7)


def test_neighbours_among_the_floats():
    """Nothing lies midway: the upper one itself, which still counts."""
    upper = np.float32(0.7)
    lower = np.nextafter(upper, np.float32(0))
    (threshold,) = best_thresholds(np.array([[upper], [lower]]), np.array([[1], [0]]), ("f1", None))
    assert threshold == upper
    for value, names in ((upper, ["dog"]), (lower, [])):
        assert labels_of(np.array([value]), ["dog"], [float(threshold)]) == names


@pytest.mark.parametrize("least", [0.07, 0.55, 0.56, 0.9])
def test_a_share_that_is_reached_to_the_digit(least):
    """0.55 * 100 is more than 55 in floats; 55 of 100 are enough."""
    hits = round(100 * least)
    scores = np.linspace(0.9, 0.1, 100, dtype="float32")[:, None]
    labels = np.array([0] * (100 - hits) + [1] * hits)[:, None]  # worst first: only all of them reach it
    assert best_thresholds(scores, labels, ("precision", least)) == pytest.approx(0.05)
    (threshold,) = best_thresholds(scores, np.ones((100, 1), int), ("recall", least))
    assert (scores >= threshold).sum() == hits


def test_f1_tuned_on_a_split_is_no_worse_there():
    rng = np.random.default_rng(1)
    scores = rng.random((300, 4)).astype("float32") ** 3
    labels = (rng.random((300, 4)) < scores).astype(int)
    tuned = tune_thresholds(scores, labels, ("f1", None))
    for c in range(4):
        column = slice(c, c + 1)
        before, after = (
            precision_recall(scores[:, column], labels[:, column], threshold)["OF1"]
            for threshold in (0.5, tuned[column])
        )
        assert after >= before
    assert tuned.shape == (4,)


# --- tuned on other photos


def overconfident(photos, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 2, (photos, 3))
    labels = (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(int)
    return (1 / (1 + np.exp(-3 * logits))).astype("float32"), labels


def test_each_photo_is_held_out_of_what_it_is_measured_by():
    """A photo's own label changes nothing about its threshold and score, those of the other half do."""
    scores, labels = overconfident(40)
    before = scores.copy(), labels.copy()
    given = held_out(scores, labels, ("f1", None), temperature=True)
    assert (scores == before[0]).all()
    half = (given[1] == given[1][0]).all(axis=1)  # the photos with the first one's thresholds
    assert half.sum() == 20
    changed = labels.copy()
    changed[half] = 1 - changed[half]
    again = held_out(scores, changed, ("f1", None), temperature=True)
    for one, other in zip(given, again, strict=True):
        assert (one[half] == other[half]).all()
        assert (one[~half] != other[~half]).any()


def test_held_out_is_what_the_other_half_gives():
    scores, labels = overconfident(41)
    calibrated, thresholds = held_out(scores, labels, ("f1", None), temperature=True, seed=3)
    half = (thresholds == thresholds[0]).all(axis=1)
    for use in (half, ~half):
        fitted = fit_temperature(scores[~use], labels[~use])
        np.testing.assert_array_equal(calibrated[use], calibrate(scores[use], fitted))
        expected = tune_thresholds(calibrate(scores[~use], fitted), labels[~use], ("f1", None))
        np.testing.assert_array_equal(thresholds[use], np.tile(expected, (use.sum(), 1)))
    other = held_out(scores, labels, ("f1", None), temperature=True, seed=4)
    assert (other[1] != thresholds).any()


def test_boxes_of_one_photo_are_held_out_together():
    scores, labels = overconfident(40)
    paths = [f"{row // 4}.jpg" for row in range(40)]
    thresholds = held_out(scores, labels, ("f1", None), paths=paths)[1].reshape(10, 4, 3)
    assert (thresholds == thresholds[:, :1]).all()
    assert (thresholds[:, 0] == thresholds[0, 0]).all(axis=1).sum() == 5


def test_held_out_without_a_part():
    scores, labels = overconfident(40)
    calibrated, thresholds = held_out(scores, labels, temperature=True, fallback=[0.1, 0.2, 0.3])
    assert (thresholds == [0.1, 0.2, 0.3]).all()
    assert (calibrated != scores).any()
    same, thresholds = held_out(scores, labels, ("f1", None))
    assert same.tobytes() == scores.tobytes()
    assert thresholds.shape == labels.shape
    assert precision_recall(scores, labels, thresholds)["OF1"] > 0.4


def test_what_is_held_out_is_no_better_than_what_is_tuned_on():
    """Labels by chance: thresholds cannot gain anything, but seem to where they were tuned."""
    rng = np.random.default_rng(5)
    scores, labels = rng.random((60, 30), dtype="float32"), (rng.random((60, 30)) < 0.1).astype(int)
    honest = precision_recall(scores, labels, held_out(scores, labels, ("f1", None))[1])["CF1"]
    flattered = precision_recall(scores, labels, tune_thresholds(scores, labels, ("f1", None)))["CF1"]
    assert honest < 0.25 < 0.3 < flattered


def test_classes_that_cannot_be_tuned_keep_the_threshold_in_use():
    scores = np.float32([[0.9, 0.9, 0.9], [0.2, 0.2, 0.2]])
    labels = np.array([[1, 0, 0], [0, 0, 1]])  # tuned, no positive, precision 0.9 out of reach
    found = best_thresholds(scores, labels, ("precision", 0.9))
    np.testing.assert_allclose(found, [0.55, np.nan, np.nan], rtol=1e-6)
    np.testing.assert_allclose(
        tune_thresholds(scores, labels, ("precision", 0.9)), [0.55, 0.5, 0.5], rtol=1e-6
    )
    tuned = tune_thresholds(scores, labels, ("precision", 0.9), [0.1, 0.2, 0.3])
    np.testing.assert_allclose(tuned, [0.55, 0.2, 0.3], rtol=1e-6)
    first, second = threshold_lines(found, ["cat", "dog", "cow"], ("precision", 0.9), 0.4)
    assert first == "thresholds for precision=0.9: cat 0.550, dog 0.400, cow 0.400"
    assert second.endswith("kept: dog, cow")
    assert len(threshold_lines(found[:1], ["cat"], ("f1", None))) == 1
    assert threshold_lines(found[:1], ["cat"], ("f1", None))[0].startswith("thresholds for f1: ")
