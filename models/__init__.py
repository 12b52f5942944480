"""Models: a trunk that makes feature maps, and the CSRA heads on top of it."""

import paddle
from paddle import nn

from models.csra import MHA, TEMPERATURES
from models.efficientnet_lite import EFFICIENTNETS
from models.pretrained import load_pretrained
from models.resnet import RESNETS
from models.vit import VITS
from utils.errors import UserError

TRUNKS = {**RESNETS, **EFFICIENTNETS}  # name -> function that makes a trunk for photos of any size
SIZED_TRUNKS = {**VITS}  # name -> function of the image size that makes a trunk for that size


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


def build_model(name, num_classes, num_heads=1, lam=0.1, pretrained="none", img_size=224):
    """Build trunk `name` (of TRUNKS or SIZED_TRUNKS) with CSRA heads for `num_classes` classes.

    pretrained: weights of the trunk, "none" (random), "imagenet" (downloaded) or the
    path of a file. img_size: side of the photos in pixels; it matters to a ViT alone.
    Raises UserError for an unknown name, a size that the trunk cannot have, and weights
    that cannot be had or do not fit.
    """
    if name not in TRUNKS and name not in SIZED_TRUNKS:
        raise UserError(f"unknown model '{name}'; choose from {', '.join([*TRUNKS, *SIZED_TRUNKS])}")
    if num_heads not in TEMPERATURES:
        raise UserError(
            f"unknown number of heads {num_heads}; choose from {', '.join(map(str, TEMPERATURES))}"
        )
    try:
        backbone = TRUNKS[name]() if name in TRUNKS else SIZED_TRUNKS[name](img_size)
    except ValueError as error:
        raise UserError(f"{name} cannot be made: {error}") from None
    load_pretrained(backbone, name, pretrained)
    return CSRAModel(backbone, MHA(num_heads, lam, backbone.num_features, num_classes))


def statistics(layer):
    """What a layer holds beside its trained parameters: means and variances of batch norm."""
    return [value for value in layer.state_dict().values() if value.stop_gradient]


def normalization_of(model, spec):
    """What photos are normalised with, {"mean", "std"}: the trunk's own rule, or else the data set's."""
    own = getattr(model.backbone, "normalization", None)
    return own or {"mean": list(spec.mean), "std": list(spec.std)}


def model_input(batch, normalization):
    """What a model takes: photos (B, S, S, 3) uint8 normalised, see normalize.

    With `normalization` None the batch is a trunk's feature maps (B, D, h, w), for heads
    alone; they are taken as float32.
    """
    if normalization is None:
        return paddle.to_tensor(batch).astype("float32")
    return normalize(batch, **normalization)


def normalize(photos, mean, std):
    """What the trunk sees: uint8 (B, S, S, 3) in 0..255 -> float32 (B, 3, S, S).

    Pixels are divided by 255, then (pixel - mean) / std with three numbers each; what
    would change nothing, as with VOC's 0 and 1, is left out. It runs on the device, so
    that only bytes travel there.
    """
    x = paddle.to_tensor(photos).astype("float32") / 255
    if any(mean):
        x = x - paddle.to_tensor(mean, dtype="float32")
    if any(value != 1 for value in std):
        x = x / paddle.to_tensor(std, dtype="float32")
    return x.transpose([0, 3, 1, 2])
