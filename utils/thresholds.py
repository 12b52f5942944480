"""thresholds.json: a threshold for each class and a temperature, found by val.py, for predict and infer.

{"format": 1, "classes": [...], "threshold": [...], "temperature": 1.0, "goal": "f1", "tuned_on": {...}}
Thresholds count for scores after the temperature: see utils/evaluation/calibration.py.
"""

import sys

import numpy as np

from datasets.spec import classes_apart
from utils.errors import UserError
from utils.evaluation.metrics import THRESHOLD
from utils.files import read_json, write_json

FORMAT = 1


def write_thresholds(path, classes, threshold, temperature=1.0, goal=None, tuned_on=None):
    """Write a thresholds.json, whole or not at all.

    threshold: a number or (C,), 0..1; goal: a text or None (temperature alone); tuned_on: a dict of plain
    values that says on what. ValueError for thresholds or a temperature out of range.
    """
    tuned = tuned_values(classes, threshold, temperature)
    write_json(
        path, {"format": FORMAT, "classes": list(classes), **tuned, "goal": goal, "tuned_on": tuned_on or {}}
    )


def tuned_values(classes, threshold, temperature):
    """{"threshold": list of C, "temperature": float}, as thresholds.json and checkpoints say it."""
    tuned = {
        "threshold": np.broadcast_to(np.asarray(threshold, float), len(classes)).tolist(),
        "temperature": float(temperature),
    }
    if not is_threshold(tuned["threshold"], len(classes)) or not is_temperature(tuned["temperature"]):
        raise ValueError(f"{tuned} are no thresholds in 0..1 and a temperature above 0")
    return tuned


def read_thresholds(path, classes):
    """(list of C thresholds, temperature) of a thresholds.json.

    Raises UserError when it is missing, damaged, of a newer version or for other classes.
    """
    if str(path).endswith(".pdparams"):
        raise UserError(f"{path} is a checkpoint; give it with --load_from and leave --thresholds out")
    content = read_json(path, "make it anew with val.py --tune_thresholds")
    try:
        newer = content["format"] > FORMAT
        fits = newer or _is_complete(content)
    except (AttributeError, TypeError, LookupError):
        newer = fits = False
    if not fits:
        raise UserError(
            f"{path} is no thresholds.json, or damaged; make it anew with val.py --tune_thresholds"
        )
    if newer:
        raise UserError(
            f"{path} was written by a newer version (format {content['format']}); update the code"
        )
    if content["classes"] != list(classes):
        theirs, ours = classes_apart(content["classes"], classes)
        raise UserError(
            f"{path} is for other classes ({theirs}) than the model's ({ours}); tune the thresholds of this "
            "model"
        )
    return content["threshold"], content["temperature"]


def choose_thresholds(threshold, thresholds_file, described, classes, topk=None):
    """(threshold, temperature) to use: a number or a list of C, and a number.

    With topk, where the best labels count, the threshold is None unless an option gives one.

    threshold and thresholds_file: --threshold and --thresholds as given (None: not; "": without
    a file). described: what the checkpoint's description or deploy.json says. The options go first, then
    the description, then THRESHOLD and temperature 1. --threshold leaves the described temperature.
    Raises UserError for both options, for a file that does not fit, and for "" where the
    description has no threshold by class.
    """
    if threshold is not None and thresholds_file is not None:
        raise UserError("--threshold and --thresholds contradict each other; give one of them")
    own = described.get("threshold", THRESHOLD)
    if thresholds_file:
        return read_thresholds(thresholds_file, classes)
    if thresholds_file == "" and not isinstance(own, list):
        raise UserError(
            "--thresholds without a file: the model has no thresholds of its own; "
            "make some with val.py --tune_thresholds"
        )
    if threshold is None and thresholds_file is None and topk is not None:
        own = None
    return own if threshold is None else threshold, described.get("temperature", 1.0)


def is_threshold(value, count):
    """Whether it is a number in 0..1 or a list of `count` of them."""
    numbers = value if isinstance(value, list) else [value]
    return (not isinstance(value, list) or len(value) == count) and all(
        type(number) in (int, float) and 0 <= number <= 1 for number in numbers
    )


def is_temperature(value):
    """Whether it is a finite number above 0."""
    return (
        type(value) in (int, float) and 0 < value <= sys.float_info.max
    )  # json reads whole numbers of any length


def _is_complete(content):
    classes = content["classes"]
    return (
        isinstance(classes, list)
        and len(classes) > 0
        and all(isinstance(name, str) for name in classes)
        and isinstance(content["threshold"], list)
        and is_threshold(content["threshold"], len(classes))
        and is_temperature(content["temperature"])
    )
