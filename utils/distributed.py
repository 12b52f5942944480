"""Several processes, one a GPU, that python -m paddle.distributed.launch started together."""

import os
import sys
import time
from dataclasses import dataclass
from functools import partial

import numpy as np
import paddle
import paddle.distributed as dist

from models import statistics
from utils.errors import printable


@dataclass(frozen=True)
class Processes:
    """This process among `world` ones; rank 0 is the one that writes and prints."""

    rank: int = 0
    world: int = 1

    @property
    def first(self):
        """Whether this is the process that writes."""
        return self.rank == 0

    def sum(self, array):
        """The sum of an array over all processes, in each of them."""
        if self.world == 1:
            return array
        total = paddle.to_tensor(array)
        dist.all_reduce(total)
        return total.numpy()

    def mean(self, value):
        """The mean of a number over all processes, in each of them."""
        return float(self.sum(np.array(value))) / self.world

    def from_first(self, value):
        """What rank 0 gives, a picklable value, in all processes."""
        if self.world == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def same_statistics(self, model):
        """Give batch norm everywhere the statistics of rank 0; each process has seen its own photos."""
        if self.world > 1:
            for value in statistics(model):
                dist.broadcast(value, src=0)


ALONE = Processes()
PATIENCE = 10  # seconds; the launcher looks every second


def join_processes():
    """Meet the other processes of a launch. After choose_device(); without a launch there is one process."""
    if int(os.environ.get("PADDLE_TRAINERS_NUM", 1)) == 1:
        return ALONE
    if paddle.get_device() == "cpu":  # where there are GPUs, the launcher does not say so
        os.environ["PADDLE_DISTRI_BACKEND"] = "gloo"
    dist.init_parallel_env()
    processes = Processes(dist.get_rank(), dist.get_world_size())
    sys.excepthook = partial(_tell_of_lost, processes)
    return processes


def sync_batch_norm(model):
    """The model with a batch norm that takes the photos of all processes together."""
    return paddle.nn.SyncBatchNorm.convert_sync_batchnorm(model)


def _tell_of_lost(processes, kind, error, trace):
    """The excepthook of one process among several: that another one has ended is told in one line.

    Then it waits to be ended: the launcher names the process that it finds ended, and ends the others. It
    shall find the first one.
    """
    if "gloo/transport" not in str(error):
        sys.__excepthook__(kind, error, trace)
        return
    told = f"process {processes.rank} of {processes.world} has lost another one and ends ({error})"
    print(f"error: {printable(told)}; a training goes on with --resume auto", file=sys.stderr, flush=True)
    time.sleep(PATIENCE)
