"""One optimizer step and one epoch, on a model of a few weights."""

import numpy as np
import paddle
import pytest
from paddle import nn

from datasets.loader import Loader
from datasets.records import Records
from models import CSRAModel
from models.csra import MHA
from utils.errors import UserError
from utils.training import HEAD_LR, make_optimizer, train_epoch, train_step

NORMALIZATION = {"mean": (0, 0, 0), "std": (1, 1, 1)}


def tiny_model(seed=0):
    """Convolution, batch norm and heads for two classes."""
    paddle.seed(seed)
    return CSRAModel(nn.Sequential(nn.Conv2D(3, 4, 3, stride=4), nn.BatchNorm2D(4)), MHA(2, 0.5, 4, 2))


def trainable(layer):
    return {name: value for name, value in layer.named_parameters() if not value.stop_gradient}


def values(layer):
    return {name: value.numpy().copy() for name, value in layer.state_dict().items()}


def step_with_gradient(model, optimizer, gradient, rate):
    """One step in which every parameter has the same gradient."""
    optimizer.set_lr(rate)
    (gradient * sum(value.sum() for value in trainable(model).values())).backward()
    optimizer.step()
    optimizer.clear_grad()


@pytest.fixture
def loader(make_photo):
    """make(num_workers): batches of 2 of five photos, shuffled and augmented."""
    paths = [make_photo(f"{i}.png", seed=i) for i in range(5)]
    records = Records(paths, np.array([[i % 2, 1] for i in range(5)], "int8"), [None] * 5)

    def make(num_workers=0):
        augmentations = ("randomflip", "resizedcrop")
        return Loader(records, 16, 2, augmentations, shuffle=True, num_workers=num_workers)

    return make


def train(model, loader, epoch=1, rate=lambda iteration: 0.01, print_freq=100):
    optimizer = make_optimizer(model, momentum=0.9, weight_decay=1e-4)
    return train_epoch(model, loader, optimizer, rate, NORMALIZATION, epoch, print_freq)


# --- the optimizer


def test_the_heads_move_ten_times_as_far_as_the_trunk():
    model = tiny_model()
    before = values(model)
    step_with_gradient(model, make_optimizer(model, momentum=0.0, weight_decay=0.0), 1.0, rate=0.01)
    assert HEAD_LR == 10
    for name in trainable(model):
        step = 0.1 if name.startswith("classifier") else 0.01
        np.testing.assert_allclose(values(model)[name], before[name] - step, atol=1e-6)


def test_heads_alone_move_as_far_as_beside_a_trunk():
    heads = tiny_model().classifier
    before = values(heads)
    step_with_gradient(heads, make_optimizer(heads, momentum=0.0, weight_decay=0.1), 1.0, rate=0.01)
    for name, value in values(heads).items():
        np.testing.assert_allclose(value, before[name] - 0.01 * HEAD_LR * (1 + 0.1 * before[name]), atol=1e-6)


def test_weight_decay_acts_on_everything_batch_norm_and_heads_included():
    model = tiny_model()
    before = values(model)
    step_with_gradient(model, make_optimizer(model, momentum=0.9, weight_decay=0.1), 0.0, rate=0.5)
    assert {"backbone.1.weight", "backbone.1.bias", "classifier.multi_head.1.head.weight"} <= set(before)
    for name, value in values(model).items():
        rate = {"classifier": 5.0, "backbone": 0.5}[name.split(".")[0]] if name in trainable(model) else 0
        np.testing.assert_allclose(value, before[name] * (1 - rate * 0.1), rtol=1e-5, atol=1e-7)


def test_momentum_is_that_of_the_original():
    """velocity = 0.9 velocity + gradient, and the rate of the step times the velocity is taken off."""
    model = tiny_model()
    before, optimizer = values(model), make_optimizer(model, momentum=0.9, weight_decay=0.0)
    step_with_gradient(model, optimizer, 1.0, rate=0.01)
    step_with_gradient(model, optimizer, 2.0, rate=0.001)
    moved = 0.01 * 1 + 0.001 * (0.9 * 1 + 2)
    for name in trainable(model):
        factor = HEAD_LR if name.startswith("classifier") else 1
        np.testing.assert_allclose(values(model)[name], before[name] - factor * moved, atol=1e-6)


def test_a_step_lowers_the_loss_and_returns_it_as_a_number():  # fault 19
    model = tiny_model()
    optimizer = make_optimizer(model, momentum=0.9, weight_decay=0.0)
    optimizer.set_lr(0.05)
    x = paddle.to_tensor(np.random.default_rng(0).standard_normal((4, 3, 16, 16)).astype("float32"))
    losses = [train_step(model, optimizer, x, np.array([[0, 1]] * 4, "int8")) for _ in range(5)]
    assert all(type(loss) is float for loss in losses)
    assert losses[-1] < losses[0]


def test_a_step_leaves_no_gradient_for_the_next():
    model = tiny_model()
    train_step(model, make_optimizer(model, 0.9, 0.0), paddle.ones([2, 3, 16, 16]), np.array([[0, 1]] * 2))
    gradients = [value.grad for value in trainable(model).values()]
    assert all(gradient is None or not gradient.numpy().any() for gradient in gradients)


def test_the_loss_is_the_mean_over_photos_and_classes():
    model = tiny_model()
    model.eval()  # batch norm as it stands
    x, labels = paddle.ones([3, 3, 16, 16]), np.array([[0, 1], [1, 1], [0, 0]], "int8")
    logits = model(x).numpy().astype("float64")
    expected = np.mean(np.log1p(np.exp(logits)) - labels * logits)
    assert train_step(model, make_optimizer(model, 0.9, 0.0), x, labels) == pytest.approx(expected, abs=1e-5)


# --- an epoch


def test_an_epoch_steps_at_the_rate_of_each_iteration(loader):
    asked, before = [], tiny_model()

    def rate(iteration):
        asked.append(iteration)
        return 0.0

    model = tiny_model()
    model.eval()
    figures = train(model, loader(), rate=rate)
    assert sorted(set(asked)) == [0, 1, 2]
    assert model.training
    for name in trainable(model):  # at rate 0 nothing moves
        np.testing.assert_array_equal(values(model)[name], values(before)[name])
    assert figures["lr"] == figures["head_lr"] == 0


def test_an_epoch_trains_and_says_what_it_did(loader, monkeypatch):
    losses = iter([1.0, 2.0, 7.0])
    monkeypatch.setattr("utils.training.train_step", lambda *_: next(losses))
    figures = train(tiny_model(), loader(), rate=lambda iteration: 0.1 * (iteration + 1))
    assert figures["loss"] == pytest.approx((1 * 2 + 2 * 2 + 7 * 1) / 5)  # the last batch is smaller
    assert figures["lr"] == pytest.approx(0.3)
    assert figures["head_lr"] == pytest.approx(3.0)
    assert figures["batch_time"] == pytest.approx(figures["time"] / 3)
    assert figures["photos_per_second"] == pytest.approx(5 / figures["time"])
    assert 0 < figures["data_time"] < figures["time"]
    assert all(type(value) is float for value in figures.values())


def test_the_same_seed_gives_the_same_weights_whatever_the_workers(loader):  # fault 18
    runs = []
    for num_workers in (0, 3):
        model = tiny_model()
        for epoch in (1, 2):
            train(model, loader(num_workers), epoch)
        runs.append(values(model))
    for name, value in runs[0].items():
        np.testing.assert_array_equal(value, runs[1][name])
    assert any((value != values(tiny_model())[name]).any() for name, value in runs[0].items())


def test_small_rates_are_printed_in_full(loader, capsys):  # fault 20
    train(tiny_model(), loader(), epoch=4, rate=lambda iteration: 1.25e-7, print_freq=2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("Epoch 4[2/5]: loss:")
    assert lines[1].startswith("Epoch 4[5/5]: loss:")
    assert all("lr:1.250e-07," in line for line in lines)


def test_a_loss_that_is_no_number_ends_the_run_and_says_where(loader):
    model = tiny_model()
    model.classifier.multi_head[0].head.weight.set_value(np.full((2, 4, 1, 1), np.nan, "float32"))
    with pytest.raises(UserError) as error:
        train(model, loader(), epoch=3)
    said = str(error.value)
    assert "the loss is nan at epoch 3, iteration 0; lower --lr" in said
    first = next(loader().epoch(3)).indices
    assert said.endswith(", ".join(loader().records.paths[i] for i in first))


def test_a_run_that_diverges_says_where(loader):
    with pytest.raises(UserError, match="the loss is nan at epoch 1, iteration [12]; lower --lr"):
        train(tiny_model(), loader(), rate=lambda iteration: 1e30)
