"""The folder of a run: what stays, what is best, and where an earlier run goes (fault 18)."""

import gc
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import paddle
import pytest

from utils.errors import UserError
from utils.run_folder import RunFolder, Saved
from utils.safe_pickle import read_pickle

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoint/resnet18"


def train(run, mAPs):
    """Save an epoch for each mAP; the weights of an epoch are all its number."""
    net = paddle.nn.Linear(2, 2)
    for epoch, mAP in enumerate(mAPs, 1):
        net.weight.set_value(paddle.full([2, 2], float(epoch)))
        run.log({"epoch": epoch})
        run.save(epoch, net, {"epoch": epoch}, mAP)
    return run


def epoch_in(path):
    """The epoch of a file, after its description and its weights."""
    content = read_pickle(path)
    epoch = json.loads(content["csra"])["epoch"]
    assert (content["weight"] == epoch).all()
    return epoch


def test_all_epochs_stay_unless_told(folder):
    train(RunFolder(folder), [0.1, 0.3, 0.2])
    assert sorted(os.listdir(folder)) == [
        "best.pdparams",
        *(f"epoch_{n}.pdparams" for n in (1, 2, 3)),
        "last.pdparams",
        "log.jsonl",
    ]
    assert epoch_in(folder / "last.pdparams") == 3
    assert epoch_in(folder / "best.pdparams") == 2
    assert [epoch_in(folder / f"epoch_{n}.pdparams") for n in (1, 2, 3)] == [1, 2, 3]


@pytest.mark.parametrize("keep", [1, 2, 9])
def test_keep_removes_old_epochs_and_never_the_best(folder, keep):
    run = train(RunFolder(folder, keep), [0.1, 0.9, 0.3, 0.4, 0.5])
    stay = [f"epoch_{n}.pdparams" for n in range(1, 6) if n > 5 - keep]
    assert sorted(os.listdir(folder)) == ["best.pdparams", *stay, "last.pdparams", "log.jsonl"]
    assert epoch_in(folder / "best.pdparams") == 2
    assert epoch_in(folder / "last.pdparams") == 5
    assert (run.best, run.last) == (Saved(2, 0.9), Saved(5, 0.5))


def test_best_is_the_first_of_equals(folder):
    run = train(RunFolder(folder), [0.2, 0.5, 0.5])
    assert run.best == Saved(2, 0.5)
    assert epoch_in(folder / "best.pdparams") == 2


def test_zero_can_be_the_best(folder):
    assert train(RunFolder(folder), [0.0, 0.0]).best == Saved(1, 0.0)


def test_no_evaluation_no_best(folder):
    run = train(RunFolder(folder), [None, None])
    assert run.best is None
    assert not (folder / "best.pdparams").exists()
    assert epoch_in(folder / "last.pdparams") == 2


def test_where_links_are_impossible(folder, monkeypatch):
    def link(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", link)
    train(RunFolder(folder, keep=1), [0.5, 0.1])
    assert epoch_in(folder / "best.pdparams") == 1
    assert epoch_in(folder / "last.pdparams") == 2
    assert not [name for name in os.listdir(folder) if name.endswith(".tmp")]


def test_log_is_one_json_line_each(folder):
    run = RunFolder(folder)
    run.log({"text": "é\n", "number": 0.1})
    run.log({"epoch": 1})
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [{"text": "é\n", "number": 0.1}, {"epoch": 1}]
    with pytest.raises(ValueError, match="JSON"):
        run.log({"loss": float("nan")})
    assert len((folder / "log.jsonl").read_text().splitlines()) == 2


def test_an_earlier_run_is_moved_aside(folder, capsys):
    for number in range(3):
        train(RunFolder(folder), [0.1] * (number + 1))
    assert sorted(path.name for path in folder.parent.glob("r*")) == ["resnet18", "resnet18.1", "resnet18.2"]
    assert epoch_in(folder.parent / "resnet18.1/last.pdparams") == 1
    assert epoch_in(folder.parent / "resnet18.2/last.pdparams") == 2
    assert epoch_in(folder / "last.pdparams") == 3
    assert len((folder / "log.jsonl").read_text().splitlines()) == 3
    assert "resnet18.2" in capsys.readouterr().out


def test_a_folder_without_a_run_is_used_as_it_is(folder):
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    RunFolder(folder)
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--save_dir"):
        RunFolder(tmp_path / "file/resnet18")


@pytest.mark.parametrize("resume", [False, True])
def test_two_trainings_in_one_folder_are_refused(folder, resume):
    first = train(RunFolder(folder), [0.1])
    before = sorted(os.listdir(folder))
    code = (
        "import sys; from utils.errors import run_script; from utils.run_folder import RunFolder\n"
        f"run_script(lambda _: RunFolder({str(folder)!r}, resume={resume}) and None, lambda: None)"
    )
    command = [sys.executable, "-c", code]
    second = subprocess.run(command, capture_output=True, text=True, cwd=REPO)
    assert second.returncode == 2
    assert second.stderr.startswith(f"error: another training is running in {folder}; ")
    assert sorted(os.listdir(folder)) == before
    assert sorted(os.listdir(folder.parent)) == [f".{folder.name}.lock", folder.name]
    del first  # as when its process ends
    assert subprocess.run(command, cwd=REPO).returncode == 0


def test_a_run_that_is_let_go_leaves_its_lock_without_a_remark(folder):
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        for _ in range(2):
            run = RunFolder(folder)
            run.itself = run  # as in a circle of frames: it goes when garbage is collected
            del run
            gc.collect()
    assert not remarks
