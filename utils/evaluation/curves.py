"""What a report draws and tabulates, on plain arrays: see metrics.py for scores, labels and N, C."""

from typing import NamedTuple

import numpy as np

from utils.evaluation.metrics import IGNORED, reach
from utils.evaluation.thresholds import at_each_score, best_thresholds

BINS = 20  # of a histogram of scores
POINTS = 200  # of a drawn curve, at most


class Curve(NamedTuple):
    """Precision and recall of one class with each of its K distinct scores as threshold, highest first."""

    threshold: np.ndarray  # (K,)
    precision: np.ndarray  # (K,) 0..1
    recall: np.ndarray  # (K,) 0..1, rising


class AtThreshold(NamedTuple):
    """What each class's threshold gives, arrays (C,). NaN: precision with nothing predicted, recall and
    F1 of a class without a positive. threshold: NaN where there is none, and then nothing is predicted."""

    threshold: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    false: np.ndarray  # number of photos predicted wrongly
    missed: np.ndarray  # number of positives not predicted


def precision_recall_curve(scores, labels):
    """The Curve of one class, scores (N,), labels (N,): scikit-learn's but for the point (0, 1) that it adds.

    Ignored photos are left out. K is 0 for a class without a positive: it has no recall.
    """
    counted = labels != IGNORED
    score, positive = scores[counted], labels[counted] == 1
    if not positive.any():
        return Curve(*np.zeros((3, 0)))
    values, hits, predicted = at_each_score(score, positive)
    return Curve(values, hits / predicted, hits / hits[-1])


def thinned(curve, most=POINTS):
    """A Curve of at most `most` points: of each step in recall its ends, then evenly spread ones.

    Between two positives precision falls and recall stays, so the ends say all.
    """
    recall = curve.recall
    ends = np.ones(len(recall), bool)
    ends[1:-1] = (recall[1:-1] != recall[:-2]) | (recall[1:-1] != recall[2:])
    rows = np.flatnonzero(ends)
    if len(rows) > most:
        rows = rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]
    return Curve(*(values[rows] for values in curve))


def at_threshold(scores, labels, threshold):
    """AtThreshold of scores and labels (N, C); threshold: a number or (C,). Ignored labels are left out."""
    threshold = np.broadcast_to(np.asarray(threshold, float), scores.shape[1])
    positive = labels == 1
    predicted = reach(scores, threshold) & (labels != IGNORED)
    hits, said, known = ((each).sum(axis=0) for each in (predicted & positive, predicted, positive))  # (C,)
    nan = np.full(len(threshold), np.nan)
    precision = np.divide(hits, said, out=nan.copy(), where=said > 0)
    recall = np.divide(hits, known, out=nan.copy(), where=known > 0)
    f1 = np.divide(2 * hits, said + known, out=nan.copy(), where=known > 0)
    return AtThreshold(threshold, precision, recall, f1, said - hits, known - hits)


def at_best_threshold(scores, labels):
    """AtThreshold with each class's threshold of best F1 on these very scores: an optimistic figure."""
    return at_threshold(scores, labels, best_thresholds(scores, labels, ("f1", None)))


def histograms(scores, labels, bins=BINS):
    """How many negatives and positives have scores in each of `bins` equal bins of 0..1: (2, C, bins) int."""
    number = np.minimum((scores * bins).astype(int), bins - 1)  # (N, C); a score of 1 is in the last one
    counts = np.zeros((2, labels.shape[1], bins), int)
    for c in range(labels.shape[1]):
        for label in (0, 1):
            counts[label, c] = np.bincount(number[labels[:, c] == label, c], minlength=bins)
    return counts


def co_occurrence(scores, labels, threshold):
    """Of the photos labelled i, the fraction labelled j and the fraction predicted j: two arrays (C, C).

    threshold: a number or (C,). Photos where label j is ignored do not count in column j. NaN
    where no photo is left. The diagonals are 1 and the recall.
    """
    positive = (labels == 1).astype(float)
    counted = (labels != IGNORED).astype(float)
    predicted = reach(scores, threshold) * counted
    photos = positive.T @ counted  # (C, C)
    labelled, said = positive.T @ positive, positive.T @ predicted
    nan = np.full(photos.shape, np.nan)
    return tuple(np.divide(each, photos, out=nan.copy(), where=photos > 0) for each in (labelled, said))


def confusions(labelled, predicted, positives, least=1, most=10):
    """Pairs (i, j), i != j, in which co_occurrence's fractions differ most, largest difference first.

    Only rows i with at least `least` of `positives` (C,); pairs that agree are left out.
    """
    gap = np.abs(predicted - labelled)
    np.fill_diagonal(gap, 0)
    gap[np.asarray(positives) < least] = 0
    gap = np.nan_to_num(gap)
    order = np.argsort(-gap, axis=None, kind="stable")[:most]
    pairs = zip(*np.unravel_index(order, gap.shape), strict=True)
    return [(int(i), int(j)) for i, j in pairs if gap[i, j] > 0]


def mistakes(scores, labels, threshold, most):
    """For each class two lists of rows: the surest false predictions, and the positives missed by most.

    threshold: a number or (C,); at most `most` rows each. Equal scores stay in the order given.
    """
    predicted, found = reach(scores, threshold), []
    for c in range(scores.shape[1]):
        false = np.flatnonzero((labels[:, c] == 0) & predicted[:, c])
        missed = np.flatnonzero((labels[:, c] == 1) & ~predicted[:, c])
        false = false[np.argsort(-scores[false, c], kind="stable")][:most]
        missed = missed[np.argsort(scores[missed, c], kind="stable")][:most]
        found.append((false.tolist(), missed.tolist()))
    return found
