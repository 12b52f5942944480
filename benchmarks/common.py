"""What the benchmarks share: loaders of what is in memory, classes that count, intervals, tables."""

import numpy as np

from datasets.loader import Batches
from datasets.records import Records
from utils.checkpoint import versions
from utils.evaluation.metrics import average_precision

ENOUGH = 15  # positives in either split for a class to count


class Ready(Batches):
    """A loader of photos (N, S, S, 3) uint8 that are in memory, with labels (N, C), in their order."""

    def __init__(self, photos, labels, batch_size):
        super().__init__(unnamed(labels), batch_size)
        self.photos = photos

    def _inputs(self, rows, _):
        return iter(self.photos[rows])


def unnamed(labels):
    """Records of photos of which the labels (N, C) alone matter."""
    return Records([""] * len(labels), labels, [None] * len(labels))


def filled_classes(train_labels, test_labels):
    """Columns of the classes with at least ENOUGH positives in both splits."""
    counts = np.minimum((train_labels == 1).sum(axis=0), (test_labels == 1).sum(axis=0))
    return np.flatnonzero(counts >= ENOUGH)


def mean_ap(scores, labels, classes):
    """Mean AP in percent over some classes (columns); one without a positive is left out."""
    return 100 * float(np.nanmean(average_precision(scores[:, classes], labels[:, classes])))


def bootstrap(figure, count, n=1000, seed=0):
    """95 % interval of figure(rows) over n draws of `count` rows with replacement: (low, high)."""
    rng = np.random.default_rng(seed)
    values = [figure(rng.integers(0, count, count)) for _ in range(n)]
    return tuple(np.percentile(values, [2.5, 97.5]))


def markdown(columns, rows):
    """A table, one string."""
    return "".join(
        f"| {' | '.join(map(str, cells))} |\n" for cells in [columns, ["---"] * len(columns), *rows]
    )


def used_versions():
    """Versions in words."""
    return ", ".join(f"{name} {value}" for name, value in versions().items() if name != "git")
