"""What tests of several scripts share: a drawn data set, a folder for checkpoints, mistakes."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image, ImageDraw

from utils.errors import run_script

CLASSES = {"red": (210, 40, 40), "green": (40, 180, 60), "blue": (40, 60, 210)}


def draw_photo(path, number, rng):
    """Squares in one to three colours; which ones follows from the number. Returns the target."""
    target = [(number % 7 + 1) >> bit & 1 for bit in range(3)]
    image = Image.fromarray(rng.integers(90, 150, (64, 64, 3), dtype=np.uint8))
    for color, present in zip(CLASSES.values(), target, strict=True):
        if present:
            x, y = (int(value) for value in rng.integers(0, 40, 2))
            ImageDraw.Draw(image).rectangle((x, y, x + 22, y + 22), fill=color)
    image.save(path)
    return target


@pytest.fixture(scope="session")
def write_labels():
    """write_labels(folder, train_records, test_records, classes): write the label files of a data set."""

    def write(folder, train_records, test_records, classes=tuple(CLASSES)):
        folder.mkdir(exist_ok=True)
        about = {"classes": list(classes), "train": "train.json", "test": "test.json"}
        for name, content in [("classes", about), ("train", train_records), ("test", test_records)]:
            (folder / f"{name}.json").write_text(json.dumps(content))
        return folder

    return write


@pytest.fixture(scope="session")
def shapes(tmp_path_factory, write_labels):
    """A folder with 24 photos of 64 px, train.json (16), test.json (8) and classes.json; only to be read."""
    folder = tmp_path_factory.mktemp("shapes")
    (folder / "photos").mkdir()
    rng = np.random.default_rng(0)
    records = []
    for number in range(24):
        path = folder / f"photos/{number:02}.png"
        records.append({"img_path": str(path), "target": draw_photo(path, number, rng)})
    return write_labels(folder, records[:16], records[16:])


@pytest.fixture
def save_dir(tmp_path):
    """Where a test's checkpoints go; they are large and removed at the end."""
    yield tmp_path / "save"
    shutil.rmtree(tmp_path / "save", ignore_errors=True)


@pytest.fixture
def ends_with_2(capfd):
    """A function: run a script in this process to its exit code 2, return its one line on standard error."""

    def run(module, *argv):
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            run_script(module.main, lambda: module.parse_args([*map(str, argv), "--device", "cpu"]))
        assert stop.value.code == 2
        error = capfd.readouterr().err
        assert error.startswith("error: ")
        assert error.count("\n") == 1
        return error

    return run


@pytest.fixture
def stop_after():
    """A function: (count, function) -> function, interrupted as by Ctrl-C when called more than count."""

    def stopping(count, function):
        calls = iter(range(count))

        def limited(*given):
            if next(calls, None) is None:
                raise KeyboardInterrupt
            return function(*given)

        return limited

    return stopping
