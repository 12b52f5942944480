"""What val.py tunes on the scores of a split: thresholds by class, a temperature, and what they are worth."""

import sys

import numpy as np

from utils.evaluation.calibration import at_a_bound, calibrate, fit_temperature
from utils.evaluation.metrics import counted_labels, precision_recall
from utils.evaluation.report import precision_lines
from utils.evaluation.thresholds import best_thresholds, held_out, threshold_lines


def tune(raw, records, spec, threshold, temperature, goal=None, fit=False):
    """(threshold, temperature) after tuning, printed with their figures.

    raw (N, C): the model's scores of the records, without a temperature. threshold (a number or (C,)) and
    temperature: those in use. goal: see best_thresholds, None for the thresholds in use; fit: whether a
    temperature is found. Thresholds that are not found go on to predict what they did.
    """
    labels = records.labels
    if fit:
        fitted = fit_temperature(raw, labels)
        print(f"temperature: {fitted:.4f}")
        if at_a_bound(fitted):
            print("warning: that is the limit: too few photos, or those it trained on?", file=sys.stderr)
        threshold = calibrate(np.asarray(threshold, raw.dtype), fitted / temperature)
        temperature = fitted
    if goal is None:
        return threshold, temperature
    rule = spec.ignored_is_negative_in_precision
    counted, scores = counted_labels(labels, rule), calibrate(raw, temperature)
    found = best_thresholds(scores, counted, goal)
    print("\n".join(threshold_lines(found, spec.classes, goal, threshold)))
    tuned = np.where(np.isnan(found), threshold, found)
    print("with them, on the photos that they were tuned on (other photos give less):")
    print("\n".join(precision_lines(precision_recall(scores, counted, tuned))))
    kept = dict(ignored_is_negative=rule, paths=records.paths)
    halves = held_out(raw if fit else scores, labels, goal, fit, threshold, **kept)
    print("tuned on one half of the photos, on the other half, both ways (what other photos give):")
    print("\n".join(precision_lines(precision_recall(halves[0], counted, halves[1]))))
    return tuned, temperature
