"""Weights that a trunk starts from: none, ImageNet's by Paddle, or a file."""

import os

from paddle.utils import download
from paddle.vision.models import resnet

from models.loading import load_strict
from utils.errors import UserError
from utils.safe_pickle import read_tensors


def load_pretrained(backbone, name, pretrained):
    """Fill `backbone` from "none", "imagenet" or a path.

    A file holds a trunk (Paddle's own `resnet50.pdparams`) or a whole checkpoint
    of ours, whose trunk is taken: the way to another class list. The parts that a
    trunk has no use for, `fc` and `classifier`, are left out and said so.
    Raises UserError when the weights cannot be had or do not fit.
    """
    if pretrained == "none":
        return
    path = _download(name) if pretrained == "imagenet" else pretrained
    tensors, dropped = {}, []
    for key, value in read_tensors(path).items():
        key = key.removeprefix("backbone.")
        if key.startswith(("fc.", "classifier.")):
            dropped.append(key)
        else:
            tensors[key] = value
    load_strict(backbone, tensors, path)
    left_out = f" (left out: {', '.join(dropped)})" if dropped else ""
    print(f"trunk weights from {path}{left_out}")


def _download(name):
    url, md5 = resnet.model_urls[name]
    place = os.path.join(download.WEIGHTS_HOME, os.path.basename(url))
    try:
        return download.get_weights_path_from_url(url, md5)
    except Exception as error:  # Paddle raises whatever its HTTP library and file system raise
        reason = str(error) or type(error).__name__
        raise UserError(
            f"cannot download the ImageNet weights of {name}: tried {url} ({reason}); "
            f"put the file at {place} by hand, or train from scratch with --pretrained none"
        ) from None
