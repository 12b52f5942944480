"""A threshold for each class, found on the scores of a split. On plain arrays, see metrics.py."""

import numpy as np

from utils.evaluation.bootstrap import photo_numbers
from utils.evaluation.calibration import calibrate, fit_temperature
from utils.evaluation.metrics import IGNORED, THRESHOLD, counted_labels


def tune_thresholds(scores, labels, goal, fallback=THRESHOLD):
    """best_thresholds, with `fallback` (a number or (C,)) where there is none: (C,) float64."""
    found = best_thresholds(scores, labels, goal)
    return np.where(np.isnan(found), fallback, found)


def best_thresholds(scores, labels, goal):
    """The threshold of each class that serves a goal, (C,) float64 in 0..1; NaN where there is none.

    goal: ("f1", None) for the best F1 (the highest threshold of those with it), ("precision", p)
    for the lowest threshold with a precision of at least p, ("recall", r) for the highest with
    a recall of at least r. There is none for a class without a positive and where no threshold
    gives the precision. Ignored labels are left out. A threshold lies midway between two
    neighbouring scores (below the lowest: midway to 0), rounded to the scores' own type:
    scores >= threshold predicts what was counted here, in that type and in a wider one.
    """
    found = np.full(labels.shape[1], np.nan)
    for c in range(labels.shape[1]):
        counted = labels[:, c] != IGNORED
        found[c] = _best_threshold(scores[counted, c], labels[counted, c] == 1, *goal)
    return found


def _best_threshold(score, positive, name, least):
    """The threshold of one class: score (n,), positive (n,) bool; NaN where there is none."""
    if not positive.any():
        return np.nan
    values, hits, predicted = at_each_score(score, positive)
    if name == "f1":
        chosen = np.argmax(2 * hits / (predicted + hits[-1]))
    elif name == "recall":
        chosen = np.argmax(hits / hits[-1] >= least)  # a quotient: 11 of 20 is 0.55 to the bit
    else:
        enough = np.flatnonzero(hits / predicted >= least)
        if not len(enough):
            return np.nan
        chosen = enough[-1]
    return _between(values, chosen)


def at_each_score(score, positive):
    """What each distinct score gives as the threshold, highest first: (scores, hits, predicted), (K,) each.

    score (n,), positive (n,) bool of one class; hits: positives among the predicted photos.
    """
    order = np.argsort(-score, kind="stable")
    score, hits = score[order], np.cumsum(positive[order])  # hits among the 1, 2 ... n best
    ends = np.flatnonzero(np.append(score[1:] < score[:-1], True))  # equal scores are predicted together
    return score[ends], hits[ends], ends + 1


def _between(values, chosen):
    """The number midway between values[chosen] and the next lower one, above the latter in their type."""
    upper = values[chosen]
    lower = values[chosen + 1] if chosen + 1 < len(values) else values.dtype.type(0)
    middle = values.dtype.type((float(upper) + float(lower)) / 2)
    return upper if middle <= lower else middle


def held_out(
    scores,
    labels,
    goal=None,
    temperature=False,
    fallback=THRESHOLD,
    seed=0,
    ignored_is_negative=False,
    paths=None,
):
    """(scores (N, C), thresholds (N, C)), each photo's tuned on the half of the photos that it is not in.

    What precision_recall and the like say of them is what tuning gives on further photos; on the
    photos tuned on it looks better than it is. goal: None leaves `fallback` (a number or (C,));
    temperature: whether the scores are calibrated first. The halves are drawn by `seed`.
    ignored_is_negative: the data set's rule for precision and recall; a temperature takes known labels alone.
    paths: N, where rows may be boxes of one photo, which stay together.
    """
    ruled = counted_labels(labels, ignored_is_negative)
    photos = photo_numbers(range(len(scores)) if paths is None else paths)  # (N,)
    count = photos.max() + 1
    first = (np.random.default_rng(seed).permutation(count) < count // 2)[photos]  # (N,)
    calibrated, thresholds = scores.copy(), np.empty(labels.shape)
    for tune, use in ((first, ~first), (~first, first)):
        fitted = fit_temperature(scores[tune], labels[tune]) if temperature else 1.0
        calibrated[use] = calibrate(scores[use], fitted)
        given = calibrate(scores[tune], fitted)
        thresholds[use] = tune_thresholds(given, ruled[tune], goal, fallback) if goal else fallback
    return calibrated, thresholds


def goal_name(goal):
    """A goal as --tune_thresholds takes it: f1, precision=0.9."""
    name, least = goal
    return name if least is None else f"{name}={least:g}"


def threshold_lines(found, classes, goal, fallback=THRESHOLD):
    """What was found (best_thresholds), in words: lines to print."""
    asked = goal_name(goal)
    shown = np.where(np.isnan(found), fallback, found)  # (C,)
    each = ", ".join(f"{label} {value:.3f}" for label, value in zip(classes, shown, strict=True))
    lines = [f"thresholds for {asked}: {each}"]
    kept = [label for label, value in zip(classes, found, strict=True) if np.isnan(value)]
    if kept:
        lines.append(f"no threshold for {asked} (no positive, or out of reach), kept: {', '.join(kept)}")
    return lines
