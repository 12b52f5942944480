"""Curves, tables and mistakes of a report: scikit-learn's, and what the definitions say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from utils.evaluation.curves import (
    Curve,
    at_best_threshold,
    at_threshold,
    co_occurrence,
    confusions,
    histograms,
    mistakes,
    precision_recall_curve,
    thinned,
)
from utils.evaluation.metrics import IGNORED

pytestmark = pytest.mark.filterwarnings("error")


@st.composite
def runs(draw, most=30):
    """Scores (N, C) with many ties, and labels with all three values."""
    seed, photos, classes = draw(st.tuples(st.integers(0, 999), st.integers(1, most), st.integers(1, 4)))
    rng = np.random.default_rng(seed)
    scores = (rng.integers(0, 8, (photos, classes)) / 7).astype(np.float32)
    return scores, rng.choice([1, 0, 0, IGNORED], (photos, classes)).astype(np.int8)


@given(runs())
def test_curve_is_scikit_learns(run):
    scores, labels = run[0][:, 0], run[1][:, 0]
    curve, counted = precision_recall_curve(scores, labels), labels != IGNORED
    if not (labels == 1).any():
        assert len(curve.recall) == 0
        return
    precision, recall, threshold = sklearn.precision_recall_curve(labels[counted], scores[counted])
    np.testing.assert_allclose(curve.threshold, threshold[::-1])
    np.testing.assert_allclose(curve.precision, precision[-2::-1])
    np.testing.assert_allclose(curve.recall, recall[-2::-1])


@given(runs(), st.floats(0.05, 1))
def test_at_threshold_is_scikit_learns(run, threshold):
    scores, labels = run
    found = at_threshold(scores, labels, threshold)
    for c in range(labels.shape[1]):
        counted = labels[:, c] != IGNORED
        truth, said = labels[counted, c] == 1, scores[counted, c] >= threshold
        assert found.false[c] == (said & ~truth).sum()
        assert found.missed[c] == (truth & ~said).sum()
        assert np.isnan(found.precision[c]) == (not said.any())
        assert np.isnan(found.recall[c]) == np.isnan(found.f1[c]) == (not truth.any())
        if truth.any() and said.any():
            expected = sklearn.precision_recall_fscore_support(truth, said, average="binary")[:3]
            assert (found.precision[c], found.recall[c], found.f1[c]) == pytest.approx(expected)


@given(runs())
def test_no_threshold_beats_the_best(run):
    scores, labels = run
    best = at_best_threshold(scores, labels).f1
    for threshold in np.unique(scores):
        other = at_threshold(scores, labels, threshold).f1
        assert (np.isnan(best) | (best >= other - 1e-12)).all()


def test_thresholds_may_differ_by_class():
    scores, labels = np.full((2, 2), 0.5), np.array([[1, 1], [0, 0]])
    found = at_threshold(scores, labels, [0.4, 0.6])
    assert found.recall.tolist() == [1, 0]
    assert found.false.tolist() == [1, 0]


def test_thinning_keeps_the_ends_and_the_corners():
    rng = np.random.default_rng(0)
    curve = precision_recall_curve(rng.random(5000), (rng.random(5000) < 0.2).astype(int))
    thin = thinned(curve)
    assert len(thin.recall) == 200
    assert [thin.recall[0], thin.recall[-1]] == [curve.recall[0], curve.recall[-1]]
    recall = np.array([0.5, 0.5, 0.5, 1.0])
    assert thinned(Curve(recall, recall, recall)).recall.tolist() == [0.5, 0.5, 1.0]


def test_histograms_count_every_known_label():
    scores = np.array([[0.0, 0.1], [1.0, 0.1], [0.5, 0.9]])
    labels = np.array([[0, 1], [1, IGNORED], [1, 0]])
    negatives, positives = histograms(scores, labels, bins=2)
    assert negatives.tolist() == [[1, 0], [0, 1]]
    assert positives.tolist() == [[0, 2], [1, 0]]


def test_co_occurrence_by_hand():
    labels = np.array([[1, 1, 0], [1, 0, IGNORED], [0, 1, 0]])
    scores = np.array([[0.9, 0.1, 0.8], [0.9, 0.9, 0.9], [0.9, 0.9, 0.1]])
    labelled, predicted = co_occurrence(scores, labels, 0.5)
    assert labelled[0].tolist() == [1, 0.5, 0]
    assert predicted[0].tolist() == [1, 0.5, 1]  # in the third column one photo counts
    assert labelled[1].tolist() == [0.5, 1, 0]
    assert predicted[1].tolist() == [1, 0.5, 0.5]
    assert np.isnan(labelled[2]).all()
    assert np.isnan(predicted[2]).all()


@given(runs())
def test_the_diagonal_is_the_recall(run):
    labelled, predicted = co_occurrence(*run, 0.5)
    known = (run[1] == 1).any(axis=0)
    assert (np.diag(labelled)[known] == 1).all()
    np.testing.assert_allclose(np.diag(predicted), at_threshold(*run, 0.5).recall)


def test_confusions_are_the_largest_gaps_of_classes_with_enough():
    labelled = np.array([[1, 0.5, 0.1], [0, 1, 0], [np.nan, np.nan, np.nan]])
    predicted = np.array([[0.2, 0.4, 0.9], [0.7, 1, 0], [np.nan, np.nan, np.nan]])
    assert confusions(labelled, predicted, [9, 9, 0]) == [(0, 2), (1, 0), (0, 1)]
    assert confusions(labelled, predicted, [9, 2, 0], least=5) == [(0, 2), (0, 1)]
    assert confusions(labelled, predicted, [9, 9, 0], most=1) == [(0, 2)]


def test_mistakes_are_the_surest_first():
    scores = np.array([[0.6, 0.9, 0.8, 0.2, 0.1, 0.7, 0.95]]).T
    labels = np.array([[0, 0, 1, 1, 1, 0, IGNORED]]).T
    assert mistakes(scores, labels, 0.5, 2) == [([1, 5], [4, 3])]
    assert mistakes(scores, labels, [0.15], 9) == [([1, 5, 0], [4])]
