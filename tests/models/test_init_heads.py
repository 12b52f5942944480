"""Heads that start from the ImageNet classifier of their trunk."""

import json
from pathlib import Path

import numpy as np
import paddle
import pytest

from datasets.spec import VOC_CLASSES
from models.csra import MHA
from models.pretrained import IMAGENET_CLASSES, init_heads
from utils.errors import UserError

REPO = Path(__file__).resolve().parents[2]
CLASSES = ["cat", "dog", "chair"]


@pytest.fixture
def classifier():
    return np.random.default_rng(0).standard_normal((IMAGENET_CLASSES, 8)).astype("float32")


@pytest.fixture
def trunk(save_pth, classifier):
    """A file of a trunk with its 1000-way classifier, of 8 features."""
    return save_pth("trunk.pth", {"conv.weight": np.ones((2, 3), "float32"), "fc.weight": classifier})


def rows_of(heads, h):
    return heads.multi_head[h].head.weight.numpy()[:, :, 0, 0]


def test_named_classes_point_where_the_classifier_points(trunk, classifier):
    paddle.seed(0)
    heads = MHA(2, 0.1, 8, 3)
    before = [rows_of(heads, h).copy() for h in range(2)]
    init_heads(heads, CLASSES, {"cat": [281, 285], "chair": [559]}, "resnet18", trunk)
    centred = classifier - classifier.mean(axis=0)
    for h in range(2):
        after = rows_of(heads, h)
        np.testing.assert_array_equal(after[1], before[h][1])  # dog was not named
        for c, its in ((0, [281, 285]), (2, [559])):
            direction = centred[its].mean(axis=0)
            cosine = after[c] @ direction / np.linalg.norm(after[c]) / np.linalg.norm(direction)
            assert cosine == pytest.approx(1, abs=1e-6)
            assert np.linalg.norm(after[c]) == pytest.approx(np.linalg.norm(before[h][c]), rel=1e-5)


def test_a_paddle_file_has_its_classifier_the_other_way_round(tmp_path, classifier):
    path = str(tmp_path / "trunk.pdparams")
    paddle.save({"fc.weight": classifier.T.copy()}, path)
    heads = MHA(1, 0.1, 8, 3)
    init_heads(heads, CLASSES, {"dog": [200]}, "resnet18", path)
    row = rows_of(heads, 0)[1]
    direction = classifier[200] - classifier.mean(axis=0)
    assert row @ direction == pytest.approx(np.linalg.norm(row) * np.linalg.norm(direction), rel=1e-5)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"cow": [345]}, "no class 'cow'"),
        ({"cat": []}, "'cat' must have a list of numbers 0 to 999"),
        ({"cat": [1000]}, "0 to 999"),
        ({"cat": [True]}, "0 to 999"),
        ({"cat": 281}, "0 to 999"),
        ({}, "must hold"),
        ([281], "must hold"),
    ],
)
def test_numbers_that_do_not_fit_are_named(trunk, numbers, said):
    with pytest.raises(UserError, match=said):
        init_heads(MHA(1, 0.1, 8, 3), CLASSES, numbers, "resnet18", trunk)


def test_weights_without_a_classifier_are_refused(save_pth, trunk):
    heads = MHA(1, 0.1, 8, 3)
    with pytest.raises(UserError, match="no 1000-way ImageNet classifier"):
        init_heads(
            heads, CLASSES, {"cat": [281]}, "x", save_pth("t.pth", {"fc.weight": np.ones((20, 8), "float32")})
        )
    with pytest.raises(UserError, match="--pretrained imagenet or a file"):
        init_heads(heads, CLASSES, {"cat": [281]}, "x", "none")
    with pytest.raises(UserError, match="is for 8 features, the trunk has 4"):
        init_heads(MHA(1, 0.1, 4, 3), CLASSES, {"cat": [281]}, "x", trunk)


def test_the_file_for_voc_names_every_class_and_no_number_twice():
    numbers = json.loads((REPO / "data/voc_in_imagenet.json").read_text())
    assert tuple(numbers) == VOC_CLASSES
    flat = [n for its in numbers.values() for n in its]
    assert len(set(flat)) == len(flat)
    assert all(0 <= n < IMAGENET_CLASSES for n in flat)
