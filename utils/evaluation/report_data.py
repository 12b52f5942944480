"""The numbers of a report, and the files that hold them beside the page."""

import csv
import io
import json
from dataclasses import dataclass

import numpy as np

from utils.evaluation.bootstrap import DRAWS, ap_of_draws, draws_of_photos, interval, mean_of_classes
from utils.evaluation.calibration import Reliability, expected_calibration_error, reliability
from utils.evaluation.compare import Difference, difference
from utils.evaluation.curves import (
    AtThreshold,
    at_best_threshold,
    at_threshold,
    co_occurrence,
    histograms,
    mistakes,
    precision_recall_curve,
    thinned,
)
from utils.evaluation.metrics import counted_labels
from utils.evaluation.object_size import ap_by_size, largest_shares
from utils.rows import cell

ENOUGH = 15  # positives for the AP of a class to say something
MOST = 3  # photos of a kind shown of each class
COLUMNS = ("threshold", "precision", "recall", "f1", "false", "missed")  # of AtThreshold


@dataclass
class Evaluation:
    """What a report is made of. scores, labels (N, C) as in metrics.py; paths of N photos.

    figures: of metrics.evaluate on these very arrays. about: {name: text}, in the page's order.
    objects and sizes (see object_size.largest_shares): None where boxes are not known.
    ignored_is_negative: the data set's rule for precision and recall, see metrics.precision_recall.
    """

    scores: np.ndarray
    labels: np.ndarray
    classes: list
    figures: dict
    about: dict
    paths: list
    objects: list | None = None
    sizes: list | None = None
    ignored_is_negative: bool = False
    title: str = "Evaluation report"


@dataclass
class Numbers:
    """What a report shows, fractions; C classes."""

    ap: np.ndarray  # (C,) NaN without a positive
    ap_interval: tuple  # two arrays (C,): 95 % of the draws
    mAP_interval: tuple
    many: np.ndarray  # (C,) bool: ENOUGH positives
    many_interval: tuple  # of their mAP
    used: AtThreshold
    best: AtThreshold
    curves: list  # C times curves.Curve
    histograms: np.ndarray  # (2, C, bins)
    labelled: np.ndarray  # (C, C) see curves.co_occurrence
    predicted: np.ndarray
    reliability: Reliability
    ece: float
    mistakes: list  # C pairs of lists of rows
    by_size: dict | None  # {name: object_size.BySize}
    difference: Difference | None


def gather(run, other=None):
    """The Numbers of an Evaluation, beside another run (compare.Other) where there is one."""
    scores, labels, figures = run.scores, run.labels, run.figures
    kind, threshold = figures["ap_definition"], figures["threshold"]
    ruled = counted_labels(labels, run.ignored_is_negative)
    times = draws_of_photos(run.paths)
    drawn = ap_of_draws(scores, labels, times, kind)  # (DRAWS, C)
    many = np.array(figures["positives"]) >= ENOUGH
    labelled, predicted = co_occurrence(scores, labels, threshold)
    return Numbers(
        ap=np.array([np.nan if ap is None else ap for ap in figures["ap"]]),
        ap_interval=interval(drawn),
        mAP_interval=interval(mean_of_classes(drawn)),
        many=many,
        many_interval=interval(mean_of_classes(drawn[:, many])),
        used=at_threshold(scores, ruled, threshold),
        best=at_best_threshold(scores, ruled),
        curves=[precision_recall_curve(scores[:, c], labels[:, c]) for c in range(labels.shape[1])],
        histograms=histograms(scores, labels),
        labelled=labelled,
        predicted=predicted,
        reliability=reliability(scores, labels),
        ece=expected_calibration_error(scores, labels),
        mistakes=mistakes(scores, ruled, threshold, MOST),
        by_size=_by_size(run, kind),
        difference=difference(scores, other.scores, labels, times, kind) if other else None,
    )


def _by_size(run, kind):
    if run.objects is None or all(things is None for things in run.objects):
        return None
    shares = largest_shares(run.objects, run.sizes, len(run.classes))
    return ap_by_size(run.scores, run.labels, shares, range(len(run.classes)), kind=kind)


def classes_csv(run, numbers):
    """A row a class, fractions; empty where there is no figure."""
    table = {
        "class": [cell(name) for name in run.classes],
        "positives": run.figures["positives"],
        "ap": numbers.ap,
        "ap_low": numbers.ap_interval[0],
        "ap_high": numbers.ap_interval[1],
        **{name: getattr(numbers.used, name) for name in COLUMNS},
        **{f"best_{name}": getattr(numbers.best, name) for name in COLUMNS},
    }
    if numbers.difference:
        gaps = numbers.difference
        low, high = gaps.class_interval
        table |= {"other_ap": gaps.ap, "gain": gaps.by_class, "gain_low": low, "gain_high": high}
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(table)
    rows.writerows(zip(*(_plain(np.asarray(values)) for values in table.values()), strict=True))
    return text.getvalue()


def curves_json(run, numbers):
    """What the plots are drawn from, by class name where it is of a class; null where there is no figure."""
    classes, bins = list(run.classes), numbers.reliability
    content = {
        "about": run.about,
        "ece": numbers.ece,
        "mAP_interval": numbers.mAP_interval,
        "precision_recall": {
            name: thinned(curve)._asdict() for name, curve in zip(classes, numbers.curves, strict=True)
        },
        "histograms": {
            name: {"negatives": negatives, "positives": positives}
            for name, negatives, positives in zip(classes, *numbers.histograms, strict=True)
        },
        "reliability": bins._asdict(),
        "labelled": numbers.labelled,
        "predicted": numbers.predicted,
    }
    if numbers.by_size:
        content["by_size"] = {name: size._asdict() for name, size in numbers.by_size.items()}
    if numbers.difference:
        content["difference"] = {
            "mAP": numbers.difference.mean,
            "interval": numbers.difference.mean_interval,
            "draws": DRAWS,
        }
    return json.dumps(_plain(content), ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value):
    """Arrays and numbers as JSON and CSV have them: lists, None for NaN, six digits."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return None if np.isnan(value) else float(f"{value:.6g}")
    return value
