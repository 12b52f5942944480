"""The bank of heads of benchmarks/ablation.py does what models/csra.py does."""

import numpy as np
import paddle
import paddle.nn.functional as F

from benchmarks.head_bank import MOMENTUM, WEIGHT_DECAY, HeadBank, score_bank, train_bank
from models.csra import MAX, MHA, TEMPERATURES

SETTINGS = [(1, 0.0), (2, 0.3), (4, 1.0), (1, 0.2)]
RATES = [0.3, 0.1, 0.2, 0.3]


def heads_of(bank):
    """An MHA for each setting with the weights that the bank has now."""
    order = sorted(((T, k) for k, (H, _) in enumerate(SETTINGS) for T in TEMPERATURES[H]), key=lambda x: x[0])
    models = [MHA(H, lam, 8, 3) for H, lam in SETTINGS]
    for (T, k), weight in zip(order, bank.weights, strict=True):
        head = next(head for head in models[k].multi_head if head.T == T)
        head.head.weight.set_value(weight.reshape([3, 8, 1, 1]))
    return models


def maps_and_labels(count):
    rng = np.random.default_rng(0)
    maps = rng.standard_normal((count, 6, 8)).astype("float32")  # (N, hw, D)
    return maps, rng.integers(0, 2, (count, 3)).astype("int8")


def as_photos(maps):
    """The same maps as heads take them, (N, D, h, w)."""
    return paddle.to_tensor(maps.transpose(0, 2, 1).reshape(len(maps), 8, 2, 3))


def test_logits_are_those_of_the_heads():
    paddle.seed(0)
    bank = HeadBank(SETTINGS, 8, 3)
    maps, _ = maps_and_labels(5)
    for k, model in enumerate(heads_of(bank)):
        expected = F.sigmoid(model(as_photos(maps))).numpy()
        np.testing.assert_allclose(score_bank(bank, maps, 2)[k], expected, atol=1e-6)
    assert MAX in TEMPERATURES[2]


def test_each_setting_trains_as_it_would_alone():
    maps, labels = maps_and_labels(4)
    paddle.seed(3)
    alone = heads_of(HeadBank(SETTINGS, 8, 3, RATES))  # what train_bank starts from with seed 3
    bank = train_bank(SETTINGS, RATES, maps, labels, epochs=2, batch_size=4, seed=3)
    for model, rate, trained in zip(alone, RATES, heads_of(bank), strict=True):
        optimizer = paddle.optimizer.Momentum(0.0, MOMENTUM, model.parameters(), weight_decay=WEIGHT_DECAY)
        for factor in (1.0, 0.5):  # the cosine at its start and its middle
            optimizer.set_lr(rate * factor)
            F.binary_cross_entropy_with_logits(
                model(as_photos(maps)), paddle.to_tensor(labels.astype("float32"))
            ).backward()
            optimizer.step()
            optimizer.clear_grad()
        for own, other in zip(model.parameters(), trained.parameters(), strict=True):
            np.testing.assert_allclose(own.numpy(), other.numpy(), atol=1e-6)
