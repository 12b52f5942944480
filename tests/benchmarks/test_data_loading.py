"""The benchmark of the data pipelines: it rebuilds the seed's rightly, and measures the work alone."""

import numpy as np
import pytest

from benchmarks import data_loading
from benchmarks.data_loading import (
    SeedPhotos,
    large_costs,
    our_batches,
    part_costs,
    pipeline_cost,
    seed_batches,
)
from datasets.transforms import read_photo, transform


@pytest.fixture
def photos(make_photo):
    """Three JPEG files of noise."""
    return [make_photo(f"{seed}.jpg", 40, 30, seed) for seed in range(3)]


def test_the_seeds_evaluation_has_our_pixels_as_floats(photos):
    photo = SeedPhotos(photos, 24, training=False)[1]
    expected = transform(read_photo(photos[1]), 24)
    assert str(photo["img"].dtype) == "paddle.float32"
    np.testing.assert_allclose(photo["img"].numpy().transpose(1, 2, 0), expected / 255, atol=1e-6)


def test_the_seeds_training_varies_and_its_evaluation_does_not(photos):
    for training in (True, False):
        data = SeedPhotos(photos, 24, training)
        views = {data[0]["img"].numpy().tobytes() for _ in range(12)}
        assert (len(views) > 1) is training


@pytest.mark.parametrize("training", [True, False])
def test_both_give_all_photos_in_batches(photos, training):
    paths = photos * 6
    theirs = [batch["img"].shape for batch in seed_batches(paths, 24, training, workers=0)]
    ours = [batch.photos.shape for batch in our_batches(paths, 24, training, workers=0)]
    assert theirs == [[16, 3, 24, 24], [2, 3, 24, 24]]
    assert ours == [(16, 24, 24, 3), (2, 24, 24, 3)]


def test_an_epochs_cost_is_what_a_photo_adds_and_not_what_the_start_takes(monkeypatch, photos):
    clock = [0.0]
    monkeypatch.setattr(data_loading, "processor_seconds", lambda: clock[0])

    def batches(paths, size, training, workers):
        clock[0] += 5
        for _ in paths:
            clock[0] += 0.25
            yield

    assert pipeline_cost(batches, photos, 24, True, 0) == pytest.approx(250)


def test_every_part_is_timed(photos):
    costs = part_costs(photos, 24, rounds=1) | large_costs(photos, 24, rounds=1)
    assert len(costs) == 15
    assert all(cost > 0 for cost in costs.values())
