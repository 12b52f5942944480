"""Another run's scores: matched by photo, refused where they are of something else, and the difference."""

import json

import numpy as np
import pytest

from utils.errors import UserError
from utils.evaluation.bootstrap import draws
from utils.evaluation.compare import difference, read_other, verdict
from utils.evaluation.metrics import average_precision

PATHS = ["b.jpg", "a.jpg", "c.jpg", "a.jpg"]  # two boxes of one photo
LABELS = np.array([[1, 0], [0, 1], [1, -1], [1, 1]], np.int8)
SCORES = np.arange(8, dtype=np.float32).reshape(4, 2) / 8


@pytest.fixture
def write_run(tmp_path):
    """write_run(metrics, changed arrays): what val.py leaves; the path of its metrics.json."""

    def write(metrics=None, **arrays):
        content = {"paths": PATHS, "scores": SCORES, "targets": LABELS} | arrays
        np.savez(tmp_path / "scores.npz", **{k: value for k, value in content.items() if value is not None})
        (tmp_path / "metrics.json").write_text(json.dumps({"mAP": 0.5} if metrics is None else metrics))
        return tmp_path / "metrics.json"

    return write


def read(path, classes=("cat", "dog")):
    return read_other(path, PATHS, LABELS, classes)


def test_photos_are_matched_by_path(write_run):
    order = [2, 1, 3, 0]  # the two boxes of a.jpg stay in their order
    there = {"paths": [PATHS[row] for row in order], "scores": SCORES[order], "targets": LABELS[order]}
    other = read(write_run(**there))
    np.testing.assert_array_equal(other.scores, SCORES)
    assert other.metrics == {"mAP": 0.5}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"paths": ["b.jpg", "x.jpg", "y.jpg", "a.jpg"]}, "other photos: 2 of 4 here are not there, 2 of 4"),
        (
            {"paths": PATHS[:3], "scores": SCORES[:3], "targets": LABELS[:3]},
            "1 of 4 here are not there, 0 of 3",
        ),
        ({"targets": np.abs(LABELS)}, "other labels for 1 of 4 photos"),
        ({"scores": SCORES[:, :1], "targets": LABELS[:, :1]}, "other classes"),
        ({"metrics": {"checkpoint": {"classes": ["dog", "cat"]}}}, "other classes"),
        ({"metrics": [1]}, "no figures of a run"),
        ({"scores": None}, "no file of scores"),
        ({"scores": SCORES[:3]}, "no whole table"),
        ({"scores": SCORES + np.nan}, "no whole table"),
        ({"paths": np.array(PATHS, object)}, "no file of scores"),  # would run code when read
    ],
)
def test_another_thing_is_refused(write_run, changed, said):
    with pytest.raises(UserError, match=said):
        read(write_run(**changed))


def test_missing_and_damaged_files_are_told(write_run, tmp_path):
    path = write_run()
    whole = (tmp_path / "scores.npz").read_bytes()
    for damaged in (b"", b"PK\x03\x04 no more", whole[:-30], whole[:200] + b"!" * 9 + whole[209:]):
        (tmp_path / "scores.npz").write_bytes(damaged)
        with pytest.raises(UserError, match=r"scores\.npz is no file of scores"):
            read(path)
    (tmp_path / "scores.npz").unlink()
    with pytest.raises(UserError, match="lies beside the metrics.json"):
        read(path)
    path.unlink()
    with pytest.raises(UserError, match="cannot read"):
        read(path)


def test_difference_of_a_run_and_itself_is_nothing():
    found = difference(SCORES, SCORES, LABELS, draws(4, 50))
    assert found.mean == 0
    assert found.mean_interval == (0, 0)
    assert verdict(*found.mean_interval).startswith("the interval includes 0")


def test_difference_has_the_sign_of_the_gain():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (300, 3))
    labels[:, 2] = 0  # a class without a positive
    good, bad = labels + rng.random((300, 3)), rng.random((300, 3))
    found = difference(good, bad, labels, draws(300, 200))
    gaps = average_precision(good, labels) - average_precision(bad, labels)
    np.testing.assert_allclose(found.by_class, gaps)
    assert found.mean == pytest.approx(np.nanmean(gaps))
    assert 0 < found.mean_interval[0] < found.mean < found.mean_interval[1]
    assert verdict(*found.mean_interval) == "the interval does not include 0"
    assert np.isnan(found.class_interval[0][2])
    there, gap, (low, high) = found.of([True, False, False])
    assert (there, gap) == (found.ap[0], found.by_class[0])
    assert (low, high) == (found.class_interval[0][0], found.class_interval[1][0])
    assert difference(bad, good, labels, draws(300, 50)).mean == pytest.approx(-found.mean)


def test_without_a_positive_nothing_is_compared():
    labels = np.zeros((4, 2), np.int8)
    found = difference(SCORES[:, :2], SCORES[:, :2], labels, draws(4, 20))
    assert np.isnan([found.mean, *found.mean_interval]).all()
    assert verdict(*found.mean_interval).startswith("no class has a positive")
