"""Scores of a split: each photo's own, in the order of the records, and each photo once."""

import dataclasses

import numpy as np
import paddle
import pytest
from paddle import nn

from datasets.loader import Batch, Batches, Share
from datasets.records import Records
from datasets.spec import SPECS
from utils.errors import UserError
from utils.evaluation.metrics import IGNORED_RULES
from utils.scoring import evaluate_split, score_batch, score_split, split_figures

PIXELS = {"mean": [0, 0, 0], "std": [1, 1, 1]}
SPEC = dataclasses.replace(SPECS["voc07"], classes=("red", "green"))


class Noise(Batches):
    """Photos of noise, 8 px, that need no files."""

    def _inputs(self, rows, epoch):
        return (np.random.default_rng(row).integers(0, 256, (8, 8, 3), np.uint8) for row in rows)


def noise(count=7, **order):
    labels = np.array([[i % 2, 1] for i in range(count)], "int8")
    return Noise(Records([""] * count, labels, [None] * count), 3, **order)


class Told(Noise):
    """Gives the rows that it is told to give."""

    def __init__(self, *batches):
        super().__init__(noise().records, 3)
        self.told = batches

    def epoch(self, epoch=0):
        for rows in self.told:
            yield Batch(np.zeros((len(rows), 8, 8, 3), "uint8"), self.records.labels[rows], np.array(rows))


@pytest.fixture
def model():
    paddle.seed(0)
    return nn.Sequential(nn.Conv2D(3, 2, 8), nn.BatchNorm2D(2), nn.Flatten())


def test_scores_come_in_the_order_of_the_records(model):
    scores = score_split(model, noise(), PIXELS)
    assert (scores.shape, scores.dtype) == ((7, 2), np.float32)
    np.testing.assert_array_equal(score_split(model, noise(shuffle=True, seed=3), PIXELS), scores)
    alone = [score_batch(model, batch.photos[:1], PIXELS)[0] for batch in noise().epoch()]
    np.testing.assert_allclose(scores[::3], alone, atol=1e-6)
    assert len(np.unique(scores)) == 14


def test_the_model_is_evaluated_not_trained(model):
    model.train()
    before = {name: value.numpy() for name, value in model.state_dict().items()}
    score_split(model, noise(), PIXELS)
    assert not model.training
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


@pytest.mark.parametrize(
    "batches",
    [
        [[0, 1, 2], [3, 4, 5]],
        [[0, 1, 2], [3, 4, 5], [6, 0]],
        [[0, 1, 2], [3, 4, 5], [6, 6]],
        [[0, 1, 2], [3, 4, 5], [5]],
        [],
    ],
    ids=["one is missing", "one comes again", "one is twice in a batch", "one instead of another", "none"],
)
def test_a_photo_that_comes_twice_or_not_at_all_is_a_fault(model, batches):
    with pytest.raises(RuntimeError, match="not scored exactly once"):
        score_split(model, Told(*batches), PIXELS)


def test_an_uneven_split_into_batches_is_none(model):
    model.eval()
    expected = score_batch(model, np.zeros((1, 8, 8, 3), "uint8"), PIXELS)
    scores = score_split(model, Told([6], [0, 1, 2, 3], [5, 4]), PIXELS)
    np.testing.assert_allclose(scores, np.repeat(expected, 7, axis=0), atol=1e-6)


class Others:
    """Processes: this one of two, and what the other brings to each sum."""

    def __init__(self, *brought):
        self.brought = list(brought)

    def sum(self, array):
        return array + self.brought.pop(0)


def test_of_two_processes_each_scores_its_share_and_gets_all(model):
    whole = score_split(model, noise(), PIXELS)
    theirs = np.zeros((7, 2), np.float32)
    theirs[3:6] = whole[3:6]  # the second batch of three
    others = Others((theirs[:, 0] > 0).astype("int32"), theirs)
    scores = score_split(model, noise(share=Share(0, 2)), PIXELS, others)
    np.testing.assert_allclose(scores, whole, atol=1e-6)


def test_a_photo_that_two_processes_scored_is_a_fault(model):
    twice = np.array([1, 0, 0, 1, 1, 1, 0], "int32")
    with pytest.raises(RuntimeError, match="not scored exactly once"):
        score_split(model, noise(share=Share(0, 2)), PIXELS, Others(twice, np.zeros((7, 2))))


def test_figures_under_the_rules_asked_for():
    scores, labels = np.float32([[0.9], [0.8], [0.7]]), np.array([[-1], [0], [1]])
    wider, voc = SPECS["wider"], SPECS["voc07"]
    assert wider.ignored_is_negative_in_precision
    found = {
        (spec.name, rule): split_figures(scores, labels, spec, [0.5], "interpolated", rule)
        for spec in (wider, voc)
        for rule in IGNORED_RULES
    }
    assert {figures["ap_definition"] for figures in found.values()} == {"interpolated"}
    assert [found["voc07", rule]["mAP"] for rule in IGNORED_RULES] == pytest.approx([1 / 2, 1 / 3, 5 / 6])
    assert [found["voc07", rule]["OP"] for rule in IGNORED_RULES] == pytest.approx([1 / 2, 1 / 3, 2 / 3])
    assert [found["wider", rule]["OP"] for rule in IGNORED_RULES] == pytest.approx([1 / 3, 1 / 3, 2 / 3])
    assert split_figures(scores, labels, voc, 0.5)["ap_definition"] == "area"
    assert (labels == [[-1], [0], [1]]).all()


def test_scores_that_are_no_numbers_are_told(model):
    model[0].bias.set_value(np.array([0, np.nan], "float32"))
    with pytest.raises(UserError, match="the model has diverged"):
        evaluate_split(model, noise(), PIXELS, SPEC, 0.5)
