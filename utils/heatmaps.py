"""Where in a photo each class is seen: the score maps that the logits are made of, and their attention."""

from dataclasses import dataclass

import numpy as np
import paddle
import paddle.nn.functional as F

from models import model_input
from models.csra import MAX, SharedMHA


@dataclass
class Maps:
    """What one photo's logits are made of, float32 arrays: H heads, C classes, a map of h x w cells.

    logits = factor * sum over heads of (base + lam * att), where base is the mean of a score
    map and att the sum of attention * score over its cells. Cell (0, 0) is the photo's top left.
    """

    score: np.ndarray  # (H, C, h, w)
    attention: np.ndarray  # (H, C, h, w), sums to 1 over the cells
    base: np.ndarray  # (H, C)
    att: np.ndarray  # (H, C)
    logits: np.ndarray  # (C,)
    scores: np.ndarray  # (C,) in 0..1: sigmoid of the logits
    lam: float
    temperatures: tuple  # one a head; models.csra.MAX: the maximum
    factor: float  # 1; 1 / H where heads are averaged (attention at test time)

    def summed_score(self):
        """The score maps of all heads as the logits add them, (C, h, w)."""
        return self.factor * self.score.sum(axis=0)

    def mean_attention(self):
        """Mean over the heads, (C, h, w); sums to 1 over the cells."""
        return self.attention.mean(axis=0)


@paddle.no_grad()
def score_maps(model, photos, normalization):
    """Maps of each photo of a batch: uint8 (B, S, S, 3) -> list of B Maps. The model is in eval mode.

    The trunk runs once, and the logits are made from the very maps that are returned. Heads
    alone take feature maps (B, D, h, w) and `normalization` None.
    """
    classifier = getattr(model, "classifier", model)
    heads = list(classifier.multi_head)
    maps = model.score_maps(model_input(photos, normalization))  # H times (B, C, h, w)
    logits = classifier.logits(maps).astype("float32")  # (B, C)
    attention = [head.attention(score) for head, score in zip(heads, maps, strict=True)]
    score, attention = (paddle.stack(each, 1).astype("float32") for each in (maps, attention))
    base = score.mean(axis=[3, 4])  # (B, H, C)
    att = (attention * score).sum(axis=[3, 4])  # (B, H, C)
    arrays = [each.numpy() for each in (score, attention, base, att, logits, F.sigmoid(logits))]
    factor = 1 / len(heads) if isinstance(classifier, SharedMHA) else 1
    about = heads[0].lam, tuple(head.T for head in heads), factor
    return [Maps(*(each[row] for each in arrays), *about) for row in range(len(photos))]


def temperature_name(T):
    """A head's temperature in words: T 1, or T max."""
    return "T max" if T == MAX else f"T {T:g}"
