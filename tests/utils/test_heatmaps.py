"""Score maps of photos: the very ones that make the logits; and the pointing game over a split."""

import numpy as np
import paddle
import pytest

from datasets.features import FeatureLoader
from datasets.loader import Loader
from datasets.records import Records
from models.csra import MAX, MHA, TEMPERATURES, attend_at_test_time
from tests.utils.colour_model import CELLS, CLASSES, PIXELS, SIZE, colour_model, save_coloured
from utils.errors import UserError
from utils.heatmaps import score_maps
from utils.pointing_game import play_pointing_game
from utils.predictions import read_pixels
from utils.scoring import score_batch


def features(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def trained(num_heads, lam):
    return MHA(num_heads, lam, 6, 3)


def at_test_time(num_heads, lam):
    return attend_at_test_time(MHA(1, 0, 6, 3), lam, num_heads)


@pytest.mark.parametrize("make", [trained, at_test_time])
@pytest.mark.parametrize("lam", [0, 0.3])
@pytest.mark.parametrize("num_heads", TEMPERATURES)
def test_the_maps_make_the_logits(make, num_heads, lam):
    """base + lambda * attention, anew from the maps alone, in double precision."""
    heads, x = make(num_heads, lam), features(2, 6, 4, 5)
    logits = heads(paddle.to_tensor(x)).numpy()
    for row, maps in enumerate(score_maps(heads, x, None)):
        score = maps.score.reshape(*maps.score.shape[:2], -1).astype("float64")  # (H, C, h*w)
        total = 0
        for h, T in enumerate(maps.temperatures):
            share = np.exp(T * (score[h] - score[h].max(axis=1, keepdims=True)))
            if T == MAX:
                share = score[h] == score[h].max(axis=1, keepdims=True)
            share = share / share.sum(axis=1, keepdims=True)
            np.testing.assert_allclose(maps.attention[h].reshape(3, -1), share, atol=1e-5)
            np.testing.assert_allclose(maps.base[h], score[h].mean(axis=1), atol=1e-5)
            np.testing.assert_allclose(maps.att[h], (share * score[h]).sum(axis=1), atol=1e-5)
            total = total + score[h].mean(axis=1) + maps.lam * (share * score[h]).sum(axis=1)
        np.testing.assert_allclose(maps.factor * total, logits[row], atol=1e-5)
        np.testing.assert_array_equal(maps.logits, logits[row])
        # the sum over the heads is a map of the same logit's base, and attention stays a share
        base = maps.summed_score().mean(axis=(1, 2))
        np.testing.assert_allclose(base, maps.factor * maps.base.sum(axis=0), atol=1e-5)
        np.testing.assert_allclose(maps.mean_attention().sum(axis=(1, 2)), 1, atol=1e-5)


def test_scores_are_those_of_predict_and_the_trunk_runs_once():
    model, runs = colour_model(), []
    model.backbone.register_forward_post_hook(lambda *_: runs.append(1))
    photos = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), np.uint8)
    expected = score_batch(model, photos, PIXELS)
    runs.clear()
    found = score_maps(model, photos, PIXELS)
    assert len(runs) == 1
    np.testing.assert_array_equal([maps.scores for maps in found], expected)
    assert found[0].score.shape == found[0].attention.shape == (2, 2, CELLS, CELLS)
    assert {each.dtype for each in (found[0].score, found[0].attention, found[0].scores)} == {np.dtype("f4")}
    assert (found[0].lam, found[0].temperatures) == (0.5, (1, MAX))


# --- the pointing game

WIDE, TALL = (280, 70), (70, 280)


@pytest.fixture
def split(tmp_path):
    """split(*photos): a loader of photos, each (size, red box, what is said of the objects)."""

    def make(*photos):
        paths = [save_coloured(tmp_path / f"{n}.png", size, red) for n, (size, red, _) in enumerate(photos)]
        labels = np.array([[1, 0]] * len(photos), "int8")
        objects = [said for *_, said in photos]
        return Loader(Records(paths, labels, [None] * len(photos), objects), SIZE, 2)

    return make


def test_a_map_points_into_the_box_of_what_it_sees(split):
    wide, tall = (200, 10, 40, 10), (10, 200, 10, 40)
    loader = split(
        (WIDE, wide, [(0, wide, False)]),
        (TALL, tall, [(0, tall, True)]),  # difficult ones count
        (WIDE, wide, [(0, (10, 10, 40, 10), False)]),  # elsewhere
    )
    figures = play_pointing_game(colour_model(), loader, PIXELS, CLASSES)
    assert (figures["photos"], figures["pairs"]) == (3, 3)
    assert list(figures["maps"]) == ["sum", "T 1", "T max"]
    for found in figures["maps"].values():
        assert found["hit"] == pytest.approx(2 / 3)
        assert found["energy"] == pytest.approx(2 / 3, abs=0.04)  # squashing blurs edges
    assert figures["maps"]["T max"]["attention"] == pytest.approx(2 / 3, abs=0.04)  # squashing blurs edges
    assert figures["maps"]["T 1"]["attention"] < 0.1  # its scores are below 1: nearly even
    assert list(figures["classes"]) == ["red"]


def test_negative_ignored_and_unknown_labels_do_not_play(split):
    box = (200, 10, 40, 10)
    loader = split((WIDE, box, [(0, box, False), (1, box, False)]), (WIDE, box, None), (WIDE, box, []))
    assert play_pointing_game(colour_model(), loader, PIXELS, CLASSES)["pairs"] == 1
    loader.records.labels[0] = [-1, 1]
    figures = play_pointing_game(colour_model(), loader, PIXELS, CLASSES)
    assert list(figures["classes"]) == ["green"]


@pytest.mark.parametrize("said", [None, [], [(1, (0, 0, 9, 9), False)]])
def test_a_split_without_boxes_is_refused(split, said):
    with pytest.raises(UserError, match="prepare_voc.py"):
        play_pointing_game(colour_model(), split((WIDE, (0, 0, 9, 9), said)), PIXELS, CLASSES)


def test_it_plays_with_feature_maps_too(split):
    box = (200, 10, 40, 10)
    loader, model = split((WIDE, box, [(0, box, False)])), colour_model()
    maps = np.stack([read_pixels(path, SIZE) for path in loader.records.paths])
    pooled = maps.reshape(1, CELLS, 8, CELLS, 8, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2) / 255
    alone = play_pointing_game(
        model.classifier, FeatureLoader(loader.records, pooled.astype("float32"), batch_size=2), None, CLASSES
    )
    assert alone["maps"]["sum"]["hit"] == 1
    whole = play_pointing_game(model, loader, PIXELS, CLASSES)
    assert alone["maps"]["sum"]["energy"] == pytest.approx(whole["maps"]["sum"]["energy"])
