"""Photos to batches to names."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from utils import predictions
from utils.errors import UserError
from utils.predictions import labels_of, score_photos, write_predictions


@pytest.fixture
def reading(monkeypatch):
    """Photos are read by name: "bad" in it cannot be read; else it is a number, the grey of the photo."""

    def read(path):
        if "bad" in path:
            raise UserError(f"cannot read photo {path}")
        return Image.new("RGB", (4, 4), (int(path),) * 3)

    monkeypatch.setattr(predictions, "read_photo", read)


class Counting:
    """Scores (B, 1): the grey of each photo; notes the sizes of batches."""

    def __init__(self):
        self.sizes = []

    def __call__(self, batch):
        self.sizes.append(len(batch))
        assert batch.dtype == np.uint8
        return batch[:, 0, 0, :1].astype(np.float32)


@pytest.mark.parametrize("workers", [0, 3])
def test_batches_are_full_whatever_is_broken(reading, workers):
    photos = ["1", "bad0", "2", "bad1", "bad2", "3", "4", "5", "bad3", "6", "7", "bad4"]
    score = Counting()
    results = list(score_photos(score, photos, 8, 3, workers))
    assert score.sizes == [3, 3, 1]
    assert [path for path, _ in results] == photos
    for path, found in results:
        assert isinstance(found, UserError) if "bad" in path else found == [float(path)]


def test_nothing_but_broken_photos(reading):
    score = Counting()
    results = list(score_photos(score, ["bad"] * 5, 8, 2))
    assert [str(error) for _, error in results] == ["cannot read photo bad"] * 5
    assert score.sizes == []


def test_broken_photos_do_not_pile_up(reading):
    """A million of them must not wait for a batch to be full."""
    results = score_photos(Counting(), ["bad"] * 1000 + ["1"], 8, 2)
    assert isinstance(next(results)[1], UserError)
    results.close()


@pytest.mark.parametrize(
    ("threshold", "names"), [(0.5, "ab"), (0.6, "b"), ([0.6, 0.9, 0.1], "c"), (0, "abc")]
)
def test_labels(threshold, names):
    assert labels_of(np.float32([0.5, 0.75, 0.25]), "abc", threshold) == list(names)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_tables(tmp_path, rows):
    given = [(f'pho"to,{number}.jpg', ["cat"], [0.25, number / 8]) for number in range(rows)]
    for suffix in ("json", "csv"):
        write_predictions(tmp_path / f"x.{suffix}", iter(given), ["cat", "dög"])
    content = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert content == [
        {"path": path, "labels": labels, "scores": {"cat": scores[0], "dög": scores[1]}}
        for path, labels, scores in given
    ]
    header, *lines = csv.reader((tmp_path / "x.csv").read_text(encoding="utf-8").splitlines())
    assert header == ["path", "labels", "cat", "dög"]
    assert lines == [[path, "cat", *map(str, scores)] for path, _, scores in given]


@pytest.mark.parametrize("suffix", ["json", "csv"])
def test_names_that_are_no_text(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    write_predictions(path, [("caf\udce9.jpg", [], [0.5])], ["cat"])  # Latin-1 bytes in a file's name
    assert "caf" in path.read_text(encoding="utf-8")
