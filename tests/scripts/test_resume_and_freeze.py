"""train --resume and train --freeze_backbone as a user runs them, on 24 drawn photos of 64 px."""

import gc
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import paddle
import pytest

import train
import val
from benchmarks.resume_kills import epochs_of, log_of
from models import build_model
from utils.checkpoint import read_checkpoint
from utils.weights import read_weights

REPO = Path(__file__).resolve().parents[2]


def call(module, *argv):
    """Run a script in this process, errors as exceptions."""
    module.main(module.parse_args([*map(str, argv), "--device", "cpu"]))
    gc.collect()  # frames that matplotlib leaves in a circle hold the lock of the run's folder


def recipe(shapes, save_dir, *options):
    """Options of a small training; the last ones given count."""
    given = ["--dataset", shapes, "--save_dir", save_dir, "--model", "resnet18", "--pretrained", "none"]
    return [*given, "--img_size", 32, "--batch_size", 8, "--seed", 1, "--num_workers", 2, *options]


def assert_same_weights(path, expected):
    tensors, others = read_checkpoint(path)[0], read_checkpoint(expected)[0]
    assert set(tensors) == set(others)
    for name, value in tensors.items():
        np.testing.assert_array_equal(value, others[name], err_msg=name)


# --- resume


LONG = ("--total_epoch", 6, "--warmup_epoch", 1, "--keep", 2)


@pytest.fixture(scope="module")
def uninterrupted(shapes, tmp_path_factory):
    """The folder of a run of six epochs."""
    save = tmp_path_factory.mktemp("uninterrupted")
    call(train, *recipe(shapes, save, *LONG))
    yield save / "resnet18"
    shutil.rmtree(save)


def wait_for(happened, process, seconds=60):
    """Until happened() is true; the process that brings it about must live so long."""
    end = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_killed_run_ends_as_one_that_was_not(uninterrupted, shapes, save_dir, capsys):
    argv, folder = recipe(shapes, save_dir, *LONG), save_dir / "resnet18"
    log = folder / "log.jsonl"
    process = subprocess.Popen(
        [sys.executable, REPO / "train.py", *map(str, argv), "--device", "cpu"], stdout=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: log.exists() and '"epoch": 2' in log.read_text(), process)
        wait_for(lambda: any(folder.glob(".epoch_*.tmp")), process)  # it is half saved, or a later one
    finally:
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    call(train, *argv, "--resume", "auto")
    said = capsys.readouterr().out
    assert re.search(r"^going on after epoch [1-5], from ", said, re.MULTILINE)
    for name in ("last", "best", "epoch_5", "epoch_6"):
        assert_same_weights(folder / f"{name}.pdparams", uninterrupted / f"{name}.pdparams")
    assert epochs_of(folder) == epochs_of(uninterrupted)
    assert set(os.listdir(folder)) == set(os.listdir(uninterrupted))
    first, second = (line["options"]["resume"] for line in log_of(folder) if "options" in line)
    assert (first, second) == (None, "auto")
    last = epochs_of(uninterrupted)[-1]["metrics"]["mAP"]
    assert f"last: epoch 6, mAP {last:.6f}, {folder}/last.pdparams" in said


def test_resume_makes_a_new_run_where_there_is_none(uninterrupted, shapes, save_dir, capsys):
    call(train, *recipe(shapes, save_dir, *LONG, "--total_epoch", 1, "--resume", "auto"))
    assert f"nothing to go on with in {save_dir}/resnet18: a new run" in capsys.readouterr().out
    assert epochs_of(save_dir / "resnet18") == epochs_of(uninterrupted)[:1]


def test_a_finished_run_is_finished(shapes, save_dir, capsys):
    argv = recipe(shapes, save_dir, "--total_epoch", 1)
    call(train, *argv)
    before = capsys.readouterr().out.splitlines()
    call(train, *argv, "--resume", "auto")
    assert capsys.readouterr().out.splitlines()[-3:] == before[-3:]
    kinds = [next(iter(line)) for line in log_of(save_dir / "resnet18")]
    assert kinds == ["options", "epoch", "options", "summary"]


# --- freeze_backbone


@pytest.fixture(scope="module")
def trunk_file(tmp_path_factory):
    """The weights of a ResNet-18 trunk whose batch norm is settled, as a bare state dict."""
    paddle.seed(3)
    trunk = build_model("resnet18", 3).backbone
    with paddle.no_grad():
        for _ in range(10):
            trunk(paddle.rand([8, 3, 64, 64]))
    path = tmp_path_factory.mktemp("trunk") / "trunk.pdparams"
    paddle.save(trunk.state_dict(), str(path))
    yield path
    path.unlink()


def frozen_recipe(shapes, save_dir, trunk_file, *options):
    given = ["--pretrained", trunk_file, "--freeze_backbone", "--img_size", 64, "--total_epoch", 2]
    return recipe(shapes, save_dir, *given, "--warmup_epoch", 0, "--lr", 0.002, *options)


@pytest.fixture(scope="module")
def frozen(shapes, trunk_file, tmp_path_factory):
    """SAVE_DIR of a training of the heads alone."""
    save = tmp_path_factory.mktemp("frozen")
    call(train, *frozen_recipe(shapes, save, trunk_file))
    yield save
    shutil.rmtree(save)


def test_a_frozen_trunk_stays_as_it_was_and_the_heads_learn(frozen, trunk_file):
    first, last = (read_checkpoint(frozen / f"resnet18/epoch_{n}.pdparams")[0] for n in (1, 2))
    trunk = read_weights(trunk_file).tensors
    assert {name for name in last if name.startswith("backbone.")} == set(trunk)
    for name, value in trunk.items():
        np.testing.assert_array_equal(last[name], value, err_msg=name)
    assert sum(name.endswith(("._mean", "._variance")) for name in trunk) == 40
    head = "classifier.multi_head.0.head.weight"
    assert not np.isclose(first[head], last[head]).all()
    losses = [line["loss"] for line in epochs_of(frozen / "resnet18")]
    assert losses[-1] < losses[0]


def test_val_scores_photos_as_training_scored_their_maps(frozen, tmp_path, capsys):
    call(val, "--load_from", frozen / "resnet18/last.pdparams", "--out", tmp_path)
    figures = json.loads((tmp_path / "metrics.json").read_text())
    logged = epochs_of(frozen / "resnet18")[-1]["metrics"]
    assert figures["mAP"] == pytest.approx(logged["mAP"], abs=1e-3)
    assert figures["ap"] == pytest.approx(logged["ap"], abs=1e-3)


def test_other_heads_find_the_maps_of_the_trunk(frozen, shapes, trunk_file, capsys):
    features = frozen / "features"
    before = {path.name: path.stat().st_mtime_ns for path in features.iterdir()}
    assert sorted(name.split("_")[1] for name in before) == ["mirrored.npy", "plain.npy", "plain.npy"]
    call(train, *frozen_recipe(shapes, frozen, trunk_file, "--num_heads", 4, "--total_epoch", 1))
    said = capsys.readouterr().out
    assert said.count(f" photos: found, in {features}\n") == 2
    assert " photos: computed, in" not in said
    assert {path.name: path.stat().st_mtime_ns for path in features.iterdir()} == before
    assert (frozen / "resnet18.1/last.pdparams").exists()  # as with any second run
    shutil.rmtree(frozen / "resnet18")
    (frozen / "resnet18.1").rename(frozen / "resnet18")


@pytest.mark.parametrize("pretrained", [None, "none"])
def test_a_frozen_run_goes_on_with_its_own_trunk(frozen, shapes, trunk_file, save_dir, capsys, pretrained):
    """Whatever --pretrained says then."""
    for name in ("features", "resnet18"):
        shutil.copytree(frozen / name, save_dir / name)
    for path in (save_dir / "resnet18").glob("epoch_2.*"):
        path.unlink()
    call(train, *frozen_recipe(shapes, save_dir, pretrained or trunk_file, "--resume", "auto"))
    assert "going on after epoch 1" in capsys.readouterr().out
    assert_same_weights(save_dir / "resnet18/last.pdparams", frozen / "resnet18/last.pdparams")
    assert epochs_of(save_dir / "resnet18") == epochs_of(frozen / "resnet18")


@pytest.mark.parametrize(
    ("options", "views"),
    [
        (["--train_aug"], [("plain",)]),
        (["--train_aug", "randomflip"], [("plain", "mirrored")]),
        (["--train_aug", "--tranval", "yes"], [("plain",), ("plain",)]),
    ],
    ids=["nothing", "mirrored", "evaluation"],
)
def test_only_maps_that_are_needed_are_computed(shapes, save_dir, monkeypatch, options, views):
    asked = []

    def maps_of_nothing(trunk, normalization, records, size, folder, views, *_):
        asked.append(views)
        return [np.zeros((len(records), 512, 2, 2), "float16") for _ in views]

    monkeypatch.setattr("utils.training_data.cached_features", maps_of_nothing)
    monkeypatch.setattr(train.RunFolder, "save", lambda *_: None)
    monkeypatch.setattr(train, "summary", lambda _: ([], {}))
    call(train, *frozen_recipe(shapes, save_dir, "none", "--total_epoch", 1, "--tranval", "no", *options))
    assert asked == views


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--train_aug", "resizedcrop"], "resizedcrop"),
        (["--train_aug", "randomflip", "colorjitter"], "colorjitter"),
        (["--test_aug", "randomflip"], "randomflip"),
        (["--test_aug", "resizedcrop"], "resizedcrop"),
    ],
    ids=["resizedcrop", "colorjitter", "test randomflip", "test resizedcrop"],
)
def test_augmentations_that_maps_do_not_allow(shapes, trunk_file, save_dir, ends_with_2, options, told):
    text = ends_with_2(train, *frozen_recipe(shapes, save_dir, trunk_file, *options))
    assert "--freeze_backbone" in text
    assert told in text
    assert not save_dir.exists()
