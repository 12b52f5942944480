"""The pointing game on maps and boxes whose answer is known."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.evaluation.pointing import coverage, play, pointing_figures, pointing_lines


def peak_at(row, column, shape=(3, 4)):
    score = np.full(shape, -1.0)
    score[row, column] = 2.0
    return score


def played(score, boxes, size, attention=None):
    attention = np.full(score.shape, 1 / score.size) if attention is None else attention
    return play(0, 0, score[None], attention[None], boxes, size)


# --- where the maximum points


@pytest.mark.parametrize("size", [(400, 90), (40, 900)])  # wide, tall
@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 2), (2, 3)])
def test_the_maximum_points_at_its_cell_in_the_photos_geometry(size, row, column):
    width, height = size[0] / 4, size[1] / 3
    its_cell = (column * width, row * height, width, height)
    assert played(peak_at(row, column), [its_cell], size).hit.tolist() == [True]
    for other in {(0, 0), (1, 2), (2, 3)} - {(row, column)}:
        assert played(peak_at(*other), [its_cell], size).hit.tolist() == [False]


def test_the_centre_of_the_cell_counts():
    """Cell (1, 2) of a 400 x 90 photo lies from x 200 to 300 and y 30 to 60."""
    score = peak_at(1, 2)
    assert played(score, [(249, 44, 2, 2)], (400, 90)).hit
    for missed in [(200, 30, 49, 30), (251, 30, 49, 30), (200, 30, 100, 14), (200, 46, 100, 14)]:
        assert not played(score, [missed], (400, 90)).hit


def test_any_of_the_boxes_counts_and_of_equal_maxima_the_first():
    boxes = [(0, 0, 1, 1), (200, 30, 100, 30)]
    assert played(peak_at(1, 2), boxes, (400, 90)).hit
    assert not played(np.zeros((3, 4)), boxes[1:], (400, 90)).hit
    assert played(np.zeros((3, 4)), [(0, 0, 100, 30)], (400, 90)).hit


def test_maps_are_told_apart():
    score = np.stack([peak_at(0, 0), peak_at(1, 2)])
    attention = np.zeros((2, 3, 4))
    attention[0, 1, 2] = attention[1, 0, 0] = 1
    pair = play(7, 3, score, attention, [(200, 30, 100, 30)], (400, 90))
    assert (pair.photo, pair.column) == (7, 3)
    assert pair.hit.tolist() == [False, True]
    np.testing.assert_allclose(pair.energy, [0, 1])
    np.testing.assert_allclose(pair.attention, [1, 0])


# --- energy and attention


def test_energy_is_the_share_of_the_positive_scores():
    score = np.array([[3.0, 1.0], [-50.0, 4.0]])
    pair = played(score, [(0, 0, 10, 20)], (20, 20))  # the left half
    assert pair.energy == pytest.approx(3 / 8)
    pair = played(score, [(5, 0, 10, 10)], (20, 20))  # half of each upper cell
    assert pair.energy == pytest.approx((3 / 2 + 1 / 2) / 8)


def test_a_map_without_a_positive_score_has_no_energy():
    assert np.isnan(played(-np.ones((2, 2)), [(0, 0, 9, 9)], (20, 20)).energy[0])


def test_attention_in_the_boxes():
    attention = np.array([[0.1, 0.2], [0.3, 0.4]])
    pair = played(np.zeros((2, 2)), [(10, 0, 10, 20)], (20, 20), attention)
    assert pair.attention == pytest.approx(0.6)
    pair = played(np.zeros((2, 2)), [(5, 0, 10, 10)], (20, 20), attention)  # half of each upper cell
    assert pair.attention == pytest.approx(0.15)


# --- what points without looking


def test_area_centre_and_largest_box():
    pair = played(np.zeros((3, 4)), [(0, 0, 10, 10), (5, 5, 10, 10), (90, 90, 50, 50)], (100, 100))
    assert pair.area == pytest.approx((175 + 100) / 10_000)
    assert pair.largest == pytest.approx(0.01)  # the third one, clipped to the photo, and the others
    assert pair.objects == 3
    assert not pair.centre
    assert played(np.zeros((3, 4)), [(49, 49, 2, 2)], (100, 100)).centre


SIDE = st.integers(-5, 40)


@given(
    boxes=st.lists(st.tuples(SIDE, SIDE, st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=4),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 5)),
)
def test_coverage_equals_a_count_of_pixels(boxes, size, shape):
    """Each pixel in h x w parts, so that no cell ends within one."""
    (width, height), (h, w) = size, shape
    mask = np.zeros((height, width))
    for x, y, dx, dy in boxes:
        mask[max(y, 0) : max(y + dy, 0), max(x, 0) : max(x + dx, 0)] = 1
    parts = np.kron(mask, np.ones(shape)).reshape(h, height, w, width)  # cells, each of height x width parts
    np.testing.assert_allclose(coverage(boxes, size, shape), parts.mean(axis=(1, 3)), atol=1e-12)


# --- figures


def pairs():
    box = [(0, 0, 10, 20)]  # the left half
    left, right = np.array([[2.0, 1.0]]), np.array([[1.0, 3.0]])
    cases = [(0, 0, left), (0, 1, right), (1, 0, left), (2, 0, -left)]
    attention = np.array([[0.25, 0.75]])
    return [
        play(photo, c, np.stack([score, left]), np.stack([attention] * 2), box, (20, 20))
        for photo, c, score in cases
    ]


def test_figures_are_means_over_pairs_and_over_classes():
    figures = pointing_figures(pairs(), ["dog", "cat", "bus"], ["sum", "T 1"])
    json.dumps(figures, allow_nan=False)
    assert (figures["photos"], figures["pairs"]) == (3, 4)
    total = figures["maps"]["sum"]  # the maximum of -left lies right
    assert total["hit"] == pytest.approx(2 / 4)
    assert total["mean_hit"] == pytest.approx((2 / 3 + 0) / 2)
    assert total["energy"] == pytest.approx((2 / 3 + 1 / 4 + 2 / 3) / 3)  # one pair has none
    assert total["attention"] == pytest.approx(0.25)
    assert figures["maps"]["T 1"]["hit"] == figures["maps"]["T 1"]["mean_hit"] == 1
    assert (figures["random"], figures["centre"]) == (0.5, 0)
    assert list(figures["classes"]) == ["dog", "cat"]
    assert figures["classes"]["dog"]["pairs"] == 3
    assert figures["classes"]["dog"]["hit"] == pytest.approx(2 / 3)
    assert figures["classes"]["cat"]["energy"] == pytest.approx(1 / 4)


def test_lines_say_each_map_in_percent():
    lines = "\n".join(pointing_lines(pointing_figures(pairs(), ["dog", "cat", "bus"], ["sum", "T 1"])))
    assert "4 labels of 3 photos" in lines
    assert "sum     50.0    52.8      25.0" in lines
    assert "a random point 50.0, the centre 0.0" in lines
    assert "dog 66.7, cat 0.0" in lines


def test_no_energy_at_all_is_said_so():
    (pair,) = pairs()[3:]
    pair = pair._replace(energy=pair.energy[:1], hit=pair.hit[:1], attention=pair.attention[:1])
    figures = pointing_figures([pair], ["dog"], ["sum"])
    assert figures["maps"]["sum"]["energy"] is None
    assert "none" in pointing_lines(figures)[2]
