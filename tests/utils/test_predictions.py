"""Photos to batches to names."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from utils import predictions
from utils.errors import UserError
from utils.predictions import labels_of, predict_photos, score_photos


@pytest.fixture
def reading(monkeypatch):
    """Photos are read by name: "bad" in it cannot be read; else it is a number, the grey of the photo."""

    def read(path):
        if "bad" in path:
            raise UserError(f"cannot read photo {path}")
        return Image.new("RGB", (4, 5), (int(path),) * 3)

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
    assert [path for path, _, _ in results] == photos
    for path, size, found in results:
        assert isinstance(found, UserError) if "bad" in path else found == [float(path)]
        assert size == ((None, None) if "bad" in path else (4, 5))


def test_nothing_but_broken_photos(reading):
    score = Counting()
    results = list(score_photos(score, ["bad"] * 5, 8, 2))
    assert [str(error) for *_, error in results] == ["cannot read photo bad"] * 5
    assert score.sizes == []


def test_broken_photos_do_not_pile_up(reading):
    """A million of them must not wait for a batch to be full."""
    results = score_photos(Counting(), ["bad"] * 1000 + ["1"], 8, 2)
    assert isinstance(next(results)[2], UserError)
    results.close()


@pytest.mark.parametrize(
    ("threshold", "names"), [(0.5, "ab"), (0.6, "b"), ([0.6, 0.9, 0.1], "c"), (0, "abc")]
)
def test_labels(threshold, names):
    assert labels_of(np.float32([0.5, 0.75, 0.25]), "abc", threshold) == list(names)


@pytest.mark.parametrize("threshold", [0.7, [0.7]])
def test_labels_agree_with_the_scores_that_are_told(threshold):
    score = np.float32([0.7])  # a little less: NumPy 1 rounds a single threshold, too
    assert score.tolist()[0] < 0.7
    assert labels_of(score, "a", threshold) == []


@pytest.mark.parametrize(
    ("threshold", "topk", "names"),
    [
        (None, 1, "b"),
        (None, 2, "ba"),
        (None, 3, "bac"),
        (None, 99, "bac"),
        (0.5, 3, "ba"),
        ([0.6, 0, 0.9], 3, "b"),
    ],
)
def test_the_best_come_first(threshold, topk, names):
    assert labels_of(np.float32([0.5, 0.75, 0.25]), "abc", threshold, topk) == list(names)


def test_of_equal_scores_the_first_class_is_the_best():
    scores = np.tile(np.float32([0.25, 0.5]), 100)
    assert labels_of(scores, range(200), None, 150) == [*range(1, 200, 2), *range(0, 100, 2)]
    assert labels_of(np.float32([0.1, 0.5, 0.5, 0.9, 0.5]), "abcde", None, 3) == ["d", "b", "c"]


def described(**more):
    return {"classes": ["grey", "half"], "img_size": 8, **more}


def two_scores(batch):
    """(B, 2): the grey of each photo / 255, and half of it."""
    return batch[:, 0, 0, :2].astype(np.float32) / 255 * np.float32([1, 0.5])


def test_what_is_said_of_a_photo(make_photo):
    image = Image.new("L", (30, 20), 255)
    image.save(path := make_photo("white.png"))
    for given, name in ((path, path), (Path(path), path), (image, None), (Image.open(path), None)):
        (photo,) = predict_photos(two_scores, [given], described(), 0.5)
        assert (photo.path, photo.labels, photo.maps) == (name, ["grey", "half"], None)
        assert photo.scores == {"grey": 1.0, "half": 0.5}
        assert (photo.width, photo.height) == (30, 20)
    (photo,) = predict_photos(two_scores, [path], described(), None, topk=1)
    assert photo.labels == ["grey"]


def test_sixteen_bits_are_the_same_from_memory_and_file(tmp_path):
    image = Image.fromarray(np.full((5, 5), 0x8000, np.uint16))
    image.save(tmp_path / "16bit.png")
    photos = [*predict_photos(two_scores, [image, tmp_path / "16bit.png"], described(), 0.5)]
    assert (
        photos[0].scores
        == photos[1].scores
        == {"grey": pytest.approx(128 / 255), "half": pytest.approx(64 / 255)}
    )


def test_the_temperature_comes_before_the_threshold(make_photo):
    Image.new("L", (4, 4), 204).save(path := make_photo("light.png"))  # score 0.8
    (photo,) = predict_photos(two_scores, [path], described(temperature=2.0), 0.7)
    assert photo.scores["grey"] == pytest.approx(1 / (1 + (0.2 / 0.8) ** 0.5))
    assert photo.labels == []


def test_scores_that_are_no_numbers_are_no_prediction(reading):
    told = []

    def score(batch):
        return np.where(batch[:, 0, 0, :2] == 2, np.nan, 0.5).astype(np.float32)

    photos = predict_photos(score, ["1", "2", "bad", "3"], described(), 0.5, on_error=told.append)
    assert [photo.path for photo in photos] == ["1", "3"]
    assert [str(error) for error in told] == [
        "2: the scores are no numbers; take another checkpoint",
        "cannot read photo bad",
    ]


def test_a_broken_image_in_memory(make_photo, capsys):
    path = Path(make_photo("x.png", 200, 200))
    path.write_bytes(path.read_bytes()[:1000])
    assert [*predict_photos(two_scores, [Image.open(path)], described(), 0.5)] == []
    assert capsys.readouterr().err.startswith("error: cannot read an image: ")
