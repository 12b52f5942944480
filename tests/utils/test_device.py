"""The device and the seed of Paddle's draws."""

import ctypes

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


class Mallinfo(ctypes.Structure):
    """What glibc's mallinfo2 tells of the heap, in bytes."""

    _names = (
        "arena",
        "ordblks",
        "smblks",
        "hblks",
        "hblkhd",
        "usmblks",
        "fsmblks",
        "used",
        "free",
        "keepcost",
    )
    _fields_ = [(name, ctypes.c_size_t) for name in _names]


def heap():
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = Mallinfo
    return libc.mallinfo2()


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="glibc alone is told to keep memory")
def test_a_cpu_keeps_freed_memory_for_the_next_step():
    choose_device("cpu")
    before = heap()
    x = ctypes.create_string_buffer(64 << 20)
    with_x = heap()
    del x
    after = heap()
    assert with_x.hblkhd == before.hblkhd  # on the heap, not in pages of its own
    assert with_x.used - before.used > 63 << 20  # some KB of others may be freed meanwhile
    assert after.free > 63 << 20
    assert after.arena == with_x.arena  # nothing was given back
