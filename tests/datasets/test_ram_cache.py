"""Photos in memory: read once, the same as without, and refused before the memory is full."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from datasets import cache
from datasets.cache import SAMPLE, SHARE, RamCache, available_memory
from utils.errors import UserError

GB = 10**9


@pytest.fixture
def memory(monkeypatch):
    """memory(bytes): so much is available, from now on."""
    return lambda size: monkeypatch.setattr(cache, "available_memory", lambda: size)


class Photos:
    """read(index): a 10 x 10 array of the number (modulo 256); counts the calls."""

    def __init__(self):
        self.calls = []

    def read(self, index):
        self.calls.append(index)
        return np.full((10, 10), index % 256, np.uint8)


def test_every_photo_is_read_once(memory):
    memory(GB)
    photos = Photos()
    read = RamCache().keep(photos.read, 100)
    for _ in range(3):
        for row in np.arange(100):  # rows of the records are NumPy's numbers
            assert read(row).tolist() == np.full((10, 10), row).tolist()
    assert sorted(photos.calls) == list(range(100))


def test_many_threads_get_the_same(memory):
    memory(GB)
    read = RamCache().keep(Photos().read, 200)
    rows = np.random.default_rng(0).integers(0, 200, 2000)
    with ThreadPoolExecutor(8) as pool:
        assert [photo[0, 0] for photo in pool.map(read, rows)] == rows.tolist()


def test_a_set_that_does_not_fit_is_refused_after_few_photos(memory):
    memory(GB)
    photos = Photos()
    with pytest.raises(UserError, match=r"20000000 photos take some 2\.0 GB.* 0\.5 GB may be used.*--cache"):
        RamCache().keep(photos.read, 20_000_000)
    assert len(photos.calls) == SAMPLE


@pytest.mark.parametrize("photo", [np.zeros((20, 30, 4), np.uint8), Image.new("RGB", (30, 20))])
def test_what_just_fits_is_kept(memory, photo):
    """An array counts by its bytes, a Pillow image with four a pixel."""
    memory(30 * 20 * 4 * 10 / SHARE)
    assert RamCache().keep(lambda index: photo, 10)(0) is photo
    with pytest.raises(UserError):
        RamCache().keep(lambda index: photo, 11)


def test_photos_of_many_sizes_count_by_their_mean(memory):
    memory(1000 * 50 / SHARE * 1.1)
    sizes = np.linspace(0, 100, 1000)
    RamCache().keep(lambda index: np.zeros(int(sizes[index]), np.uint8), 1000)
    memory(1000 * 50 / SHARE * 0.9)
    with pytest.raises(UserError):
        RamCache().keep(lambda index: np.zeros(int(sizes[index]), np.uint8), 1000)


def test_loaders_share_the_memory_and_so_do_processes(memory):
    memory(2 * 10_000 / SHARE)
    both = RamCache()
    both.keep(Photos().read, 100)
    both.keep(Photos().read, 100)
    with pytest.raises(UserError, match=r"0\.0 GB may be used"):
        both.keep(Photos().read, 1)
    RamCache(processes=2).keep(Photos().read, 100)
    with pytest.raises(UserError):
        RamCache(processes=2).keep(Photos().read, 101)


def test_an_unreadable_photo_is_told():
    def read(index):
        raise UserError(f"cannot read photo {index}")

    with pytest.raises(UserError, match="cannot read photo 0"):
        RamCache().keep(read, 3)


# --- how much memory there is


@pytest.fixture
def system(tmp_path):
    """system(maximum): /proc/meminfo with 3000 kB available, a cgroup of that maximum; as arguments."""

    def write(maximum):
        (tmp_path / "meminfo").write_text("MemTotal:  9000 kB\nMemAvailable:  3000 kB\nHugePages_Total: 0\n")
        (tmp_path / "memory.max").write_text(f"{maximum}\n")
        (tmp_path / "memory.current").write_text("1500000\n")
        (tmp_path / "memory.stat").write_text("anon 900000\nfile 600000\ninactive_file 500000\n")
        return tmp_path / "meminfo", tmp_path

    return write


@pytest.mark.parametrize(
    ("maximum", "available"), [("max", 3_072_000), (10**12, 3_072_000), (3_500_000, 2_500_000)]
)
def test_the_available_memory_is_the_machines_or_the_containers(system, maximum, available):
    assert available_memory(*system(maximum)) == available


def test_a_system_that_does_not_say_refuses_nothing(tmp_path):
    assert available_memory(tmp_path / "meminfo", tmp_path) == np.inf


def test_this_machine_has_memory():
    assert available_memory() > 10**6
