"""What all tests share: golden data, small photos, and Paddle on the CPU."""

import json
import os
import pickle
import shutil
import struct
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from utils.device import choose_device

REPO = Path(__file__).resolve().parents[1]
GOLDEN = REPO / "tests/golden"  # figures of the original code, see the README in ../shared/golden
SHARED = REPO.parent / "shared"  # photos and larger references; not part of a clone

ours = ModuleType("tests")  # iterative-stratification installs a package of this name, which hides ours
ours.__path__ = [str(REPO / "tests")]
sys.modules["tests"] = ours

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


@pytest.fixture(scope="session")
def chromium():
    """A headless Chromium, driven by Playwright; tests that need it are skipped where it is absent."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        assert not os.environ.get("NEEDS_CHROMIUM"), "NEEDS_CHROMIUM is set, but there is no chromium"
        pytest.skip("needs Chromium: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api")
    quiet = ("background-networking", "component-update", "sync", "gpu", "quic")  # it asks nobody anything
    flags = ["--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in quiet)]
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def web_page(chromium):
    """An empty page 1280 px wide; the test fails when the page says an error or asks another machine."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    wrong = []
    page.on("console", lambda said: said.type == "error" and wrong.append(said.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: _is_local(asked.url) or wrong.append(f"asked for {asked.url}"))
    yield page
    context.close()
    assert wrong == []


def _is_local(url):
    return url.startswith(("file:", "data:", "blob:", "about:", "http://127.0.0.1", "ws://127.0.0.1"))


@pytest.fixture
def make_photo(tmp_path):
    """make_photo(name, width, height, seed): write a photo of noise to tmp_path, return its path as text."""

    def make(name, width=20, height=16, seed=0):
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
        return str(tmp_path / name)

    return make


@pytest.fixture
def save_pth(tmp_path):
    """save_pth(name, content): write nested dicts, arrays and plain values as torch.save does; its path."""
    types = {"float32": "FloatStorage", "float16": "HalfStorage", "int64": "LongStorage"}

    def opcodes(value, storages):
        if isinstance(value, dict):
            items = b"".join(opcodes(k, storages) + opcodes(v, storages) for k, v in value.items())
            return b"}(" + items + b"u"
        if not isinstance(value, np.ndarray):
            return pickle.dumps(value, 2)[2:-1]  # without PROTO and STOP
        value = value.copy(order="C")
        key, strides = str(len(storages)), tuple(n // value.itemsize for n in value.strides)
        storages.append(value.tobytes())
        length = b"J" + struct.pack("<i", value.size)
        kind = f"ctorch\n{types[str(value.dtype)]}\n".encode()
        storage = b"(" + opcodes("storage", 0) + kind + opcodes(key, 0) + opcodes("cpu", 0) + length + b"tQ"
        view = b"K\x00" + opcodes(value.shape, 0) + opcodes(strides, 0) + b"\x89}t"
        return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + view + b"R"

    def save(name, content):
        path, storages = tmp_path / name, []
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", b"\x80\x02" + opcodes(content, storages) + b".")
            for key, raw in enumerate(storages):
                archive.writestr(f"archive/data/{key}", raw)
        return str(path)

    return save
