"""What the processor at hand has."""

import os
from pathlib import Path


def cores():
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_of_a_process():
    """The cores, shared among the processes that paddle.distributed.launch started on this machine."""
    return max(1, cores() // int(os.environ.get("PADDLE_LOCAL_SIZE", 1)))


def has_bfloat16():
    """Whether the processor multiplies bfloat16 itself; emulated, it would be slower than float32."""
    return bool({"avx512_bf16", "amx_bf16"} & _words())


def is_amd_with_avx2():
    """Whether Intel's MKL needs to be told that the processor knows AVX2."""
    return {"AuthenticAMD", "avx2"} <= _words()


def _words():
    cpuinfo = Path("/proc/cpuinfo")
    return set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
