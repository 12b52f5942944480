"""Models: a trunk that makes feature maps, and the CSRA heads on top of it."""

import paddle
from paddle import nn

from models.csra import MHA, TEMPERATURES
from models.pretrained import load_pretrained
from models.resnet import RESNETS
from utils.errors import UserError

TRUNKS = {**RESNETS}  # name -> function that makes the trunk


class CSRAModel(nn.Layer):
    """Trunk and heads: normalised photos (B, 3, S, S) float32 -> logits (B, C).

    The names `backbone` and `classifier` are part of the checkpoint format.
    """

    def __init__(self, backbone, classifier):
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier

    def forward(self, x):
        return self.classifier(self.backbone(x))

    def score_maps(self, x):
        """Class scores by position, one (B, C, h, w) for each head."""
        return self.classifier.score_maps(self.backbone(x))


def build_model(name, num_classes, num_heads=1, lam=0.1, pretrained="none"):
    """Build trunk `name` (one of TRUNKS) with CSRA heads for `num_classes` classes.

    pretrained: weights of the trunk, "none" (random), "imagenet" (Paddle's own,
    downloaded by Paddle) or the path of a file. Raises UserError for an unknown
    name and for weights that cannot be had or do not fit.
    """
    if name not in TRUNKS:
        raise UserError(f"unknown model '{name}'; choose from {', '.join(TRUNKS)}")
    if num_heads not in TEMPERATURES:
        raise UserError(
            f"unknown number of heads {num_heads}; choose from {', '.join(map(str, TEMPERATURES))}"
        )
    backbone = TRUNKS[name]()
    load_pretrained(backbone, name, pretrained)
    return CSRAModel(backbone, MHA(num_heads, lam, backbone.num_features, num_classes))


def normalize(photos, mean, std):
    """What the trunk sees: uint8 (B, S, S, 3) in 0..255 -> float32 (B, 3, S, S).

    Pixels are divided by 255, then (pixel - mean) / std with three numbers each.
    It runs on the device, so that only bytes travel there.
    """
    x = paddle.to_tensor(photos).astype("float32") / 255
    x = (x - paddle.to_tensor(mean, dtype="float32")) / paddle.to_tensor(std, dtype="float32")
    return x.transpose([0, 3, 1, 2])
