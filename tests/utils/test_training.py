"""One epoch, and a run of epochs with its files, on a model of a few weights."""

import dataclasses
import json

import numpy as np
import pytest

from datasets.loader import Batches, Loader, Share
from datasets.records import Records
from datasets.spec import SPECS
from models import CSRAModel
from tests.utils import tiny
from tests.utils.tiny import assert_same, tiny_model, trainable, values
from utils.checkpoint import read_checkpoint
from utils.distributed import ALONE
from utils.errors import UserError
from utils.learner import Learner, Precision, make_optimizer
from utils.run_folder import RunFolder, Saved
from utils.scoring import evaluate_split
from utils.training import Training, train_epoch

NORMALIZATION = {"mean": (0, 0, 0), "std": (1, 1, 1)}
SPEC = dataclasses.replace(SPECS["voc07"], name="two", classes=("red", "green"))
DESCRIPTION = {
    **tiny.DESCRIPTION,
    "normalization": {"mean": [0, 0, 0], "std": [1, 1, 1]},
    "dataset": "two",
    "averaged": False,
}


@pytest.fixture
def loader(make_photo):
    """make(num_workers): batches of 2 of five photos, shuffled and augmented."""
    paths = [make_photo(f"{i}.png", seed=i) for i in range(5)]
    records = Records(paths, np.array([[i % 2, 1] for i in range(5)], "int8"), [None] * 5)

    def make(num_workers=0, **order):
        augmentations = ("randomflip", "resizedcrop")
        return Loader(records, 16, 2, augmentations, num_workers=num_workers, shuffle=True, **order)

    return make


def make_learner(model, **settings):
    return Learner(model, make_optimizer(model, momentum=0.9, weight_decay=1e-4), NORMALIZATION, **settings)


def train(model, loader, epoch=1, rate=lambda iteration: 0.01, print_freq=100, **begun):
    return train_epoch(make_learner(model), loader, rate, epoch, print_freq, **begun)


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
    monkeypatch.setattr(Learner, "step", lambda *_: next(losses))
    figures = train(tiny_model(), loader(), rate=lambda iteration: 0.1 * (iteration + 1))
    assert figures["loss"] == pytest.approx((1 * 2 + 2 * 2 + 7 * 1) / 5)  # the last batch is smaller
    assert figures["lr"] == pytest.approx(0.3)
    assert figures["head_lr"] == pytest.approx(3.0)
    assert figures["batch_time"] == pytest.approx(figures["time"] / 3)
    assert figures["compute_time"] == pytest.approx(figures["batch_time"] - figures["data_time"])
    assert figures["photos_per_second"] == pytest.approx(5 / figures["time"])
    assert 0 < figures["data_time"] < figures["time"]
    assert all(type(value) is float for value in figures.values())


def test_batches_that_make_a_step_together_are_one_iteration(loader, monkeypatch, capsys):
    taken, losses = [], iter([1.0, 4.0])
    monkeypatch.setattr(Learner, "step", lambda self, *given: taken.append(given) or next(losses))
    figures = train(tiny_model(), loader(share=Share(accum_steps=2)), print_freq=1, rate=lambda i: i + 0.5)
    assert [(known, len(batches), lr) for known, batches, lr in taken] == [(8, 2, 0.5), (2, 1, 1.5)]
    assert figures["loss"] == pytest.approx((1 * 4 + 4 * 1) / 5)
    assert figures["batch_time"] == pytest.approx(figures["time"] / 2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Epoch 1[4/5]", "Epoch 1[5/5]"]


def test_an_epoch_that_began_before_ends_as_a_whole_one(loader):
    kept, model = [], tiny_model()

    def keep(done, sums):
        kept.append((done, dict(sums)))
        if done == 2:
            raise InterruptedError

    learner = make_learner(model)
    with pytest.raises(InterruptedError):
        train_epoch(learner, loader(), lambda i: 0.01 * (i + 1), 1, 9, after_step=keep)
    rates = []
    done, sums = kept[-1]
    figures = train_epoch(
        learner, loader(), lambda i: rates.append(i) or 0.01 * (i + 1), 1, 9, first=done, sums=sums
    )
    assert set(rates) == {2}
    whole = tiny_model()
    expected = train(whole, loader(), rate=lambda i: 0.01 * (i + 1))
    assert_same(values(model), values(whole))
    assert figures["loss"] == expected["loss"]
    assert kept[0][1]["time"] < sums["time"] < figures["time"]


def test_the_same_seed_gives_the_same_weights_whatever_the_workers(loader):  # fault 18
    runs = []
    for num_workers in (0, 3):
        model = tiny_model()
        for epoch in (1, 2):
            train(model, loader(num_workers), epoch)
        runs.append(values(model))
    assert_same(*runs)
    assert any((value != values(tiny_model())[name]).any() for name, value in runs[0].items())


def test_small_rates_are_printed_in_full(loader, capsys):  # fault 20
    train(tiny_model(), loader(), epoch=4, rate=lambda iteration: 1.25e-7, print_freq=2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("Epoch 4[2/5]: loss:")
    assert lines[1].startswith("Epoch 4[5/5]: loss:")
    assert all("lr:1.250e-07," in line for line in lines)


@pytest.mark.parametrize("accum_steps", [1, 2])
def test_a_loss_that_is_no_number_ends_the_run_and_says_where(loader, accum_steps):
    model, photos = tiny_model(), loader(share=Share(accum_steps=accum_steps))
    model.classifier.multi_head[0].head.weight.set_value(np.full((2, 4, 1, 1), np.nan, "float32"))
    with pytest.raises(UserError) as error:
        train(model, photos, epoch=3)
    said = str(error.value)
    assert "the loss is nan at epoch 3, iteration 0; lower --lr" in said
    _, batches = next(photos.steps(3))
    paths = [photos.records.paths[i] for batch in batches for i in batch.indices]
    assert len(paths) == 2 * accum_steps
    assert said.endswith("look at " + ", ".join(paths))


def test_a_run_that_diverges_says_where(loader):
    with pytest.raises(UserError, match="the loss is nan at epoch 1, iteration [12]; lower --lr"):
        train(tiny_model(), loader(), rate=lambda iteration: 1e30)


# --- a run


class Noise(Batches):
    """Photos of noise, 16 px, that need no files."""

    def _inputs(self, rows, epoch):
        return (np.random.default_rng(row).integers(0, 256, (16, 16, 3), np.uint8) for row in rows)


def noise(count, **order):
    labels = np.random.default_rng(count).integers(0, 2, (count, 2)).astype("int8")
    return Noise(Records([""] * count, labels, [None] * count), 4, **order)


@pytest.fixture
def run(tmp_path):
    """run(epochs, ...): (folder of the run, lines, Training) after epochs; settings are of the Learner."""

    def make(epochs, evaluate=True, keep=None, name="tiny", **settings):
        model, folder = tiny_model(), RunFolder(tmp_path / name, keep)
        loaders = noise(10, shuffle=True), noise(9) if evaluate else None
        learner = make_learner(model, **settings)
        training = Training(
            model, learner, DESCRIPTION, SPEC, *loaders, folder, ALONE, 0.5, print_freq=9, save_every=None
        )
        lines = [training.epoch(epoch, lambda _: 0.02) for epoch in range(1, epochs + 1)]
        return tmp_path / name, lines, training

    return make


def scores_of(path):
    """Figures of a checkpoint's weights on the evaluation photos."""
    tensors, _ = read_checkpoint(path)
    model = tiny_model(seed=7)
    model.set_state_dict(tensors)
    return evaluate_split(model, noise(9), NORMALIZATION, SPEC, 0.5)[1]


def test_each_epoch_is_evaluated_logged_and_saved(run, capsys):
    folder, lines, training = run(2)
    assert [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()] == lines
    for epoch, line in enumerate(lines, 1):
        path = folder / f"epoch_{epoch}.pdparams"
        assert line["metrics"]["ap"] == dict(zip(SPEC.classes, scores_of(path)["ap"], strict=True))
        description = read_checkpoint(path)[1]
        assert (description["epoch"], description["averaged"]) == (epoch, False)
        assert description["metrics"] == line["metrics"]
        assert "metrics_averaged" not in line
    assert_same(read_checkpoint(folder / "last.pdparams")[0], values(training.model))
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if line.startswith("Test on")] == ["Test on Epoch 1", "Test on Epoch 2"]
    assert not list(folder.glob("*averaged*"))


def test_averaged_weights_are_evaluated_and_saved_beside_the_last(run, capsys):
    folder, lines, training = run(2, ema=0.8)
    averaged = {name: value.numpy() for name, value in training.learner.average.values.items()}
    for epoch, line in enumerate(lines, 1):
        for name, metrics, is_averaged in (
            (f"epoch_{epoch}", line["metrics"], False),
            (f"epoch_{epoch}_averaged", line["metrics_averaged"], True),
        ):
            _, description = read_checkpoint(folder / f"{name}.pdparams")
            assert (description["epoch"], description["averaged"]) == (epoch, is_averaged)
            assert description["metrics"] == metrics
            assert metrics["mAP"] == scores_of(folder / f"{name}.pdparams")["mAP"]
    assert_same(read_checkpoint(folder / "last.pdparams")[0], values(training.model))
    assert_same(read_checkpoint(folder / "last_averaged.pdparams")[0], averaged)
    assert (folder / "last_averaged.pdparams").samefile(folder / "epoch_2_averaged.pdparams")
    assert any((averaged[name] != value).any() for name, value in values(training.model).items())
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Test on")]
    assert said == [f"Test on Epoch {n}, {which} weights" for n in (1, 2) for which in ("last", "averaged")]


@pytest.mark.parametrize(
    ("figures", "best"),
    [
        ([0.5, 0.6, 0.4, 0.3], Saved(1, 0.6, averaged=True)),
        ([0.6, 0.5, 0.3, 0.4], Saved(1, 0.6)),
        ([0.3, 0.4, 0.6, 0.5], Saved(2, 0.6)),
        ([0.3, 0.4, 0.5, 0.6], Saved(2, 0.6, averaged=True)),
    ],
)
def test_the_best_is_the_highest_of_both_and_says_which(run, monkeypatch, figures, best):
    """figures: mAP of last and averaged weights, epoch by epoch."""
    mAPs = iter(figures)
    evaluation = {"ap": [0.5, 0.5], "positives": [1, 1], **dict.fromkeys(("CP", "CR", "CF1"), 0.5)}
    evaluation |= dict.fromkeys(("OP", "OR", "OF1"), 0.5)
    monkeypatch.setattr("utils.training.evaluate_split", lambda *_: (None, {**evaluation, "mAP": next(mAPs)}))
    folder, _, training = run(2, ema=0.8)
    assert training.run.best == best
    assert training.run.last == Saved(2, figures[2])
    name = f"epoch_{best.epoch}{'_averaged' * best.averaged}.pdparams"
    assert (folder / "best.pdparams").samefile(folder / name)
    _, description = read_checkpoint(folder / "best.pdparams")
    assert (description["epoch"], description["averaged"]) == (best.epoch, best.averaged)
    assert description["metrics"]["mAP"] == best.mAP


def test_evaluating_the_average_changes_nothing_of_the_training(run):
    plain, averaged = run(3, name="plain"), run(3, name="averaged", ema=0.8)
    for name in ("epoch_2.pdparams", "epoch_3.pdparams"):
        assert_same(*(read_checkpoint(folder / name)[0] for folder, _, _ in (plain, averaged)))
    for figure in ("loss", "metrics"):
        ours, theirs = ([line[figure] for line in lines] for _, lines, _ in (averaged, plain))
        assert ours == theirs


def test_keep_removes_old_averaged_weights_too(run):
    folder, _, training = run(3, keep=1, ema=0.8)
    names = {path.name for path in folder.glob("*.pdparams")}
    expected = {"best", "last", "last_averaged", "epoch_3", "epoch_3_averaged"}
    assert names == {f"{name}.pdparams" for name in expected}


def test_without_evaluation_averaged_weights_are_saved_all_the_same(run):
    folder, lines, training = run(1, evaluate=False, ema=0.8)
    assert (lines[0]["metrics"], lines[0]["metrics_averaged"]) == (None, None)
    assert training.run.best is None
    assert read_checkpoint(folder / "last_averaged.pdparams")[1]["averaged"] is True
    assert not (folder / "best.pdparams").exists()


def test_evaluation_is_in_float32(run, monkeypatch):
    """Whatever training is in, unless the weights themselves are halves."""
    within = []

    class Cast:
        def __enter__(self):
            within.append(True)

        def __exit__(self, *_):
            within.pop()

    monkeypatch.setattr(Precision, "autocast", lambda _: Cast())
    seen = {True: [], False: []}

    def note(model, _):
        seen[model.training].append(bool(within))

    monkeypatch.setattr(
        CSRAModel, "forward", lambda self, x: note(self, x) or self.classifier(self.backbone(x))
    )
    run(1, precision=Precision("O1", "bfloat16"), ema=0.8)
    assert seen[True]
    assert all(seen[True])
    assert len(seen[False]) == 2 * 3  # batches of last and averaged weights
    assert not any(seen[False])
