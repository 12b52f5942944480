"""The benchmark of kills sees what differs, and tells where a run was."""

import json
import shutil

import numpy as np
import pytest

from benchmarks.resume_kills import differences, place, steps_done
from utils.weights import write_state, write_weights

ABOUT = {
    "format": 1,
    "model": "tiny",
    "num_heads": 1,
    "lam": 0.1,
    "num_cls": 1,
    "classes": ["red"],
    "img_size": 32,
    "normalization": {"mean": [0, 0, 0], "std": [1, 1, 1]},
    "dataset": "shapes",
    "data_dir": None,
}


def write_run(folder, weight=1.0, velocity=2.0, epoch=1, lines=({"epoch": 1, "loss": 0.5, "time": 3},)):
    """The files of a run, small."""
    folder.mkdir()
    about = {**ABOUT, "epoch": epoch, "versions": {"git": folder.name}}
    write_weights(folder / "epoch_1.pdparams", {"backbone.w": np.full(9, weight, "float32")}, about)
    write_state(folder / "epoch_1.pdopt", {"w_velocity": np.full(9, velocity, "float32")}, {"epoch": 1})
    shutil.copyfile(folder / "epoch_1.pdparams", folder / "last.pdparams")
    (folder / "log.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (folder / "curves.png").write_bytes(b"drawn")
    return folder


LARGER = np.nextafter(np.float32(1), np.float32(2))  # by one bit
WEIGHTS = ["epoch_1.pdparams", "last.pdparams"]


@pytest.mark.parametrize(
    ("change", "different"),
    [
        ({}, []),
        ({"lines": [{"options": {}}, {"epoch": 1, "loss": 0.5, "time": 9}]}, []),  # clocks and beginnings
        ({"weight": LARGER}, WEIGHTS),
        ({"velocity": 2 * LARGER}, ["epoch_1.pdopt"]),
        ({"epoch": 2}, WEIGHTS),
        ({"lines": [{"epoch": 1, "loss": 0.6, "time": 3}]}, ["log.jsonl"]),
        ({"lines": []}, ["log.jsonl"]),
    ],
    ids=["nothing", "clocks", "weights", "state", "description", "loss", "epochs"],
)
def test_what_differs(tmp_path, change, different):
    whole = write_run(tmp_path / "whole")
    assert differences(write_run(tmp_path / "killed", **change), whole) == different


def test_files_that_are_not_there_or_too_many(tmp_path):
    whole, killed = write_run(tmp_path / "whole"), write_run(tmp_path / "killed")
    (killed / "last.pdparams").unlink()
    (killed / ".epoch_1.pdparams.x.tmp").touch()
    (killed / "curves.png").write_bytes(b"drawn anew")
    assert differences(killed, whole) == [".epoch_1.pdparams.x.tmp", "curves.png", "last.pdparams"]


@pytest.mark.parametrize(
    ("said", "steps", "places"),
    [
        ("nothing to go on with in x: a new run\n", (0, 0), ("start", "start")),
        (
            "nothing to go on with in x\nEpoch 1[4/34]: loss\nEpoch 1[8/34]: loss\n",
            (0, 2),
            ("start", "epoch 1, 2"),
        ),
        ("going on after epoch 2, from x\n", (18, 18), ("epoch 2, all", "epoch 2, all")),
        ("said\ngoing on in epoch 1 after 6 iterations\n", (6, 6), ("epoch 1, 6", "epoch 1, 6")),
        (
            "going on in epoch 3 after 8 iterations\nEpoch 3[34/34]: loss\n",
            (26, 27),
            ("epoch 3, 8", "epoch 3, all"),
        ),
    ],
)
def test_where_a_run_was(said, steps, places):
    assert steps_done(said, 9) == steps
    assert tuple(place(number, 9) for number in steps) == places
