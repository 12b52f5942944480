"""The device and the seed of Paddle's draws."""

import platform
import resource

import numpy as np
import paddle
import pytest

from utils.device import choose_device
from utils.errors import UserError

HAS_GPU = paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count() > 0
without_gpu = pytest.mark.skipif(HAS_GPU, reason="this machine has a GPU")


@pytest.fixture(autouse=True)
def _device_as_before():
    before = paddle.device.get_device()
    yield
    paddle.set_device(before)


@without_gpu
def test_a_gpu_that_is_not_there(monkeypatch):  # fault 34
    with pytest.raises(UserError, match="--device cpu"):
        choose_device("gpu")


@without_gpu
def test_auto_is_the_cpu_without_a_gpu():  # fault 34
    assert choose_device("auto") == "cpu"
    assert paddle.device.get_device() == "cpu"


@pytest.mark.skipif(not HAS_GPU, reason="no GPU")
def test_auto_is_the_gpu_where_there_is_one():
    assert choose_device("auto") == "gpu"
    assert paddle.device.get_device().startswith("gpu")


def test_cpu_can_be_asked_for():
    assert choose_device("cpu") == "cpu"
    assert paddle.device.get_device() == "cpu"


def weights(seed):
    choose_device("cpu", seed)
    return paddle.nn.Conv2D(3, 8, 3).weight.numpy()


def test_seed_decides_the_weights():  # fault 18
    assert np.array_equal(weights(5), weights(5))
    assert not np.array_equal(weights(5), weights(6))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone is told to keep freed memory")
def test_a_cpu_keeps_freed_memory_for_the_next_step():
    x = paddle.ones([16, 1024, 1024])  # 64 MiB: 16,384 pages

    def new_pages():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        (x + 1).numpy()
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    choose_device("cpu")
    assert [new_pages() for _ in range(4)][-1] < 1000
