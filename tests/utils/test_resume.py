"""Going on with a run: equal to the bit to a run that nothing interrupted, whatever was damaged or killed."""

import json
import os
from functools import partial
from types import SimpleNamespace

import numpy as np
import paddle
import pytest

from datasets.features import FeatureLoader
from datasets.loader import Loader
from datasets.records import Records
from models.loading import load_strict
from tests.utils.tiny import DESCRIPTION, tiny_model
from train import begin
from utils.checkpoint import read_checkpoint
from utils.errors import UserError
from utils.learner import Learner, make_optimizer
from utils.resume import Found, find_state, save_state
from utils.run_folder import RunFolder, Saved
from utils.training import train_epoch
from utils.weights import read_state, read_weights, write_state

NORMALIZATION = DESCRIPTION["normalization"]
FOUR = [0.1, 0.4, 0.2, 0.3]  # mAP of each epoch
AVERAGED = [0.2, 0.5, 0.3, 0.1]  # the same of averaged weights


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoint/tiny"


@pytest.fixture
def train(make_photo):
    """train(folder, mAPs, choice): train tiny_model as train.py does, one epoch for each mAP.

    With `choice` it goes on, as with --resume; `heads`: they train alone, on feature maps;
    `ema`: weights are averaged, too. Returns the run, the model, its learner, and the number
    of epochs that were done.
    """
    paths = [make_photo(f"{i}.png", seed=i) for i in range(5)]
    records = Records(paths, np.array([[i % 2, 1] for i in range(5)], "int8"), [None] * 5)
    photos = Loader(records, 16, 2, ("randomflip", "resizedcrop"), shuffle=True)
    maps = np.random.default_rng(0).standard_normal((2, 5, 4, 3, 3)).astype("float16")
    feature_maps = FeatureLoader(records, *maps, batch_size=2, shuffle=True)

    def run_epochs(folder, mAPs, choice=None, *, keep=None, heads=False, ema=None, description=DESCRIPTION):
        model = tiny_model(seed=9 if choice else 0)  # what is drawn when going on must not matter
        trained, loader, inputs = model, photos, NORMALIZATION
        if heads:
            trained, loader, inputs = model.classifier, feature_maps, None
        run = RunFolder(folder, keep, resume=choice)
        found = find_state(choice, run, description) if choice else None
        if found:
            load_strict(model, found.weights, found.path)
        learner = Learner(trained, make_optimizer(trained, 0.9, 1e-3), inputs, ema=ema)
        if found:
            learner.set_state(found.state, found.about, found.path)
        begin(run, found, choice, None)
        done = found.next_step()[0] - 1 if found else 0
        if not choice:
            run.log({"options": {}})
        for epoch, mAP in list(enumerate(mAPs, 1))[done:]:
            figures = train_epoch(learner, loader, lambda _, rate=0.01 / epoch: rate, epoch, 9)
            whole = {**description, "epoch": epoch, "metrics": None}
            if ema:
                with learner.average.applied():
                    run.save_averaged(epoch, model, {**whole, "averaged": True}, AVERAGED[epoch - 1])
            run.log({"epoch": epoch, "loss": figures["loss"]})
            run.save(epoch, model, whole, mAP, partial(save_state, learner))
        return SimpleNamespace(run=run, model=model, learner=learner, done=done)

    return run_epochs


@pytest.fixture
def whole(train, tmp_path, capsys):
    """The folder of a run of the four epochs of FOUR that nothing interrupted."""
    train(tmp_path / "whole", FOUR)
    capsys.readouterr()
    return tmp_path / "whole"


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def assert_same_file(path, expected):
    """The same tensors, to the bit, and the same description."""
    read = read_state if path.suffix == ".pdopt" else read_checkpoint
    tensors, about = read(path)
    others, other = read(expected)
    assert about == other
    assert set(tensors) == set(others)
    for name, value in tensors.items():
        np.testing.assert_array_equal(value, others[name], err_msg=name)


def assert_same_run(folder, whole, epoch=4):
    """Weights, statistics, optimizer, best, last and log of a run are those of another."""
    for name in (f"epoch_{epoch}.pdparams", f"epoch_{epoch}.pdopt", "best.pdparams", "last.pdparams"):
        assert_same_file(folder / name, whole / name)
    assert log_of(folder) == log_of(whole)


def truncate(path, share=0.5):
    content = path.read_bytes()
    path.unlink()  # last and best are the same file
    path.write_bytes(content[: int(len(content) * share)])


# --- the state


def test_a_state_comes_back_as_it_was(train, tmp_path):
    trained = train(tmp_path / "tiny", [0.1])
    about = {"epoch": 1, "best": [1, 0.1, False]}
    sums = {"loss": 0.5, "time": 2.0}
    save_state(trained.learner, tmp_path / "x.pdopt", about, sums)
    tensors, again = read_state(tmp_path / "x.pdopt")
    assert again == {**about, "scaler": {}, "sums": sums}
    optimizer = trained.learner.optimizer
    velocities = [value.numpy() for value in optimizer.state_dict().values() if len(value.shape)]
    assert len(tensors) == len(velocities) == 6
    assert {value.tobytes() for value in tensors.values()} == {value.tobytes() for value in velocities}
    parameters = dict(trained.model.named_parameters())
    for name, value in tensors.items():  # named after our parameters, not after Paddle's
        (own,) = [own for own in parameters if name.startswith(f"{own}_")]
        assert list(value.shape) == parameters[own].shape
        assert value.any()


@pytest.mark.parametrize("share", [0, 0.3, 0.99])
def test_half_a_state_is_refused(tmp_path, share):
    write_state(tmp_path / "x.pdopt", {"weight": np.arange(99.0)}, {"epoch": 1})
    truncate(tmp_path / "x.pdopt", share)
    with pytest.raises(UserError, match=r"x\.pdopt"):
        read_state(tmp_path / "x.pdopt")


def test_a_state_whose_numbers_changed_is_refused(tmp_path):
    write_state(tmp_path / "x.pdopt", {"weight": np.full(99, 0.5)}, {"epoch": 1})
    content = (tmp_path / "x.pdopt").read_bytes()
    assert content.count(np.float64(0.5).tobytes()) >= 99
    changed = content.replace(np.float64(0.5).tobytes(), np.float64(0.25).tobytes(), 1)
    (tmp_path / "x.pdopt").write_bytes(changed)
    with pytest.raises(UserError, match="damaged"):
        read_state(tmp_path / "x.pdopt")


def test_a_state_that_does_not_say_what_it_is_is_refused(tmp_path):
    paddle.save({"weight": paddle.ones([2])}, str(tmp_path / "x.pdopt"))
    with pytest.raises(UserError, match="does not say what it is"):
        read_state(tmp_path / "x.pdopt")


def test_a_state_is_not_taken_for_weights(folder, train):
    train(folder, [0.1])
    with pytest.raises(UserError, match="give the .pdparams beside it"):
        read_weights(folder / "epoch_1.pdopt")


# --- the same run, to the bit


@pytest.mark.parametrize("first", [1, 2, 3])
def test_an_interrupted_run_ends_as_one_that_was_not(train, folder, whole, capsys, first):
    train(folder, FOUR[:first])
    capsys.readouterr()
    assert train(folder, FOUR, "auto").done == first
    assert f"going on after epoch {first}, from {folder}/epoch_{first}.pdparams\n" in capsys.readouterr().out
    assert_same_run(folder, whole)


def test_a_run_can_be_interrupted_after_every_epoch(train, folder, whole):
    for last in (1, 2, 3, 4):
        assert train(folder, FOUR[:last], "auto" if last > 1 else None).done == last - 1
    assert_same_run(folder, whole)


def test_the_momentum_matters(train, folder, whole):
    """Else the tests above could not see that it is kept."""
    train(folder, FOUR[:2])
    state, about = read_state(folder / "epoch_2.pdopt")
    zeros = {name: np.zeros_like(value) for name, value in state.items()}
    write_state(folder / "epoch_2.pdopt", zeros, about)
    train(folder, FOUR, "auto")
    with pytest.raises(AssertionError):
        assert_same_run(folder, whole)


def test_heads_alone_go_on(train, folder, tmp_path):
    train(tmp_path / "whole", FOUR, heads=True)
    train(folder, FOUR[:2], heads=True)
    state, _ = read_state(folder / "epoch_2.pdopt")
    assert {name.split("_velocity")[0] for name in state} == {f"multi_head.{i}.head.weight" for i in (0, 1)}
    train(folder, FOUR, "auto", heads=True)
    assert_same_run(folder, tmp_path / "whole")


@pytest.mark.parametrize("keep", [1, 2])
def test_keep_goes_on_with_what_it_keeps(train, folder, whole, keep):
    train(folder, FOUR[:3], keep=keep)
    train(folder, FOUR, "auto", keep=keep)
    assert_same_run(folder, whole)
    epochs = [f"epoch_{n}.pdparams" for n in range(5 - keep, 5)]
    names = ["best.pdparams", "epoch_3.pdopt", "epoch_4.pdopt", *epochs, "last.pdparams", "log.jsonl"]
    assert sorted(os.listdir(folder)) == sorted(names)


def test_the_states_of_the_newest_two_epochs_stay(train, folder):
    train(folder, FOUR[:1])
    assert [path.name for path in folder.glob("*.pdopt")] == ["epoch_1.pdopt"]
    train(folder, FOUR, "auto")
    assert sorted(path.name for path in folder.glob("*.pdopt")) == ["epoch_3.pdopt", "epoch_4.pdopt"]
    assert len(list(folder.glob("epoch_*.pdparams"))) == 4


def test_the_newest_epoch_is_the_one_of_the_highest_number(train, folder):
    train(folder, [0.1] * 10)  # 10 comes before 9 in the alphabet
    assert train(folder, [0.1] * 10, "auto").done == 10


# --- the best so far


def test_the_best_survives(train, folder):
    train(folder, FOUR[:3])
    run = train(folder, FOUR, "auto").run
    assert (run.best, run.last) == (Saved(2, 0.4), Saved(4, 0.3))
    assert read_checkpoint(folder / "best.pdparams")[1]["epoch"] == 2


def test_without_evaluation_there_is_no_best(train, folder):
    train(folder, [None, None])
    run = train(folder, [None] * 3, "auto").run
    assert run.best is None
    assert not (folder / "best.pdparams").exists()


# --- averaged weights


@pytest.mark.parametrize("first", [1, 2, 3])
def test_an_interrupted_run_with_averaged_weights_ends_as_one_that_was_not(train, folder, tmp_path, first):
    whole = tmp_path / "whole"
    train(whole, FOUR, ema=0.9)
    train(folder, FOUR[:first], ema=0.9)
    run = train(folder, FOUR, "auto", ema=0.9).run
    assert_same_run(folder, whole)
    for name in ("epoch_4_averaged.pdparams", "last_averaged.pdparams"):
        assert_same_file(folder / name, whole / name)
    assert run.best == Saved(2, 0.5, averaged=True)
    assert (folder / "best.pdparams").samefile(folder / "epoch_2_averaged.pdparams")
    assert (folder / "last_averaged.pdparams").samefile(folder / "epoch_4_averaged.pdparams")


def test_the_averaged_best_stands_for_its_epoch(train, folder, tmp_path):
    train(tmp_path / "whole", FOUR, ema=0.9)
    train(folder, FOUR[:3], ema=0.9)
    assert train(folder, FOUR, folder / "best.pdparams", ema=0.9).done == 2
    assert_same_run(folder, tmp_path / "whole")


@pytest.mark.parametrize("ema", [None, 0.9])
def test_runs_with_and_without_averaged_weights_are_not_mixed(train, folder, ema):
    train(folder, FOUR[:2], ema=ema)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UserError, match=f"is of a run with{'' if ema else 'out'} --ema; give its options"):
        train(folder, FOUR, "auto", ema=None if ema else 0.9)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


# --- damage


@pytest.mark.parametrize("name", ["last", "best"])
def test_a_damaged_last_or_best_is_made_anew(train, folder, whole, capsys, name):
    train(folder, FOUR[:3])
    truncate(folder / f"{name}.pdparams")
    capsys.readouterr()
    assert train(folder, FOUR, "auto").done == 3
    said = capsys.readouterr().out.splitlines()
    assert [line.endswith("; it is made anew") for line in said[:-2]] == [True] * (name == "last")
    assert_same_run(folder, whole)


def test_a_state_of_another_version_is_told(train, folder, whole, capsys):
    train(folder, FOUR[:3])
    state, about = read_state(folder / "epoch_3.pdopt")
    write_state(folder / "epoch_3.pdopt", state, {"epoch": 3, "best": [2, 0.4]})
    with pytest.raises(UserError, match=r"epoch_3\.pdopt was written by another version; start anew"):
        train(folder, FOUR, folder / "epoch_3.pdparams")
    assert train(folder, FOUR, "auto").done == 2
    assert_same_run(folder, whole)


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
@pytest.mark.parametrize("suffix", [".pdparams", ".pdopt"])
def test_auto_takes_the_epoch_before_a_damaged_one(train, folder, whole, capsys, suffix, share):
    train(folder, FOUR[:3])
    truncate(folder / f"epoch_3{suffix}", share)
    capsys.readouterr()
    assert train(folder, FOUR, "auto").done == 2
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert f"epoch_3{suffix}" in first
    assert first.endswith("; trying the one before")
    assert second == f"going on after epoch 2, from {folder}/epoch_2.pdparams"
    assert_same_run(folder, whole)


@pytest.mark.parametrize("suffix", [".pdparams", ".pdopt"])
def test_auto_takes_the_epoch_before_one_of_which_half_is_missing(train, folder, whole, suffix):
    train(folder, FOUR[:3])
    (folder / f"epoch_3{suffix}").unlink()
    assert train(folder, FOUR, "auto").done == 2
    assert_same_run(folder, whole)


def test_without_a_whole_epoch_there_is_no_going_on(train, folder):
    train(folder, FOUR[:3])
    truncate(folder / "epoch_3.pdparams")
    truncate(folder / "epoch_2.pdopt")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UserError, match=r"no epoch in .*tiny is whole; start anew without --resume"):
        train(folder, FOUR, "auto")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_where_nothing_is_a_new_run_begins(train, folder, capsys):
    assert train(folder, [], "auto").done == 0
    assert capsys.readouterr().out == f"nothing to go on with in {folder}: a new run\n"


def test_a_run_without_states_is_not_written_over(train, folder):
    """As an earlier version left it."""
    train(folder, FOUR[:2])
    for state in folder.glob("*.pdopt"):
        state.unlink()
    before = (folder / "epoch_1.pdparams").read_bytes()
    train(folder, FOUR[:1], "auto")
    assert (folder.parent / "tiny.1/epoch_1.pdparams").read_bytes() == before
    assert [line["epoch"] for line in log_of(folder)] == [1]


# --- kills


class Killed(BaseException):
    """What a kill is to a test."""


@pytest.mark.parametrize(
    ("name", "done"),
    [
        ("epoch_2.pdopt", 1),
        ("epoch_2.pdparams", 1),
        ("last.pdparams", 2),
        ("best.pdparams", 2),
    ],
)
def test_a_kill_while_an_epoch_is_saved_costs_that_epoch_at_most(
    train, folder, whole, monkeypatch, name, done
):
    """FOUR's best is that of epoch 2."""
    replace, reached = os.replace, []

    def kill(source, target):
        reached.append(os.path.basename(target))
        if reached[-1] == name and "epoch_2.pdopt" in reached:
            raise Killed
        replace(source, target)

    monkeypatch.setattr(os, "replace", kill)
    with pytest.raises(Killed):
        train(folder, FOUR)
    monkeypatch.undo()
    assert train(folder, FOUR, "auto").done == done
    assert_same_run(folder, whole)


def test_what_a_killed_process_left_half_written_goes(train, folder):
    train(folder, FOUR[:2])
    for name in (".epoch_3.pdparams.x1y2.tmp", ".log.jsonl.abc.tmp", ".notes", "mine.tmp"):
        (folder / name).write_text("half")
    train(folder, FOUR[:2], "auto")
    assert not list(folder.glob(".*.tmp"))
    assert {".notes", "mine.tmp", "epoch_2.pdparams", "last.pdparams"} <= set(os.listdir(folder))


def test_log_lines_after_the_epoch_and_half_lines_go(train, folder):
    run = train(folder, FOUR[:2]).run
    before = log_of(folder)
    run.log({"options": {"lr": 0.1, "name": "é"}})
    run.log({"epoch": 3, "loss": 0.5})
    with open(folder / "log.jsonl", "a") as file:
        file.write('{"epoch": 4, "los')
    del run  # its process was killed
    train(folder, FOUR[:2], "auto")
    assert log_of(folder) == [*before, {"options": {"lr": 0.1, "name": "é"}}]
    assert (folder / "log.jsonl").read_text(encoding="utf-8").endswith("}\n")


def test_a_whole_line_without_its_end_goes_too(train, folder):
    """Else the next line would follow on it."""
    train(folder, FOUR[:2])
    with open(folder / "log.jsonl", "a") as file:
        file.write('{"options": {}}')
    train(folder, FOUR[:3], "auto")
    assert [line.get("epoch") for line in log_of(folder)] == [None, 1, 2, 3]


# --- an epoch by its path


@pytest.mark.parametrize("suffix", [".pdparams", ".pdopt"])
def test_an_epoch_can_be_named(train, folder, whole, capsys, suffix):
    train(folder, [0.1, 0.4, 0.9])
    capsys.readouterr()
    assert train(folder, FOUR, str(folder / f"epoch_2{suffix}")).done == 2
    assert f"going on after epoch 2, from {folder}/epoch_2.pdparams\n" in capsys.readouterr().out
    for name in ("epoch_4.pdparams", "epoch_4.pdopt", "last.pdparams"):
        assert_same_file(folder / name, whole / name)
    assert log_of(folder) == log_of(whole)


def test_the_best_goes_back_with_the_epoch_that_was_named(train, folder):
    train(folder, [0.1, 0.4, 0.9])
    run = train(folder, FOUR[:2], folder / "epoch_2.pdparams").run
    assert run.best == Saved(2, 0.4)


def test_the_best_file_goes_back_with_the_epoch_that_was_named(train, folder, whole):
    train(folder, [0.1, 0.4, 0.9])
    train(folder, FOUR, folder / "epoch_2.pdparams")
    assert_same_file(folder / "best.pdparams", whole / "best.pdparams")


def test_last_goes_back_with_the_epoch_that_was_named(train, folder):
    """Also when it was the last that was asked for."""
    train(folder, FOUR[:3], ema=0.9)
    assert train(folder, FOUR[:2], folder / "epoch_2.pdparams", ema=0.9).done == 2
    assert (folder / "last.pdparams").samefile(folder / "epoch_2.pdparams")
    assert (folder / "last_averaged.pdparams").samefile(folder / "epoch_2_averaged.pdparams")


def test_epochs_that_were_given_up_are_not_gone_on_with(train, folder):
    """As when the run that went on from an earlier epoch was killed at once."""
    train(folder, FOUR[:3])
    train(folder, FOUR[:2], folder / "epoch_2.pdparams")
    assert train(folder, FOUR[:2], "auto").done == 2


@pytest.mark.parametrize("suffix", [".pdparams", ".pdopt"])
def test_a_damaged_epoch_that_was_named_is_told(train, folder, suffix):
    train(folder, FOUR[:3])
    truncate(folder / f"epoch_3{suffix}")
    with pytest.raises(UserError, match=rf"epoch_3\{suffix}"):
        train(folder, FOUR, folder / "epoch_3.pdparams")


def test_an_epoch_that_is_not_there_is_told(train, folder):
    train(folder, FOUR[:1])
    with pytest.raises(UserError, match="cannot read .*epoch_7"):
        train(folder, FOUR, folder / "epoch_7.pdparams")


@pytest.mark.parametrize(("name", "done"), [("last", 3), ("best", 2)])
def test_last_and_best_stand_for_the_epoch_that_they_are_of(train, folder, whole, name, done):
    train(folder, FOUR[:3])
    assert train(folder, FOUR, folder / f"{name}.pdparams").done == done
    assert_same_run(folder, whole)


def test_the_best_of_an_epoch_that_has_no_state_any_more_is_told(train, folder):
    train(folder, FOUR)
    with pytest.raises(UserError, match=r"cannot go on from .*best\.pdparams without its epoch_2\.pdopt"):
        train(folder, FOUR, folder / "best.pdparams")


def test_a_checkpoint_of_another_folder_is_told(train, folder, whole, tmp_path):
    train(folder, FOUR[:1])
    paddle.save({"weight": paddle.ones([2])}, str(folder / "bare.pdparams"))
    for path in (whole / "last.pdparams", folder / "bare.pdparams"):
        with pytest.raises(UserError, match=r"is no checkpoint of the run in .*tiny; name it with"):
            train(folder, FOUR, path)


# --- another model


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "resnet18"),
        ("num_heads", 4),
        ("lam", 0.4),
        ("classes", ["green", "red"]),
        ("img_size", 64),
        ("normalization", {"mean": [0, 0, 0], "std": [1, 1, 1]}),
    ],
)
@pytest.mark.parametrize("choice", ["auto", "epoch_2.pdparams"])
def test_a_run_of_another_model_is_not_gone_on_with(train, folder, name, value, choice):
    train(folder, FOUR[:2])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    choice = choice if choice == "auto" else folder / choice
    with pytest.raises(UserError, match=rf"epoch_2\.pdparams is of a run with another {name}; "):
        train(folder, FOUR, choice, description={**DESCRIPTION, name: value})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("heads", [False, True])
def test_heads_alone_and_all_are_not_mixed(train, folder, heads):
    train(folder, FOUR[:2], heads=heads)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UserError, match="--freeze_backbone"):
        train(folder, FOUR, "auto", heads=not heads)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_finished_run_knows_its_last_epoch(train, folder):
    train(folder, FOUR)
    resumed = train(folder, FOUR, "auto")
    assert resumed.done == 4
    assert resumed.run.last == Saved(4, 0.3)


def test_within_an_epoch_a_step_keeps_its_number_of_photos():
    found = Found({}, {}, {}, {"sums": {"step_size": 16}}, "epoch_3_iter_5.pdparams")
    found.check_step(16)
    with pytest.raises(UserError, match=r"epoch_3_iter_5\.pdparams is of steps of 16 photos, not 32; "):
        found.check_step(32)
    Found({}, {}, {}, {"sums": None}, "epoch_3.pdparams").check_step(32)  # a whole epoch
