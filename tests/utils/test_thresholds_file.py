"""thresholds.json is checked before anything relies on it; which threshold counts."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from utils.errors import UserError
from utils.thresholds import choose_thresholds, read_thresholds, write_thresholds

REPO = Path(__file__).resolve().parents[2]
CLASSES = ["cat", "dog"]
OWN = {"threshold": [0.1, 0.9], "temperature": 1.5}


@pytest.fixture
def path(tmp_path):
    write_thresholds(tmp_path / "t.json", CLASSES, np.float32([0.25, 0.75]), 2.0, "f1", {"photos": 3})
    return tmp_path / "t.json"


def test_what_is_written_can_be_read(path):
    assert read_thresholds(path, CLASSES) == ([0.25, 0.75], 2.0)
    assert json.loads(path.read_text()) == {
        "format": 1,
        "classes": CLASSES,
        "threshold": [0.25, 0.75],
        "temperature": 2.0,
        "goal": "f1",
        "tuned_on": {"photos": 3},
    }


def test_thresholds_come_back_to_the_bit(tmp_path):
    tuned = np.random.default_rng(0).random(2).astype("float32").astype("float64")
    write_thresholds(tmp_path / "t.json", CLASSES, tuned, np.float64(1) / 3)
    threshold, temperature = read_thresholds(tmp_path / "t.json", CLASSES)
    assert (threshold, temperature) == (tuned.tolist(), 1 / 3)
    assert (np.float32(threshold) == tuned).all()


def test_one_threshold_for_all(tmp_path):
    write_thresholds(tmp_path / "t.json", CLASSES, 0.5, 2)
    assert read_thresholds(tmp_path / "t.json", CLASSES) == ([0.5, 0.5], 2.0)


@pytest.mark.parametrize(
    ("threshold", "temperature"),
    [([0.5, 1.5], 1), ([0.5, np.nan], 1), (0.5, 0), (0.5, np.inf), (0.5, np.nan)],
)
def test_nonsense_is_not_written(tmp_path, threshold, temperature):
    with pytest.raises(ValueError, match="no thresholds"):
        write_thresholds(tmp_path / "t.json", CLASSES, threshold, temperature)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"classes": None},
        {"classes": "cd"},
        {"classes": []},
        {"classes": [], "threshold": []},
        {"classes": [1, 2]},
        {"threshold": 0.5},
        {"threshold": [0.5]},
        {"threshold": [0.5, 0.5, 0.5]},
        {"threshold": [0.5, 1.5]},
        {"threshold": [0.5, -0.1]},
        {"threshold": [0.5, float("nan")]},
        {"threshold": [0.5, "high"]},
        {"threshold": [0.5, True]},
        {"threshold": {"cat": 0.5}},
        {"temperature": 0},
        {"temperature": -1.0},
        {"temperature": None},
        {"temperature": True},
        {"temperature": float("inf")},
        {"temperature": float("nan")},
        {"temperature": 10**400},
        {"format": "new"},
        {"format": None},
    ],
    ids=str,
)
def test_damage_is_told(path, changed):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
    with pytest.raises(UserError, match="is no thresholds.json, or damaged; make it anew with val.py"):
        read_thresholds(path, CLASSES)


@pytest.mark.parametrize("gone", ["format", "classes", "threshold", "temperature"])
def test_a_part_that_is_missing_is_told(path, gone):
    content = json.loads(path.read_text())
    del content[gone]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="or damaged"):
        read_thresholds(path, CLASSES)


@pytest.mark.parametrize("content", ["[]", "3", "{}", '"text"', "[" * 100_000, "{", b"\xff\xfe"], ids=repr)
def test_other_files_are_told(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match="make it anew with val.py --tune_thresholds") as error:
        read_thresholds(path, CLASSES)
    assert "prepare script" not in str(error.value)


def test_a_newer_format_is_told(path):
    path.write_text('{"format": 99}')
    with pytest.raises(UserError, match="format 99"):
        read_thresholds(path, CLASSES)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*none.json"):
        read_thresholds(tmp_path / "none.json", CLASSES)


@pytest.mark.parametrize(
    ("classes", "theirs", "ours"),
    [
        (["dog", "cat"], "2: cat, ...", "2: dog, ..."),
        (["cat"], "2: ..., dog", "1: cat"),
        (["cat", "cow", "dog"], "2: ..., dog", "3: ..., cow, ..."),
    ],
)
def test_other_classes_are_told(path, classes, theirs, ours):
    said = re.escape(f"is for other classes ({theirs}) than the model's ({ours}); tune")
    with pytest.raises(UserError, match=said):
        read_thresholds(path, classes)


def test_a_checkpoint_is_no_table_of_thresholds(tmp_path):
    with pytest.raises(UserError, match=r"tuned\.pdparams is a checkpoint; give it with --load_from"):
        read_thresholds(tmp_path / "tuned.pdparams", CLASSES)


# --- which threshold and temperature count


@pytest.mark.parametrize(
    ("threshold", "described", "expected"),
    [
        (None, {}, (0.5, 1)),
        (None, OWN, ([0.1, 0.9], 1.5)),
        (None, {"threshold": 0.3}, (0.3, 1)),
        (0.7, {}, (0.7, 1)),
        (0.7, OWN, (0.7, 1.5)),
        (0.0, OWN, (0.0, 1.5)),
    ],
)
def test_the_option_goes_before_the_description(threshold, described, expected):
    assert choose_thresholds(threshold, None, described, CLASSES) == expected


def test_a_file_goes_before_the_description(path):
    assert choose_thresholds(None, str(path), OWN, CLASSES) == ([0.25, 0.75], 2.0)
    assert choose_thresholds(None, path, {}, CLASSES) == ([0.25, 0.75], 2.0)
    with pytest.raises(UserError, match="other classes"):
        choose_thresholds(None, path, OWN, ["cow", "cat"])


def test_the_model_s_own_can_be_demanded():
    assert choose_thresholds(None, "", OWN, CLASSES) == ([0.1, 0.9], 1.5)
    untuned = {"threshold": 0.5, "temperature": 1.0}  # what deploy.json says of such a model
    for without in ({}, untuned):
        with pytest.raises(UserError, match="no thresholds of its own; make some with val.py --tune"):
            choose_thresholds(None, "", without, CLASSES)


def test_for_the_best_labels_a_threshold_counts_only_where_an_option_gives_it(path):
    assert choose_thresholds(None, None, OWN, CLASSES, topk=3) == (None, 1.5)
    assert choose_thresholds(0.0, None, OWN, CLASSES, topk=3) == (0.0, 1.5)
    assert choose_thresholds(None, "", OWN, CLASSES, topk=3) == ([0.1, 0.9], 1.5)
    assert choose_thresholds(None, path, OWN, CLASSES, topk=3) == ([0.25, 0.75], 2.0)


@pytest.mark.parametrize("file", ["", "t.json"])
def test_both_options_contradict_each_other(file):
    with pytest.raises(UserError, match="--threshold and --thresholds"):
        choose_thresholds(0.5, file, OWN, CLASSES)


def test_no_paddle():
    code = "import sys, utils.thresholds, utils.evaluation.calibration; sys.exit('paddle' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPO).returncode == 0
