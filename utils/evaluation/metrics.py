"""Figures of multi-label recognition on plain arrays.

N photos, C classes. scores (N, C): probabilities, any float type. labels (N, C):
1 positive, 0 negative, IGNORED (-1) not counted. Inputs are never changed. All
figures are fractions, 0..1. The reference's rules are kept, its faults are not;
where the two differ the function says so.
"""

import numpy as np

IGNORED = -1
AP_KINDS = ("area", "voc07_11point", "interpolated")  # the first is the reference's
IGNORED_RULES = ("ignore", "negative", "positive")  # what an ignored label counts as; the reference's first
THRESHOLD = 0.5  # where nothing else is said: a score at or above it counts as predicted


def average_precision(scores, labels):
    """AP of each class, (C,) float64: the mean of the precision at each positive.

    Photos are ranked by score; equal scores stay in the order given. Ignored
    photos are left out. NaN marks a class without a positive, which has no AP.
    """
    ap = np.full(labels.shape[1], np.nan)
    for c in range(labels.shape[1]):
        counted = labels[:, c] != IGNORED
        score = scores[counted, c]
        positive = labels[counted, c] == 1
        ranked = positive[np.argsort(-score, kind="stable")]  # stable: the same on every machine
        ranks = np.flatnonzero(ranked) + 1  # rank of each positive, from 1
        if len(ranks):
            ap[c] = np.mean(np.arange(1, len(ranks) + 1) / ranks)
    return ap


def precision_recall(scores, labels, threshold=THRESHOLD, ignored_is_negative=False):
    """CP, CR, CF1 (mean over classes) and OP, OR, OF1 (over all labels) as a dict.

    As the reference: a class with nothing predicted has precision 0 and counts as
    one prediction in OP; ignored labels are left out, or count as negative
    (the reference's rule for WIDER). Unlike it: a class without positives is left
    out of CR instead of making it NaN, and 0/0 in F1 is 0.
    """
    counted = np.ones(labels.shape, bool) if ignored_is_negative else labels != IGNORED
    predicted = (scores >= threshold) & counted
    n_positive = (labels == 1).sum(axis=0)  # (C,)
    n_predicted = np.maximum(predicted.sum(axis=0), 1)  # (C,)
    n_hit = (predicted & (labels == 1)).sum(axis=0)  # (C,)
    known = n_positive > 0
    CP = (n_hit / n_predicted).mean()
    CR = (n_hit[known] / n_positive[known]).mean() if known.any() else 0.0
    OP = n_hit.sum() / n_predicted.sum()
    OR = n_hit.sum() / max(n_positive.sum(), 1)
    figures = {"CP": CP, "CR": CR, "CF1": _f1(CP, CR), "OP": OP, "OR": OR, "OF1": _f1(OP, OR)}
    return {name: float(value) for name, value in figures.items()}


def keep_top3(scores):
    """A copy of scores (N, C) with all but the three highest of each photo set to 0.

    Among equal scores the class that comes first stays.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    kept = scores.copy()
    np.put_along_axis(kept, order[:, 3:], 0, axis=1)
    return kept


def evaluate(scores, labels, threshold=THRESHOLD, ignored_is_negative=False, top3=False):
    """All figures of a split as plain numbers, ready for JSON.

    Returns mAP (mean over the classes that have a positive; None when none has),
    ap (a list, None for a class without), CP ... OF1, counts, and with `top3` a dict
    of the same six figures for the three best labels of each photo. Raises
    ValueError when shapes differ or a score is not a number.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.shape != labels.shape or scores.ndim != 2:
        raise ValueError(f"scores {scores.shape} and labels {labels.shape} must be one (N, C)")
    if not np.isfinite(scores).all():
        raise ValueError("some scores are not finite numbers: the model has diverged")
    ap = average_precision(scores, labels)
    known = ~np.isnan(ap)
    figures = {
        "mAP": float(ap[known].mean()) if known.any() else None,
        **precision_recall(scores, labels, threshold, ignored_is_negative),
        "ap": [float(value) if ok else None for value, ok in zip(ap, known, strict=True)],
        "positives": (labels == 1).sum(axis=0).tolist(),
        "ignored": int((labels == IGNORED).sum()),
        "photos": len(labels),
        "threshold": threshold,
    }
    if top3:
        figures["top3"] = precision_recall(keep_top3(scores), labels, threshold, ignored_is_negative)
    return figures


def _f1(precision, recall):
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
