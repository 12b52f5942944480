"""Runs that are killed, interrupted or find the disk full end as the run that was not, to the bit."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

import train
from benchmarks.bad_input.things import file_limit
from benchmarks.resume_kills import content_of, contents_of, epochs_of
from utils.errors import UserError
from utils.run_folder import RunFolder
from utils.weights import STATE

resource = pytest.importorskip("resource")  # as all signals here, not on Windows

REPO = Path(__file__).resolve().parents[2]
MODEL = "efficientnet_lite0"  # the smallest checkpoints
PLACES = ("epoch_3_iter_2", "epoch_3_iter_4")  # within the last epoch


def recipe(shapes, save_dir, *options):
    """Options of a training of three epochs, four steps each; the last ones given count."""
    given = ["--dataset", shapes, "--save_dir", save_dir, "--model", MODEL, "--pretrained", "none"]
    given += ["--img_size", 32, "--batch_size", 4, "--total_epoch", 3, "--warmup_epoch", 1, "--ema", 0.9]
    given += ["--lr", 0.001, "--num_workers", 1, "--seed", 3, "--print_freq", 1, "--device", "cpu"]
    return [*map(str, [*given, *options])]


def go_on(shapes, save_dir, resume="auto"):
    """train --resume in this process, errors as exceptions."""
    train.main(train.parse_args(recipe(shapes, save_dir, "--save_every", 2, "--resume", resume)))


@contextmanager
def started(argv):
    """A process of train.py; it is killed at the end if it still lives."""
    process = subprocess.Popen(
        [sys.executable, "-u", REPO / "train.py", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # behind `&` it is ignored
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(process, start):
    """Read what a process prints until a line begins so."""
    assert any(line.startswith(start) for line in process.stdout), process.stderr.read()


def read_steps(process, count):
    """Read what a process prints until it has done `count` steps."""
    for _ in range(count):
        read_until(process, "Epoch ")


def end_of(process):
    """(exit code, lines on standard error) of a process that ends by itself."""
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors.splitlines()


# --- a run, as a whole and in parts


def copy_run(folder, target):
    """A copy of a run as it is now: of its own log, the other files are links, for they never change."""

    def copy(source, target):
        (shutil.copyfile if Path(source).name == "log.jsonl" else os.link)(source, target)

    shutil.copytree(folder, target, copy_function=copy)


def copying(save, moment, target):
    """A method of RunFolder that saves, and then copies the run to `target` if this is the moment."""

    def save_and_copy(run, *given):
        save(run, *given)
        if given[: len(moment)] == moment:
            copy_run(run.folder, target)

    return save_and_copy


@pytest.fixture(scope="module")
def runs(shapes, tmp_path_factory):
    """Folders of one run that nothing interrupted: at its end, after epoch 2, and within epoch 3.

    contents, epochs: of the end.
    """
    save = tmp_path_factory.mktemp("runs")
    folder = save / MODEL
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "save", copying(RunFolder.save, (2,), save / "epoch_2"))
        patch.setattr(RunFolder, "save_step", copying(RunFolder.save_step, (3, 4), save / "within_3"))
        train.main(train.parse_args(recipe(shapes, save, "--save_every", 2)))
    yield SimpleNamespace(
        whole=folder,
        epoch_2=save / "epoch_2",
        within_3=save / "within_3",
        contents=contents_of(folder),
        epochs=epochs_of(folder),
    )
    shutil.rmtree(save)


@pytest.fixture
def assert_same(runs, save_dir):
    """A function: the run in save_dir is the one that nothing interrupted, and nothing else is there."""

    def check():
        folder = save_dir / MODEL
        assert set(os.listdir(folder)) == set(os.listdir(runs.whole))
        assert contents_of(folder) == runs.contents
        assert epochs_of(folder) == runs.epochs

    return check


def test_the_run_shows_what_resuming_may_lose(runs):
    """Else the tests below could not see it."""
    names = {"log.jsonl", "curves.png", "best.pdparams", "last.pdparams", "last_averaged.pdparams"}
    states = {"epoch_2.pdopt", "epoch_3.pdopt"}
    epochs = {f"epoch_{n}{averaged}.pdparams" for n in (1, 2, 3) for averaged in ("", "_averaged")}
    assert set(os.listdir(runs.whole)) == names | states | epochs
    assert len({digest for digest, _ in runs.contents.values()}) == len(states | epochs)
    begun = {f"{place}{suffix}" for place in PLACES for suffix in (".pdparams", STATE)}
    assert set(os.listdir(runs.within_3)) >= begun
    assert runs.contents["last.pdparams"] == runs.contents["epoch_3.pdparams"]


# --- SIGKILL


def test_a_run_killed_at_three_moments(runs, shapes, save_dir, assert_same, ends_with_2):
    draw = random.Random(0)
    argv = recipe(shapes, save_dir, "--save_every", 1, "--resume", "auto")
    for number in range(3):
        with started(argv) as process:
            read_steps(process, draw.randint(1, 2))
            if number == 0:  # two runs in one folder
                assert "another training is running in" in ends_with_2(train, *argv)
            time.sleep(draw.uniform(0, 0.3))
            process.kill()
            assert process.wait() == -signal.SIGKILL
    go_on(shapes, save_dir)
    assert_same()


# --- SIGTERM and SIGINT


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_run_saves_where_it_is(runs, shapes, save_dir, assert_same, number):
    with started(recipe(shapes, save_dir)) as process:  # without --save_every
        read_until(process, "Epoch 2[8/16]")
        process.send_signal(number)
        code, errors = end_of(process)
    assert code == 128 + number
    (line,) = errors
    done = re.fullmatch(
        r"interrupted in epoch 2 after ([23]) iterations; go on with --resume auto", line
    ).group(1)
    folder = save_dir / MODEL
    assert not [name for name in os.listdir(folder) if name.endswith(".tmp")]
    last = folder / f"epoch_2_iter_{done}.pdparams"
    assert last.samefile(folder / "last.pdparams")
    assert last.with_suffix(STATE).exists()
    go_on(shapes, save_dir)
    assert_same()


def test_a_second_signal_ends_a_run_at_once(shapes, save_dir):
    slow = ["--model", "resnet18", "--img_size", 224, "--batch_size", 8, "--ema", 0]
    with started(recipe(shapes, save_dir, *slow)) as process:
        read_until(process, "Epoch 1[8/16]")
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        # whichever of them Python handles second
        assert end_of(process) in [(130, ["interrupted"]), (143, ["ended"])]
    assert os.listdir(save_dir / "resnet18") == ["log.jsonl"]


# --- the disk is full


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits another process")
def test_a_full_disk_costs_what_was_not_saved(runs, shapes, save_dir, assert_same):
    folder = save_dir / MODEL
    with started(recipe(shapes, save_dir, "--save_every", 2)) as process:
        read_until(process, "Epoch 2[12/16]")
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (2**20, resource.RLIM_INFINITY))
        code, errors = end_of(process)
    assert code == 2
    (line,) = errors
    assert line == (
        f"error: cannot write {folder}/epoch_2_iter_4.pdopt: File too large; free some space or choose "
        "another folder"
    )
    assert not [name for name in os.listdir(folder) if name.endswith(".tmp")]
    assert {"epoch_2_iter_2.pdparams", "epoch_1.pdparams", "last.pdparams"} <= set(contents_of(folder))
    go_on(shapes, save_dir)
    assert_same()


def told_of_a_full_disk(folder):
    """What is told when a line of the log finds the disk full in the middle of a letter."""
    run, room = RunFolder(folder, resume=True), len('{"epoch": 3, "é')
    try:
        with file_limit((folder / "log.jsonl").stat().st_size + room):
            run.log({"epoch": 3, "é": 1})
    except UserError as error:
        return str(error)


def test_a_disk_that_fills_within_a_line_of_the_log(runs, shapes, save_dir, assert_same):
    copy_run(runs.epoch_2, save_dir / MODEL)
    log = save_dir / MODEL / "log.jsonl"
    assert told_of_a_full_disk(save_dir / MODEL).startswith(f"cannot write {log}: File too large; ")
    assert log.read_bytes().endswith('"é'.encode()[:-1])
    go_on(shapes, save_dir)
    assert_same()


# --- damage


def damage(folder, names, change):
    """The files of these names become one file, with another content."""
    content = (folder / names[0]).read_bytes()
    for name in names:
        (folder / name).unlink()
    (folder / names[0]).write_bytes(change(content))
    for name in names[1:]:
        os.link(folder / names[0], folder / name)


def half(content):
    return content[: len(content) // 2]


def garbage(content):
    return random.Random(0).randbytes(1000)


NEWEST, BEFORE = (f"{place}.pdparams" for place in reversed(PLACES))


@pytest.mark.parametrize("change", [half, pytest.param(garbage, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("names", "moment", "said"),
    [
        ([NEWEST, "last.pdparams"], "in epoch 3 after 2 iterations", NEWEST),
        (["last.pdparams"], "in epoch 3 after 4 iterations", "last.pdparams"),
        (["epoch_3_iter_4.pdopt"], "in epoch 3 after 2 iterations", "epoch_3_iter_4.pdopt"),
    ],
    ids=["last is the newest", "last alone", "state"],
)
def test_a_damaged_last_falls_back(runs, shapes, save_dir, assert_same, capsys, change, names, moment, said):
    copy_run(runs.within_3, save_dir / MODEL)
    damage(save_dir / MODEL, names, change)
    go_on(shapes, save_dir)
    lines = capsys.readouterr().out.splitlines()
    first, second = lines[0], next(line for line in lines if line.startswith("going on"))
    assert first.startswith(f"{save_dir / MODEL / said} is ")
    assert second.startswith(f"going on {moment}, from ")
    assert_same()


def test_both_damaged_within_an_epoch_fall_back_to_the_epoch_before(
    runs, shapes, save_dir, assert_same, capsys
):
    copy_run(runs.within_3, save_dir / MODEL)
    damage(save_dir / MODEL, [NEWEST, "last.pdparams"], half)
    damage(save_dir / MODEL, [BEFORE], garbage)
    go_on(shapes, save_dir)
    said = capsys.readouterr().out
    assert said.count("; trying the one before\n") == 2
    assert f"going on after epoch 2, from {save_dir / MODEL}/epoch_2.pdparams\n" in said
    assert_same()


@pytest.mark.slow
@pytest.mark.parametrize("change", [half, garbage])
def test_a_damaged_whole_epoch_falls_back_to_the_one_before(
    runs, shapes, save_dir, assert_same, capsys, change
):
    copy_run(runs.epoch_2, save_dir / MODEL)
    damage(save_dir / MODEL, ["epoch_2.pdparams", "last.pdparams"], change)
    go_on(shapes, save_dir)
    assert "going on after epoch 1, from " in capsys.readouterr().out
    assert_same()


# --- a moment by its path


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("last.pdparams", "in epoch 3 after 4 iterations"),
        pytest.param(NEWEST, "in epoch 3 after 4 iterations", marks=pytest.mark.slow),
        (BEFORE, "in epoch 3 after 2 iterations"),
        ("epoch_3_iter_2.pdopt", "in epoch 3 after 2 iterations"),
        ("epoch_2_averaged.pdparams", "after epoch 2"),
        pytest.param("last_averaged.pdparams", "after epoch 2", marks=pytest.mark.slow),
        pytest.param("epoch_1.pdparams", "after epoch 1", marks=pytest.mark.slow),
    ],
)
def test_a_moment_can_be_named(runs, shapes, save_dir, assert_same, capsys, name, moment):
    """The averaged weights stand for the weights that they are the average of."""
    copy_run(runs.within_3, save_dir / MODEL)
    go_on(shapes, save_dir, save_dir / MODEL / name)
    assert f"going on {moment}, from " in capsys.readouterr().out
    assert_same()


@pytest.mark.slow
def test_the_best_can_be_named(runs, shapes, save_dir, assert_same, capsys):
    copy_run(runs.within_3, save_dir / MODEL)
    go_on(shapes, save_dir, save_dir / MODEL / "best.pdparams")
    epoch = content_of(runs.within_3 / "best.pdparams")[1]["epoch"]
    assert f"going on after epoch {epoch}, from " in capsys.readouterr().out
    assert_same()


@pytest.mark.parametrize("name", ["epoch_1.pdparams", "epoch_1_averaged.pdparams"])
def test_a_moment_whose_state_is_gone_is_told(runs, shapes, save_dir, ends_with_2, name):
    copy_run(runs.whole, save_dir / MODEL)
    before = set(os.listdir(save_dir / MODEL))
    told = ends_with_2(train, *recipe(shapes, save_dir, "--resume", save_dir / MODEL / name))
    assert told.startswith(f"error: cannot go on from {save_dir / MODEL / name} without its epoch_1.pdopt; ")
    assert told.endswith(": epoch_2.pdopt, epoch_3.pdopt\n")
    assert set(os.listdir(save_dir / MODEL)) == before


@pytest.mark.parametrize("name", ["last.pdparams", NEWEST, "epoch_3_iter_4.pdopt"])
def test_a_moment_of_another_folder_is_told(runs, shapes, save_dir, ends_with_2, name):
    copy_run(runs.within_3, save_dir / MODEL)
    before = set(os.listdir(save_dir / MODEL))
    other = runs.within_3 / name
    told = ends_with_2(train, *recipe(shapes, save_dir, "--resume", other))
    assert told.startswith(f"error: {other} is no checkpoint of the run in {save_dir / MODEL}; ")
    assert set(os.listdir(save_dir / MODEL)) == before
