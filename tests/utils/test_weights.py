"""Weights files of all formats: names and layouts, containers, descriptions, checksums, and damage."""

import json
import os
import pickle
import subprocess
import sys
import tarfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import paddle
import pytest

from benchmarks.fuzz_weights import FORMATS, fuzz, same
from models import CSRAModel, build_model
from models.csra import MHA
from models.loading import load_strict
from models.vit import VisionTransformer
from utils.errors import UserError
from utils.weights import read_arrays, read_weights, write_weights

REPO = Path(__file__).resolve().parents[2]
DESCRIPTION = {"format": 1, "classes": ["cat", "dög"], "lam": 0.1, "metrics": {"mAP": 1 / 3}}
TENSORS = {
    "backbone.conv1.weight": np.arange(24, dtype="float32").reshape(2, 3, 2, 2) / 7,
    "backbone.bn1._mean": np.array([1.5, -2], "float32"),
    "backbone.bn1._variance": np.array([0.5, 3], "float32"),
    "backbone.blocks.0.attn.qkv.weight": np.arange(6, dtype="float16").reshape(2, 3),
    "backbone.pos_embed": np.ones((1, 5, 2), "float32"),
    "classifier.multi_head.0.head.weight": np.ones((3, 2, 1, 1), "float32"),
}
HAS_TORCH = subprocess.run([sys.executable, "-c", "import torch"], capture_output=True).returncode == 0
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="writing .pth needs torch, which is not installed")
SUFFIXES = [".pdparams", ".safetensors", pytest.param(".pth", marks=needs_torch)]


def refused(path):
    """The text of the UserError: one line that names the file."""
    with pytest.raises(UserError) as error:
        read_weights(path)
    told = str(error.value)
    assert "\n" not in told
    assert str(path) in told
    return told


@pytest.fixture
def save(tmp_path):
    """save(content): write a .pdparams as Paddle does, return its path as text."""

    def write(content, name="weights.pdparams"):
        paddle.save(content, str(tmp_path / name))
        return str(tmp_path / name)

    return write


# --- names and layouts


def test_names_and_layouts_of_pytorch_become_ours(save_pth):
    qkv = np.arange(6, dtype="float32").reshape(2, 3)
    weights = read_weights(
        save_pth(
            "x.pth",
            {
                "layer1.0.conv1.weight": np.ones((2, 3, 1, 1), "float32"),
                "layer1.0.bn1.running_mean": np.full(2, 2, "float32"),
                "layer1.0.bn1.running_var": np.full(2, 3, "float32"),
                "layer1.0.bn1.weight": np.full(2, 4, "float32"),
                "layer1.0.bn1.num_batches_tracked": np.array(5),
                "layer2.0.downsample.1.num_batches_tracked": np.array(5),
                "blocks.0.attn.qkv.weight": qkv,
                "fc.weight": np.ones((1000, 2), "float32"),
                "fc.bias": np.ones(1000, "float32"),
                "head.weight": np.ones((1000, 2), "float32"),
                "classifier.multi_head.0.head.weight": np.ones((3, 2, 1, 1), "float16"),
            },
        )
    )
    assert set(weights.tensors) == {
        "backbone.layer1.0.conv1.weight",
        "backbone.layer1.0.bn1._mean",
        "backbone.layer1.0.bn1._variance",
        "backbone.layer1.0.bn1.weight",
        "backbone.blocks.0.attn.qkv.weight",
        "classifier.multi_head.0.head.weight",
    }
    assert weights.tensors["backbone.layer1.0.bn1._variance"].tolist() == [3, 3]
    np.testing.assert_array_equal(weights.tensors["backbone.blocks.0.attn.qkv.weight"], qkv.T)
    assert weights.tensors["classifier.multi_head.0.head.weight"].dtype == np.float16
    assert weights.left_out == "fc.weight, fc.bias, head.weight, 2 num_batches_tracked"
    assert weights.description is None


@pytest.mark.parametrize("container", [None, "state_dict", "model", "model_ema"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_containers_and_the_prefix_of_data_parallel(save_pth, container, prefix):
    state = {f"{prefix}conv1.weight": np.arange(3, dtype="float32")}
    beside = {"epoch": 3, "best_acc1": np.array(7.5, "float32"), "args": {"lr": 0.1, "gpus": [0, 1]}}
    content = {container: state, **beside} if container else state
    assert same(
        read_weights(save_pth("x.pth", content)).tensors,
        {"backbone.conv1.weight": state[prefix + "conv1.weight"]},
    )


def test_paddle_s_linear_weights_stay_as_they_are(save):
    weight = np.arange(6, dtype="float32").reshape(2, 3)
    weights = read_weights(save({"backbone.mlp.fc1.weight": weight}))
    np.testing.assert_array_equal(weights.tensors["backbone.mlp.fc1.weight"], weight)


def test_one_tensor_under_two_names_is_refused(save_pth):
    value = np.ones(2, "float32")
    assert "'conv1.weight' twice" in refused(
        save_pth("x.pth", {"conv1.weight": value, "module.conv1.weight": value})
    )


@pytest.mark.parametrize("name", [7, "a\nb", "\x1b[31mred"])
def test_names_that_are_no_text_are_refused(tmp_path, name):
    path = tmp_path / "x.pdparams"
    path.write_bytes(pickle.dumps({name: np.ones(2, "float32")}))
    assert "names that are no text" in refused(path)


@pytest.mark.parametrize("content", [[1, 2], {}, {"net": {"w": np.ones(2)}, "epoch": 2}, {"state_dict": {}}])
def test_files_without_tensors_are_refused(tmp_path, content):
    path = tmp_path / "x.pdparams"
    path.write_bytes(pickle.dumps(content))
    refused(path)


def test_the_oldest_format_is_named(tmp_path):
    with tarfile.open(tmp_path / "x.pth", "w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            archive.addfile(tarfile.TarInfo(name))
    assert "oldest format, a tar file" in refused(tmp_path / "x.pth")


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "x.pth")
    assert "is no file" in refused(tmp_path / "x.pth")


def test_two_sets_of_weights_in_a_file(save_pth, capsys):
    path = save_pth(
        "x.pth", {"model": {"w": np.ones(2, "float32")}, "model_ema": {"w": np.zeros(2, "float32")}}
    )
    assert read_weights(path).tensors["backbone.w"].tolist() == [1, 1]
    assert capsys.readouterr().out == f"{path} holds model and model_ema: model is read\n"


@pytest.mark.parametrize("kind", ["F8_E4M3", "BF16", "F4", "U64", "nonsense", "\x1b[31m\n"])
def test_types_of_safetensors_that_are_not_read(tmp_path, kind):
    header = json.dumps({"w": {"dtype": kind, "shape": [2], "data_offsets": [0, 2]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(2))
    assert "\x1b" not in refused(tmp_path / "x.safetensors")


def test_names_of_safetensors_that_are_no_text(tmp_path):
    header = json.dumps(
        {"fc.\x1b[31m\nerror": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}}
    ).encode()
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(2))
    assert "names that are no text" in refused(tmp_path / "x.safetensors")


ONE = np.ones((1000, 2), "float32")
SLOW = {  # some 4 MB each, which once took minutes
    "a list of unused names": {f"fc.{i}": ONE for i in range(50_000)}
    | {f"{i}.num_batches_tracked": ONE for i in range(50_000)},
    "a shared array to check": {"csra": '{"crc32": 1}'} | {f"w{i}": ONE for i in range(100_000)},
    "a shared text to search": {"w": ONE, **dict.fromkeys(map(str, range(100_000)), "c" * 1_000_000)},
}


@pytest.mark.parametrize("content", SLOW.values(), ids=SLOW)
def test_slow_files_are_done_with_soon(tmp_path, content):
    path, begin = tmp_path / "x.pdparams", time.monotonic()
    path.write_bytes(pickle.dumps(content, 4))
    with suppress(UserError):
        read_weights(path)
    assert time.monotonic() - begin < 10


def test_the_state_of_an_optimizer_is_no_weights(save):
    assert "state of an optimizer" in refused(save({"moment": np.zeros(2, "float32")}, "last.pdopt"))


@pytest.mark.parametrize("name", ["model.json", "model.pdmodel", "model.pdiparams", "model.onnx"])
def test_a_file_of_an_exported_model_is_no_checkpoint(tmp_path, name):
    (tmp_path / name).write_bytes(b"{}")
    assert "is of an exported model, which infer.py runs" in refused(tmp_path / name)


def test_missing_files_and_folders(tmp_path):
    assert "is a folder; name the file in it" in refused(tmp_path)
    refused(tmp_path / "gone.pth")


# --- both ways


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_written_is_read_to_the_bit(tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    write_weights(path, TENSORS, DESCRIPTION)
    weights = read_weights(path)
    assert same(weights.tensors, TENSORS)
    assert weights.description == (None if suffix == ".pth" else DESCRIPTION)
    assert weights.left_out == ""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_vit_survives_every_format(tmp_path, suffix):
    """Its square linear weights would fit untransposed too: values tell."""
    model = CSRAModel(VisionTransformer(32, width=8, depth=1, num_heads=2), MHA(2, 0.3, 8, 5))
    tensors = {name: value.numpy() for name, value in model.state_dict().items()}
    write_weights(tmp_path / f"vit{suffix}", tensors, DESCRIPTION)
    assert same(read_weights(tmp_path / f"vit{suffix}").tensors, tensors)


def test_a_safetensors_has_pytorch_s_names_and_layout(tmp_path):
    write_weights(tmp_path / "x.safetensors", TENSORS, DESCRIPTION)
    arrays, description, pytorch = read_arrays(tmp_path / "x.safetensors")
    assert {"conv1.weight", "bn1.running_mean", "bn1.running_var", "pos_embed"} < set(arrays)
    assert arrays["blocks.0.attn.qkv.weight"].shape == (3, 2)
    assert json.loads(description)["classes"] == DESCRIPTION["classes"]
    assert pytorch


@needs_torch
def test_torch_opens_what_we_write(tmp_path):
    path = tmp_path / "x.pth"
    write_weights(path, TENSORS, DESCRIPTION)
    code = f"import torch; print(sorted(torch.load({str(path)!r}, weights_only=True)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "bn1.running_var" in told


@pytest.mark.parametrize(("suffix", "package"), [(".safetensors", "safetensors"), (".pth", "torch")])
def test_an_absent_package_is_named(tmp_path, monkeypatch, suffix, package):
    monkeypatch.setitem(sys.modules, package, None)  # an import of it fails
    monkeypatch.setitem(sys.modules, f"{package}.numpy", None)
    path = tmp_path / f"x{suffix}"
    with pytest.raises(UserError, match=f"pip install {package}"):
        write_weights(path, TENSORS, DESCRIPTION)
    assert list(tmp_path.iterdir()) == []
    if package == "safetensors":
        path.write_bytes(bytes([2, 0, 0, 0, 0, 0, 0, 0]) + b"{}")
        with pytest.raises(UserError, match="pip install safetensors"):
            read_weights(path)


def test_other_suffixes_are_refused(tmp_path):
    with pytest.raises(UserError, match="must end in .pdparams, .safetensors, .pth"):
        write_weights(tmp_path / "x.bin", TENSORS, DESCRIPTION)
    assert list(tmp_path.iterdir()) == []


# --- damage


@pytest.mark.parametrize("change", [{"lam": 0.2}, {"classes": ["dog", "cat"]}, {"crc32": 5}, {"more": 1}])
def test_a_changed_description_is_refused(save, tmp_path, change):
    write_weights(tmp_path / "x.pdparams", TENSORS, DESCRIPTION)
    content = paddle.load(str(tmp_path / "x.pdparams"))
    text = json.dumps({**json.loads(content["csra"]), **change})
    assert "checksum" in refused(save({**TENSORS, "csra": text}))


def test_changed_values_shapes_and_names_are_refused(save, tmp_path):
    write_weights(tmp_path / "x.pdparams", TENSORS, DESCRIPTION)
    text = paddle.load(str(tmp_path / "x.pdparams"))["csra"]
    name = "backbone.conv1.weight"
    assert read_weights(save({**TENSORS, "csra": text})).description == DESCRIPTION
    for value in (TENSORS[name] + 1, TENSORS[name].reshape(3, 2, 2, 2), TENSORS[name].astype("float64")):
        assert "checksum" in refused(save({**TENSORS, name: value, "csra": text}))
    others = {key: value for key, value in TENSORS.items() if key != name}
    assert "checksum" in refused(save({**others, "csra": text}))
    assert "is called 'Csra'" in refused(save({**TENSORS, "Csra": text}))


@pytest.mark.parametrize("kind", FORMATS)
def test_200_damaged_files(tmp_path, kind):
    """A clear line or exactly the right values; benchmarks/fuzz_weights.py does the same with thousands."""
    outcomes = fuzz(kind, 200, tmp_path)
    assert outcomes["WRONG"] == 0
    assert outcomes["refused"] > 150
    assert kind == "legacy" or set(outcomes) <= {"refused", "right"}
    assert sum(outcomes.values()) == 200


def test_the_fuzzer_sees_a_reader_that_accepts_anything(tmp_path, monkeypatch):
    monkeypatch.setattr("utils.weights._checksum", lambda *_: 0)
    monkeypatch.setattr("zipfile.ZipExtFile._update_crc", lambda *_: None)
    outcomes = sum((fuzz(kind, 200, tmp_path) for kind in ("zip", "pdparams")), Counter())
    assert outcomes["WRONG"] > 0


# --- into a model


def test_half_precision_becomes_single(save_pth):
    model = build_model("resnet18", 3)
    tensors = {name: value.numpy() for name, value in model.backbone.state_dict().items()}
    names = {
        name: name.replace("_mean", "running_mean").replace("_variance", "running_var") for name in tensors
    }
    path = save_pth("half.pth", {names[name]: value.astype("float16") for name, value in tensors.items()})
    loaded = build_model("resnet18", 3, pretrained=path).backbone.state_dict()
    for name, value in tensors.items():
        assert loaded[name].dtype == paddle.float32
        np.testing.assert_array_equal(loaded[name].numpy(), value.astype("float16").astype("float32"))


def test_a_position_embedding_of_another_image_size_is_resized():
    small, large = (VisionTransformer(size, width=8, depth=1, num_heads=2) for size in (32, 48))
    tensors = {name: value.numpy() for name, value in small.state_dict().items()}
    load_strict(large, tensors, "x.pth")
    grid = large.pos_embed.numpy()
    assert grid.shape == (1, 10, 8)
    np.testing.assert_array_equal(grid[0, 0], tensors["pos_embed"][0, 0])
    np.testing.assert_allclose(grid[0, 5], tensors["pos_embed"][0, 1:].mean(axis=0), atol=1e-6)  # the middle
    with pytest.raises(UserError, match="x.pth does not fit the model: 4 positions"):
        load_strict(large, {**tensors, "pos_embed": np.ones((1, 4, 8), "float32")}, "x.pth")
