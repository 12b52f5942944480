"""Choose the device, and make Paddle's CPU mathematics use the CPU it runs on."""

import ctypes
import os
import sys

import paddle
from paddle.base import core

from utils.cpu import is_amd_with_avx2, threads_of_a_process
from utils.errors import UserError

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def choose_device(name, seed=0):
    """Set Paddle's device to `name`: "cpu", "gpu", or "auto" for a GPU where there is one; seed its draws.

    Returns "cpu" or "gpu". Raises UserError for a GPU that Paddle cannot use.
    """
    has_gpu = paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count() > 0
    if name == "gpu" and not has_gpu:
        raise UserError(
            "--device gpu, but this Paddle sees no GPU; install paddlepaddle-gpu or give --device cpu"
        )
    device = "gpu" if has_gpu and name != "cpu" else "cpu"
    if device == "cpu":
        _use_whole_cpu()
    paddle.set_device(device)
    paddle.seed(seed)
    return device


def _use_whole_cpu():
    """Paddle's CPU build computes on one thread, and on AMD without AVX; ask for all of both.

    Importing Paddle sets OMP_NUM_THREADS to 1 unless it is set; the processes of a launch
    share the cores. Its wheels bring Intel's MKL-ML of 2019, which takes its slowest path on
    other makers' CPUs unless MKL_DEBUG_CPU_TYPE says otherwise (5 is AVX2); it is read at
    the first matrix product.
    `python benchmarks/cpu_setup.py` measures both.
    """
    if os.environ.get("OMP_NUM_THREADS", "1") == "1":
        core.set_num_threads(threads_of_a_process())
    if is_amd_with_avx2():
        os.environ.setdefault("MKL_DEBUG_CPU_TYPE", "5")
    _keep_freed_memory()


def _keep_freed_memory():
    """Let glibc keep what Paddle frees instead of giving it back to the system after every operation.

    Each step would otherwise ask for the same pages again, and the system clear them again.
    Other C libraries are left as they are.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, -1)  # as unsigned: never
