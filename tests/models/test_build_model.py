"""Trunks, the weights they start from, and normalisation."""

import hashlib
import pickle
import re
from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle.utils import download
from paddle.vision.models import resnet

from models import SIZED_TRUNKS, TRUNKS, build_model, normalize, pretrained
from models.resnet import make_resnet
from utils.checkpoint import save_checkpoint
from utils.errors import UserError

FEATURES = {"resnet18": 512, "resnet34": 512, "resnet50": 2048, "resnet101": 2048, "resnet152": 2048}
WEIGHTS = {  # trainable numbers of a trunk: the published ResNet's, less its fc
    "resnet18": 11_176_512,
    "resnet34": 21_284_672,
    "resnet50": 23_508_032,
    "resnet101": 42_500_160,
    "resnet152": 58_143_808,
}


@pytest.fixture(scope="module")
def trunk():
    """A ResNet-18 trunk with weights of its own, name -> array."""
    paddle.seed(7)
    return {name: value.numpy() for name, value in make_resnet(18).state_dict().items()}


@pytest.fixture
def save(tmp_path):
    """save(dict of arrays): write a .pdparams as Paddle does, return its path as text."""

    def write(tensors):
        path = str(tmp_path / "weights.pdparams")
        paddle.save({name: paddle.to_tensor(value) for name, value in tensors.items()}, path)
        return path

    return write


@pytest.fixture
def dead_network(monkeypatch, tmp_path):
    """Paddle's ImageNet weights of resnet18 lie behind a closed port; returns its weights folder."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "WEIGHTS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)  # between Paddle's own retries
    set_url(monkeypatch, md5="0" * 32)
    return tmp_path / "home"


def set_url(monkeypatch, md5):
    url = "http://127.0.0.1:9/models/resnet18.pdparams"
    monkeypatch.setitem(resnet.model_urls, "resnet18", (url, md5))


def assert_trunk(model, expected):
    own = model.backbone.state_dict()
    assert list(own) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(own[name].numpy(), value)


# --- trunks


def test_the_trunks_are_those_of_the_readme():
    assert list(TRUNKS) == [*FEATURES, "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]
    assert list(SIZED_TRUNKS) == ["vit_b16", "vit_l16"]


@pytest.mark.parametrize("name", FEATURES)
def test_trunk(name):  # faults 2, 3
    model = build_model(name, num_classes=3, num_heads=2, lam=0.1)
    model.eval()
    assert model.backbone.num_features == FEATURES[name]
    trainable = [p for p in model.backbone.parameters() if not p.stop_gradient]
    assert sum(int(np.prod(p.shape)) for p in trainable) == WEIGHTS[name]
    assert not [key for key in model.state_dict() if "fc" in key.split(".")]
    x = paddle.ones([1, 3, 32, 32])
    assert list(model.backbone(x).shape) == [1, FEATURES[name], 1, 1]
    assert list(model(x).shape) == [1, 3]


def test_names_of_the_checkpoint_format():
    model = build_model("resnet18", num_classes=3, num_heads=2)
    names = {key.split(".")[0] for key in model.state_dict()}
    assert names == {"backbone", "classifier"}
    assert model.state_dict()["classifier.multi_head.1.head.weight"].shape == [3, 512, 1, 1]


def test_score_maps_of_a_photo_that_is_not_square():
    model = build_model("resnet18", num_classes=3, num_heads=4)
    model.eval()
    maps = model.score_maps(paddle.ones([2, 3, 64, 96]))
    assert [list(score.shape) for score in maps] == [[2, 3, 2, 3]] * 4


@pytest.mark.parametrize("name", ["resnet19", "ResNet18", "", "vgg"])
def test_an_unknown_name_lists_the_valid_ones(name):  # fault 3
    with pytest.raises(UserError) as error:
        build_model(name, 3)
    assert f"'{name}'" in str(error.value)
    assert all(valid in str(error.value) for valid in FEATURES)


def test_a_vit_is_made_for_one_image_size():
    with pytest.raises(UserError, match="vit_b16 cannot be made: img_size 200 must be a multiple of 16"):
        build_model("vit_b16", 3, img_size=200)


# --- weights from a file


def test_a_trunk_file_is_used_and_its_fc_left_out_aloud(trunk, save, capsys):  # fault 2
    path = save(
        {**trunk, "fc.weight": np.zeros((512, 1000), "float32"), "fc.bias": np.zeros(1000, "float32")}
    )
    assert_trunk(build_model("resnet18", 3, pretrained=path), trunk)
    assert capsys.readouterr().out == f"trunk weights from {path} (left out: fc.weight, fc.bias)\n"


def test_a_trunk_file_without_fc(trunk, save, capsys):
    path = save(trunk)
    assert_trunk(build_model("resnet18", 3, pretrained=path), trunk)
    assert capsys.readouterr().out == f"trunk weights from {path}\n"


def test_the_cutmix_file_of_the_original(trunk, save_pth, capsys):
    """torchvision's names, saved by a training on several GPUs, with a fc and an optimizer's state."""
    state = {
        "module.fc.weight": np.zeros((1000, 512), "float32"),
        "module.fc.bias": np.zeros(1000, "float32"),
    }
    for name, value in trunk.items():
        name = name.replace("._mean", ".running_mean").replace("._variance", ".running_var")
        state[f"module.{name}"] = value
        if name.endswith("running_var"):
            state[f"module.{name.replace('running_var', 'num_batches_tracked')}"] = np.array(9)
    content = {"epoch": 300, "arch": "resnet", "state_dict": state, "best_err1": 20.5}
    path = save_pth(
        "cutmix.pth", {**content, "optimizer": {"state": {0: {"momentum": state["module.fc.bias"]}}}}
    )
    assert_trunk(build_model("resnet18", 3, pretrained=path), trunk)
    left_out = "module.fc.weight, module.fc.bias, 20 num_batches_tracked"
    assert capsys.readouterr().out == f"trunk weights from {path} (left out: {left_out})\n"


def test_a_whole_checkpoint_gives_its_trunk_to_another_class_list(tmp_path, capsys):
    path, source = tmp_path / "best.pdparams", build_model("resnet18", num_classes=5)
    save_checkpoint(path, source, {"model": "resnet18", "num_cls": 5})
    model = build_model("resnet18", num_classes=3, num_heads=2, pretrained=str(path))
    assert_trunk(model, {name: value.numpy() for name, value in source.backbone.state_dict().items()})
    assert list(model(paddle.ones([2, 3, 32, 32])).shape) == [2, 3]
    assert "(left out: classifier)" in capsys.readouterr().out


def test_a_whole_checkpoint_of_another_trunk_says_of_which(tmp_path):
    path = tmp_path / "best.pdparams"
    save_checkpoint(path, build_model("resnet18", num_classes=5), {"model": "resnet18", "num_cls": 5})
    with pytest.raises(UserError, match=r"best\.pdparams is of --model resnet18, not resnet34; give "):
        build_model("resnet34", 3, pretrained=str(path))


def test_weights_of_which_nothing_fits_are_refused(save):  # fault 4
    path = save({"module.layer9.weight": np.zeros(3, "float32")})
    with pytest.raises(UserError) as error:
        build_model("resnet18", 3, pretrained=path)
    assert path in str(error.value)
    assert "missing: conv1.weight, bn1.weight" in str(error.value)
    assert "unexpected: module.layer9.weight" in str(error.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bn1._mean": None}, "missing: bn1._mean"),
        ({"extra": np.zeros(2, "float32")}, "unexpected: extra"),
        ({"bn1.bias": np.zeros(63, "float32")}, "wrong shape: bn1.bias is [63], not [64]"),
    ],
)
def test_weights_of_which_one_does_not_fit_are_refused(trunk, save, change, said):  # fault 4
    path = save({name: value for name, value in {**trunk, **change}.items() if value is not None})
    with pytest.raises(UserError) as error:
        build_model("resnet18", 3, pretrained=path)
    assert str(error.value) == f"{path} does not fit the model: {said}; is it another --model?"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_weights_that_are_not_finite_are_refused(trunk, save, value):
    path = save({**trunk, "bn1.bias": np.full(64, value, "float64")})
    with pytest.raises(UserError, match="not finite: bn1.bias"):
        build_model("resnet18", 3, pretrained=path)


def test_the_weights_of_another_trunk_are_refused(trunk, save):  # fault 4
    path = save(trunk)
    with pytest.raises(UserError, match="does not fit the model: missing: .* more"):
        build_model("resnet34", 3, pretrained=path)


@pytest.mark.parametrize("content", [None, b"", b"no pickle"])
def test_a_file_that_is_missing_or_broken_is_named(tmp_path, content):
    path = tmp_path / "weights.pdparams"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(str(path))):
        build_model("resnet18", 3, pretrained=str(path))


# --- weights from the network


def test_without_being_asked_nothing_is_downloaded(monkeypatch):  # fault 5
    monkeypatch.setattr(download, "get_weights_path_from_url", lambda *_: pytest.fail("a download"))
    build_model("resnet18", 3)
    build_model("resnet18", 3, pretrained="none")


def test_a_failed_download_says_what_to_do(dead_network):  # fault 5
    with pytest.raises(UserError) as error:
        build_model("resnet18", 3, pretrained="imagenet")
    said = str(error.value)
    assert "http://127.0.0.1:9/models/resnet18.pdparams" in said
    assert f"put the file at {dead_network / 'resnet18.pdparams'}" in said
    assert "--pretrained none" in said


def test_a_weights_folder_that_cannot_be_made_says_what_to_do(dead_network):
    dead_network.write_text("a file where the folder should be")
    with pytest.raises(UserError, match="--pretrained none"):
        build_model("resnet18", 3, pretrained="imagenet")


def test_a_file_put_there_by_hand_is_used_without_a_network(trunk, save, dead_network, monkeypatch):
    content = Path(save({**trunk, "fc.bias": np.zeros(1000, "float32")})).read_bytes()
    dead_network.mkdir()
    (dead_network / "resnet18.pdparams").write_bytes(content)
    set_url(monkeypatch, hashlib.md5(content).hexdigest())
    assert_trunk(build_model("resnet18", 3, pretrained="imagenet"), trunk)


def test_a_damaged_file_put_there_by_hand_is_not_used(dead_network):
    dead_network.mkdir()
    (dead_network / "resnet18.pdparams").write_bytes(b"half")
    with pytest.raises(UserError, match="put the file at"):
        build_model("resnet18", 3, pretrained="imagenet")


# --- normalisation


def test_the_vit_s_weights_that_cannot_be_downloaded(dead_network, monkeypatch):
    url = "http://127.0.0.1:9/jx_vit_base_p16_224-80ecf9dd.pth"
    monkeypatch.setitem(pretrained.VIT_URLS, "vit_b16", url)
    with pytest.raises(UserError) as error:
        build_model("vit_b16", 3, pretrained="imagenet")
    assert url in str(error.value)
    assert str(dead_network / "jx_vit_base_p16_224-80ecf9dd.pth") in str(error.value)


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [("tensor_112", (0, 0, 0), (1, 1, 1)), ("wider_tensor_112", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))],
)
def test_normalize_equals_the_golden_tensors(shared_path, name, mean, std):  # fault 15
    file = np.load(shared_path("golden/transforms.npz"))
    ours = normalize(file["resized_112"][None], mean, std)
    np.testing.assert_allclose(ours.numpy()[0], file[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("mean", "std"),
    [([0, 0, 0], [1, 1, 1]), ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), ([0, 0.5, 1], [0.5, 1, 2])],
)
def test_normalize_takes_whole_numbers_and_each_channel_its_own(mean, std):  # fault 15
    photos = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    ours = normalize(photos, mean, std)
    expected = ((photos / 255 - mean) / std).transpose(0, 3, 1, 2)
    assert ours.dtype == paddle.float32
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-6)


def test_a_trunk_file_whose_names_are_no_text_is_refused(tmp_path):
    path = tmp_path / "numbers.pdparams"
    path.write_bytes(pickle.dumps({1: np.zeros(2, np.float32)}, protocol=4))
    with pytest.raises(UserError, match="no text"):
        build_model("resnet18", 3, pretrained=str(path))
