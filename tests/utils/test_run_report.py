"""The comparison of two runs in words."""

import numpy as np

from utils.evaluation.compare import Other
from utils.run_report import compare_lines

SCORES = np.random.default_rng(0).random((30, 2)).astype("float32")
LABELS = (SCORES > 0.5).astype("int8")
PATHS = [f"{row}.jpg" for row in range(30)]


def test_a_run_without_a_fault_against_one_with_chance_s():
    other = Other("b/metrics.json", SCORES[::-1], {})
    line, said = compare_lines(SCORES, LABELS, PATHS, other, "area")
    assert line.startswith("mAP of b/metrics.json: 0.")
    assert "draws of 30 photos" in line
    assert "draws of 10 photos" in compare_lines(SCORES, LABELS, PATHS[:10] * 3, other, "area")[0]
    assert said == "the interval does not include 0"


def test_ap_of_another_kind_is_told_from_what_its_file_says():
    other = Other("b/metrics.json", SCORES, {"ap_definition": "interpolated"})
    assert "AP area, its file says interpolated" in compare_lines(SCORES, LABELS, PATHS, other, "area")[0]
    assert "its file" not in compare_lines(SCORES, LABELS, PATHS, other, "interpolated")[0]


def test_without_a_positive_there_is_nothing_to_compare():
    other = Other("b/metrics.json", SCORES[::-1], {})
    (line,) = compare_lines(SCORES, np.zeros_like(LABELS), PATHS, other, "area")
    assert line == "mAP of b/metrics.json: none; no class has a positive: there is nothing to compare"
