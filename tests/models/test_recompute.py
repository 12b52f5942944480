"""Recomputed blocks: the same to the bit, with two passes for one, and less that is kept in between."""

import gc

import numpy as np
import paddle
import pytest
from paddle.base import core

from models import TRUNKS, statistics
from models.recompute import BLOCKS, recompute_blocks
from models.vit import VisionTransformer


def small_vit():
    return VisionTransformer(32, width=48, depth=3, num_heads=2)


MAKERS = {
    "resnet18": TRUNKS["resnet18"],
    "efficientnet_lite0": TRUNKS["efficientnet_lite0"],
    "vit": small_vit,
}


def make(name, recomputed):
    paddle.seed(0)
    trunk = MAKERS[name]()
    trunk.train()
    if recomputed:
        recompute_blocks(trunk)
    return trunk


def photos(seed=0, count=3):
    return paddle.to_tensor(np.random.default_rng(seed).standard_normal((count, 3, 32, 32)).astype("float32"))


def steps(name, recomputed):
    """Everything of two steps of training and an evaluation, name -> array."""
    trunk, found = make(name, recomputed), {}
    optimizer = paddle.optimizer.Momentum(0.01, 0.9, trunk.parameters())
    for number in range(2):
        x = photos(number)
        x.stop_gradient = False
        y = trunk(x)
        (y * y).mean().backward()
        found |= {f"output {number}": y, f"gradient by the photos {number}": x.grad}
        found |= {
            f"{n} gradient {number}": p.grad for n, p in trunk.named_parameters() if not p.stop_gradient
        }
        found |= {f"statistic {number} {i}": value.clone() for i, value in enumerate(statistics(trunk))}
        optimizer.step()
        optimizer.clear_grad()
    trunk.eval()
    with paddle.no_grad():
        found["evaluated"] = trunk(photos(9))
    return {key: value.numpy() for key, value in found.items()}


@pytest.mark.parametrize("name", MAKERS)
def test_outputs_gradients_and_statistics_are_the_same_to_the_bit(name):
    expected, ours = steps(name, recomputed=False), steps(name, recomputed=True)
    assert set(ours) == set(expected)
    assert sum("gradient" in key for key in ours) > 40
    for key, value in ours.items():
        np.testing.assert_array_equal(value, expected[key], err_msg=key)
    moved = [key for key in ours if key.startswith("statistic 0")]
    assert bool(moved) == (name != "vit")
    assert all((ours[key] != ours[key.replace("0", "1", 1)]).any() for key in moved)


def kept(trunk):
    """Bytes that a pass in training leaves allocated for the gradient."""
    x = photos()
    gc.collect()  # else what other tests left may go in between
    before = core.host_memory_stat_current_value("Allocated", 0)
    y = trunk(x)
    own = y.size * 4
    after = core.host_memory_stat_current_value("Allocated", 0)
    y.sum().backward()
    return after - before - own


@pytest.mark.parametrize(("name", "share"), [("resnet18", 0.6), ("efficientnet_lite0", 0.2), ("vit", 0.2)])
def test_less_is_kept_for_the_gradient(name, share):
    """What is left is the inputs of the blocks and what lies outside of them."""
    whole = kept(make(name, recomputed=False))
    assert 0 < kept(make(name, recomputed=True)) < share * whole


def inner_layers(trunk):
    """A layer within each block."""
    blocks = [block for block in trunk.sublayers() if isinstance(block, BLOCKS)]
    assert blocks
    return [list(block.sublayers())[0] for block in blocks]


@pytest.mark.parametrize("name", MAKERS)
def test_a_block_runs_twice_in_training_and_once_otherwise(name):
    trunk = make(name, recomputed=True)
    calls, layers = [], inner_layers(trunk)
    for number, layer in enumerate(layers):
        layer.register_forward_pre_hook(lambda *_, number=number: calls.append(number))
    y = trunk(photos())
    assert calls == list(range(len(layers)))  # in the pass
    y.sum().backward()
    assert sorted(calls) == sorted([*range(len(layers))] * 2)  # and for the gradient
    calls.clear()
    with paddle.no_grad():
        trunk(photos())
    trunk.eval()
    trunk(photos()).sum().backward()
    assert calls == [*range(len(layers))] * 2  # once each


def test_statistics_see_each_batch_once():
    """Not twice, as two passes would without care; without gradients too."""
    trunk, plain = make("resnet18", recomputed=True), make("resnet18", recomputed=False)
    for each in (trunk, plain):
        with paddle.no_grad():
            each(photos())
    for ours, expected in zip(statistics(trunk), statistics(plain), strict=True):
        np.testing.assert_array_equal(ours.numpy(), expected.numpy())


def test_names_of_parameters_stay():
    ours, expected = (make("resnet18", recomputed).state_dict() for recomputed in (True, False))
    assert list(ours) == list(expected)
