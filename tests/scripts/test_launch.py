"""train and val under python -m paddle.distributed.launch, on a CPU with gloo, as a user runs them."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import val
from benchmarks.resume_kills import epochs_of, log_of
from datasets.loader import epoch_order
from utils.checkpoint import read_checkpoint
from utils.device import choose_device
from utils.distributed import PATIENCE

REPO = Path(__file__).resolve().parents[2]
SECONDS = 120  # what hangs so long has failed
MODEL = "resnet18"
STEPS = 3  # an epoch of 16 photos, 6 of them a step of two processes


# --- running


@contextmanager
def launched(name, *argv, folder, processes=2, more=()):
    """A launch of a script in a folder, where its console and logs are; all of it ends with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    launch = ["-m", "paddle.distributed.launch", "--nproc_per_node", processes, "--log_dir", "log", *more]
    with open(folder / "console", "w") as console:
        process = subprocess.Popen(
            [*map(str, [sys.executable, *launch, REPO / f"{name}.py", *argv, "--device", "cpu"])],
            cwd=folder,
            stdout=console,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        for pid in ranks_of(process).values():
            os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()


def launch(name, *argv, folder, **settings):
    """Run a script under launch to its end: (exit code, what the console shows)."""
    with launched(name, *argv, folder=folder, **settings) as process:
        process.wait(SECONDS)
    return process.returncode, (folder / "console").read_text()


def ranks_of(launch):
    """{rank: process id} of the processes of a launch that live."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            _, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if int(parent) == launch.pid:
                rank = re.search(rb"PADDLE_TRAINER_ID=(\d+)", (entry / "environ").read_bytes())
                found[int(rank[1])] = int(entry.name)
        except (OSError, TypeError):  # it has just ended, or is not yet what it will be
            continue
    return found


def recipe(shapes, save_dir, *options):
    """Options of a small training; the last ones given count."""
    given = ["--dataset", shapes, "--save_dir", save_dir, "--model", MODEL, "--pretrained", "none"]
    given += ["--img_size", 32, "--batch_size", 3, "--total_epoch", 2, "--warmup_epoch", 0, "--lr", 0.0001]
    return [*given, "--num_workers", 1, "--print_freq", 1, *options]


@pytest.fixture
def evaluate(monkeypatch):
    """A function: what val.py finds alone, with the threads of one of several processes, as results_of()."""

    def run(checkpoint, out, processes, *options):
        monkeypatch.setenv("PADDLE_LOCAL_SIZE", str(processes))  # of threads the last bits of scores depend
        argv = ["--load_from", checkpoint, "--out", out, "--device", "cpu", *options]
        val.main(val.parse_args([*map(str, argv)]))
        return results_of(out)

    yield run
    monkeypatch.undo()
    choose_device("cpu")


def results_of(out):
    """(figures, {name: array}) of what val.py wrote."""
    with np.load(out / "scores.npz") as arrays:
        return json.loads((out / "metrics.json").read_text()), dict(arrays)


# --- train


@pytest.fixture(scope="module")
def shapes(shapes, write_labels, tmp_path_factory):
    """16 photos to train on and 24 for the evaluation, so many that figures tell scores apart."""
    train, test = (json.loads((shapes / f"{split}.json").read_text()) for split in ("train", "test"))
    return write_labels(tmp_path_factory.mktemp("labels") / "shapes", train, train + test)


@pytest.fixture(scope="module")
def trained(shapes, tmp_path_factory):
    """A training of two epochs in two processes: its console, its folder and that of the logs."""
    folder = tmp_path_factory.mktemp("trained")
    code, console = launch("train", *recipe(shapes, folder / "save"), folder=folder)
    assert code == 0, console
    yield SimpleNamespace(console=console, folder=folder / "save" / MODEL, logs=folder / "log")
    shutil.rmtree(folder / "save")


def test_only_the_first_process_writes(trained):
    saved = {f"{name}.pdparams" for name in ("epoch_1", "epoch_2", "last", "best")}
    states = {"epoch_1.pdopt", "epoch_2.pdopt"}
    assert set(os.listdir(trained.folder)) - {"curves.png"} == {*saved, *states, "log.jsonl"}
    assert set(os.listdir(trained.folder.parent)) <= {MODEL, f".{MODEL}.lock"}
    kinds = [next(iter(line)) for line in log_of(trained.folder)]
    assert kinds == ["options", "epoch", "epoch", "summary"]
    for epoch in (1, 2):
        assert trained.console.count(f"\nEpoch {epoch} training ends") == 1


def test_the_log_says_the_mean_loss_of_all_processes(trained):
    losses = {1: 0.0, 2: 0.0}
    for rank in (0, 1):
        printed = re.findall(
            r"^Epoch (\d)\[(\d+)/16\]: loss:([\d.]+)", (trained.logs / f"workerlog.{rank}").read_text(), re.M
        )
        assert [int(seen) for _, seen, _ in printed] == [6, 12, 16] * 2
        for epoch, seen, loss in printed:
            losses[int(epoch)] += float(loss) * (4 if seen == "16" else 6) / 16 / 2
    assert [line["loss"] for line in epochs_of(trained.folder)] == pytest.approx([*losses.values()], abs=1e-5)


def test_the_log_says_the_figures_of_the_weights_that_were_saved(trained, evaluate, tmp_path):
    """Batch norm has the statistics of the first process, in all of them."""
    for line in epochs_of(trained.folder):
        figures, _ = evaluate(trained.folder / f"epoch_{line['epoch']}.pdparams", tmp_path, 2)
        for name in ("mAP", "CF1", "OF1"):
            assert figures[name] == pytest.approx(line["metrics"][name], abs=1e-9)
        assert figures["ap"] == pytest.approx(line["metrics"]["ap"], abs=1e-9)


# --- a process that is killed


SAVED = f"save/{MODEL}/epoch_2_iter_1.pdparams"


def wait_for(path, launch):
    """Until the file is there, which a launch that lives so long writes."""
    end = time.monotonic() + SECONDS
    while not path.exists():
        assert launch.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)


def kill(rank, shapes, folder, processes=2):
    """Kill a process in the second epoch of a training that saves after each step."""
    argv = recipe(shapes, folder / "save", "--save_every", 1)
    with launched("train", *argv, folder=folder, processes=processes) as process:
        wait_for(folder / SAVED, process)
        pids = ranks_of(process)
        os.kill(pids[rank], signal.SIGKILL)
        start = time.monotonic()
        process.wait(SECONDS)
        return SimpleNamespace(
            pids=pids,
            code=process.returncode,
            seconds=time.monotonic() - start,
            console=(folder / "console").read_text(),
            folder=folder / "save" / MODEL,
        )


@pytest.fixture(scope="module")
def killed(shapes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    yield kill(1, shapes, folder)
    shutil.rmtree(folder / "save")


def assert_all_ended(killed, rank):
    assert killed.code not in (0, 2)
    assert killed.seconds < 20
    assert not [pid for pid in killed.pids.values() if Path(f"/proc/{pid}").exists()]
    assert re.search(rf"^Container rank {rank} status failed .* code -9 ", killed.console, re.M)
    assert "terminate called" not in killed.console


def test_a_killed_process_ends_all_and_is_named(killed):
    assert sorted(killed.pids) == [0, 1]
    assert_all_ended(killed, rank=1)


@pytest.mark.slow
@pytest.mark.parametrize(("rank", "processes"), [(0, 2), (2, 4), (0, 4)])
def test_whichever_process_is_killed_is_named(shapes, tmp_path, save_dir, rank, processes):
    assert_all_ended(kill(rank, shapes, tmp_path, processes), rank)


@pytest.mark.slow
def test_processes_on_another_machine_end_as_well(shapes, tmp_path, save_dir):
    """Two launchers meet on one machine, as those of two machines would."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        master = f"127.0.0.1:{free.getsockname()[1]}"
    nodes = ["--nnodes", 2, "--master", master, "--rank"]
    argv = ["train", *recipe(shapes, save_dir, "--save_every", 1)]
    first, second = tmp_path / "first", tmp_path / "second"
    with (
        launched(*argv, folder=first, processes=1, more=[*nodes, 0]) as one,
        launched(*argv, folder=second, processes=1, more=[*nodes, 1]) as other,
    ):
        wait_for(tmp_path / SAVED, one)
        assert [*ranks_of(one), *ranks_of(other)] == [0, 1]
        os.kill(ranks_of(other)[1], signal.SIGKILL)
        assert other.wait(20) not in (0, 2)
        assert one.wait(20 + PATIENCE) not in (0, 2)
    assert re.search("^Container rank 0 status failed .* code -9 ", (second / "console").read_text(), re.M)
    told = r"^error: process 0 of 2 has lost another one and ends .*; a training goes on with --resume auto$"
    assert re.search(told, (first / "console").read_text(), re.M)


@pytest.fixture(scope="module")
def gone_on(killed, shapes, tmp_path_factory):
    """What was killed, resumed under launch: its console, and how many steps of epoch 2 had been saved."""
    _, about = read_checkpoint(killed.folder / "last.pdparams")
    assert about["epoch"] == 2
    assert about["iteration"] < STEPS
    argv = recipe(shapes, killed.folder.parent, "--resume", "auto")
    code, console = launch("train", *argv, folder=tmp_path_factory.mktemp("gone_on"))
    assert code == 0, console
    return SimpleNamespace(console=console, steps=about["iteration"])


def test_after_a_kill_it_goes_on_as_if_nothing_had_happened(gone_on, killed, trained):
    assert f"going on in epoch 2 after {gone_on.steps} iterations" in gone_on.console
    tensors, _ = read_checkpoint(killed.folder / "last.pdparams")
    others, _ = read_checkpoint(trained.folder / "last.pdparams")
    for name, value in others.items():
        np.testing.assert_array_equal(tensors[name], value, err_msg=name)


def test_after_a_kill_the_log_is_that_of_one_run(gone_on, killed, trained):
    ours, expected = epochs_of(killed.folder), epochs_of(trained.folder)
    losses = [line.pop("loss") for line in expected]  # their sums are in another order
    assert [line.pop("loss") for line in ours] == pytest.approx(losses, rel=1e-12)
    assert ours == expected


# --- val


@pytest.mark.parametrize(
    ("processes", "photos"),
    [(2, 7), *(pytest.param(*two, marks=pytest.mark.slow) for two in [(2, 9), (4, 7), (4, 9)])],
)
def test_evaluation_is_that_of_one_process(
    trained, shapes, evaluate, tmp_path, write_labels, processes, photos
):
    records = json.loads((shapes / "train.json").read_text())[:photos]
    data = write_labels(tmp_path / "data", records, records)
    checkpoint = trained.folder / "last.pdparams"
    options = ["--dataset", data, "--batch_size", 3]
    argv = ["--load_from", checkpoint, "--out", tmp_path / "together", *options]
    code, console = launch("val", *argv, folder=tmp_path, processes=processes)
    assert code == 0, console
    expected, arrays = evaluate(checkpoint, tmp_path / "alone", processes, *options)
    figures, ours = results_of(tmp_path / "together")
    assert set(ours) == set(arrays)
    for name, values in arrays.items():
        np.testing.assert_array_equal(ours[name], values)
    assert len(ours["paths"]) == photos
    assert len(np.unique(ours["scores"])) > photos  # they tell photos apart
    assert figures["mAP"] == pytest.approx(expected["mAP"], abs=1e-9)
    logs = [(tmp_path / f"log/workerlog.{rank}").read_text() for rank in range(processes)]
    assert [log.count("wrote ") for log in logs] == [1] + [0] * (processes - 1)


# --- mistakes


@pytest.mark.slow
def test_a_mistake_is_told_in_one_line(shapes, tmp_path):
    argv = recipe(shapes, tmp_path / "save", "--freeze_backbone")
    code, console = launch("train", *argv, folder=tmp_path)
    assert code != 0
    told = "error: --freeze_backbone trains in one process; start it without paddle.distributed.launch"
    assert told in console.splitlines()
    assert "Traceback" not in console
    assert not (tmp_path / "save").exists()


@pytest.mark.slow
def test_a_mistake_that_another_process_meets_is_told(shapes, tmp_path, save_dir, write_labels):
    records = json.loads((shapes / "train.json").read_text())[:3]
    second = epoch_order(3, shuffle=True, seed=0, epoch=1)[1]  # dealt out to rank 1
    (tmp_path / "broken.png").write_bytes(b"no photo")
    records[second]["img_path"] = str(tmp_path / "broken.png")
    data = write_labels(tmp_path / "data", records, records)
    argv = recipe(data, save_dir, "--seed", 0)
    code, console = launch("train", *argv, folder=tmp_path)
    assert code != 0
    assert re.search("^error: cannot read photo .*broken.png", console, re.M)
    assert re.search("^Container rank 1 status failed .* code 2 ", console, re.M)
    assert "Traceback" not in console
