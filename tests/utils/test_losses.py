"""Losses beside the same formulas in float64, and what ignored labels and extreme logits do to them."""

from functools import partial

import numpy as np
import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.errors import UserError
from utils.losses import LOSSES, asl, bce, choose_loss, focal, known_mean, positive_weights
from utils.options import OPTIONS

EXTREME = [-1e4, -100.0, -30.0, 0.0, 30.0, 100.0, 1e4]
CELLS = st.lists(
    st.tuples(st.floats(-12, 12, width=32), st.sampled_from([-1, 0, 1])), min_size=1, max_size=12
)


def run(loss, logits, labels, **options):
    """(losses, gradient of their sum by the logits), float32 arrays in the logits' shape."""
    x = paddle.to_tensor(np.asarray(logits, "float32"), stop_gradient=False)
    losses = loss(x, paddle.to_tensor(np.asarray(labels, "int8")), **options)
    losses.sum().backward()
    return losses.numpy(), x.grad.numpy()


def probabilities(logits):
    """(p, 1 - p) in float64, each exact where it is small."""
    x = np.asarray(logits, "float64")
    return 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(x))


def plain_bce(logits, labels, pos_weight=1.0):
    p, q = probabilities(logits)
    return np.where(labels == 1, -pos_weight * np.log(p), np.where(labels == 0, -np.log(q), 0))


def plain_asl(logits, labels, weight_of=None):
    """weight_of: the logits that the focusing weight is taken at, these where there are none."""
    p, q = probabilities(logits)
    weight_p, weight_q = probabilities(logits if weight_of is None else weight_of)
    positive = -weight_q * np.log(p)
    negative = -(np.maximum(weight_p - 0.05, 0) ** 4) * np.log(np.minimum(q + 0.05, 1))
    return np.where(labels == 1, positive, np.where(labels == 0, negative, 0))


def plain_focal(logits, labels):
    p, q = probabilities(logits)
    positive, negative = -0.25 * q**2 * np.log(p), -0.75 * p**2 * np.log(q)
    return np.where(labels == 1, positive, np.where(labels == 0, negative, 0))


def slope(function, logits, step=1e-5):
    """Central differences of an element-wise function."""
    return (function(logits + step) - function(logits - step)) / (2 * step)


@given(cells=CELLS)
def test_each_loss_is_its_formula(cells):
    logits, labels = (np.array(column)[None] for column in zip(*cells, strict=True))  # (1, C)
    for name, formula in [("bce", plain_bce), ("asl", plain_asl), ("focal", plain_focal)]:
        losses, _ = run(LOSSES[name], logits, labels)
        np.testing.assert_allclose(losses, formula(logits, labels), rtol=1e-5, atol=1e-6, err_msg=name)


@given(cells=CELLS)
def test_each_gradient_is_the_slope_of_its_formula(cells):
    """That of asl with the focusing weight held fast."""
    logits, labels = (np.array(column)[None] for column in zip(*cells, strict=True))
    logits = np.where(np.abs(logits - np.log(0.05 / 0.95)) < 0.01, 0, logits)  # where asl's clip has a corner
    formulas = {"bce": plain_bce, "asl": partial(plain_asl, weight_of=logits), "focal": plain_focal}
    for name, formula in formulas.items():
        _, gradient = run(LOSSES[name], logits, labels)
        expected = slope(lambda x, formula=formula: formula(x, labels), logits)
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("name", "slopes"), [("bce", (0.5, -0.5)), ("asl", (0.45**4 / 2 / 0.55 * 0.5, -0.25))]
)
def test_the_slope_at_a_logit_of_exactly_0(name, slopes):  # Paddle 3.3's own is 1 lower
    _, gradient = run(LOSSES[name], [[0.0, 0.0]], [[0, 1]])
    np.testing.assert_allclose(gradient[0], slopes, rtol=1e-5)


def test_asl_and_focal_without_their_weights_are_cross_entropy():
    logits, labels = np.linspace(-8, 8, 12).reshape(3, 4), np.array([[0, 1, -1, 1]] * 3)
    expected, gradient = run(bce, logits, labels)
    half = run(focal, logits, labels, alpha=0.5, gamma=0.0)
    np.testing.assert_allclose(half[0], expected / 2, rtol=1e-5)
    np.testing.assert_allclose(half[1], gradient / 2, rtol=1e-5)
    plain = run(asl, logits, labels, gamma_neg=0, gamma_pos=0, clip=0.0)
    np.testing.assert_allclose(plain[0], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(plain[1], gradient, rtol=1e-4, atol=1e-6)


def test_asl_drops_the_easiest_negatives():
    losses, gradient = run(asl, [[-3.0, -2.9]], [[0, 0]])  # p = 0.047 and 0.052, on both sides of the clip
    assert losses[0, 0] == gradient[0, 0] == 0
    assert losses[0, 1] > 0
    assert gradient[0, 1] > 0


# --- ignored labels, extreme logits


@pytest.mark.parametrize("name", LOSSES)
def test_an_ignored_label_changes_nothing(name):
    for logit in [*EXTREME, np.inf, -np.inf, np.nan]:
        losses, gradient = run(LOSSES[name], [[1.5, logit]], [[1, -1]])
        assert losses[0, 1] == gradient[0, 1] == 0
        alone = run(LOSSES[name], [[1.5]], [[1]])
        assert (losses[0, 0], gradient[0, 0]) == (alone[0], alone[1])


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("label", [0, 1])
def test_extreme_logits_stay_finite(name, label):
    losses, gradient = run(LOSSES[name], [EXTREME], [[label] * len(EXTREME)])
    assert np.isfinite(losses).all()
    assert np.isfinite(gradient).all()
    wrong = slice(4, None) if label == 0 else slice(0, 3)
    assert (losses[0, wrong] > 1).all()
    right = slice(0, 2) if label == 0 else slice(5, None)
    assert (losses[0, right] < 1e-30).all()


@pytest.mark.parametrize("name", ["bce", "focal"])
def test_a_hopeless_positive_still_has_a_gradient(name):
    _, gradient = run(LOSSES[name], [[-100.0]], [[1]])
    assert gradient[0, 0] == pytest.approx({"bce": -1, "focal": -0.25}[name])


# --- weights of positives


@given(cells=CELLS, seed=st.integers(0, 99))
def test_pos_weight_multiplies_the_losses_of_positives(cells, seed):  # Paddle 2.6.2 does not
    logits, labels = (np.array(column)[None] for column in zip(*cells, strict=True))
    weights = np.random.default_rng(seed).uniform(0.1, 50, labels.shape[1]).astype("float32")
    losses, gradient = run(bce, logits, labels, pos_weight=paddle.to_tensor(weights))
    formula = partial(plain_bce, labels=labels, pos_weight=weights.astype("float64"))
    np.testing.assert_allclose(losses, formula(logits), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(gradient, slope(formula, logits), rtol=1e-4, atol=1e-5)


def test_positive_weights_balance_each_class():
    labels = np.array([[1, 0, 1, -1], [0, 0, 1, -1], [0, -1, -1, 1], [0, 0, 1, 0], [-1, 0, 1, -1]], "int8")
    weights = positive_weights(labels)
    assert weights.tolist() == [3, 1, 1, 1]  # 3 to 1; no positive; no negative; 1 to 1
    assert weights.dtype == np.float32
    assert positive_weights(np.array([[1], [1], [0]], "int8")) == pytest.approx(0.5)


# --- the mean


def test_the_mean_is_over_the_known_labels():
    labels = paddle.to_tensor(np.array([[1, -1, 0], [-1, -1, 1]], "int8"))
    losses = paddle.to_tensor([[1.0, 0, 2], [0, 0, 6]])
    assert float(known_mean(losses, labels)) == 3
    assert (
        float(known_mean(losses, labels, known=0.5)) == 18
    )  # a step's share of one known label in two processes
    whole = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    labels = paddle.to_tensor(np.ones((4, 5), "int8"))
    assert float(known_mean(paddle.to_tensor(whole), labels)) == pytest.approx(whole.mean(), abs=1e-6)


@pytest.mark.parametrize("known", [None, 0])
def test_nothing_known_means_no_loss_and_no_gradient(known):
    x = paddle.to_tensor([[3.0, -3.0]], stop_gradient=False)
    labels = paddle.to_tensor(np.array([[-1, -1]], "int8"))
    loss = known_mean(bce(x, labels), labels, known)
    loss.backward()
    assert float(loss) == 0
    assert not x.grad.numpy().any()


def test_the_options_name_the_losses():
    assert OPTIONS["loss"]["choices"] == tuple(LOSSES)


@pytest.mark.parametrize("name", list(LOSSES))
def test_without_weights_the_loss_is_the_named_one(name):
    assert choose_loss(name, None, np.ones((2, 2), "int8")) is LOSSES[name]


def test_weights_of_positives_are_those_of_the_training_labels():
    labels = np.array([[1, 0], [0, 1], [0, -1], [0, 1]], "int8")  # 3 negatives per positive, and half a one
    x, target = paddle.to_tensor([[0.5, -0.25]]), paddle.to_tensor(np.array([[1, 1]], "int8"))
    weighed = choose_loss("bce", "auto", labels)(x, target).numpy()
    np.testing.assert_allclose(weighed, bce(x, target).numpy() * [[3, 0.5]], rtol=1e-6)


@pytest.mark.parametrize("name", ["asl", "focal"])
def test_losses_that_weigh_positives_themselves_take_no_weights(name):
    with pytest.raises(UserError, match=f"--pos_weight is for --loss bce; {name} "):
        choose_loss(name, "auto", np.ones((2, 2), "int8"))
