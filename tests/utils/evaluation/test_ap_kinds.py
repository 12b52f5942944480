"""The definitions of AP against code of others, and what ignored labels count as."""

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from utils.evaluation.metrics import (
    AP_KINDS,
    IGNORED_RULES,
    ap_of_ranked,
    average_precision,
    evaluate,
    precision_recall,
    resolve_ignored,
)

pytestmark = pytest.mark.filterwarnings("error")  # a division by zero is a fault

RANKED = st.lists(st.booleans(), min_size=1, max_size=40).filter(any)


def curve(ranked):
    """Recall and precision after 1, 2 ... n photos, exact."""
    hits = np.cumsum(ranked).tolist()
    recall = [Fraction(hit, hits[-1]) for hit in hits]
    precision = [Fraction(hit, number) for number, hit in enumerate(hits, 1)]
    return recall, precision


def voc_2007(ranked):
    """VOCevalcls.m of the development kit of 2007: for t=0:0.1:1, p=max(prec(rec>=t)), ap=ap+p/11."""
    recall, precision = curve(ranked)
    points = [Fraction(t, 10) for t in range(11)]
    return sum(max(p for r, p in zip(recall, precision, strict=True) if r >= t) for t in points) / 11


def voc_2010(ranked):
    """VOCap.m of the development kit of 2010: sentinels, envelope from the right, area where recall moves."""
    recall, precision = curve(ranked)
    mrec, mpre = [0, *recall, 1], [0, *precision, 0]
    for i in reversed(range(len(mpre) - 1)):
        mpre[i] = max(mpre[i], mpre[i + 1])
    return sum((mrec[i] - mrec[i - 1]) * mpre[i] for i in range(1, len(mrec)))


def test_there_are_three_and_the_reference_s_is_the_default():
    ranked = [True, False, False, True]  # precision 1 and 1/2
    assert ap_of_ranked(ranked) == ap_of_ranked(ranked, "area") == pytest.approx(0.75)
    assert AP_KINDS == ("area", "voc07_11point", "interpolated")
    with pytest.raises(ValueError, match="none of area, voc07_11point, interpolated"):
        ap_of_ranked(ranked, "voc")


def test_a_curve_that_rises_again():
    """Precision 1/2 and 2/3: the envelope is 2/3 everywhere, the mean is not."""
    ranked = np.array([False, True, True])
    assert ap_of_ranked(ranked, "area") == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert ap_of_ranked(ranked, "interpolated") == pytest.approx(2 / 3)
    assert ap_of_ranked(ranked, "voc07_11point") == pytest.approx(2 / 3)


def test_eleven_points_weigh_the_first_positive_more():
    """Precision 1 and 1/2, recall 1/2 and 1: six of the eleven points lie up to recall 1/2."""
    ranked = np.array([True, False, False, True])
    assert ap_of_ranked(ranked, "voc07_11point") == pytest.approx((6 * 1 + 5 / 2) / 11)


@given(RANKED)
def test_interpolated_equals_the_kit_of_2010(ranked):
    assert ap_of_ranked(np.array(ranked), "interpolated") == pytest.approx(float(voc_2010(ranked)), abs=1e-12)


@given(RANKED)
def test_eleven_points_equal_the_kit_of_2007(ranked):
    """With recalls compared exactly, which Matlab's 0:0.1:1 and a quotient are not."""
    assert ap_of_ranked(np.array(ranked), "voc07_11point") == pytest.approx(
        float(voc_2007(ranked)), abs=1e-12
    )


def test_recalls_that_are_no_floats():
    """0.3 of 10 positives are 3, though 3 * 0.1 * 10 is more: here precision falls after the third."""
    ranked = np.array([True] * 3 + [False] * 7 + [True] * 7)
    assert ap_of_ranked(ranked, "voc07_11point") == pytest.approx((4 * 1 + 7 * 10 / 17) / 11)


@given(RANKED)
def test_area_equals_scikit_learn(ranked):
    scores = -np.arange(len(ranked))
    assert ap_of_ranked(np.array(ranked), "area") == pytest.approx(average_precision_score(ranked, scores))


@given(RANKED)
def test_the_envelope_is_never_below_the_curve(ranked):
    area, eleven, interpolated = (ap_of_ranked(np.array(ranked), kind) for kind in AP_KINDS)
    assert 0 < area <= interpolated + 1e-12
    assert max(eleven, interpolated) <= 1 + 1e-12
    best = np.maximum.accumulate([float(p) for p in curve(ranked)[1]][::-1])[-1]
    assert eleven <= best + 1e-12


@pytest.mark.parametrize("kind", AP_KINDS)
def test_the_best_order_is_1_and_nothing_is_nan(kind):
    assert ap_of_ranked(np.array([True, True, False]), kind) == 1
    assert np.isnan(ap_of_ranked(np.array([False, False]), kind))
    assert np.isnan(ap_of_ranked(np.zeros(0, bool), kind))


@pytest.mark.parametrize("kind", AP_KINDS)
def test_average_precision_of_arrays(kind):
    """Photos are ranked by class, ignored ones left out."""
    scores = np.float32([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    labels = np.int8([[0, 1], [-1, 0], [1, 0], [1, -1]])
    expected = [ap_of_ranked(np.array(ranked), kind) for ranked in ([0, 1, 1], [0, 0, 1])]
    np.testing.assert_allclose(average_precision(scores, labels, kind), expected)


@pytest.mark.parametrize("kind", AP_KINDS)
def test_figures_name_the_definition(kind):
    scores, labels = np.array([[0.9], [0.8], [0.7]]), np.array([[0], [1], [1]])
    figures = evaluate(scores, labels, ap_kind=kind)
    assert figures["ap_definition"] == kind
    assert figures["mAP"] == figures["ap"][0] == pytest.approx(ap_of_ranked(np.array([0, 1, 1]), kind))
    assert evaluate(scores, labels)["ap_definition"] == "area"


# --- thresholds by class


def test_a_threshold_for_each_class():
    scores = np.float32([[0.9, 0.2], [0.4, 0.4]])
    labels = np.array([[1, 0], [1, 1]])
    assert precision_recall(scores, labels, [0.3, 0.3])["OF1"] == 1
    assert precision_recall(scores, labels, [0.5, 0.3])["OR"] == pytest.approx(2 / 3)
    assert precision_recall(scores, labels, np.array([0.3, 0.1]))["OP"] == pytest.approx(3 / 4)


@pytest.mark.parametrize("threshold", [0.3, [0.3, 0.4], np.array([0.3, 0.4]), np.float64(0.3)])
def test_figures_hold_the_threshold_as_plain_json(threshold):
    figures = evaluate(np.array([[0.9, 0.2]]), np.array([[1, 0]]), threshold)
    expected = [0.3, 0.4] if np.ndim(threshold) else 0.3
    assert json.loads(json.dumps(figures))["threshold"] == expected


@pytest.mark.parametrize("threshold", [[0.3], [0.3] * 3, [[0.3, 0.3]]])
def test_thresholds_of_another_number_of_classes(threshold):
    with pytest.raises(ValueError, match=r"neither one nor \(2,\)"):
        evaluate(np.array([[0.9, 0.2]]), np.array([[1, 0]]), threshold)


# --- ignored labels


def test_what_an_ignored_label_counts_as():
    labels = np.int8([[1, -1], [0, -1]])
    expected = {"ignore": [[1, -1], [0, -1]], "negative": [[1, 0], [0, 0]], "positive": [[1, 1], [0, 1]]}
    assert tuple(expected) == IGNORED_RULES
    for rule, values in expected.items():
        resolved = resolve_ignored(labels, rule)
        np.testing.assert_array_equal(resolved, values)
        assert resolved.dtype == labels.dtype
        resolved[:] = 5
        assert (labels == [[1, -1], [0, -1]]).all()  # a copy
    with pytest.raises(ValueError, match="none of ignore, negative, positive"):
        resolve_ignored(labels, "drop")


def test_the_rule_moves_ap():
    """Ranked: ignored, positive. Out: 1. Negative: the positive is second. Positive: both are."""
    scores, labels = np.array([[0.9], [0.8]]), np.array([[-1], [1]])
    ap = [average_precision(scores, resolve_ignored(labels, rule))[0] for rule in IGNORED_RULES]
    assert ap == [1, 0.5, 1]
    figures = evaluate(scores, resolve_ignored(labels, "positive"))
    assert (figures["positives"], figures["ignored"]) == ([2], 0)
