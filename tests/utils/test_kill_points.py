"""A run killed at each operation that changes its folder ends with the same files as one that was not."""

import json
import math
import os
import random
import shutil
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import paddle
import pytest

import utils.checkpoint
from tests.utils.tiny import DESCRIPTION
from utils.checkpoint import read_checkpoint
from utils.resume import find_state, save_state
from utils.run_folder import RunFolder
from utils.weights import STATE, read_state

START = (1, 0)  # the moment before the first step: an epoch and how many of its steps are done
STEPS = 3  # of an epoch; after each it is saved
FIGURES = [(0.1, 0.3), (0.4, 0.2), (0.3, 0.1)]  # mAP of each epoch, and of its averaged weights


class Killed(BaseException):
    """What a kill is to a test."""


class Life:
    """How many operations on files a process still has, and how many it did."""

    def __init__(self):
        self.left, self.done = math.inf, 0

    def begin(self, left=math.inf):
        self.left, self.done = left, 0

    def counted(self, operation):
        def call(*given, **named):
            if self.done >= self.left:
                raise Killed  # and so does whatever tidies up on the way out
            self.done += 1
            return operation(*given, **named)

        return call


@pytest.fixture
def life(monkeypatch):
    """The Life of this process: it ends at an operation that changes a folder."""
    life = Life()
    for place, name in [(os, "replace"), (os, "link"), (os, "unlink"), (os, "rename"), (Path, "unlink")]:
        monkeypatch.setattr(place, name, life.counted(getattr(place, name)))
    monkeypatch.setattr(os, "fsync", lambda _: None)  # slow, and for power cuts
    monkeypatch.setattr(utils.checkpoint, "versions", dict)
    return life


def writer(value):
    """What writes the state of a moment."""
    learner = SimpleNamespace(state=lambda: ({"velocity": np.full(3, value)}, {"scaler": {}}))
    return partial(save_state, learner)


def train(folder, keep=None, choice="auto", saved=None):
    """Go on as train.py does, from "auto" or a path; the weights tell the moment.

    What was saved is appended to `saved`. Returns the moment it went on from.
    """
    saved = [] if saved is None else saved
    run = RunFolder(folder, keep, choice)
    found = find_state(choice, run, DESCRIPTION)
    if found:
        run.go_on(*(found.about[name] for name in ("epoch", "iteration", "last", "best")))
    else:
        run.start_anew()
    start, done = begun = found.next_step()[:2] if found else START
    run.log({"options": {}})
    net = paddle.nn.LayerDict({"backbone": paddle.nn.Linear(2, 2)})
    for epoch in range(start, len(FIGURES) + 1):
        about = {**DESCRIPTION, "epoch": epoch}
        for step in range(done + 1, STEPS + 1):
            net.backbone.weight.set_value(paddle.full([2, 2], epoch + step / 10))
            run.save_step(epoch, step, net, {**about, "iteration": step}, writer(epoch + step / 10))
            saved.append((epoch, step))
        done, (mAP, averaged) = 0, FIGURES[epoch - 1]
        net.backbone.weight.set_value(paddle.full([2, 2], -float(epoch)))
        run.save_averaged(epoch, net, {**about, "averaged": True}, averaged)
        net.backbone.weight.set_value(paddle.full([2, 2], float(epoch)))
        run.log({"epoch": epoch})
        run.save(epoch, net, about, mAP, writer(epoch))
        saved.append((epoch + 1, 0))
    return begun


def killed(folder, **given):
    """Train until the kill; whether it came, and what had been saved by then."""
    saved = []
    try:
        train(folder, saved=saved, **given)
    except Killed:
        return True, saved
    return False, saved


def files_of(folder):
    """{name: bytes} of a run; of the log the epochs."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    lines = [json.loads(line) for line in files.pop("log.jsonl").splitlines()]
    return {**files, "epochs": [line["epoch"] for line in lines if "epoch" in line]}


def assert_readable(folder):
    for path in folder.glob("[!.]*.pd*"):
        (read_state if path.suffix == STATE else read_checkpoint)(path)


@pytest.mark.parametrize("keep", [pytest.param(None, marks=pytest.mark.slow), 1])
def test_a_kill_at_any_operation(tmp_path, life, keep, capsys):
    draw = random.Random(0)
    whole, folder = tmp_path / "whole/tiny", tmp_path / "killed/tiny"
    life.begin()
    train(whole, keep)
    operations = life.done
    assert operations > 100
    for number in range(operations):
        life.begin(number)
        came, saved = killed(folder, keep=keep)
        assert came
        life.begin(draw.randrange(40))  # for most of them the folder is made ready to go on
        assert_readable(folder)
        saved += [START, *killed(folder, keep=keep)[1]]
        life.begin()
        assert_readable(folder)
        assert train(folder, keep) >= max(saved)
        assert files_of(folder) == files_of(whole)
        shutil.rmtree(folder.parent)


@pytest.mark.parametrize("name", ["epoch_1.pdparams", "epoch_3_iter_2.pdparams"])
def test_a_kill_while_a_run_goes_back(tmp_path, life, name, capsys):
    """Then "auto" goes on from where it was, or from the moment that was named, and the log fits."""
    whole, begun, folder = (tmp_path / f"{name}/tiny" for name in ("whole", "begun", "killed"))
    train(whole)
    train_until(begun, life, "epoch_3_iter_3")
    for number in count():
        life.begin()
        shutil.copytree(begun, folder)
        life.begin(number)
        came, _ = killed(folder, choice=folder / name)
        life.begin()
        assert_readable(folder)
        train(folder)
        assert files_of(folder) == files_of(whole)
        shutil.rmtree(folder.parent)
        if not came:
            break
    assert number > 20


def train_until(folder, life, moment):
    """Train until this moment is saved."""
    for number in count():
        life.begin(number)
        killed(folder)
        life.begin()
        if (folder / f"{moment}.pdparams").exists():
            return
        shutil.rmtree(folder.parent)


# --- what is left over


def test_files_of_others_are_left_alone(tmp_path, capsys):
    train(tmp_path / "tiny")
    for name in ("epoch_best.pdopt", "epoch_3_copy.pdopt", "notes.pdopt", ".notes", "mine.tmp"):
        (tmp_path / "tiny" / name).write_text("mine")
    before = files_of(tmp_path / "tiny")
    train(tmp_path / "tiny")
    assert files_of(tmp_path / "tiny") == before


def test_a_run_that_is_moved_aside_takes_nothing_half_written_along(tmp_path, life, capsys):
    life.begin(0)
    killed(tmp_path / "tiny")
    assert len(list((tmp_path / "tiny").glob(".*.tmp"))) == 1
    life.begin()
    train(tmp_path / "tiny")
    assert os.listdir(tmp_path / "tiny.1") == ["log.jsonl"]


@pytest.mark.parametrize(
    "rest",
    [b'{"epoch": 3, "\xc3', b'{"epoch": 3}', b"\0" * 50, b"\0\xff\n", b"[3]\n3\n"],
    ids=["half a letter", "no end", "zeros", "garbage", "no dict"],
)
def test_half_a_line_of_the_log_goes(tmp_path, rest, capsys):
    """As a full disk, a kill or a power cut leave it."""
    train(tmp_path / "tiny")
    log = tmp_path / "tiny/log.jsonl"
    before = log.read_bytes()
    log.write_bytes(before + rest)
    train(tmp_path / "tiny")
    assert log.read_bytes() == before + b'{"options": {}}\n'


def test_a_log_that_is_gone_is_begun_anew(tmp_path, capsys):
    train(tmp_path / "tiny")
    (tmp_path / "tiny/log.jsonl").unlink()
    train(tmp_path / "tiny")
    assert (tmp_path / "tiny/log.jsonl").read_bytes() == b'{"options": {}}\n'
