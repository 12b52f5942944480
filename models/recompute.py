"""Less memory for more time: blocks forget their inner values and compute them anew for the gradient."""

from functools import partial

import paddle
from paddle.distributed.fleet.utils import recompute
from paddle.vision.models.resnet import BasicBlock, BottleneckBlock

from models import efficientnet_lite, statistics, vit

BLOCKS = (BasicBlock, BottleneckBlock, efficientnet_lite.Block, vit.Block)


def recompute_blocks(trunk):
    """Let the residual, inverted or transformer blocks of a trunk keep nothing but their inputs in training.

    Outputs, gradients and the statistics of batch norm stay what they are.
    """
    for block in trunk.sublayers():
        if isinstance(block, BLOCKS):
            block.forward = partial(_forward, block, block.forward)


def _forward(block, forward, x):
    if not block.training or not paddle.is_grad_enabled():
        return forward(x)
    return recompute(partial(_without_trace, block, forward), x)


def _without_trace(block, forward, x):
    """Forward; the first of the two passes, which has no gradients, leaves batch norm's statistics alone."""
    if paddle.is_grad_enabled():
        return forward(x)
    before = [value.clone() for value in statistics(block)]
    y = forward(x)
    for own, value in zip(statistics(block), before, strict=True):
        own.set_value(value)
    return y
