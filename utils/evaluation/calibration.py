"""Scores that can be read as probabilities: temperature scaling, and how far scores are from it.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, here for sigmoids: one
temperature T for all classes divides the logits. On plain arrays, see metrics.py.
"""

from typing import NamedTuple

import numpy as np

from utils.evaluation.metrics import IGNORED

BINS = 15  # of equal width, the number that Guo et al. use
COLDEST, HOTTEST = 0.05, 20.0  # temperatures that are tried
LOWEST, HIGHEST = 2.0**-149, 1 - 2.0**-24  # the float32 next to 0 and to 1, whose logits are finite


def calibrate(scores, temperature):
    """sigmoid(logit(scores) / temperature), of the shape and type of `scores`; what a model gives out.

    scores: probabilities, float32. val, predict and infer all apply temperatures in this way, after
    the model. Scores of 1 and 0 count as the float32 next to them: their logits are not known. The order of
    scores stays; below 1 a temperature may make high ones equal. 1 returns `scores` as they are.
    """
    if temperature == 1:
        return scores
    return np.exp(-np.logaddexp(0, -logits_of(scores) / temperature)).astype(scores.dtype)


def logits_of(scores):
    """The logits that the probabilities come from: float64, finite."""
    inside = np.clip(np.asarray(scores, np.float64), LOWEST, HIGHEST)
    return np.log(inside) - np.log1p(-inside)


def fit_temperature(scores, labels):
    """The temperature that makes the cross-entropy of scores (N, C) least, from COLDEST to HOTTEST.

    All labels that are known count alike. 1 where no label is positive or none is negative.
    The cross-entropy is convex in 1 / T, so a golden section over log T finds its minimum.
    """
    counted = labels != IGNORED
    logits, positive = logits_of(scores[counted]), labels[counted] == 1  # (n,), (n,)
    if positive.all() or not positive.any():
        return 1.0

    def loss(log_temperature):
        return _cross_entropy(logits / np.exp(log_temperature), positive)

    low, high = np.log(COLDEST), np.log(HOTTEST)
    shrink = (np.sqrt(5) - 1) / 2
    left, right = high - shrink * (high - low), low + shrink * (high - low)
    at_left, at_right = loss(left), loss(right)
    while high - low > 1e-6:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - shrink * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + shrink * (high - low)
            at_right = loss(right)
    return float(np.exp((low + high) / 2))


def at_a_bound(temperature):
    """Whether fit_temperature ended at COLDEST or HOTTEST: scores that separate the labels, or chance."""
    return not COLDEST * 1.001 < temperature < HOTTEST / 1.001


def cross_entropy(scores, labels):
    """Mean binary cross-entropy, in nats, over all known labels of scores (N, C); NaN without any."""
    counted = labels != IGNORED
    if not counted.any():
        return np.nan
    return _cross_entropy(logits_of(scores[counted]), labels[counted] == 1)


def _cross_entropy(logits, positive):
    return float(np.logaddexp(0, np.where(positive, -logits, logits)).mean())


class Reliability(NamedTuple):
    """The curve of reliability: all known labels in bins by score. Empty bins: NaN, NaN, 0."""

    score: np.ndarray  # (bins,) mean score
    positive: np.ndarray  # (bins,) fraction that is positive: equal to it where scores are probabilities
    count: np.ndarray  # (bins,) labels


def reliability(scores, labels, bins=BINS):
    """The Reliability of scores (N, C), 0..1, over all known labels, in bins of equal width."""
    counted = labels != IGNORED
    score, positive = scores[counted].astype(np.float64), labels[counted] == 1  # (n,), (n,)
    number = np.minimum((score * bins).astype(int), bins - 1)  # a score of 1 is in the last one
    count, sums, hits = (np.bincount(number, weights, bins) for weights in (None, score, positive))
    some = count > 0
    mean_score, fraction = np.full(bins, np.nan), np.full(bins, np.nan)
    mean_score[some], fraction[some] = sums[some] / count[some], hits[some] / count[some]
    return Reliability(mean_score, fraction, count)


def expected_calibration_error(scores, labels, bins=BINS):
    """ECE, 0..1: how far score and fraction of positives are apart, mean over labels; NaN without any.

    Most labels are negative with low scores, so it is small beside that of one label a photo.
    """
    curve = reliability(scores, labels, bins)
    some = curve.count > 0
    if not some.any():
        return np.nan
    gap = np.abs(curve.score[some] - curve.positive[some])
    return float(np.average(gap, weights=curve.count[some]))
