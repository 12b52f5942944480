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


def average_precision(scores, labels, kind=AP_KINDS[0]):
    """AP of each class, (C,) float64, as `kind` of AP_KINDS defines it: see ap_of_ranked.

    Photos are ranked by score; equal scores stay in the order given. Ignored
    photos are left out. NaN marks a class without a positive, which has no AP.
    """
    ap = np.full(labels.shape[1], np.nan)
    for c in range(labels.shape[1]):
        counted = labels[:, c] != IGNORED
        score = scores[counted, c]
        positive = labels[counted, c] == 1
        ap[c] = ap_of_ranked(positive[np.argsort(-score, kind="stable")], kind)  # the same on every machine
    return ap


def ap_of_ranked(ranked, kind=AP_KINDS[0]):
    """AP of one class: ranked (n,) bool says whether the photos, best score first, are positive.

    "area": the mean of the precision at each positive (the reference's, scikit-learn's).
    "interpolated": the same of the highest precision at that recall or above, which is the area
    under the envelope of the curve (VOC 2010 and later). "voc07_11point": the mean of that highest
    precision at the recalls 0, 0.1 ... 1 (VOC 2007). Both: VOC development kit, VOCap.m and VOCevalcls.m.
    NaN without a positive. ValueError for another kind.
    """
    if kind not in AP_KINDS:
        raise ValueError(f"AP {kind!r} is none of {', '.join(AP_KINDS)}")
    ranks = np.flatnonzero(ranked) + 1  # rank of each positive, from 1
    count = len(ranks)
    if not count:
        return np.nan
    precision = np.arange(1, count + 1) / ranks  # at each positive; between them it only falls
    if kind == "area":
        return precision.mean()
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    if kind == "interpolated":
        return envelope.mean()  # each positive is a step of 1 / count in recall
    needed = -(-np.arange(11) * count // 10)  # positives that make recall 0, 0.1 ... 1, in whole numbers
    return envelope[np.maximum(needed, 1) - 1].mean()


def resolve_ignored(labels, rule):
    """A copy of labels (N, C) in which `rule` of IGNORED_RULES says what an ignored one counts as.

    In VOC these are classes of which a photo shows difficult objects only. ValueError for another rule.
    """
    values = dict(zip(IGNORED_RULES, (IGNORED, 0, 1), strict=True))
    if rule not in values:
        raise ValueError(f"rule {rule!r} is none of {', '.join(IGNORED_RULES)}")
    return np.where(labels == IGNORED, labels.dtype.type(values[rule]), labels)


def reach(scores, threshold):
    """Whether each of scores (..., C) is its threshold or more: a number, (C,) or (..., C); bool as scores.

    Compared as they are: NumPy 1 would round a single number to the type of the scores.
    """
    return np.asarray(scores, np.float64) >= np.asarray(threshold, np.float64)


def counted_labels(labels, ignored_is_negative):
    """A copy of labels (N, C) as precision and recall count them, see precision_recall."""
    return resolve_ignored(labels, "negative" if ignored_is_negative else "ignore")


def precision_recall(scores, labels, threshold=THRESHOLD, ignored_is_negative=False):
    """CP, CR, CF1 (mean over classes) and OP, OR, OF1 (over all labels) as a dict.

    threshold: a number for all classes, (C,), one for each, or (N, C), one for each score.
    As the reference: a class with nothing predicted has precision 0 and counts as
    one prediction in OP; ignored labels are left out, or count as negative
    (the reference's rule for WIDER). Unlike it: a class without positives is left
    out of CR instead of making it NaN, and 0/0 in F1 is 0.
    """
    labels = counted_labels(labels, ignored_is_negative)
    predicted = reach(scores, threshold) & (labels != IGNORED)
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
    """A copy of scores (N, C) with all but the three highest of each photo set to -1, below any threshold.

    Among equal scores the class that comes first stays.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    kept = scores.copy()
    np.put_along_axis(kept, order[:, 3:], -1, axis=1)
    return kept


def evaluate(scores, labels, threshold=THRESHOLD, ignored_is_negative=False, top3=False, ap_kind=AP_KINDS[0]):
    """All figures of a split as plain numbers, ready for JSON.

    threshold: a number or (C,). Returns mAP (mean over the classes that have a positive;
    None when none has), ap (a list, None for a class without), CP ... OF1, counts, threshold
    (a number or a list), ap_definition (`ap_kind`, one of AP_KINDS), and with `top3` a dict
    of the same six figures for the three best labels of each photo. Raises
    ValueError when shapes differ or a score is not a number.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.shape != labels.shape or scores.ndim != 2:
        raise ValueError(f"scores {scores.shape} and labels {labels.shape} must be one (N, C)")
    if not np.isfinite(scores).all():
        raise ValueError("some scores are not finite numbers: the model has diverged")
    if np.shape(threshold) not in ((), scores.shape[1:]):
        raise ValueError(f"thresholds {np.shape(threshold)} are neither one nor {scores.shape[1:]}")
    ap = average_precision(scores, labels, ap_kind)
    known = ~np.isnan(ap)
    figures = {
        "mAP": float(ap[known].mean()) if known.any() else None,
        **precision_recall(scores, labels, threshold, ignored_is_negative),
        "ap": [float(value) if ok else None for value, ok in zip(ap, known, strict=True)],
        "positives": (labels == 1).sum(axis=0).tolist(),
        "ignored": int((labels == IGNORED).sum()),
        "photos": len(labels),
        "threshold": np.asarray(threshold).tolist(),
        "ap_definition": ap_kind,
    }
    if top3:
        figures["top3"] = precision_recall(keep_top3(scores), labels, threshold, ignored_is_negative)
    return figures


def _f1(precision, recall):
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
