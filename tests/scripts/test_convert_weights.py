"""convert_weights.py, and the scripts on PyTorch's files, as a user without torch runs them."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

from datasets.spec import SPECS
from models import build_model
from utils.checkpoint import load_checkpoint

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory):
    """An environment in which `import torch` fails, whatever is installed."""
    folder = tmp_path_factory.mktemp("no_torch")
    (folder / "torch.py").write_text("raise ImportError('torch must not be needed')\n")
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.fixture
def run(without_torch, tmp_path):
    """run(script, options ...): its finished process, in a folder that is emptied afterwards."""

    def call(script, *argv):
        return subprocess.run(
            [sys.executable, REPO / script, *map(str, argv)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=without_torch,
        )

    yield call
    shutil.rmtree(tmp_path)  # weights are large


@pytest.fixture
def original_tensors():
    """Weights in the original's names: ResNet-18, two heads, 20 classes."""
    paddle.seed(5)
    tensors = {}
    for name, value in build_model("resnet18", 20, num_heads=2).state_dict().items():
        name = name.removeprefix("backbone.").replace("_mean", "running_mean")
        tensors[f"module.{name.replace('_variance', 'running_var')}"] = value.numpy()
    return tensors


@pytest.fixture
def original(save_pth, original_tensors):
    """A file as the original saves it."""
    return save_pth("original.pth", original_tensors)


TOLD = ("--model", "resnet18", "--lam", 0.5, "--img_size", 64, "--dataset", "voc07")


def test_to_paddle_to_safetensors_and_back(run, original, tmp_path):
    done = run("utils/convert_weights.py", original, "x.pdparams", *TOLD, "--verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "wrote x.pdparams: 102 tensors of resnet18, read back equal",
        "scores of 2 random pictures differ by 0.0e+00 at most",
    ]
    for source, target in (("x.pdparams", "y.safetensors"), ("y.safetensors", "z.pdparams")):
        done = run("utils/convert_weights.py", source, target, "--verify")
        assert done.returncode == 0, done.stderr
        assert "taken:" not in done.stdout  # the description travels
    assert (tmp_path / "x.pdparams").read_bytes() == (tmp_path / "z.pdparams").read_bytes()


def test_predict_with_a_file_of_the_original(run, original, make_photo, tmp_path):
    photos = [make_photo(f"{i}.png", 70, 50, seed=i) for i in range(3)]
    done = run("predict.py", "--load_from", original, *TOLD, "--img_dir", *photos, "--out", "a.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert run("utils/convert_weights.py", original, "x.pdparams", *TOLD).returncode == 0
    done = run("predict.py", "--load_from", "x.pdparams", "--img_dir", *photos, "--out", "b.json")
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / name).read_text()) for name in ("a.json", "b.json"))
    assert {entry.pop("checkpoint") for entry in first} == {original}
    assert {entry.pop("checkpoint") for entry in second} == {"x.pdparams"}
    assert first == second
    assert np.ptp([list(entry["scores"].values()) for entry in first]) > 0


def test_val_with_a_file_of_the_original(run, original, make_photo, tmp_path):
    targets = [[int(c in (i, 5)) for c in range(20)] for i in range(3)]
    records = [
        {"img_path": make_photo(f"{i}.png", seed=i), "target": target} for i, target in enumerate(targets)
    ]
    (tmp_path / "test.json").write_text(json.dumps(records))
    about = {"classes": SPECS["voc07"].classes, "test": "test.json"}
    (tmp_path / "classes.json").write_text(json.dumps(about))
    done = run("val.py", "--load_from", original, *TOLD[:-1], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 photos" in done.stdout
    assert "mAP: " in done.stdout


MISTAKES = [
    (("gone.pth", "x.pdparams"), "cannot read gone.pth"),
    (("original.pth", "x.bin", *TOLD), "must end in .pdparams, .safetensors, .pth"),
    (("original.pth", "./original.pth", *TOLD), "the same file"),
    (("original.pth", "x.pth", *TOLD), "pip install torch"),
    (("original.pth", "x.pdparams", *TOLD, "--num_heads", 4), "--num_heads 4 contradicts"),
    (("original.pth",), "OUT"),
]


@pytest.mark.parametrize(("argv", "told"), MISTAKES)
def test_mistakes_write_nothing(run, original, tmp_path, argv, told):
    before = (tmp_path / "original.pth").read_bytes()
    done = run("utils/convert_weights.py", *argv)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["original.pth"]
    assert (tmp_path / "original.pth").read_bytes() == before


# --- float16


def test_float16_halves_the_file_and_rounds_the_weights(run, original, tmp_path):
    target = tmp_path / "half.pdparams"
    done = run("utils/convert_weights.py", original, target, *TOLD, "--float16", "--verify")
    assert (done.returncode, done.stderr) == (0, "")
    difference = re.search(r"scores of 2 random pictures differ by (\S+) at most", done.stdout)[1]
    assert 0 < float(difference) < 0.02
    assert os.path.getsize(target) == pytest.approx(os.path.getsize(original) / 2, rel=0.02)
    told = dict(model="resnet18", lam=0.5, img_size=64, dataset="voc07")
    model, _ = load_checkpoint(original, **told)
    half, description = load_checkpoint(target)
    assert {name: description[name] for name in told} == told
    for name, value in half.state_dict().items():
        expected = model.state_dict()[name].numpy().astype("float16").astype("float32")
        np.testing.assert_array_equal(value.numpy(), expected, err_msg=name)


def test_weights_beyond_float16_are_refused(run, original_tensors, save_pth, tmp_path):
    original_tensors["module.conv1.weight"][0, 0, 0, 0] = 1e6
    original = save_pth("original.pth", original_tensors)
    done = run("utils/convert_weights.py", original, "x.pdparams", *TOLD, "--float16")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "x.pdparams cannot be written in float16" in done.stderr
    assert os.listdir(tmp_path) == ["original.pth"]
