"""What the benchmarks share: loaders of what is in memory, classes that count, their mean, tables."""

import numpy as np

from datasets.loader import Batches
from datasets.records import Records
from utils.checkpoint import versions
from utils.evaluation.bootstrap import ap_of_draws, mean_of_classes
from utils.evaluation.metrics import average_precision
from utils.evaluation.report_data import ENOUGH


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


def map_draws(scores, labels, classes, times):
    """mean_ap on each of the draws `times` (utils.evaluation.bootstrap.draws): (n,)."""
    return 100 * mean_of_classes(ap_of_draws(scores[:, classes], labels[:, classes], times))


def markdown(columns, rows):
    """A table, one string."""
    return "".join(
        f"| {' | '.join(map(str, cells))} |\n" for cells in [columns, ["---"] * len(columns), *rows]
    )


def used_versions():
    """Versions in words."""
    return ", ".join(f"{name} {value}" for name, value in versions().items() if name != "git")
