"""Losses of multi-label training, label by label, so that the caller averages over the labels that are known.

losses = LOSSES["bce"](logits, labels)  # (B, C)
known_mean(losses, labels).backward()
"""

from functools import partial, wraps

import numpy as np
import paddle
import paddle.nn.functional as F

from utils.errors import UserError


def of_known_labels(loss):
    """loss(logits, target), for targets of 0 and 1, as a function of labels that may be -1, ignored.

    It takes logits (B, C) float32 and labels (B, C) int8 tensors and gives (B, C). An
    ignored label has loss 0 and gradient 0, whatever its logit.
    """

    @wraps(loss)
    def masked(logits, labels, **options):
        known = labels >= 0
        logits = paddle.where(known, logits, paddle.zeros_like(logits))
        losses = loss(logits, (labels == 1).astype(logits.dtype), **options)
        return losses * known.astype(logits.dtype)

    return masked


@of_known_labels
def bce(logits, target, pos_weight=None):
    """Binary cross-entropy, the paper's loss. pos_weight (C,) float32: factors of the positives' losses."""
    losses = _cross_entropy(logits, target)
    return losses if pos_weight is None else losses * (1 + (pos_weight - 1) * target)


@of_known_labels
def asl(logits, target, gamma_neg=4, gamma_pos=1, clip=0.05):
    """Asymmetric loss (Ridnik et al., ICCV 2021): easy negatives count little, those below `clip` nothing.

    Defaults and focusing are those of the official AsymmetricLoss: the weight
    (1 - p_t) ** gamma is a constant to the gradient (disable_torch_grad_focal_loss=True;
    its AsymmetricLossOptimized differentiates it). Its own training on COCO takes gamma_pos 0
    and sums the losses. Here logarithms are not cut off at 1e-8.
    """
    p = F.sigmoid(logits)
    shifted = F.relu(p - clip)  # p_m of the paper, of negatives
    losses = -target * F.log_sigmoid(logits) - (1 - target) * paddle.log1p(-shifted)
    with paddle.no_grad():
        weight = target * F.sigmoid(-logits) ** gamma_pos + (1 - target) * shifted**gamma_neg
    return losses * weight


@of_known_labels
def focal(logits, target, alpha=0.25, gamma=2):
    """Focal loss (Lin et al., ICCV 2017): alpha_t (1 - p_t) ** gamma times the binary cross-entropy.

    As torchvision's sigmoid_focal_loss; the gradient goes through the weight as well.
    """
    weight = (
        target * alpha * F.sigmoid(-logits) ** gamma + (1 - target) * (1 - alpha) * F.sigmoid(logits) ** gamma
    )
    return _cross_entropy(logits, target) * weight


def _cross_entropy(logits, target):
    """Binary cross-entropy (B, C). Paddle's own is wrong: in 3.3 its slope is off by 1 at a logit of
    exactly 0, and in 2.6 its pos_weight does nothing for the part that grows with a negative logit."""
    return -target * F.log_sigmoid(logits) - (1 - target) * F.log_sigmoid(-logits)


LOSSES = {"bce": bce, "asl": asl, "focal": focal}


def known_mean(losses, labels, known=None):
    """Mean of losses (B, C) over the labels (B, C) that are not -1; 0 where there is none.

    known: what the sum is divided by instead: a step of several batches or processes has
    one number of known labels for all of them.
    """
    if known is None:
        known = int((labels >= 0).sum())
    return losses.sum() / (known or 1)


def positive_weights(labels):
    """What `pos_weight` of bce balances the classes of labels (N, C) int8 with: (C,) float32.

    Negatives / positives among the known labels; 1 for a class that lacks either.
    """
    positives, negatives = np.count_nonzero(labels == 1, axis=0), np.count_nonzero(labels == 0, axis=0)
    weights = np.ones(labels.shape[1], "float32")
    np.divide(negatives, positives, out=weights, where=(positives > 0) & (negatives > 0), casting="same_kind")
    return weights


def choose_loss(name, pos_weight, labels):
    """The loss of --loss and --pos_weight for training labels (N, C). UserError where they do not fit."""
    if pos_weight is None:
        return LOSSES[name]
    if name != "bce":
        raise UserError(
            f"--pos_weight is for --loss bce; {name} weighs positives itself: leave one of them out"
        )
    return partial(bce, pos_weight=paddle.to_tensor(positive_weights(labels)))
