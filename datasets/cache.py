"""Photos kept in memory from one epoch to the next: --cache ram."""

import functools
from pathlib import Path

import numpy as np

from utils.errors import UserError

SHARE = 0.5  # of the memory that is available at the start; the other half is for the training itself
SAMPLE = 32  # photos that stand for the size of all


class RamCache:
    """The memory that the loaders of a run may fill with photos.

    processes: how many of them share the machine's memory, each with photos of its own.
    """

    def __init__(self, processes=1):
        self.left = SHARE * available_memory() / processes  # bytes

    def keep(self, read, count):
        """`read`, but what it gives for each of 0..count-1 is kept: a Pillow image in RGB, or an array.

        The function may be called by several threads. Raises UserError when not all of
        them will fit, judging by SAMPLE of them; these are read at once.
        """
        kept = functools.cache(read)
        rows = np.linspace(0, count - 1, min(count, SAMPLE), dtype=int)
        needed = count * np.mean([_bytes(kept(int(row))) for row in rows])
        if needed > self.left:
            raise UserError(
                f"--cache ram: {count} photos take some {needed / 1e9:.1f} GB, of the memory "
                f"{self.left / 1e9:.1f} GB may be used for them; free some, or leave --cache out"
            )
        self.left -= needed
        return lambda row: kept(int(row))  # for functools, a NumPy 3 and a 3 are two


def available_memory(meminfo=Path("/proc/meminfo"), cgroup=Path("/sys/fs/cgroup")):
    """Bytes that can be had without swapping, at most what a container allows; inf where no file says so."""
    available = np.inf
    if meminfo.exists():
        available = _values(meminfo).get("MemAvailable:", np.inf) * 1024
    limit = cgroup / "memory.max"
    if limit.exists() and limit.read_text().strip() != "max":
        reclaimable = _values(cgroup / "memory.stat")["inactive_file"]  # files that were read
        used = int((cgroup / "memory.current").read_text()) - reclaimable
        available = min(available, int(limit.read_text()) - used)
    return available


def _values(path):
    """Name -> number of a file with lines `name number ...`."""
    return {words[0]: int(words[1]) for words in map(str.split, path.read_text().splitlines())}


def _bytes(photo):
    return photo.nbytes if isinstance(photo, np.ndarray) else 4 * photo.width * photo.height  # Pillow: RGBX
