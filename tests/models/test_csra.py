"""The heads: equal to the original's figures, and what must hold for any features."""

import math

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.csra import CSRA, MAX, MHA, TEMPERATURES, attend_at_test_time

HEADS = sorted(TEMPERATURES)
LAMS = ("0", "0.1", "0.5", "1")


def features(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def logits_of(heads, x):
    return heads(paddle.to_tensor(x)).numpy()


def formula(head, x, T):
    """The paper's two terms for the weights of a CSRA head, each (B, C): average pooling and attention."""
    weight = head.head.weight.numpy()[:, :, 0, 0].astype("float64")  # (C, D)
    weight /= np.sqrt((weight**2).sum(axis=1, keepdims=True))
    score = np.einsum("cd,bdp->bcp", weight, x.reshape(*x.shape[:2], -1))
    if T == MAX:
        return score.mean(axis=2), score.max(axis=2)
    share = np.exp(T * score)
    return score.mean(axis=2), (share * score).sum(axis=2) / share.sum(axis=2)


@pytest.mark.parametrize("lam", LAMS)
@pytest.mark.parametrize("num_heads", HEADS)
def test_golden_case(golden, num_heads, lam):  # fault 1
    file, case = golden("csra_head.npz"), f"H{num_heads}_lam{lam}"
    heads = MHA(num_heads, float(lam), 16, 6)
    for i, head in enumerate(heads.multi_head):
        head.head.weight.set_value(file[f"{case}/weight_{i}"])
    x = paddle.to_tensor(file[f"{case}/x"], stop_gradient=False)

    logits = heads(x)
    loss = F.binary_cross_entropy_with_logits(logits, paddle.to_tensor(file[f"{case}/target"]))
    loss.backward()

    np.testing.assert_allclose(logits.numpy(), file[f"{case}/logits"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(float(loss), file[f"{case}/loss"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(x.grad.numpy(), file[f"{case}/grad_x"], rtol=0, atol=1e-5)
    for i, head in enumerate(heads.multi_head):
        expected = file[f"{case}/grad_weight_{i}"]
        np.testing.assert_allclose(head.head.weight.grad.numpy(), expected, rtol=0, atol=1e-5)


def test_all_golden_cases_are_run(golden):
    cases = {name.split("/")[0] for name in golden("csra_head.npz")}
    assert cases == {f"H{num_heads}_lam{lam}" for num_heads in HEADS for lam in LAMS}


@pytest.mark.parametrize("num_heads", HEADS)
def test_a_photo_has_the_same_logits_alone_and_in_a_batch(num_heads):  # fault 1
    heads, x = MHA(num_heads, 0.7, 8, 5), features(4, 8, 3, 3)
    alone = np.concatenate([logits_of(heads, photo[None]) for photo in x])
    np.testing.assert_allclose(logits_of(heads, x), alone, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (5, 2), (14, 14)])
def test_any_map_size_equals_the_formula_of_the_paper(height, width):
    heads, x = MHA(4, 0.3, 8, 5), features(2, 8, height, width)
    expected = 0
    for head in heads.multi_head:
        base, attention = formula(head, x, head.T)
        expected = expected + base + 0.3 * attention
    np.testing.assert_allclose(logits_of(heads, x), expected, atol=1e-5)


@pytest.mark.parametrize("T", [1, 7, MAX])
def test_lam_0_is_average_pooling_whatever_the_temperature(T):
    head, x = CSRA(8, 5, T, 0), features(2, 8, 3, 4)
    weight = head.head.weight.numpy()[:, :, 0, 0]
    pooled = x.mean(axis=(2, 3)) @ (weight / np.linalg.norm(weight, axis=1, keepdims=True)).T
    np.testing.assert_allclose(logits_of(head, x), pooled, atol=1e-5)


@pytest.mark.parametrize("num_heads", HEADS)
def test_score_maps_hold_what_the_logits_are_made_of(num_heads):
    heads, x = MHA(num_heads, 0.2, 8, 5), paddle.to_tensor(features(2, 8, 3, 4))
    maps = heads.score_maps(x)
    assert [list(score.shape) for score in maps] == [[2, 5, 3, 4]] * num_heads
    expected = 0
    for score, T in zip(maps, TEMPERATURES[num_heads], strict=True):
        score = score.flatten(2)
        attention = score.max(2) if T == MAX else (F.softmax(T * score, 2) * score).sum(2)
        expected = expected + score.mean(2) + 0.2 * attention
    np.testing.assert_allclose(heads(x).numpy(), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("lam", [0, 0.3])
@pytest.mark.parametrize("num_heads", HEADS)
def test_logits_come_from_the_score_maps_alone(num_heads, lam):
    x = paddle.to_tensor(features(2, 8, 3, 4))
    for heads in (MHA(num_heads, lam, 8, 5), attend_at_test_time(MHA(1, 0, 8, 5), lam, num_heads)):
        np.testing.assert_array_equal(heads.logits(heads.score_maps(x)).numpy(), heads(x).numpy())


@pytest.mark.parametrize("T", [1, 4, MAX])
def test_attention_is_a_share_of_each_position_that_makes_the_logit(T):
    head, score = CSRA(8, 5, T, 0.7), features(2, 5, 3, 4)
    attention = head.attention(paddle.to_tensor(score)).numpy()
    assert attention.shape == score.shape
    flat = score.reshape(2, 5, 12).astype("float64")
    expected = flat == flat.max(axis=2, keepdims=True) if T == MAX else np.exp(T * flat)
    expected = expected / expected.sum(axis=2, keepdims=True)
    np.testing.assert_allclose(attention.reshape(2, 5, 12), expected, atol=1e-6)
    logit = flat.mean(axis=2) + 0.7 * (expected * flat).sum(axis=2)
    np.testing.assert_allclose(head.logit(paddle.to_tensor(score)).numpy(), logit, atol=1e-5)


def test_of_equal_maxima_the_first_gets_all_attention():
    attention = CSRA(8, 1, MAX, 0.7).attention(paddle.to_tensor([[[[0.0, 2.0], [2.0, 2.0]]]]))
    assert attention.numpy().tolist() == [[[[0, 1], [0, 0]]]]


def test_temperatures_are_those_of_the_paper():
    assert TEMPERATURES == {
        1: (1,),
        2: (1, 99),
        4: (1, 2, 4, 99),
        6: (1, 2, 3, 4, 5, 99),
        8: (1, 2, 3, 4, 5, 6, 7, 99),
    }
    assert [head.T for head in MHA(6, 0.1, 4, 2).multi_head] == [1, 2, 3, 4, 5, 99]


@pytest.mark.parametrize("input_dim", [64, 512])
def test_weights_start_uniform_within_one_over_root_of_D(input_dim):
    weight = MHA(1, 0.1, input_dim, 40).multi_head[0].head.weight.numpy()
    bound = 1 / math.sqrt(input_dim)
    assert weight.shape == (40, input_dim, 1, 1)
    assert np.abs(weight).max() <= bound
    assert weight.max() > 0.9 * bound
    assert weight.min() < -0.9 * bound
    assert abs(weight.mean()) < 0.1 * bound
    assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.1)  # a uniform distribution's


def test_heads_have_no_bias_and_start_different():
    heads = MHA(2, 0.1, 8, 5)
    assert list(heads.state_dict()) == ["multi_head.0.head.weight", "multi_head.1.head.weight"]
    first, second = (head.head.weight.numpy() for head in heads.multi_head)
    assert not np.allclose(first, second)


@pytest.mark.parametrize("num_heads", [0, 3, 5, 7, -1, 99])
def test_a_wrong_number_of_heads_lists_the_valid_ones(num_heads):
    with pytest.raises(ValueError, match=r"\[1, 2, 4, 6, 8\]"):
        MHA(num_heads, 0.1, 8, 5)


@pytest.mark.parametrize("lam", [-0.1, float("nan")])
def test_a_wrong_lam_is_refused(lam):
    with pytest.raises(ValueError, match="lam"):
        MHA(1, lam, 8, 5)


@given(
    factor=st.floats(1e-3, 1e3),
    num_heads=st.sampled_from(HEADS),
    shape=st.tuples(*[st.integers(1, 4)] * 3),
    seed=st.integers(0, 99),
)
def test_the_scale_of_the_weights_does_not_matter(factor, num_heads, shape, seed):
    batch, height, width = shape
    heads, x = MHA(num_heads, 0.5, 6, 3), features(batch, 6, height, width, seed=seed)
    before = logits_of(heads, x)
    for head in heads.multi_head:
        head.head.weight.set_value(head.head.weight.numpy() * np.float32(factor))
    np.testing.assert_allclose(logits_of(heads, x), before, rtol=1e-4, atol=1e-4)


@given(num_heads=st.sampled_from(HEADS), lam=st.floats(0, 5), seed=st.integers(0, 99))
def test_where_something_is_in_the_photo_does_not_matter(num_heads, lam, seed):
    heads, x = MHA(num_heads, lam, 6, 3), features(2, 6, 3, 4, seed=seed)
    moved = np.random.default_rng(seed).permutation(x.reshape(2, 6, 12), axis=2).reshape(2, 6, 4, 3)
    np.testing.assert_allclose(logits_of(heads, moved), logits_of(heads, x), rtol=1e-4, atol=1e-4)


def test_equal_scores_get_the_gradient_of_the_maximum_once():
    """Paddle 2.6's max gives each of them the whole of it."""
    head = CSRA(4, 2, MAX, 1.0)
    x = paddle.ones([1, 4, 2, 3])
    x.stop_gradient = False
    head(x).sum().backward()
    weight = head.head.weight.numpy()[:, :, 0, 0]
    direction = (weight / np.linalg.norm(weight, axis=1, keepdims=True)).sum(axis=0)  # (D,)
    np.testing.assert_allclose(x.grad.numpy().sum(axis=(0, 2, 3)), 2 * direction, atol=1e-5)


# --- attention at test time


@pytest.mark.parametrize("num_heads", HEADS)
def test_attention_at_test_time_is_the_base_plus_the_mean_over_temperatures(num_heads):
    trained, x = MHA(1, 0, 8, 5), features(2, 8, 3, 4)
    terms = [formula(trained.multi_head[0], x, T) for T in TEMPERATURES[num_heads]]
    attention = np.mean([attention for _, attention in terms], axis=0)
    heads = attend_at_test_time(trained, 0.3, num_heads)
    assert len(heads.multi_head) == num_heads
    np.testing.assert_allclose(logits_of(heads, x), terms[0][0] + 0.3 * attention, atol=1e-5)


def test_attention_at_test_time_has_one_temperature_unless_told():
    trained, x = MHA(1, 0, 8, 5), features(2, 8, 3, 4)
    expected = logits_of(attend_at_test_time(trained, 0.3, 1), x)
    np.testing.assert_array_equal(logits_of(attend_at_test_time(trained, 0.3), x), expected)


@pytest.mark.parametrize("num_heads", HEADS)
def test_attention_of_weight_0_at_test_time_changes_nothing(num_heads):
    trained, x = MHA(1, 0, 8, 5), features(2, 8, 3, 4)
    before = logits_of(trained, x)
    np.testing.assert_allclose(logits_of(attend_at_test_time(trained, 0, num_heads), x), before, atol=1e-6)


def test_attention_at_test_time_takes_the_trained_weight_itself():
    trained = MHA(1, 0, 8, 5)
    heads = attend_at_test_time(trained, 0.3, 4)
    (weight,) = heads.parameters()
    assert weight is trained.multi_head[0].head.weight


@pytest.mark.parametrize("given", [None, "their number"])
@pytest.mark.parametrize("num_heads", HEADS[1:])
def test_trained_heads_attend_at_test_time_as_heads_of_that_lam(num_heads, given):
    trained, other = MHA(num_heads, 0, 8, 5), MHA(num_heads, 0.3, 8, 5)
    other.set_state_dict(trained.state_dict())
    x = features(2, 8, 3, 4)
    heads = attend_at_test_time(trained, 0.3, given and num_heads)
    np.testing.assert_array_equal(logits_of(heads, x), logits_of(other, x))


@pytest.mark.parametrize(
    ("trained", "num_heads", "told"),
    [(1, 3, r"\[1, 2, 4, 6, 8\]"), (4, 2, "4 trained heads"), (2, 1, "become 1")],
)
def test_a_wrong_number_of_heads_at_test_time_is_refused(trained, num_heads, told):
    heads = MHA(trained, 0, 8, 5)
    with pytest.raises(ValueError, match=told):
        attend_at_test_time(heads, 0.3, num_heads)
    assert [head.lam for head in heads.multi_head] == [0] * trained  # as they were
