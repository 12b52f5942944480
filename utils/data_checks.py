"""What the label files alone say against a data set: cheap enough to look at before every training."""

import shlex
import sys
from typing import NamedTuple

import numpy as np

from utils.errors import printable

SHOWN = 3  # examples in a line
ERROR, WARNING = "error", "warning"


class Finding(NamedTuple):
    """Something about a data set that its owner should know.

    level: ERROR, for what stops a training or falsifies its figures, or WARNING; check: its kind in
    one word; split: "train" or "test"; rows: the records that it is about, numbers from 0.
    """

    level: str
    check: str
    split: str
    message: str
    rows: tuple = ()


def check_records(classes, train, test):
    """Findings about Records of the two splits, either of which may be None.

    Their rows are numbers of the Records. Some 15 ms for COCO, 120,000 records of 80 classes.
    """
    findings = []
    for split, records in (("train", train), ("test", test)):
        if records is not None and len(records):
            findings += _without_positives(classes, split, records) + _all_ignored(split, records)
    if train is not None and test is not None:
        findings += _in_both(train, test)
    return findings


def _without_positives(classes, split, records):
    empty = np.flatnonzero(~(records.labels == 1).any(axis=0))
    if not len(empty):
        return []
    names = examples([classes[column] for column in empty])
    return [
        Finding(ERROR, "no_positive", split, f"{len(empty)} of {len(classes)} classes never occur: {names}")
    ]


def _all_ignored(split, records):
    rows = np.flatnonzero((records.labels == -1).all(axis=1))
    if not len(rows):
        return []
    first = records.paths[rows[0]]
    message = f"{len(rows)} records have ignored labels only and teach nothing, first {first}"
    return [Finding(WARNING, "all_ignored", split, message, tuple(rows.tolist()))]


def _in_both(train, test):
    shared = set(train.paths) & set(test.paths)
    if not shared:
        return []
    rows = tuple(row for row, path in enumerate(train.paths) if path in shared)
    message = f"{len(shared)} photos are in the test split too, first {train.paths[rows[0]]}"
    return [Finding(ERROR, "leak", "train", message, rows)]


def examples(names):
    """The first SHOWN names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def warn_of(classes, train, test, dataset):
    """Tell what check_records finds, a line each on standard error, and how to learn more."""
    findings = check_records(classes, train, test)
    for finding in findings:
        print(f"warning: {finding.split} split: {printable(finding.message)}", file=sys.stderr)
    if findings:
        command = f"python utils/prepare/check_dataset.py {shlex.quote(printable(str(dataset)))}"
        print(f"warning: {command} tells more of the data", file=sys.stderr)
