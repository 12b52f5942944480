"""What thresholds by class and a temperature gain on photos that they were not tuned on.

python benchmarks/thresholds.py OUT [CHECKPOINT ...]

OUT is that of recipes/shipped_weights.sh, CHECKPOINT (from OUT) another one on the same trunk, of which
the temperature alone is told. The val photos of the shipped weights' twin are cut into random
halves, tuned on one and measured on the other, both ways, for SEEDS seeds. Prints the tables of
docs/results/thresholds.md: mean and standard deviation over the halves.
"""

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.common import filled_classes, markdown, used_versions  # noqa: E402
from benchmarks.shipped import score_twin  # noqa: E402
from utils.evaluation.calibration import (  # noqa: E402
    calibrate,
    cross_entropy,
    expected_calibration_error,
    fit_temperature,
)
from utils.evaluation.metrics import IGNORED, THRESHOLD, precision_recall  # noqa: E402
from utils.evaluation.thresholds import best_thresholds, tune_thresholds  # noqa: E402

SEEDS = 20
F1 = ("f1", None)
GOALS = (("precision", 0.9), ("recall", 0.9))
SIX = ("CP", "CR", "CF1", "OP", "OR", "OF1")


def main():
    out, others = Path(sys.argv[1]), sys.argv[2:]
    spec, train, test, scores = score_twin(out)
    labels = test.labels
    filled = filled_classes(train.labels, labels)
    rare = np.setdiff1d(np.arange(len(spec.classes)), filled)
    print(f"{used_versions()}; {len(labels)} photos, {SEEDS} seeds, {2 * SEEDS} halves\n")
    for name, classes in ((f"the {len(filled)} filled", filled), (f"the {len(rare)} rare", rare)):
        print(f"thresholds, {name} classes\n\n{f1_table(scores[:, classes], labels[:, classes])}")
        print(f"goals, {name} classes\n\n{goal_table(scores[:, classes], labels[:, classes])}")
    rows = temperature_rows("the twin", scores, labels)
    rows += [row for other in others for row in temperature_rows(other, score_twin(out, other)[-1], labels)]
    print(f"temperature, all classes\n\n{markdown(['scores', 'temperature', 'cross-entropy', 'ECE'], rows)}")
    print(f"by class\n\n{class_table(spec.classes, scores, labels)}")


def halves(count):
    """Pairs of rows (to tune on, to measure on), both ways, for each seed."""
    for seed in range(SEEDS):
        order = np.random.default_rng(seed).permutation(count)
        first, second = np.sort(order[: count // 2]), np.sort(order[count // 2 :])
        yield from ((first, second), (second, first))


def f1_table(scores, labels):
    """The six figures on the other half, at one threshold and at tuned ones; and where they were tuned.

    The last row is the gain of the tuned ones by class over THRESHOLD, of the same half.
    """
    found, plain, tuned = {}, f"{THRESHOLD} for all", "by class, tuned"
    for tune, test in halves(len(labels)):
        temperature = fit_temperature(scores[tune], labels[tune])
        warm = calibrate(scores, temperature)
        ways = {
            plain: (scores, THRESHOLD, test),
            "one for all, tuned": (scores, one_threshold(scores[tune], labels[tune]), test),
            tuned: (scores, tune_thresholds(scores[tune], labels[tune], F1), test),
            "by class, after the temperature": (warm, tune_thresholds(warm[tune], labels[tune], F1), test),
            "by class, on the photos tuned on": (
                scores,
                tune_thresholds(scores[tune], labels[tune], F1),
                tune,
            ),
        }
        for name, (given, threshold, rows) in ways.items():
            figures = precision_recall(given[rows], labels[rows], threshold)
            found.setdefault(name, []).append([100 * figures[figure] for figure in SIX])
    rows = [[name, *map(spread, np.transpose(of))] for name, of in found.items()]
    gains = np.transpose(np.subtract(found[tuned], found[plain]))  # (6, halves)
    rows.append(["gain by class", *(f"{gain.mean():+.1f} ± {gain.std():.1f}" for gain in gains)])
    return markdown(["thresholds", *SIX], rows)


def one_threshold(scores, labels):
    """The threshold that is best in F1 over all labels, the same for all classes."""
    return tune_thresholds(scores.reshape(-1, 1), labels.reshape(-1, 1), F1).item()


def goal_table(scores, labels):
    """What the other half reaches of a precision or recall asked for: mean over classes, in percent."""
    rows = []
    for goal in GOALS:
        name, least = goal
        reached, other, without = [], [], []
        for tune, test in halves(len(labels)):
            found = best_thresholds(scores[tune], labels[tune], goal)
            met = np.flatnonzero(~np.isnan(found))
            precision, recall = class_figures(scores[test][:, met], labels[test][:, met], found[met])
            this, that = (precision, recall) if name == "precision" else (recall, precision)
            reached.append([100 * np.nanmean(this), 100 * np.nanmean(this >= least)])
            other.append(100 * np.nanmean(that))
            without.append(len(found) - len(met))
        mean, share = np.transpose(reached)
        rows.append([f"`{name}={least}`", *map(spread, (mean, share, other, without))])
    return markdown(
        ["goal", "reached", "classes that reach it, %", "the other figure", "classes without"], rows
    )


def class_figures(scores, labels, threshold):
    """Precision and recall of each class, (C,), NaN where nothing is predicted or positive."""
    predicted, positive = (scores >= threshold) & (labels != IGNORED), labels == 1
    hits = (predicted & positive).sum(axis=0)
    of = [counted.sum(axis=0) for counted in (predicted, positive)]
    return [np.divide(hits, n, out=np.full(len(n), np.nan), where=n > 0) for n in of]


def temperature_rows(name, scores, labels):
    """Cross-entropy and ECE on the other half, before and after."""
    temperatures, before, after = [], [], []
    for tune, test in halves(len(labels)):
        temperatures.append(fit_temperature(scores[tune], labels[tune]))
        warm = calibrate(scores[test], temperatures[-1])
        for given, found in ((scores[test], before), (warm, after)):
            found.append(
                [cross_entropy(given, labels[test]), expected_calibration_error(given, labels[test])]
            )
    return [
        [name, temperature, *(spread(figure, digits=4) for figure in np.transpose(found))]
        for temperature, found in ((1, before), (spread(temperatures, 2), after))
    ]


def class_table(classes, scores, labels):
    """F1 of each class on the other half, at THRESHOLD and tuned, and how far the threshold moves."""
    thresholds, before, after = [], [], []
    for tune, test in halves(len(labels)):
        thresholds.append(tune_thresholds(scores[tune], labels[tune], F1))
        before.append(class_f1(scores[test], labels[test], THRESHOLD))
        after.append(class_f1(scores[test], labels[test], thresholds[-1]))
    columns = [np.transpose(values) for values in (thresholds, before, after)]
    rows = [
        [name, (labels[:, c] == 1).sum(), spread(columns[0][c], 2), *(spread(of[c]) for of in columns[1:])]
        for c, name in enumerate(classes)
    ]
    return markdown(["class", "positives", "threshold", f"F1 at {THRESHOLD}", "F1 tuned"], rows)


def class_f1(scores, labels, threshold):
    """F1 of each class in percent, (C,); NaN where the class has no positive."""
    predicted, positive = (scores >= threshold) & (labels != IGNORED), labels == 1
    f1 = (
        200
        * (predicted & positive).sum(axis=0)
        / np.maximum((predicted.sum(axis=0) + positive.sum(axis=0)), 1)
    )
    return np.where(positive.any(axis=0), f1, np.nan)


def spread(values, digits=1):
    """Mean and standard deviation as text."""
    return f"{np.nanmean(values):.{digits}f} ± {np.nanstd(values):.{digits}f}"


if __name__ == "__main__":
    main()
