"""Intervals of AP over photos: the bootstrap (Efron and Tibshirani, 1993), on plain arrays.

Photos are drawn with replacement, as many as there are, and AP is that of the photos drawn. Two runs on
the same draws are a paired comparison: what makes photos hard for both does not widen the interval of
their difference. A class of which a draw has no positive has no AP there and is left out.
"""

import numpy as np

from utils.evaluation.metrics import AP_KINDS, IGNORED

DRAWS = 1000
CHUNK = 2**22  # numbers of one array; it bounds the memory


def draws(count, n=DRAWS, seed=0):
    """How often each of `count` photos is in each of `n` draws: (n, count) uint16; rows sum to `count`."""
    rng = np.random.default_rng(seed)
    times = np.empty((n, count), np.uint16)
    for row in times:
        row[:] = np.bincount(rng.integers(0, count, count), minlength=count)
    return times


def photo_numbers(paths):
    """(N,) int: the photo of each row, from 0 in the order they come; boxes of one photo share its path."""
    numbers = {}
    return np.array([numbers.setdefault(path, len(numbers)) for path in paths], int)


def draws_of_photos(paths, n=DRAWS, seed=0):
    """How often each of N rows is in each of `n` draws of photos: (n, N) uint16, see draws.

    The boxes of one photo are drawn together: they are alike, and as N photos they would narrow an interval.
    """
    photos = photo_numbers(paths)
    return draws(photos.max() + 1, n, seed)[:, photos]


def ap_of_draws(scores, labels, times, kind=AP_KINDS[0]):
    """AP of each class on each draw: (n, C) float64, NaN where a draw has no positive of the class.

    times (n, N): see draws_of_photos. The same as average_precision(scores[rows], labels[rows], kind) with
    rows = np.repeat(np.arange(N), times[i]), in a fraction of the time: each class is sorted once.
    """
    ap = np.full((len(times), labels.shape[1]), np.nan)
    step = max(1, CHUNK // len(labels))
    for c in range(labels.shape[1]):
        counted = np.flatnonzero(labels[:, c] != IGNORED)
        order = counted[np.argsort(-scores[counted, c], kind="stable")]
        positive = np.flatnonzero(labels[order, c] == 1)  # ranks of the P positives, from 0
        for start in range(0, len(times) if len(positive) else 0, step):
            drawn = times[start : start + step, order]  # (n, N), best score first
            ranks = drawn.cumsum(axis=1, dtype=np.int32)[:, positive]  # (n, P) of the last copy, from 1
            ap[start : start + step, c] = _ap_of_copies(drawn[:, positive].astype(np.int32), ranks, kind)
    return ap


def _ap_of_copies(copies, ranks, kind):
    """AP (n,) of draws in which positive p occurs copies[:, p] times, the last time at ranks[:, p].

    See metrics.ap_of_ranked. A copy's precision is no lower than that of the copy before it, so envelopes
    need the last ones only.
    """
    hits = copies.cumsum(axis=1)  # (n, P)
    total = hits[:, -1]  # (n,)
    if kind == "area":
        summed = np.zeros(len(copies))
        for back in range(copies.max(initial=0)):  # the last copy, the one before it, ...
            there = copies > back
            summed += np.where(there, (hits - back) / np.maximum(ranks - back, 1), 0).sum(axis=1)
        return _divided(summed, total)
    precision = np.where(copies > 0, hits / np.maximum(ranks, 1), 0)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]  # (n, P)
    if kind == "interpolated":
        return _divided((envelope * copies).sum(axis=1), total)
    summed = np.zeros(len(copies))
    for tenth in range(11):
        needed = np.maximum(-(-tenth * total // 10), 1)  # positives that make this recall
        first = (hits >= needed[:, None]).argmax(axis=1)  # the positive that makes it
        summed += envelope[np.arange(len(copies)), first]
    return np.where(total > 0, summed / 11, np.nan)


def _divided(summed, total):
    return np.divide(summed, total, out=np.full(len(total), np.nan), where=total > 0)


def interval(values, level=95):
    """The middle `level` percent of values (n, ...) along their first axis: (low, high); NaN are left out.

    NaN where all are NaN.
    """
    values = np.asarray(values, float)
    flat = values.reshape(len(values), -1)
    ends = np.full((2, flat.shape[1]), np.nan)
    some = ~np.isnan(flat).all(axis=0)
    ends[:, some] = np.nanpercentile(flat[:, some], [(100 - level) / 2, (100 + level) / 2], axis=0)
    return tuple(each.reshape(values.shape[1:])[()] for each in ends)


def mean_of_classes(ap):
    """mAP of each draw: (n, C) -> (n,), classes without an AP left out; NaN where none has one."""
    known = ~np.isnan(ap)
    return _divided(np.where(known, ap, 0).sum(axis=1), known.sum(axis=1))
