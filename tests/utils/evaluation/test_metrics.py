"""Metrics: the original's figures, scikit-learn's AP, and what the original gets wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import average_precision_score

from datasets.spec import SPECS
from utils.evaluation.curves import at_threshold, co_occurrence, mistakes
from utils.evaluation.metrics import IGNORED, average_precision, evaluate, keep_top3, precision_recall

pytestmark = pytest.mark.filterwarnings("error")  # a division by zero is a fault

CASES = {
    case["name"]: case
    for case in json.loads((Path(__file__).parents[2] / "golden/metrics.json").read_text())["cases"]
}
TOP3 = [  # where equal scores leave a choice, the original's depends on the machine
    name
    for name, case in CASES.items()
    if "top3" in case["expected"] and not case.get("top3_ambiguous_images")
]
SIX = ("CP", "CR", "CF1", "OP", "OR", "OF1")


def labels_of(case):
    """Targets as utils/evaluation takes them: 1, 0 and IGNORED."""
    targets = np.array(case["targets"])
    labels = (targets == 1).astype("int8")
    if SPECS[case["types"]].test_ignored is not None:
        labels[targets == SPECS[case["types"]].test_ignored] = IGNORED
    return labels


def figures_of(case):
    spec = SPECS[case["types"]]
    negative = spec.ignored_is_negative_in_precision
    return evaluate(np.array(case["scores"]), labels_of(case), ignored_is_negative=negative, top3=spec.top3)


def expected_six(case, golden):
    """The original's six figures, with its NaN replaced by what ours says instead."""
    expected = dict(golden)
    if expected["CR"] == "nan":  # a class without positives is left out of the mean
        labels, predicted = labels_of(case), np.array(case["scores"]) >= 0.5
        recall = [
            predicted[column == 1, c].mean() for c, column in enumerate(labels.T) if (column == 1).any()
        ]
        CP, CR = expected["CP"], float(np.mean(recall))
        expected |= {"CR": CR, "CF1": 2 * CP * CR / (CP + CR)}
    return {name: 0.0 if value == "nan" else value for name, value in expected.items()}  # F1 of 0/0 is 0


@pytest.mark.parametrize("name", CASES)
def test_golden_case(name):  # faults 22, 23
    case, ours = CASES[name], figures_of(CASES[name])
    expected, ties = case["expected"], case.get("tie_dependent_classes", {})
    for c, (ap, golden) in enumerate(zip(ours["ap"], expected["ap_per_class"], strict=True)):
        if str(c) in expected.get("ap_errors", {}):
            assert ap is None
        elif str(c) in ties:
            bounds = ties[str(c)]
            assert bounds["lowest"] - 1e-9 <= ap <= bounds["highest"] + 1e-9
            assert ap == pytest.approx(bounds["stable_input_order"], abs=1e-9)
        else:
            assert ap == pytest.approx(golden, abs=1e-9)
    assert ours["mAP"] == pytest.approx(np.mean([ap for ap in ours["ap"] if ap is not None]), abs=1e-9)
    if not ties and expected["mAP"] is not None:
        assert ours["mAP"] == pytest.approx(expected["mAP"], abs=1e-9)
    assert {key: ours[key] for key in SIX} == pytest.approx(expected_six(case, expected["all"]), abs=1e-9)


@pytest.mark.parametrize("name", TOP3)
def test_golden_top3(name):  # fault 25
    case = CASES[name]
    kept = {**case, "scores": keep_top3(np.array(case["scores"]))}
    expected = expected_six(kept, case["expected"]["top3"])
    assert figures_of(case)["top3"] == pytest.approx(expected, abs=1e-9)


def test_top3_keeps_the_first_among_equal_scores():  # faults 22, 25
    scores = np.array([[0.9, 0.6, 0.7, 0.6, 0.6], [0.5, 0.5, 0.5, 0.5, 0.5]])
    kept = [[0.9, 0.6, 0.7, -1, -1], [0.5, 0.5, 0.5, -1, -1]]
    np.testing.assert_array_equal(keep_top3(scores), kept)
    np.testing.assert_array_equal(keep_top3(scores[:, :2]), scores[:, :2])


def test_a_threshold_of_0_leaves_the_three_best():
    scores, labels = np.linspace(0.9, 0, 5)[None], np.ones((1, 5), int)
    assert evaluate(scores, labels, threshold=0, top3=True)["top3"]["OR"] == 3 / 5


def distinct_scores(draw, photos):
    """A column of scores without ties."""
    order = draw(st.permutations(range(photos)))
    return (np.array(order) + 0.5) / photos


@given(data=st.data(), photos=st.integers(1, 25), classes=st.integers(1, 4))
def test_ap_equals_scikit_learn_where_scores_are_distinct(data, photos, classes):
    scores = np.stack([distinct_scores(data.draw, photos) for _ in range(classes)], axis=1)
    labels = data.draw(hnp.arrays("int8", (photos, classes), elements=st.sampled_from([IGNORED, 0, 1])))
    for c, ap in enumerate(average_precision(scores, labels)):
        counted = labels[:, c] != IGNORED
        if (labels[:, c] == 1).any():
            expected = average_precision_score(labels[counted, c], scores[counted, c])
            assert ap == pytest.approx(expected, abs=1e-9)
        else:
            assert np.isnan(ap)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equal_scores_stay_in_the_order_given(dtype):  # fault 22
    """A thousand photos: small arrays come out stable from NumPy's unstable sort too."""
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 4, (1000, 1)) / 4, rng.integers(0, 2, (1000, 1))
    ranked = [label for _, label in sorted(zip(-scores[:, 0], labels[:, 0], strict=True), key=lambda p: p[0])]
    precision = np.cumsum(ranked) / np.arange(1, 1001)
    expected = precision[np.array(ranked) == 1].mean()
    assert average_precision(scores.astype(dtype), labels)[0] == pytest.approx(expected, abs=1e-12)


def test_a_class_without_positives_is_left_out_of_the_means():  # fault 23
    scores = np.array([[0.9, 0.8, 0.1], [0.2, 0.7, 0.6], [0.6, 0.1, 0.7]])
    labels = np.array([[1, 0, IGNORED], [0, 0, 1], [1, 0, 1]], dtype="int8")
    ours = evaluate(scores, labels)
    assert ours["ap"] == [1.0, None, 1.0]
    assert ours["mAP"] == 1.0
    assert ours["CR"] == 1.0
    assert ours["CP"] == pytest.approx((1 + 0 + 1) / 3)  # the original's rule for precision stays
    assert ours["CF1"] == pytest.approx(0.8)
    assert ours["positives"] == [2, 0, 2]
    assert ours["ignored"] == 1
    json.dumps(ours, allow_nan=False)


@pytest.mark.parametrize("label", [0, IGNORED])
@pytest.mark.parametrize("score", [0.0, 1.0])
def test_no_positive_at_all(label, score):  # fault 23
    ours = evaluate(np.full((3, 2), score), np.full((3, 2), label), top3=True)
    assert ours["mAP"] is None
    assert ours["ap"] == [None, None]
    assert [ours[key] for key in SIX] == [0.0] * 6
    json.dumps(ours, allow_nan=False)


@pytest.mark.parametrize("name", CASES)
def test_inputs_are_never_changed(name):  # fault 24
    case = CASES[name]
    scores, labels = np.array(case["scores"]), labels_of(case)
    scores.flags.writeable = labels.flags.writeable = False  # a write raises
    for negative in (False, True):
        evaluate(scores, labels, ignored_is_negative=negative, top3=True)
    np.testing.assert_array_equal(scores, case["scores"])
    np.testing.assert_array_equal(labels, labels_of(case))


def test_the_order_of_calls_does_not_matter():  # fault 24
    case = CASES["wider_plain"]
    scores, labels = np.array(case["scores"]), labels_of(case)
    first = average_precision(scores, labels)
    precision_recall(scores, labels, ignored_is_negative=True)
    np.testing.assert_array_equal(average_precision(scores, labels), first)


@given(seed=st.integers(0, 999), photos=st.integers(1, 30), negative=st.booleans())
def test_the_order_of_photos_does_not_matter_where_scores_are_distinct(seed, photos, negative):  # fault 26
    rng = np.random.default_rng(seed)
    scores = rng.permuted((np.tile(np.arange(photos)[:, None], 5) + 0.5) / photos, axis=0)
    scores += np.linspace(0, 0.1 / photos, 5)  # distinct within a photo too
    labels = rng.choice([IGNORED, 0, 1], (photos, 5))
    order = rng.permutation(photos)
    before = evaluate(scores, labels, 0.5, negative, top3=True)
    after = evaluate(scores[order], labels[order], 0.5, negative, top3=True)
    assert (before.pop("top3"), before.pop("ap")) == (after.pop("top3"), after.pop("ap"))
    assert before == after


def test_the_threshold_itself_counts_as_predicted():
    scores = np.array([[0.5], [np.nextafter(0.5, 0)], [0.3]])
    labels = np.array([[1], [1], [0]])
    assert precision_recall(scores, labels)["OR"] == 0.5
    assert precision_recall(scores, labels, threshold=0.3)["OR"] == 1
    assert precision_recall(scores, labels, threshold=0.3)["OP"] == pytest.approx(2 / 3)
    assert precision_recall(scores.astype("float32"), labels, threshold=0.3)["OP"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("threshold", [0.7, [0.7]])
def test_all_figures_agree_on_what_is_predicted(threshold):
    scores, labels = np.float32([[0.7]]), np.array([[1]])  # a little less than 0.7: NumPy 1 rounds both
    assert precision_recall(scores, labels, threshold)["OR"] == 0
    assert at_threshold(scores, labels, threshold).recall == 0
    assert co_occurrence(scores, labels, threshold)[1] == 0
    assert mistakes(scores, labels, threshold, 1) == [([], [0])]


def test_ignored_labels_are_left_out_or_count_as_negative():
    scores, labels = np.array([[0.9], [0.8]]), np.array([[1], [IGNORED]])
    assert precision_recall(scores, labels)["OP"] == 1
    assert precision_recall(scores, labels, ignored_is_negative=True)["OP"] == 0.5
    assert average_precision(scores, labels)[0] == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_no_number_is_refused(bad):
    with pytest.raises(ValueError, match="not finite"):
        evaluate(np.array([[0.1, bad]]), np.array([[0, 1]]))


@pytest.mark.parametrize("shape", [(2, 4), (3, 3), (3,), (2, 3, 1)])
def test_shapes_that_do_not_match_are_refused(shape):
    with pytest.raises(ValueError, match="must be one"):
        evaluate(np.zeros((2, 3)), np.zeros(shape))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_any_float_type_gives_plain_json(dtype):
    scores = np.array([[0.75, 0.25], [0.5, 0.125]], dtype)
    ours = evaluate(scores, np.array([[1, 0], [0, 1]], "int8"), top3=True)
    assert json.loads(json.dumps(ours)) == ours
    assert ours["ap"] == [1.0, 0.5]


def test_a_whole_coco_split():  # fault 27
    rng = np.random.default_rng(0)
    labels = (rng.random((40504, 80)) < 0.03).astype("int8")
    scores = rng.random((40504, 80), dtype="float32")
    ours = evaluate(scores, labels, top3=True)
    assert ours["photos"] == 40504
    assert ours["mAP"] == pytest.approx(0.03, abs=0.005)  # of random scores: the share of positives
    assert evaluate(0.2 * scores + 0.7 * labels, labels)["mAP"] == 1
