"""Two runs on the same photos: the differences of AP and their intervals."""

import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from utils.errors import UserError
from utils.evaluation.about import dict_at
from utils.evaluation.bootstrap import ap_of_draws, interval, mean_of_classes
from utils.evaluation.metrics import AP_KINDS, average_precision
from utils.files import read_json

REMEDY = "give the metrics.json that val.py --out wrote"
DAMAGED = (ValueError, KeyError, TypeError, EOFError, MemoryError, RuntimeError, BadZipFile, zlib.error)
SCORES = "scores.npz"  # lies beside a metrics.json of val.py --out


@dataclass
class Other:
    """Another run on the same photos."""

    path: str  # of its metrics.json
    scores: np.ndarray  # (N, C), photos in our order
    metrics: dict  # what its metrics.json says


@dataclass
class Difference:
    """Ours minus the other's, fractions. Intervals (low, high): 95 % of the draws."""

    ap: np.ndarray  # (C,) the other's AP
    mAP: float  # the other's
    by_class: np.ndarray  # (C,)
    class_interval: tuple  # two arrays (C,)
    mean: float
    mean_interval: tuple
    gaps: np.ndarray  # (n, C) by_class on each draw

    def of(self, classes):
        """(the other's mAP, difference, its interval) over some classes alone, which have an AP."""
        there, gap = self.ap[classes].mean(), self.by_class[classes].mean()
        return float(there), float(gap), interval(mean_of_classes(self.gaps[:, classes]))


def read_other(path, paths, labels, classes):
    """Read what `val.py --out` of another run left: its metrics.json at `path` and scores.npz beside it.

    paths, labels (N, C), classes: ours, labels as val.py writes them. Photos are matched by path,
    those of one path (boxes of one photo) in their order. UserError when a file is missing or no such
    file, or when classes, photos or labels differ.
    """
    metrics = read_json(path, REMEDY)
    if not isinstance(metrics, dict):
        raise UserError(f"{path} holds no figures of a run; {REMEDY}")
    scores, targets, theirs = _read_scores(Path(path).parent / SCORES)
    known = dict_at(metrics, "checkpoint").get("classes", list(classes))
    if known != list(classes) or scores.shape[1:] != labels.shape[1:]:
        raise UserError(f"{path} is of other classes than this run's; compare runs on one data set")
    ours = np.asarray(paths)
    apart = [sum((a - b).values()) for a, b in _both_ways(Counter(ours.tolist()), Counter(theirs.tolist()))]
    if any(apart):
        raise UserError(
            f"{path} is of other photos: {apart[0]} of {len(ours)} here are not there, {apart[1]} of "
            f"{len(theirs)} there are not here; compare runs on one split"
        )
    place = np.empty(len(ours), int)  # of each of our photos among theirs
    place[np.argsort(ours, kind="stable")] = np.argsort(theirs, kind="stable")
    differ = int((targets[place] != labels).any(axis=1).sum())
    if differ:
        raise UserError(
            f"{path} has other labels for {differ} of {len(ours)} photos; evaluate both runs with one label "
            "file and the same --difficult"
        )
    return Other(str(path), scores[place], metrics)


def _both_ways(a, b):
    return (a, b), (b, a)


def _read_scores(path):
    """(scores (N, C), targets (N, C), paths (N,)) of a scores.npz."""
    try:
        with np.load(path, allow_pickle=False) as file:
            scores, targets, paths = (file[name] for name in ("scores", "targets", "paths"))
    except OSError as error:
        raise UserError(
            f"cannot read {path} ({error.strerror or error}); it lies beside the metrics.json of val.py --out"
        ) from None
    except DAMAGED as error:
        raise UserError(f"{path} is no file of scores ({error}); make it anew with val.py --out") from None
    whole = scores.ndim == 2 and scores.shape == targets.shape and paths.shape == scores.shape[:1]
    if not (whole and paths.dtype.kind == "U" and scores.dtype.kind == "f" and np.isfinite(scores).all()):
        raise UserError(f"{path} holds no whole table of scores; make it anew with val.py --out")
    return scores, targets, paths


def difference(scores, other, labels, times, kind=AP_KINDS[0]):
    """The Difference between two runs' scores (N, C) on the same draws of photos (bootstrap.draws)."""
    ours, theirs = (average_precision(each, labels, kind) for each in (scores, other))  # (C,), (C,)
    gaps = ap_of_draws(scores, labels, times, kind) - ap_of_draws(other, labels, times, kind)  # (n, C)
    gaps = gaps.round(12)  # what sums round to is no difference
    (mean,) = mean_of_classes((ours - theirs)[None])
    return Difference(
        ap=theirs,
        mAP=float(mean_of_classes(theirs[None])[0]),
        by_class=ours - theirs,
        class_interval=interval(gaps),
        mean=float(mean),
        mean_interval=interval(mean_of_classes(gaps)),
        gaps=gaps,
    )


def verdict(low, high):
    """What the interval of a difference says, in words; NaN: no class has a positive."""
    if np.isnan([low, high]).any():
        return "no class has a positive: there is nothing to compare"
    if not (low <= 0 <= high):
        return "the interval does not include 0"
    return "the interval includes 0: the difference may be chance"
