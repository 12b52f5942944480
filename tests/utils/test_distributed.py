"""Real processes that meet over gloo: what they compute together is what one process computes alone.

This file is also what each of the processes runs: python test_distributed.py FOLDER.
"""

import os
import re
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.vision.models.resnet import BasicBlock

from datasets.loader import Batches, Share
from datasets.records import Records
from models import CSRAModel, statistics
from models.csra import MHA
from models.recompute import recompute_blocks
from utils import distributed
from utils.device import choose_device
from utils.distributed import ALONE, Processes, join_processes
from utils.learner import Learner, make_optimizer

REPO = Path(__file__).resolve().parents[2]
BATCH = 2
CASES = {  # photos: 9 leave one for the last step, 13 leave more batches to rank 0 than to others
    "plain": {"photos": 9},
    "missing": {"photos": 9, "missing": True},
    "accumulated": {"photos": 13, "accum_steps": 2, "missing": True},
    "recomputed": {"photos": 9, "recompute": True, "missing": True},
    "both": {"photos": 13, "accum_steps": 2, "recompute": True},
    "clipped": {"photos": 13, "accum_steps": 2, "clip": 0.05},
    "in the pass": {"photos": 9, "missing": True, "after": False},
    "in the last pass": {"photos": 13, "accum_steps": 2, "missing": True, "after": False},
}


class Drawn(Batches):
    """Photos of noise, 16 px, that need no files."""

    def _inputs(self, rows, epoch):
        return (np.random.default_rng(row).integers(0, 256, (16, 16, 3), np.uint8) for row in rows)


def drawn(photos, batch_size, share, missing=False):
    """A loader; with `missing` two labels of three are unknown in odd rows, which rank 1 of 2 gets."""
    labels = np.random.default_rng(1).integers(0, 2, (photos, 3)).astype("int8")
    if missing:
        labels[1::2, :2] = -1
    return Drawn(Records([""] * photos, labels, [None] * photos), batch_size, share=share)


def tiny_model(seed=0):
    """In training mode, but for its batch norm: the statistics of a batch depend on how it is dealt out."""
    paddle.seed(seed)
    model = CSRAModel(nn.Sequential(nn.Conv2D(3, 4, 3, stride=4), BasicBlock(4, 4)), MHA(2, 0.5, 4, 3))
    for layer in model.sublayers():
        if isinstance(layer, nn.BatchNorm2D):
            layer.eval()
    return model


def train(
    processes, batch_size, photos, accum_steps=1, missing=False, recompute=False, clip=None, after=True
):
    """(gradients (steps, P), losses (steps,), weights (P,)) of an epoch; P counts all parameters.

    With `after` False gradients are averaged within the backward pass, which is for GPUs.
    """
    model = tiny_model()
    if recompute:
        recompute_blocks(model.backbone)
    optimizer = make_optimizer(model, momentum=0.9, weight_decay=0.01)
    normalization = {"mean": [0.5] * 3, "std": [0.3] * 3}
    learner = Learner(model, optimizer, normalization, clip=clip, processes=processes, averaged_after=after)
    gradients, step = [], optimizer.step

    def watched():
        gradients.append(flat(value.grad for value in trained(model)))
        step()

    optimizer.step = watched
    loader = drawn(photos, batch_size, Share(processes.rank, processes.world, accum_steps), missing)
    losses = [learner.step(known, batches, lr=0.05) for known, batches in loader.steps(epoch=1)]
    return np.stack(gradients), np.array(losses), flat(trained(model))


def trained(model):
    return [value for value in model.parameters() if not value.stop_gradient]


def flat(tensors):
    return np.concatenate([value.numpy().ravel() for value in tensors])


# --- what each of the processes runs


def work(folder):
    """Write what this process computes to FOLDER/RANK.npz."""
    choose_device("cpu")
    processes = join_processes()
    rank = processes.rank
    found = {"rank and world": [rank, processes.world]}
    for kind in ("int32", "float32", "float64"):
        found[f"sum {kind}"] = processes.sum(np.array([[rank + 1], [0]], kind))
    found["sum of numbers"] = processes.sum(np.array(0.1 * (rank + 1)))
    given = {"tensors": {"w": np.arange(3.0)}, "words": ["a", None]} if processes.first else None
    found["from first"] = repr(processes.from_first(given))
    model = tiny_model(seed=rank)
    for value in statistics(model):
        value.set_value(value + rank)
    found["weights before"] = flat(trained(model))
    processes.same_statistics(model)
    found["weights after"] = flat(trained(model))
    found["statistics"] = flat(statistics(model))
    for name, case in CASES.items():
        kinds = ("gradients", "losses", "weights")
        for kind, value in zip(kinds, train(processes, BATCH, **case), strict=True):
            found[f"{name}: {kind}"] = value
    np.savez(Path(folder) / f"{rank}.npz", **found)
    if rank == 1:
        os._exit(0)  # it is gone, as if it had been killed
    distributed.PATIENCE = 0
    processes.sum(np.zeros(1))


if __name__ == "__main__":
    work(sys.argv[1])


# --- starting them


def free_endpoints(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    endpoints = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return endpoints


def run_together(world, folder):
    """Run work() in `world` processes; returns what each has found. Fails instead of hanging."""
    master, *endpoints = free_endpoints(world + 1)
    common = {
        "PYTHONPATH": str(REPO),
        "PADDLE_MASTER": master,
        "PADDLE_TRAINER_ENDPOINTS": ",".join(endpoints),
        "PADDLE_TRAINERS_NUM": str(world),
    }
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, str(folder)],
            env={**os.environ, **common, "PADDLE_TRAINER_ID": str(rank), "PADDLE_CURRENT_ENDPOINT": endpoint},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank, endpoint in enumerate(endpoints)
    ]
    try:
        said = [process.communicate(timeout=90)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [1, 0, *[1] * (world - 2)], said[0]
    return [{**np.load(folder / f"{rank}.npz"), "said": said[rank]} for rank in range(world)]


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.slow)])
def together(request, tmp_path_factory):
    """What each of several processes has found."""
    return run_together(request.param, tmp_path_factory.mktemp("together"))


@cache
def alone(name, world):
    """(gradients, losses, weights) of one process with the batches of `world` ones."""
    case = {**CASES[name]}
    batch_size = BATCH * world * case.pop("accum_steps", 1)
    return train(ALONE, batch_size, **case)


def distance(ours, expected):
    """The largest difference, of what is 1 at most."""
    return np.abs(ours - expected).max() / np.abs(expected).max()


# --- tests


@pytest.mark.parametrize("name", CASES)
def test_gradients_of_a_global_batch_are_those_of_one_process(together, name):
    expected, _, weights = alone(name, len(together))
    for found in together:
        assert found[f"{name}: gradients"].shape == expected.shape
        for ours, its in zip(found[f"{name}: gradients"], expected, strict=True):
            assert distance(ours, its) < 1e-5
        assert distance(found[f"{name}: weights"], weights) < 1e-5
        np.testing.assert_array_equal(found[f"{name}: weights"], together[0][f"{name}: weights"])


@pytest.mark.parametrize("name", CASES)
def test_the_mean_of_the_processes_losses_is_that_of_one_process(together, name):
    _, expected, _ = alone(name, len(together))
    np.testing.assert_allclose(
        np.mean([found[f"{name}: losses"] for found in together], axis=0), expected, rtol=1e-5
    )


def test_the_cases_are_what_they_are_for():
    """A process without a photo of its own, one with fewer batches, one with fewer labels."""
    last = [list(drawn(9, BATCH, Share(rank, 2)).steps(1))[-1][1] for rank in (0, 1)]
    assert [(batches[0].labels >= 0).sum() for batches in last] == [3, 0]
    fewer = [list(drawn(13, BATCH, Share(rank, 2, 2)).steps(1))[-1][1] for rank in (0, 1)]
    assert [len(batches) for batches in fewer] == [2, 1]
    first = [next(drawn(9, BATCH, Share(rank, 2), missing=True).steps(1)) for rank in (0, 1)]
    assert [(batches[0].labels >= 0).sum() for _, batches in first] == [6, 2]


def test_clipping_acts_on_the_gradient_of_all_processes(together):
    for gradients in (found["clipped: gradients"] for found in together):
        np.testing.assert_allclose(np.linalg.norm(gradients, axis=1), CASES["clipped"]["clip"], rtol=1e-4)


def test_ranks_and_sums(together):
    world = len(together)
    total = world * (world + 1) // 2
    for rank, found in enumerate(together):
        assert found["rank and world"].tolist() == [rank, world]
        for kind in ("int32", "float32", "float64"):
            assert found[f"sum {kind}"].tolist() == [[total], [0]]
            assert found[f"sum {kind}"].dtype == kind
        assert float(found["sum of numbers"]) == pytest.approx(0.1 * total, abs=1e-12)


def test_all_get_what_the_first_gives(together):
    given = repr({"tensors": {"w": np.arange(3.0)}, "words": ["a", None]})
    assert [str(found["from first"]) for found in together] == [given] * len(together)


def test_statistics_become_those_of_the_first_and_weights_stay(together):
    expected = flat(statistics(tiny_model(seed=0)))
    for found in together:
        np.testing.assert_array_equal(found["statistics"], expected)
        np.testing.assert_array_equal(found["weights after"], found["weights before"])


def test_one_that_loses_another_says_so_in_one_line(together):
    assert "Traceback" not in together[0]["said"]
    told = rf"^error: process 0 of {len(together)} has lost another one and ends \(.+\); a training goes on"
    assert len(re.findall(told, together[0]["said"], re.M)) == 1


def test_alone_there_is_nobody_to_ask(monkeypatch):
    monkeypatch.delenv("PADDLE_TRAINERS_NUM", raising=False)
    processes = join_processes()
    assert processes == Processes(rank=0, world=1)
    assert processes.first
    array = np.arange(3)
    assert processes.sum(array) is array
    assert processes.from_first(array) is array
