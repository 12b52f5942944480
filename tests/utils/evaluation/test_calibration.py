"""Temperature scaling and the curve of reliability, on scores whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from utils.evaluation.calibration import (
    COLDEST,
    HOTTEST,
    calibrate,
    cross_entropy,
    expected_calibration_error,
    fit_temperature,
    logits_of,
    reliability,
)

pytestmark = pytest.mark.filterwarnings("error")

SCORES = hnp.arrays("float32", st.integers(1, 30), elements=st.floats(0, 1, width=32))
TEMPERATURES = st.floats(COLDEST, HOTTEST)


def sigmoid(logits):
    return 1 / (1 + np.exp(-np.asarray(logits, np.float64)))


def drawn(temperature, shape=(4000, 3), seed=0):
    """Scores whose logits are `temperature` times those that the labels were drawn by."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 2, shape)
    labels = (rng.random(shape) < sigmoid(logits)).astype("int8")
    return sigmoid(temperature * logits).astype("float32"), labels


# --- calibrate


def test_logits_are_divided():
    logits = np.array([-30, -3, 0, 1, 5])
    scores = calibrate(sigmoid(logits).astype("float32"), 2.5)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, sigmoid(logits / 2.5), rtol=1e-4)


@given(SCORES)
def test_temperature_1_changes_no_bit(scores):
    assert calibrate(scores, 1.0).tobytes() == scores.tobytes()
    assert calibrate(scores, 1).tobytes() == scores.tobytes()


@given(SCORES, TEMPERATURES)
def test_order_range_and_type_stay(scores, temperature):
    before = scores.copy()
    calibrated = calibrate(scores, temperature)
    np.testing.assert_array_equal(scores, before)
    assert calibrated.dtype == np.float32
    assert ((calibrated >= 0) & (calibrated <= 1)).all()
    assert (np.diff(calibrated[np.argsort(scores, kind="stable")]) >= 0).all()


def test_above_1_different_scores_stay_different():
    scores = np.unique(np.random.default_rng(0).random(5000).astype("float32"))
    for temperature in (1.01, 1.5, 3):
        assert (np.diff(calibrate(scores, temperature)) > 0).all()


def test_scores_of_1_and_0_are_taken_for_their_neighbours():
    one, zero = np.float32(1), np.float32(0)
    below, above = np.nextafter(one, zero), np.nextafter(zero, one)
    ends = calibrate(np.array([zero, above, below, one]), 4.0)
    assert 0 < ends[0] == ends[1] < 1e-10
    assert 0.9 < ends[2] == ends[3] < 1
    assert np.isfinite(logits_of(np.array([zero, one]))).all()


# --- fit_temperature


@pytest.mark.parametrize("temperature", [0.5, 1, 1.7, 4])
def test_the_temperature_of_drawn_labels_is_found(temperature):
    scores, labels = drawn(temperature)
    assert fit_temperature(scores, labels) == pytest.approx(temperature, rel=0.05)


@given(seed=st.integers(0, 2**32 - 1), photos=st.integers(2, 12), temperature=st.floats(0.2, 5))
def test_no_other_temperature_has_less_cross_entropy(seed, photos, temperature):
    scores, labels = drawn(temperature, (photos, 2), seed)
    found = fit_temperature(scores, labels)
    assert COLDEST <= found <= HOTTEST
    if labels.any() and not labels.all():
        least = cross_entropy(calibrate(scores.astype(float), found), labels)
        for other in np.geomspace(COLDEST, HOTTEST, 61):
            assert least <= cross_entropy(calibrate(scores.astype(float), other), labels) + 1e-6


def test_ignored_labels_do_not_count():
    scores, labels = drawn(2)
    found = fit_temperature(scores, labels)
    more = np.vstack([scores, np.full((3000, 3), 0.999, "float32")])
    ignored = np.vstack([labels, np.full((3000, 3), -1, "int8")])
    assert fit_temperature(more, ignored) == found
    assert fit_temperature(more, np.maximum(ignored, 0)) > 1.5 * found
    assert cross_entropy(more, ignored) == pytest.approx(cross_entropy(scores, labels))
    assert expected_calibration_error(more, ignored) == pytest.approx(
        expected_calibration_error(scores, labels)
    )


@pytest.mark.parametrize("label", [0, 1, -1])
def test_labels_of_one_kind_say_nothing(label):
    assert fit_temperature(np.float32([[0.3, 0.9]]), np.array([[label, label]])) == 1


def test_labels_that_scores_separate_end_at_a_bound():
    scores, labels = np.float32([[0.6], [0.4]]), np.array([[1], [0]])
    assert fit_temperature(scores, labels) == pytest.approx(COLDEST, rel=1e-3)
    assert fit_temperature(scores, 1 - labels) == pytest.approx(HOTTEST, rel=1e-3)


# --- cross-entropy and reliability


def test_cross_entropy_is_the_mean_of_minus_log():
    scores, labels = np.float32([[0.25, 0.5], [0.9, 0.1]]), np.array([[1, 0], [-1, 0]])
    assert cross_entropy(scores, labels) == pytest.approx(-np.log([0.25, 0.5, 0.9]).mean())
    assert np.isfinite(cross_entropy(np.float32([[1.0]]), np.array([[0]])))
    assert np.isnan(cross_entropy(scores, np.full((2, 2), -1)))


def test_the_bins_of_reliability():
    scores = np.float32([[0.0, 0.05], [0.5, 0.55], [0.99, 1.0], [0.97, 0.3]])
    labels = np.array([[0, 1], [1, 0], [1, 1], [0, -1]])
    score, positive, count = reliability(scores, labels, bins=10)
    assert count.tolist() == [2, 0, 0, 0, 0, 2, 0, 0, 0, 3]
    assert positive[[0, 5, 9]].tolist() == [0.5, 0.5, pytest.approx(2 / 3)]
    np.testing.assert_allclose(score[[0, 5, 9]], [0.025, 0.525, (0.99 + 1 + 0.97) / 3], rtol=1e-6)
    empty = count == 0
    assert np.isnan(score[empty]).all()
    assert np.isnan(positive[empty]).all()
    expected = (2 * 0.475 + 2 * 0.025 + 3 * abs((0.99 + 1 + 0.97) / 3 - 2 / 3)) / 7
    assert expected_calibration_error(scores, labels, bins=10) == pytest.approx(expected, rel=1e-6)


def test_ece_is_low_for_probabilities_and_falls_with_the_temperature():
    scores, labels = drawn(3)
    before = expected_calibration_error(scores, labels)
    after = expected_calibration_error(calibrate(scores, fit_temperature(scores, labels)), labels)
    assert after < 0.02 < 0.05 < before
    assert np.isnan(expected_calibration_error(scores, np.full(labels.shape, -1)))
    assert reliability(scores, labels).count.sum() == labels.size
    assert len(reliability(scores, labels).count) == 15
