"""Several processes, one a GPU, that python -m paddle.distributed.launch started together."""

import os
from dataclasses import dataclass

import paddle
import paddle.distributed as dist

from models import statistics


@dataclass(frozen=True)
class Processes:
    """This process among `world` ones; rank 0 is the one that writes and prints."""

    rank: int = 0
    world: int = 1

    @property
    def first(self):
        return self.rank == 0

    def sum(self, array):
        """The sum of an array over all processes, in each of them."""
        if self.world == 1:
            return array
        total = paddle.to_tensor(array)
        dist.all_reduce(total)
        return total.numpy()

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


def join_processes():
    """Meet the other processes of a launch. After choose_device(); without a launch there is one process."""
    if int(os.environ.get("PADDLE_TRAINERS_NUM", 1)) == 1:
        return ALONE
    dist.init_parallel_env()
    return Processes(dist.get_rank(), dist.get_world_size())


def sync_batch_norm(model):
    """The model with a batch norm that takes the photos of all processes together."""
    return paddle.nn.SyncBatchNorm.convert_sync_batchnorm(model)
