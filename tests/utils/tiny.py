"""A model of a few weights, what a checkpoint says of it, and its values: what tests of training share."""

import numpy as np
import paddle
from paddle import nn

from models import CSRAModel
from models.csra import MHA

DESCRIPTION = {
    "model": "tiny",
    "num_heads": 2,
    "lam": 0.5,
    "num_cls": 2,
    "classes": ["red", "green"],
    "img_size": 32,
    "normalization": {"mean": [0.5, 0.4, 0.3], "std": [1, 0.5, 1]},
    "dataset": "shapes",
    "data_dir": None,
}


def tiny_model(norm=nn.BatchNorm2D, seed=0):
    """Convolution, batch norm (or another layer of 4 channels) and heads for two classes."""
    paddle.seed(seed)
    return CSRAModel(nn.Sequential(nn.Conv2D(3, 4, 3, stride=4), norm(4)), MHA(2, 0.5, 4, 2))


def trainable(layer):
    return {name: value for name, value in layer.named_parameters() if not value.stop_gradient}


def values(layer):
    return {name: value.numpy().copy() for name, value in layer.state_dict().items()}


def assert_same(ours, expected):
    """The same names, and arrays that are equal to the bit."""
    assert set(ours) == set(expected)
    for name, value in ours.items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
