"""A model that sees colours: the score of class red or green at a place is the mean of that channel there."""

import numpy as np
import paddle
from paddle import nn
from PIL import Image

from models import CSRAModel
from models.csra import MHA

CLASSES = ["red", "green"]
PIXELS = {"mean": [0, 0, 0], "std": [1, 1, 1]}
SIZE, CELLS = 56, 7  # of the squashed photo; of the map, each side


def colour_model(num_heads=2, lam=0.5):
    paddle.seed(0)
    trunk = nn.AvgPool2D(SIZE // CELLS)  # (B, 3, 56, 56) -> (B, 3, 7, 7)
    heads = MHA(num_heads, lam, 3, 2)
    for head in heads.multi_head:
        head.head.weight.set_value(np.eye(2, 3, dtype="float32")[:, :, None, None])
    model = CSRAModel(trunk, heads)
    model.eval()
    return model


def save_coloured(path, size, red, green=None):
    """Write a black photo (width, height) with boxes (x, y, width, height) in red and green; its path."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    for channel, box in enumerate([red, green]):
        if box:
            x, y, width, height = box
            pixels[y : y + height, x : x + width, channel] = 255
    Image.fromarray(pixels).save(path)
    return str(path)
