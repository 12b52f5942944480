"""One step of the optimizer, on a model of a few weights, and what is kept to go on with."""

import json

import numpy as np
import paddle
import pytest
from paddle import nn

from datasets.loader import Batch, Batches, Share
from datasets.records import Records
from tests.utils.tiny import assert_same, tiny_model, trainable, values
from utils.errors import UserError
from utils.learner import HEAD_LR, Learner, Precision, make_optimizer

PIXELS = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}


def without_norm(_):
    """In place of batch norm: what a photo gives does not depend on the others of its batch."""
    return nn.ReLU()


def make_learner(model, momentum=0.9, weight_decay=0.0, **settings):
    optimizer = make_optimizer(model, momentum, weight_decay)
    return Learner(model, optimizer, PIXELS if hasattr(model, "backbone") else None, **settings)


def step_with_gradient(model, optimizer, gradient, rate):
    """One step in which every parameter has the same gradient."""
    optimizer.set_lr(rate)
    (gradient * sum(value.sum() for value in trainable(model).values())).backward()
    optimizer.step()
    optimizer.clear_grad()


def batch_of(labels, seed=0):
    """Photos of noise, 16 px, with these labels."""
    photos = np.random.default_rng(seed).integers(0, 256, (len(labels), 16, 16, 3), np.uint8)
    return Batch(photos, np.array(labels, "int8"), np.arange(len(labels)))


def step(learner, *batches, lr=0.01):
    """A step on batches that are its only ones."""
    return learner.step(sum((batch.labels >= 0).sum() for batch in batches), batches, lr)


class Noise(Batches):
    """Photos of noise, 16 px, that need no files."""

    def _inputs(self, rows, epoch):
        return (np.random.default_rng(row).integers(0, 256, (16, 16, 3), np.uint8) for row in rows)


# --- the optimizer


def test_the_heads_move_ten_times_as_far_as_the_trunk():
    model = tiny_model()
    before = values(model)
    step_with_gradient(model, make_optimizer(model, momentum=0.0, weight_decay=0.0), 1.0, rate=0.01)
    assert HEAD_LR == 10
    for name in trainable(model):
        moved = 0.1 if name.startswith("classifier") else 0.01
        np.testing.assert_allclose(values(model)[name], before[name] - moved, atol=1e-6)


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


# --- a step


def test_a_step_lowers_the_loss_and_returns_it_as_a_number():  # fault 19
    learner = make_learner(tiny_model())
    losses = [step(learner, batch_of([[0, 1]] * 4), lr=0.05) for _ in range(5)]
    assert all(type(loss) is float for loss in losses)
    assert losses[-1] < losses[0]


def test_a_step_leaves_no_gradient_for_the_next():
    model = tiny_model()
    step(make_learner(model), batch_of([[0, 1]] * 2), batch_of([[1, 1]] * 2))
    gradients = [value.grad for value in trainable(model).values()]
    assert all(gradient is None or not gradient.numpy().any() for gradient in gradients)


def test_a_step_is_taken_at_its_rate():
    model = tiny_model()
    before, learner = values(model), make_learner(model, momentum=0.0)
    batch = batch_of([[0, 1]] * 2)
    step(learner, batch, lr=0.0)
    for name in trainable(model):
        np.testing.assert_array_equal(values(model)[name], before[name])
    step(learner, batch, lr=0.02)
    far = {name: values(model)[name] - before[name] for name in trainable(model)}
    model.set_state_dict(before)
    step(learner, batch, lr=0.01)
    for name in trainable(model):
        np.testing.assert_allclose(values(model)[name] - before[name], far[name] / 2, atol=1e-6)


def test_the_loss_is_the_mean_over_photos_and_classes():
    model = tiny_model()
    model.eval()  # batch norm as it stands
    batch = batch_of([[0, 1], [1, 1], [0, 0]])
    x = paddle.to_tensor(((batch.photos / 255 - 0.5) / 0.25).transpose(0, 3, 1, 2).astype("float32"))
    logits = model(x).numpy().astype("float64")
    expected = np.mean(np.log1p(np.exp(logits)) - batch.labels * logits)
    assert step(make_learner(model), batch) == pytest.approx(expected, abs=1e-5)


def test_heads_alone_take_feature_maps():
    heads = tiny_model().classifier
    maps = np.random.default_rng(0).standard_normal((3, 4, 2, 2)).astype("float16")
    labels = np.array([[0, 1], [1, 1], [0, 0]], "int8")
    logits = heads(paddle.to_tensor(maps.astype("float32"))).numpy().astype("float64")
    expected = np.mean(np.log1p(np.exp(logits)) - labels * logits)
    loss = make_learner(heads).step(6, [Batch(maps, labels, np.arange(3))], 0.01)
    assert loss == pytest.approx(expected, abs=1e-5)


def test_the_loss_that_is_given_is_the_one_that_is_lowered():
    """Here each logit itself."""
    model = tiny_model(without_norm)
    learner = make_learner(model, loss=lambda logits, labels: logits)
    assert [step(learner, batch_of([[0, 1]] * 2), lr=0.1) for _ in range(8)][-1] < -1


# --- batches that make a step together


def random_labels(count, missing):
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, (count, 2)).astype("int8")
    if missing:
        labels[rng.random((count, 2)) < 0.5] = -1
    return labels


def trained_in(batch_size, accum_steps, missing, epochs=2, **settings):
    """(losses, weights) after epochs of 16 photos in steps of six; the last step has four."""
    records = Records([""] * 16, random_labels(16, missing), [None] * 16)
    loader = Noise(records, batch_size, shuffle=True, share=Share(accum_steps=accum_steps))
    model = tiny_model(without_norm)
    learner = make_learner(model, weight_decay=0.01, **settings)
    steps = [step for epoch in range(epochs) for step in loader.steps(epoch)]
    assert [sum(len(b.indices) for b in batches) for _, batches in steps] == [6, 6, 4] * epochs
    assert max(len(batches) for _, batches in steps) == accum_steps
    return [learner.step(known, batches, 0.01) for known, batches in steps], values(model)


@pytest.mark.parametrize("settings", [{}, {"clip": 0.05}, {"ema": 0.9}], ids=["plain", "clip", "ema"])
@pytest.mark.parametrize("missing", [False, True], ids=["all labels", "missing labels"])
@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_small_batches_together_are_the_large_one(batch_size, missing, settings):
    losses, large = trained_in(6, 1, missing, **settings)
    their_losses, small = trained_in(batch_size, 6 // batch_size, missing, **settings)
    assert their_losses == pytest.approx(losses, abs=1e-6)
    for name, value in small.items():
        np.testing.assert_allclose(value, large[name], atol=1e-6, err_msg=name)
    start = values(tiny_model(without_norm))
    assert (
        max(np.abs(large[name] - start[name]).max() for name in large) > 1e-3
    )  # there was something to learn


# --- labels that are missing


def test_a_step_of_ignored_labels_alone_is_one_without_gradients():
    """Weights fall by their decay and go on by their momentum, batch norm sees the photos, no more."""
    model, other = tiny_model(), tiny_model()
    learner, optimizer = make_learner(model, weight_decay=0.1), make_optimizer(other, 0.9, 0.1)
    known = batch_of([[0, 1]] * 3)
    for each in (learner, Learner(other, optimizer, PIXELS)):
        step(each, known)
    assert step(learner, batch_of([[-1, -1]] * 2, seed=1)) == 0
    step_with_gradient(other, optimizer, 0.0, 0.01)
    for name in trainable(model):
        np.testing.assert_array_equal(values(model)[name], values(other)[name], err_msg=name)


def test_without_decay_and_momentum_ignored_labels_change_no_weight():
    model = tiny_model()
    before = values(model)
    step(make_learner(model, momentum=0.0), batch_of([[-1, -1]] * 2))
    for name in trainable(model):
        np.testing.assert_array_equal(values(model)[name], before[name], err_msg=name)


# --- the norm of the gradients


def moves(clip, lr=0.01, photos=4):
    """What a step without momentum takes off each parameter, by the parameter's own rate: its gradient."""
    model = tiny_model()
    before = values(model)
    step(make_learner(model, momentum=0.0, clip=clip), batch_of([[0, 1]] * photos), lr=lr)
    return {
        name: (before[name] - values(model)[name]) / (lr * (HEAD_LR if name.startswith("cl") else 1))
        for name in trainable(model)
    }


def norm(gradients):
    return np.sqrt(sum((value.astype("float64") ** 2).sum() for value in gradients.values()))


def test_gradients_are_clipped_by_the_norm_of_all_of_them():
    free = moves(clip=None)
    trunk = {name: value for name, value in free.items() if name.startswith("backbone")}
    heads = {name: value for name, value in free.items() if name.startswith("classifier")}
    assert min(norm(trunk), norm(heads)) > 0.1  # neither group is nothing beside the other
    for share in (0.5, 0.01):
        clipped = moves(clip=share * norm(free))
        for name, value in clipped.items():
            np.testing.assert_allclose(value, share * free[name], atol=1e-4, err_msg=name)
        assert norm(clipped) == pytest.approx(share * norm(free), rel=1e-3)


def test_gradients_below_the_clip_stay_as_they_are():
    free = moves(clip=None)
    assert_same(moves(clip=1.01 * norm(free)), free)


def test_the_clip_is_of_the_whole_step_not_of_each_batch():
    model, other = tiny_model(without_norm), tiny_model(without_norm)
    halves = batch_of([[0, 1]] * 2), batch_of([[1, 0]] * 2, seed=1)
    photos, labels = (
        np.concatenate([getattr(half, name) for half in halves]) for name in ("photos", "labels")
    )
    step(make_learner(model, clip=0.05), *halves)
    step(make_learner(other, clip=0.05), Batch(photos, labels, np.arange(4)))
    for name, value in values(model).items():
        np.testing.assert_allclose(value, values(other)[name], atol=1e-6)


# --- averaged weights


def test_the_average_is_its_formula():
    model = tiny_model()
    learner = make_learner(model, ema=0.7)
    expected = {name: value.astype("float64") for name, value in values(model).items()}
    assert_same({name: value.numpy() for name, value in learner.average.values.items()}, values(model))
    for seed in range(4):
        step(learner, batch_of([[0, 1]] * 4, seed), lr=0.1)
        expected = {name: 0.7 * expected[name] + 0.3 * value for name, value in values(model).items()}
    for name, value in learner.average.values.items():
        np.testing.assert_allclose(value.numpy(), expected[name], rtol=1e-5, atol=1e-6, err_msg=name)
    for name in ("backbone.1._mean", "backbone.1._variance", "classifier.multi_head.0.head.weight"):
        assert np.abs(expected[name] - values(model)[name]).max() > 1e-3


def test_an_average_of_decay_0_is_the_weights_and_of_decay_1_the_first_ones():
    model = tiny_model()
    before = values(model)
    for decay, expected in ((1.0, before), (0.0, None)):
        learner = make_learner(model, ema=decay)
        step(learner, batch_of([[0, 1]] * 4), lr=0.1)
        assert_same(
            {name: value.numpy() for name, value in learner.average.values.items()}, expected or values(model)
        )


def test_the_model_has_the_averaged_weights_within_the_block_and_its_own_after_it():
    model = tiny_model()
    learner = make_learner(model, ema=0.9)
    for seed in range(3):
        step(learner, batch_of([[0, 1]] * 4, seed), lr=0.1)
    own, averaged = values(model), {name: v.numpy() for name, v in learner.average.values.items()}
    with learner.average.applied():
        assert_same(values(model), averaged)
    assert_same(values(model), own)
    with pytest.raises(RuntimeError, match="within"), learner.average.applied():
        raise RuntimeError("within")
    assert_same(values(model), own)
    assert_same({name: value.numpy() for name, value in learner.average.values.items()}, averaged)


def test_averaging_changes_nothing_of_the_training():
    runs = []
    for ema in (None, 0.9):
        model = tiny_model()
        learner = make_learner(model, ema=ema)
        for seed in range(3):
            step(learner, batch_of([[0, 1]] * 4, seed))
            if ema:
                with learner.average.applied():
                    pass
        runs.append(values(model))
    assert_same(*runs)


# --- the state


def test_a_state_goes_on_where_it_was():
    """Equal to the bit to a learner that never stopped, average included."""
    batches = [batch_of([[0, 1]] * 4, seed) for seed in range(6)]
    whole = make_learner(tiny_model(), ema=0.9)
    for batch in batches:
        step(whole, batch)
    first = make_learner(tiny_model(), ema=0.9)
    for batch in batches[:3]:
        step(first, batch)
    tensors, about = first.state()
    again = make_learner(tiny_model(seed=5), ema=0.9)
    again.model.set_state_dict(values(first.model))
    again.set_state(tensors, json.loads(json.dumps(about)), "x.pdopt")
    for batch in batches[3:]:
        step(again, batch)
    assert_same(values(again.model), values(whole.model))
    assert_same(again.state()[0], whole.state()[0])
    assert sum(name.endswith("@average") for name in tensors) == len(values(first.model))


@pytest.mark.parametrize("ema", [None, 0.9])
def test_a_state_with_an_average_and_one_without_are_not_mixed(ema):
    other = make_learner(tiny_model(), ema=None if ema else 0.9)
    step(other, batch_of([[0, 1]] * 2))
    learner = make_learner(tiny_model(), ema=ema)
    step(learner, batch_of([[0, 1]] * 2))
    before = learner.state()
    told = f"x.pdopt is of a run with{'out' if ema else ''} --ema; give its options"
    with pytest.raises(UserError, match=told):
        learner.set_state(*other.state(), "x.pdopt")
    assert_same(learner.state()[0], before[0])


@pytest.mark.parametrize("heads", [False, True])
def test_a_state_of_heads_alone_and_one_of_all_are_not_mixed(heads):
    model = tiny_model()
    whole, alone = make_learner(model), make_learner(model.classifier)
    step(whole, batch_of([[0, 1]] * 2))
    alone.step(2, [Batch(np.ones((1, 4, 2, 2), "float16"), np.array([[0, 1]], "int8"), np.arange(1))], 0.1)
    ours, theirs = (alone, whole) if heads else (whole, alone)
    before = ours.state()
    with pytest.raises(UserError, match="another part of the model; give --freeze_backbone as it did"):
        ours.set_state(*theirs.state(), "x.pdopt")
    assert_same(ours.state()[0], before[0])


class Scaler:
    """What a Learner needs of a GradScaler that is at work, which it is on a GPU alone."""

    def __init__(self, scale):
        self.values = {"scale": np.array([scale], "float32"), "incr_ratio": 2.0, "decr_ratio": 0.5}
        self.values |= {"incr_every_n_steps": 1000, "incr_count": 3, "use_dynamic_loss_scaling": True}

    def state_dict(self):
        return self.values

    def load_state_dict(self, values):
        self.values = values

    def is_enable(self):
        return True


def test_the_state_of_a_scaler_is_plain_and_comes_back():
    learner, again = make_learner(tiny_model()), make_learner(tiny_model())
    step(learner, batch_of([[0, 1]] * 2))
    learner.scaler, again.scaler = Scaler(4096.0), Scaler(65536.0)
    tensors, about = learner.state()
    again.set_state(tensors, json.loads(json.dumps(about)), "x.pdopt")
    assert again.scaler.values == {**learner.scaler.values, "scale": [4096.0]}


@pytest.mark.parametrize("scaled", [False, True])
def test_a_state_with_a_scaler_and_one_without_are_not_mixed(scaled):
    learner, other = make_learner(tiny_model()), make_learner(tiny_model())
    step(other, batch_of([[0, 1]] * 2))
    (learner if scaled else other).scaler = Scaler(4096.0)
    told = f"of a run with{'out' if scaled else ''} --amp in float16"
    with pytest.raises(UserError, match=told):
        learner.set_state(*other.state(), "x.pdopt")


# --- precision


def test_without_amp_there_is_no_scaler_and_no_autocast():
    learner = make_learner(tiny_model())
    assert not learner.scaler.is_enable()
    assert learner.state()[1] == {"scaler": {}}


class Marked:
    """In place of Paddle's autocast: whether the model ran within it, a list with a value for each call."""

    def __init__(self, monkeypatch, model):
        self.within, self.seen = False, []
        monkeypatch.setattr(Precision, "autocast", lambda _: self)
        model.register_forward_pre_hook(lambda *_: self.seen.append(self.within))

    def __enter__(self):
        self.within = True

    def __exit__(self, *_):
        self.within = False


@pytest.mark.parametrize(("level", "cast"), [(None, False), ("O1", False), ("O2", True)])
def test_training_is_cast_and_evaluation_only_where_the_weights_are(monkeypatch, level, cast):
    model = tiny_model()
    marked = Marked(monkeypatch, model)
    monkeypatch.setattr(paddle.amp, "decorate", lambda *_, **__: None)
    learner = make_learner(model, precision=Precision(level, "bfloat16"))
    step(learner, batch_of([[0, 1]] * 2), batch_of([[0, 1]] * 2))
    with learner.evaluating():
        model(paddle.ones([1, 3, 16, 16]))
    assert marked.seen == [True, True, cast]


def test_the_loss_is_taken_in_float32(monkeypatch):
    taken = []

    def loss(logits, labels):
        taken.append((logits.dtype, labels.dtype))
        return logits * 0

    model = tiny_model()
    model.register_forward_post_hook(lambda layer, _, logits: logits.astype("float16"))
    step(make_learner(model, loss=loss), batch_of([[0, 1]] * 2))
    assert taken == [(paddle.float32, paddle.int8)]


def test_a_state_that_was_set_is_given_back_before_any_step():
    """Paddle 2.6 keeps what was set to itself until a step."""
    batch = batch_of([[0, 1]] * 4)
    first, again = (make_learner(tiny_model(), ema=0.9) for _ in range(2))
    step(first, batch)
    tensors, about = first.state()
    again.model.set_state_dict(values(first.model))
    again.set_state(tensors, about, "x.pdopt")
    assert_same(again.state()[0], tensors)
    for learner in (first, again):
        step(learner, batch)
    assert_same(again.state()[0], first.state()[0])
    assert any((again.state()[0][name] != value).any() for name, value in tensors.items())
