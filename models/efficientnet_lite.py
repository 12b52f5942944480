"""EfficientNet-Lite 0 to 2 as trunks: MobileNet-like blocks that are fast on a CPU.

Tan & Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
ICML 2019, in the Lite form of the TensorFlow TPU models: no squeeze-and-excitation, ReLU6
instead of swish, stem and head not scaled, first and last stage not repeated more often.
Weights come from TensorFlow: batch norm with its epsilon, and its "SAME" padding, which
puts the odd pixel at the right and at the bottom.
"""

import math
from functools import partial

from paddle import nn

EPSILON = 1e-3
MOMENTUM = 0.99  # of the running statistics; PyTorch's 0.01
STEM, HEAD = 32, 1280  # channels
STAGES = (  # repeats, kernel, stride, expansion, channels, of lite0
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class Block(nn.Layer):
    """Expand, filter each channel, project: (B, inputs, h, w) -> (B, outputs, h/stride, w/stride)."""

    def __init__(self, inputs, outputs, kernel, stride, expansion):
        super().__init__()
        width = inputs * expansion
        self.expand = expansion > 1
        self.residual = stride == 1 and inputs == outputs
        if self.expand:
            self.expand_conv = _conv(inputs, width, 1)
            self.bn0 = _batch_norm(width)
        self.depthwise_conv = _conv(width, width, kernel, stride, groups=width)
        self.bn1 = _batch_norm(width)
        self.project_conv = _conv(width, outputs, 1)
        self.bn2 = _batch_norm(outputs)
        self.act = nn.ReLU6()

    def forward(self, x):
        y = self.act(self.bn0(self.expand_conv(x))) if self.expand else x  # (B, width, h, w)
        y = self.act(self.bn1(self.depthwise_conv(y)))  # (B, width, h/stride, w/stride)
        y = self.bn2(self.project_conv(y))  # (B, outputs, h/stride, w/stride)
        return x + y if self.residual else y


class EfficientNetLite(nn.Layer):
    """A trunk: photos (B, 3, S, S) -> features (B, 1280, S/32, S/32), float32.

    width and depth scale channels and repeats of lite0. `normalization` is what the
    published weights were trained with: pixels of 0..255 less 127, over 128.
    """

    num_features = HEAD
    normalization = {"mean": [127 / 255] * 3, "std": [128 / 255] * 3}

    def __init__(self, width, depth):
        super().__init__()
        self.conv_stem = _conv(3, STEM, 3, stride=2)
        self.bn0 = _batch_norm(STEM)
        blocks, inputs = [], STEM
        for stage, (repeats, kernel, stride, expansion, channels) in enumerate(STAGES):
            outputs = _scaled_channels(channels, width)
            scaled = stage not in (0, len(STAGES) - 1)
            for i in range(math.ceil(repeats * depth) if scaled else repeats):
                blocks.append(Block(inputs, outputs, kernel, stride if i == 0 else 1, expansion))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.conv_head = _conv(inputs, HEAD, 1)
        self.bn1 = _batch_norm(HEAD)
        self.act = nn.ReLU6()

    def forward(self, x):
        x = self.act(self.bn0(self.conv_stem(x)))  # (B, 32, S/2, S/2)
        x = self.blocks(x)  # (B, 320, S/32, S/32)
        return self.act(self.bn1(self.conv_head(x)))  # (B, 1280, S/32, S/32)


def _conv(inputs, outputs, kernel, stride=1, groups=1):
    padding = "SAME" if stride > 1 else kernel // 2  # with stride 1 both are the same
    deviation = math.sqrt(2 / (kernel**2 * outputs / groups))  # TensorFlow's: over the outputs
    init = nn.initializer.Normal(std=deviation)
    return nn.Conv2D(
        inputs, outputs, kernel, stride, padding, groups=groups, weight_attr=init, bias_attr=False
    )


def _batch_norm(channels):
    return nn.BatchNorm2D(channels, momentum=MOMENTUM, epsilon=EPSILON)


def _scaled_channels(channels, width, divisor=8):
    """The multiple of 8 nearest to channels * width, but not more than a tenth below it."""
    wanted = channels * width
    rounded = max(divisor, int(wanted + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * wanted else rounded


EFFICIENTNETS = {
    "efficientnet_lite0": partial(EfficientNetLite, 1.0, 1.0),
    "efficientnet_lite1": partial(EfficientNetLite, 1.0, 1.1),
    "efficientnet_lite2": partial(EfficientNetLite, 1.1, 1.2),
}
