"""What all tests share: golden data, small photos, and Paddle on the CPU."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from utils.device import choose_device

REPO = Path(__file__).resolve().parents[1]
GOLDEN = REPO / "tests/golden"  # figures of the original code, see the README in ../shared/golden
SHARED = REPO.parent / "shared"  # photos and larger references; not part of a clone

settings.register_profile("tests", deadline=None, database=None, derandomize=True, max_examples=50)
settings.load_profile("tests")


@pytest.fixture(scope="session", autouse=True)
def _cpu():
    choose_device("cpu")


@pytest.fixture(scope="session")
def golden():
    """golden(name): an .npz or .json file of tests/golden, read."""

    def read(name):
        path = GOLDEN / name
        return json.loads(path.read_text()) if path.suffix == ".json" else np.load(path)

    return read


@pytest.fixture(scope="session")
def shared_path():
    """shared_path(name): a path under ../shared; the test is skipped where that is absent."""

    def find(name):
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"needs ../shared/{name}, absent in this clone")
        return path

    return find


@pytest.fixture
def make_photo(tmp_path):
    """make_photo(name, width, height, seed): write a photo of noise to tmp_path, return its path as text."""

    def make(name, width=20, height=16, seed=0):
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
        return str(tmp_path / name)

    return make
