"""AP against the size of objects, on plain arrays: see metrics.py for scores, labels and N, C."""

from typing import NamedTuple

import numpy as np

from utils.evaluation.metrics import AP_KINDS, IGNORED, average_precision

BINS = {"small": (0, 0.05), "medium": (0.05, 0.2), "large": (0.2, np.inf)}  # share of the photo's area
LEAST = 5  # positives of a size for a class to count in its mean


class BySize(NamedTuple):
    """AP of the positives of one size against all negatives."""

    ap: np.ndarray  # (C,) 0..1, NaN without a positive of that size
    positives: np.ndarray  # (C,) of that size
    used: np.ndarray  # (C,) bool: enough positives to count in the mean
    mean: float  # AP of the classes used, 0..1; NaN without any

    @property
    def counted(self):
        """Positives of the classes used."""
        return int(self.positives[self.used].sum())


def largest_shares(objects, sizes, num_classes):
    """(N, C): share of the photo that the largest box of a class covers, 0..1; difficult ones do not count.

    objects: for each photo a list of (class index, (x, y, width, height), difficult), or None where they
    are not known, which gives NaN. sizes: (width, height) of each photo, in the boxes' pixels. 0: no box.
    """
    shares = np.zeros((len(objects), num_classes))
    for row, (things, size) in enumerate(zip(objects, sizes, strict=True)):
        if things is None:
            shares[row] = np.nan
            continue
        for c, (_, _, width, height), difficult in things:
            if not difficult:
                shares[row, c] = max(shares[row, c], width * height / (size[0] * size[1]))
    return shares


def ap_by_size(scores, labels, shares, classes, least=LEAST, kind=AP_KINDS[0]):
    """{bin of BINS: BySize}. shares (N, C) as of largest_shares; positives without a box are left out.

    The means are over those of `classes` (columns) that have `least` positives of that size.
    """
    asked = np.isin(np.arange(labels.shape[1]), classes)
    found = {}
    for name, (low, high) in BINS.items():
        inside = (shares > 0) & (shares >= low) & (shares < high)
        only = np.where((labels == 1) & ~inside, IGNORED, labels)
        positives = (only == 1).sum(axis=0)
        ap = average_precision(scores, only, kind)
        used = asked & (positives >= max(least, 1))
        found[name] = BySize(ap, positives, used, float(ap[used].mean()) if used.any() else np.nan)
    return found
