"""Photos to scores, without gradients: what train, val and predict share."""

import numpy as np
import paddle
import paddle.nn.functional as F
from tqdm import tqdm

from models import model_input
from utils.distributed import ALONE
from utils.errors import UserError
from utils.evaluation.metrics import AP_KINDS, IGNORED_RULES, evaluate, resolve_ignored


@paddle.no_grad()
def score_batch(model, photos, normalization):
    """Probabilities of a batch: uint8 (B, S, S, 3) -> float32 (B, C) in 0..1. The model is in eval mode.

    Heads alone take feature maps (B, D, h, w) and `normalization` None.
    """
    return F.sigmoid(model(model_input(photos, normalization)).astype("float32")).numpy()


def score_split(model, loader, normalization, processes=ALONE):
    """Probabilities (N, C) float32 of all photos of a loader, in the order of its records.

    Of several processes each scores the batches that its loader gives it, as one process
    would, and all get all scores. RuntimeError unless every photo was scored exactly once,
    UserError when a score is not a number.
    """
    model.eval()
    scores = np.zeros(loader.records.labels.shape, np.float32)  # (N, C)
    times = np.zeros(len(scores), np.int32)
    for batch in tqdm(loader.epoch(), total=len(loader), desc="evaluate", leave=False, disable=None):
        scores[batch.indices] = score_batch(model, batch.photos, normalization)
        np.add.at(times, batch.indices, 1)  # += counts a row of a batch once
    if (processes.sum(times) != 1).any():
        raise RuntimeError("some photos were not scored exactly once")
    scores = processes.sum(scores)
    if not np.isfinite(scores).all():
        raise UserError("some scores are not finite numbers: the model has diverged; train with a lower --lr")
    return scores


def evaluate_split(model, loader, normalization, spec, threshold, processes=ALONE):
    """Scores (N, C) and figures (see metrics.evaluate) of a split under the rules of its data set."""
    scores = score_split(model, loader, normalization, processes)
    return scores, split_figures(scores, loader.records.labels, spec, threshold)


def split_figures(scores, labels, spec, threshold, ap_kind=AP_KINDS[0], difficult=IGNORED_RULES[0]):
    """Figures (see metrics.evaluate) of scores (N, C) under the rules of their data set.

    threshold: a number or (C,). ap_kind: of AP_KINDS. difficult: of IGNORED_RULES, what labels count as
    that the data set ignores.
    """
    rules = {"ignored_is_negative": spec.ignored_is_negative_in_precision, "top3": spec.top3}
    return evaluate(scores, resolve_ignored(labels, difficult), threshold, **rules, ap_kind=ap_kind)
