"""Checkpoints: what is in them, what they refuse, and that a kill or a full disk never leaves half of one."""

import errno
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import paddle
import pytest

import models
from models import build_model
from models.vit import VisionTransformer
from utils import checkpoint, deploy
from utils.checkpoint import load_checkpoint, read_checkpoint, save_checkpoint, save_tuned
from utils.errors import UserError
from utils.safe_pickle import read_pickle
from utils.thresholds import choose_thresholds
from utils.weights import describe

REPO = Path(__file__).resolve().parents[2]
CLASSES = ["red", "green", "blue"]
DESCRIPTION = {
    "model": "resnet18",
    "num_heads": 2,
    "lam": 0.2,
    "num_cls": 3,
    "classes": CLASSES,
    "img_size": 96,
    "normalization": {"mean": [0.1, 0.2, 0.3], "std": [1.0, 0.5, 0.25]},
    "dataset": "shapes",
    "data_dir": "data/shapes",
    "averaged": False,
    "epoch": 7,
    "metrics": {"mAP": 0.5},
}


@pytest.fixture(scope="module")
def net():
    """A ResNet-18 with two heads whose batch-norm statistics are no longer those of the beginning."""
    paddle.set_device("cpu")
    paddle.seed(1)
    net = build_model("resnet18", 3, num_heads=2, lam=0.2)
    net.train()
    with paddle.no_grad():
        net(paddle.rand([2, 3, 64, 64]))
    net.eval()
    return net


@pytest.fixture(scope="module")
def saved(net, tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "epoch_7.pdparams"
    save_checkpoint(path, net, DESCRIPTION)
    yield path
    path.unlink()


def arrays_of(net):
    return {name: value.numpy() for name, value in net.state_dict().items()}


def same(first, second):
    return first.keys() == second.keys() and all(
        first[name].dtype == second[name].dtype and np.array_equal(first[name], second[name])
        for name in first
    )


def fails(path, **options):
    """The text of the UserError: one line naming the file."""
    with pytest.raises(UserError) as error:
        load_checkpoint(path, **options)
    text = str(error.value)
    assert "\n" not in text
    assert str(path) in text
    return text


# --- round trip


def test_round_trip_is_bit_for_bit(net, saved):
    loaded, description = load_checkpoint(saved)
    assert same(arrays_of(loaded), arrays_of(net))
    mean = loaded.state_dict()["backbone.bn1._mean"].numpy()
    assert np.abs(mean).max() > 0  # the statistics travel too
    assert not loaded.training
    assert {name: description[name] for name in DESCRIPTION} == DESCRIPTION


def test_paddle_itself_loads_the_file(net, saved):
    other = build_model("resnet18", 3, num_heads=2, lam=0.2)
    other.set_state_dict(paddle.load(str(saved)))
    assert same(arrays_of(other), arrays_of(net))


def test_what_a_checkpoint_says(saved):
    tensors, description = read_checkpoint(saved)
    assert set(description) == {*DESCRIPTION, "format", "versions"}
    assert description["format"] == 1
    assert {"python", "paddle", "numpy", "pillow", "git"} <= set(description["versions"])
    assert description["versions"]["paddle"] == paddle.__version__
    assert "csra" not in tensors


def test_no_1000_way_fc(saved):  # fault 2
    tensors, _ = read_checkpoint(saved)
    assert not [name for name in tensors if "fc" in name]
    assert max(array.shape[0] for array in tensors.values()) == 512


def test_nan_is_not_written(net, tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        save_checkpoint(tmp_path / "x.pdparams", net, {**DESCRIPTION, "metrics": {"mAP": float("nan")}})
    assert os.listdir(tmp_path) == []


# --- thresholds and temperature

TUNED = {"threshold": [0.25, 0.5, 0.75], "temperature": 1.5}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_tuned_copy_has_the_same_weights(net, tmp_path, dtype):
    source, path = tmp_path / "source.pdparams", tmp_path / "tuned.pdparams"
    save_checkpoint(source, net, DESCRIPTION, dtype)
    _, description = load_checkpoint(source)
    save_tuned(path, source, description, np.float32([0.25, 0.5, 0.75]), 1.5, "f1", {"photos": 9})
    before, _ = read_checkpoint(source)
    after, said = read_checkpoint(path)
    assert {value.dtype for value in before.values()} == {np.dtype(dtype)}
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert value.dtype == after[name].dtype
        assert value.tobytes() == after[name].tobytes()
    assert said == {**description, **TUNED, "tuned": {"goal": "f1", "tuned_on": {"photos": 9}}}
    loaded, described = load_checkpoint(path)
    assert same(arrays_of(loaded), arrays_of(load_checkpoint(source)[0]))
    assert choose_thresholds(None, "", described, CLASSES) == (TUNED["threshold"], 1.5)
    deployed = deploy.describe(described, path, "fp32", [], {})
    assert {name: deployed[name] for name in TUNED} == TUNED


def test_a_tuned_copy_of_bare_tensors_says_what_was_taken(bare, tmp_path):
    source, tensors = bare
    _, description = load_checkpoint(source, "resnet18", 1, 0.3, 20, 64, "voc07")
    save_tuned(tmp_path / "tuned.pdparams", source, description, 0.5, 2.0)
    loaded, described = load_checkpoint(tmp_path / "tuned.pdparams")
    assert same(arrays_of(loaded), tensors)
    assert (described["lam"], described["img_size"], described["temperature"]) == (0.3, 64, 2.0)
    assert described["threshold"] == [0.5] * 20


def test_a_converted_copy_keeps_thresholds(net, tmp_path):
    """As convert_weights.py writes it, and a later format of the weights: what is said stays."""
    save_checkpoint(tmp_path / "x.pdparams", net, {**DESCRIPTION, **TUNED}, "float16")
    _, description = load_checkpoint(tmp_path / "x.pdparams")
    assert {name: description[name] for name in TUNED} == TUNED


def test_nonsense_is_not_written_into_a_copy(saved, tmp_path):
    for threshold, temperature in (([0.5, 2, 0.5], 1), (0.5, 0)):
        with pytest.raises(ValueError, match="no thresholds"):
            save_tuned(tmp_path / "x.pdparams", saved, DESCRIPTION, threshold, temperature)
    assert os.listdir(tmp_path) == []


# --- options beside the file


@pytest.mark.parametrize(
    ("option", "given", "said"),
    [("model", "resnet34", "resnet18"), ("num_heads", 4, "2"), ("lam", 0.0, "0.2"), ("num_cls", 20, "3")],
)
def test_contradicting_options_name_both_values(saved, option, given, said):
    text = fails(saved, **{option: given})
    assert f"--{option} {given}" in text
    assert re.search(rf"\b{re.escape(said)}\b", text.replace(str(saved), ""))


def test_agreeing_options_and_another_size(saved):
    _, description = load_checkpoint(saved, "resnet18", 2, 0.2, 3, img_size=64, dataset="voc07")
    assert description["img_size"] == 64
    assert description["classes"] == CLASSES


# --- files of the seed's layout: tensors alone


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A file as the seed wrote it, for VOC, with the trunk's fc that nothing uses; and its tensors."""
    paddle.seed(2)
    net = build_model("resnet18", 20, num_heads=1, lam=0.3)
    path = tmp_path_factory.mktemp("bare") / "seed.pdparams"
    fc = paddle.nn.Linear(512, 1000)
    paddle.save({**net.state_dict(), "backbone.fc.weight": fc.weight, "backbone.fc.bias": fc.bias}, str(path))
    yield path, arrays_of(net)
    path.unlink()


def test_bare_file_with_options(bare, capsys):
    path, tensors = bare
    net, description = load_checkpoint(path, "resnet18", 1, 0.3, 20, 64, "voc07")
    assert same(arrays_of(net), tensors)
    assert net.classifier.multi_head[0].lam == 0.3
    assert (description["img_size"], description["num_cls"]) == (64, 20)
    assert description["classes"][0] == "aeroplane"
    said = capsys.readouterr().out
    assert "backbone.fc.weight" in said
    assert "backbone.fc.bias" in said


def test_bare_file_takes_the_defaults_of_the_options(bare):
    path, _ = bare
    _, description = load_checkpoint(path, model="resnet18")
    assert description["dataset"] == "voc07"
    assert (description["num_heads"], description["lam"], description["img_size"]) == (1, 0.1, 448)


def test_bare_file_that_the_options_do_not_describe(bare):
    path, _ = bare
    assert "--num_heads 2 contradicts" in fails(path, model="resnet18", num_heads=2)
    assert "20 classes, but data set wider has 14" in fails(path, model="resnet18", dataset="wider")
    assert "missing" in fails(path, model="resnet34")
    with pytest.raises(UserError, match="5.*20"):
        load_checkpoint(path, model="resnet18", num_cls=5)


# --- files of the original: PyTorch's


@pytest.fixture(scope="module")
def pytorch_tensors():
    """A ResNet-18 with four heads for VOC in the names of the original."""
    paddle.seed(4)
    tensors = arrays_of(build_model("resnet18", 20, num_heads=4, lam=0.5))
    renamed = {
        name.removeprefix("backbone.")
        .replace("_mean", "running_mean")
        .replace("_variance", "running_var"): value
        for name, value in tensors.items()
    }
    return tensors, renamed


def test_a_file_of_the_original(pytorch_tensors, save_pth, capsys):
    """Heads and classes are in the file, lambda is not: it is given, or the default is stated."""
    tensors, renamed = pytorch_tensors
    path = save_pth("x.pth", {**renamed, "bn1.num_batches_tracked": np.array(3)})
    net, description = load_checkpoint(path, model="resnet18", lam=0.5, img_size=64, dataset="voc07")
    assert same(arrays_of(net), tensors)
    assert (description["num_heads"], description["num_cls"], description["lam"]) == (4, 20, 0.5)
    assert description["normalization"] == {"mean": [0, 0, 0], "std": [1, 1, 1]}
    assert capsys.readouterr().out.splitlines() == [
        f"{path}: left out, since the model has no use for it: 1 num_batches_tracked"
    ]
    _, description = load_checkpoint(path, model="resnet18")
    assert description["lam"] == 0.1
    assert (
        "does not say lam (taken: 0.1), img_size (taken: 448), dataset (taken: voc07)"
        in capsys.readouterr().out
    )


def test_options_that_contradict_a_file_of_the_original(pytorch_tensors, save_pth):
    path = save_pth("x.pth", pytorch_tensors[1])
    assert "--num_heads 2 contradicts" in fails(path, model="resnet18", num_heads=2)
    assert "which says 4" in fails(path, model="resnet18", num_heads=2)
    assert "20 classes, but data set coco has 80" in fails(path, model="resnet18", dataset="coco")
    assert "another --model?" in fails(path)


def test_a_vit_shows_its_image_size(save_pth, monkeypatch):
    monkeypatch.setitem(
        models.SIZED_TRUNKS, "vit_b16", partial(VisionTransformer, width=8, depth=1, num_heads=2)
    )
    tensors = arrays_of(build_model("vit_b16", 20, img_size=96))
    renamed = {name.removeprefix("backbone."): value for name, value in tensors.items()}
    renamed = {k: v.T if v.ndim == 2 and k.endswith(".weight") else v for k, v in renamed.items()}
    path = save_pth("vit.pth", renamed)
    net, description = load_checkpoint(path, model="vit_b16")
    assert description["img_size"] == 96
    assert same(arrays_of(net), tensors)
    net, description = load_checkpoint(path, model="vit_b16", img_size=64)
    assert net.backbone.pos_embed.shape == [1, 17, 8]


def test_a_trunk_is_no_checkpoint(pytorch_tensors, save_pth):
    trunk = {name: value for name, value in pytorch_tensors[1].items() if "classifier" not in name}
    assert "--pretrained" in fails(save_pth("x.pth", trunk), model="resnet18")


def test_wider_brings_its_normalization(pytorch_tensors, save_pth):
    renamed = dict(pytorch_tensors[1])
    for i in range(4):
        name = f"classifier.multi_head.{i}.head.weight"
        renamed[name] = renamed[name][:14]
    _, description = load_checkpoint(save_pth("x.pth", renamed), model="resnet18", dataset="wider")
    assert description["normalization"] == {"mean": [0.5] * 3, "std": [0.5] * 3}
    assert description["num_cls"] == 14


def test_no_key_fits(tmp_path):  # fault 4
    path = tmp_path / "other.pdparams"
    paddle.save({"layer.weight": np.ones((2, 2), "float32")}, str(path))
    assert "no heads (classifier.multi_head.0.head.weight)" in fails(path, model="resnet18")
    head = np.ones((20, 512, 1, 1), "float32")
    paddle.save({"layer.weight": head, "classifier.multi_head.0.head.weight": head}, str(path))
    text = fails(path, model="resnet18")
    assert "missing: backbone.conv1.weight" in text
    assert "unexpected: backbone.layer.weight" in text


def test_half_of_the_keys_fit(saved, tmp_path):  # fault 4
    tensors, description = read_checkpoint(saved)
    del tensors["backbone.layer1.0.conv1.weight"]
    tensors["classifier.multi_head.0.head.weight"] = np.ones((4, 512, 1, 1), "float32")
    path = tmp_path / "half.pdparams"
    paddle.save({**tensors, "csra": describe(tensors, description)}, str(path))
    text = fails(path)
    assert "missing: backbone.layer1.0.conv1.weight" in text
    assert "classifier.multi_head.0.head.weight is [4, 512, 1, 1], not [3, 512, 1, 1]" in text


@pytest.mark.parametrize("names", [[0, 1], ["a", 7]])
def test_names_that_are_no_text(tmp_path, names):
    path = tmp_path / "numbers.pdparams"
    paddle.save({name: np.ones(2, "float32") for name in names}, str(path))
    fails(path, model="resnet18")


# --- descriptions that are newer or damaged


TENSORS = {"backbone.conv1.weight": np.ones(2, "float32")}


def with_description(path, text):
    paddle.save({**TENSORS, "csra": text}, str(path))
    return path


def test_newer_format(tmp_path):
    text = describe(TENSORS, {**DESCRIPTION, "format": 2})
    assert "written by a newer version" in fails(with_description(tmp_path / "new.pdparams", text))


DAMAGED = {
    "no JSON": "not json",
    "a list": "[1]",
    "empty": describe(TENSORS, {}),
    "deep": "[" * 100_000,
    "no checksum": json.dumps({**DESCRIPTION, "format": 1}),
    "format is text": describe(TENSORS, {**DESCRIPTION, "format": "one"}),
    "nothing but the format": describe(TENSORS, {"format": 1}),
    "no classes": describe(TENSORS, {k: v for k, v in DESCRIPTION.items() if k != "classes"} | {"format": 1}),
    "lam is nan": json.dumps({**DESCRIPTION, "format": 1, "lam": float("nan")}),
    **{
        f"{name} is {value!r}": describe(TENSORS, {**DESCRIPTION, "format": 1, name: value})
        for name, value in [
            ("model", ["resnet18"]),
            ("model", "resnet9"),
            ("num_heads", 3),
            ("num_heads", "two"),
            ("lam", -1),
            ("lam", None),
            ("num_cls", 4),
            ("num_cls", "three"),
            ("classes", [1, 2, 3]),
            ("lam", 10**400),
            ("num_heads", 2.0),
            ("num_heads", True),
            ("classes", "abc"),
            ("classes", {"a": 1, "b": 2, "c": 3}),
            ("classes", ["a", "b", "b"]),
            ("classes", ["a", "b", "\x1b[31m"]),
            ("classes", ["a", "b", "\ud800"]),
            ("dataset", [1]),
            ("data_dir", 5),
            ("img_size", 24_000),
            ("img_size", 16),
            ("normalization", {"mean": [0.0] * 3, "std": [1.0, 1.0, 0.0]}),
            ("normalization", {"mean": [0.0] * 3, "std": [1.0] * 3, "more": 1}),
            ("img_size", "large"),
            ("img_size", -1),
            ("normalization", None),
            ("normalization", {"mean": [0.0], "std": [1.0]}),
            ("threshold", [0.5, 0.5]),
            ("threshold", [0.5, 0.5, 1.5]),
            ("threshold", [0.5, 0.5, True]),
            ("threshold", -0.1),
            ("threshold", "0.5"),
            ("threshold", None),
            ("temperature", 0),
            ("temperature", [1.0]),
            ("temperature", 10**400),
            ("temperature", None),
        ]
    },
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_damaged_descriptions(tmp_path, text):
    path = with_description(tmp_path / "x.pdparams", text)
    with pytest.raises(UserError) as error:
        load_checkpoint(path)
    assert "missing: " not in str(error.value)  # found before the weights are looked at


def test_description_that_is_no_text(tmp_path):
    assert "damaged" in fails(with_description(tmp_path / "x.pdparams", [1, 2]))


# --- whole or not at all (fault 18)

SAVE_AGAIN_AND_AGAIN = """
import sys, paddle
from utils.checkpoint import save_checkpoint
net = paddle.nn.Sequential(*[paddle.nn.Linear(1000, 1000) for _ in range(8)])
for number in range(1, 1000):
    for parameter in net.parameters():
        parameter.set_value(paddle.full_like(parameter, number))
    save_checkpoint(sys.argv[1], net, {"number": number})
    print(number, flush=True)
"""


def half_written(folder, whole):
    """Whether a file in the folder is being written: it is shorter than a whole one."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # just renamed
            if 0 < path.stat().st_size < 0.9 * whole:
                return True
    return False


@pytest.mark.parametrize("number_of_the_kill", range(3))
def test_a_kill_leaves_whole_files(tmp_path, number_of_the_kill):
    path = tmp_path / "last.pdparams"
    process = subprocess.Popen(
        [sys.executable, "-c", SAVE_AGAIN_AND_AGAIN, path],
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout.readline()  # a first file is there
    whole, end = path.stat().st_size, time.monotonic() + 10
    while not half_written(tmp_path, whole) and time.monotonic() < end:
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    content = read_pickle(path)
    number = json.loads(content.pop("csra"))["number"]
    assert len(content) == 16
    assert all((array == number).all() for array in content.values())
    assert [path.name for path in tmp_path.glob("*.pdparams")] == ["last.pdparams"]
    for left in set(os.listdir(tmp_path)) - {"last.pdparams"}:
        assert left.startswith(".")  # no name that a script or a person would take for a checkpoint
        assert left.endswith(".tmp")


def test_an_error_while_saving_leaves_the_old_file(net, tmp_path, monkeypatch):
    path = tmp_path / "last.pdparams"
    path.write_bytes(b"the old file")

    def full(content, place):
        Path(place).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(paddle, "save", full)
    with pytest.raises(UserError, match="No space left") as error:
        save_checkpoint(path, net, DESCRIPTION)
    assert str(path) in str(error.value)
    assert path.read_bytes() == b"the old file"
    assert os.listdir(tmp_path) == ["last.pdparams"]


def test_a_file_that_may_not_grow_leaves_the_old_file(net, tmp_path):
    path = tmp_path / "last.pdparams"
    path.write_bytes(b"the old file")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(UserError, match="cannot write"):
            save_checkpoint(path, net, DESCRIPTION)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"the old file"
    assert os.listdir(tmp_path) == ["last.pdparams"]


def test_the_revision_of_the_code_is_asked_for_without_writing(tmp_path, monkeypatch):
    (tmp_path / "utils").mkdir()
    code = tmp_path / "utils/checkpoint.py"
    monkeypatch.setattr(checkpoint, "__file__", str(code))
    assert checkpoint.git_revision() is None
    code.write_text("1")
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a", "commit", "-qm", "a"],
    ):
        subprocess.run(["git", "-C", tmp_path, *command], check=True)
    clean = checkpoint.git_revision()
    assert re.fullmatch("[0-9a-f]{12}", clean)
    index = (tmp_path / ".git/index").read_bytes()
    os.utime(code, (0, 0))  # git now compares the content, and would note that it is the same
    assert checkpoint.git_revision() == clean
    assert (tmp_path / ".git/index").read_bytes() == index
    code.write_text("2")
    assert checkpoint.git_revision() == f"{clean}+"
