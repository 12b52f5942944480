"""AP by object size: shares of photos, and which labels count."""

import numpy as np
import pytest

from utils.evaluation.metrics import average_precision
from utils.evaluation.object_size import ap_by_size, largest_shares


def test_shares_are_of_the_largest_easy_box():
    objects = [
        [(0, (0, 0, 10, 10), False), (0, (5, 5, 20, 20), False), (1, (0, 0, 100, 50), True)],
        [],
        None,
    ]
    shares = largest_shares(objects, [(100, 50), (10, 10), (10, 10)], 2)
    assert shares[:2].tolist() == [[400 / 5000, 0], [0, 0]]
    assert np.isnan(shares[2]).all()


def test_each_size_stands_against_all_negatives():
    scores = np.array([[0.9], [0.8], [0.7], [0.6], [0.5], [0.4]])
    labels = np.array([[1], [0], [1], [1], [0], [1]])
    shares = np.array([[0.01], [0.0], [0.1], [0.5], [0.0], [np.nan]])
    found = ap_by_size(scores, labels, shares, [0], least=1)
    assert [float(found[name].ap[0]) for name in ("small", "medium", "large")] == [1, 1 / 2, 1 / 2]
    assert [found[name].counted for name in found] == [1, 1, 1]
    whole = ap_by_size(scores, labels, np.full((6, 1), 0.5), [0], least=1)["large"]
    assert whole.ap == average_precision(scores, labels)


def test_a_positive_without_an_easy_box_is_of_no_size():
    """--difficult positive makes such labels; or the boxes of one's own data are not complete."""
    shares = largest_shares([[(0, (0, 0, 9, 9), True)], [(0, (0, 0, 9, 9), False)], []], [(10, 10)] * 3, 1)
    found = ap_by_size(np.array([[0.1], [0.9], [0.5]]), np.array([[1], [1], [0]]), shares, [0], least=1)
    assert {name: size.counted for name, size in found.items()} == {"small": 0, "medium": 0, "large": 1}
    assert found["large"].mean == 1


@pytest.mark.filterwarnings("error")
def test_means_are_over_classes_with_enough_of_a_size():
    labels = np.array([[1, 1], [1, 0], [0, 0]])
    scores, shares = np.array([[0.1, 0.9], [0.2, 0.1], [0.15, 0.1]]), np.full((3, 2), 0.01)
    found = ap_by_size(scores, labels, shares, [0, 1], least=2)
    assert found["small"].used.tolist() == [True, False]
    assert found["small"].mean == found["small"].ap[0] == pytest.approx((1 + 2 / 3) / 2)
    assert np.isnan(found["large"].mean)
    assert not ap_by_size(scores, labels, shares, [1], least=2)["small"].used.any()
