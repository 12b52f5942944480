"""What can be wrong with the label files of a data set: records, paths, class names."""

import os
from pathlib import PurePath
from typing import NamedTuple

from datasets.records import Records, as_records, read_list, record_problem
from datasets.spec import SPECS
from utils.data_checks import ERROR, WARNING, Finding, check_records, examples
from utils.prepare.class_names import joined, lookalikes, nearest

SPLITS = ("train", "test")


class Split(NamedTuple):
    """One label file. raw: what it holds; rows: which of it are records, and these are the Records."""

    name: str
    path: object
    raw: list
    rows: list
    records: Records


def read_split(spec, folder, name):
    """(Split, Findings) of the "train" or "test" label file; UserError when it holds no list."""
    path = folder / (spec.train_file if name == "train" else spec.test_file)
    raw = read_list(path)
    problems = [record_problem(record, len(spec.classes)) for record in raw]
    rows = [row for row, problem in enumerate(problems) if problem is None]
    ignored = spec.train_ignored if name == "train" else spec.test_ignored
    records = as_records([raw[row] for row in rows], len(spec.classes), ignored)
    wrong = [(row, problem) for row, problem in enumerate(problems) if problem is not None]
    said = [f"record {row}: {problem}" for row, problem in wrong[:1]]
    said += [f"record {row}: {problem.partition(';')[0]}" for row, problem in wrong[1:]]  # one remedy will do
    findings = counted(ERROR, "record", name, "records are wrong", said, [row for row, _ in wrong])
    return Split(name, path, raw, rows, records), findings


def check_labels(classes, splits):
    """Findings of what the label files alone say."""
    given = {split.name: split for split in splits}
    records = {name: given[name].records if name in given else None for name in SPLITS}
    findings = [  # rows of the Records become those of the file
        finding._replace(rows=tuple(given[finding.split].rows[row] for row in finding.rows))
        for finding in check_records(classes, records["train"], records["test"])
    ]
    for split in splits:
        findings += _repeated(split) + _outside(split)
    counts = sum((split.records.labels == 1).sum(axis=0) for split in splits)
    return findings + check_names(classes, dict(zip(classes, counts.tolist(), strict=True)))


def check_names(classes, counts):
    """Findings of names that are spelled in two ways, are several, or not as a built-in data set spells them.

    counts: {name: its positives}.
    """
    findings = [
        Finding(WARNING, "names", "", f"classes '{rare}' and '{often}' look like one, spelled in two ways")
        for rare, often in lookalikes(counts)
        if not any({rare, often} <= {*spec.classes} for spec in SPECS.values())  # car and cat
    ]
    findings += [
        Finding(WARNING, "names", "", f"class '{name}' looks like several; tables want ; between labels")
        for name in joined(classes)
    ]
    known = max((spec.classes for spec in SPECS.values()), key=lambda names: len({*names} & {*classes}))
    if 2 * len({*known} & {*classes}) < len(classes):
        return findings
    unlike = ((name, nearest(name, known)) for name in classes if name not in known)
    return findings + [
        Finding(WARNING, "names", "", f"class '{name}': elsewhere it is spelled '{near}'")
        for name, near in unlike
        if near is not None and near not in classes
    ]


def check_wanted(classes, wanted):
    """Findings of classes that are not among the `wanted` names."""
    findings = []
    for name in (name for name in classes if name not in wanted):
        near = nearest(name, wanted)
        hint = f"; the nearest known name is '{near}'" if near else ""
        findings.append(Finding(ERROR, "unknown", "", f"class '{name}' is unknown{hint}"))
    return findings


def _repeated(split):
    """Records that are in a file twice: the same photo and, where only a part of it counts, the same box."""
    first, same, torn = {}, [], []
    for row, path, box in zip(split.rows, split.records.paths, split.records.boxes, strict=True):
        before = first.setdefault((path, None if box is None else tuple(box)), row)
        if before != row:
            (same if split.raw[before]["target"] == split.raw[row]["target"] else torn).append(row)
    what = "records repeat a photo"
    return [
        *counted(WARNING, "repeated", split.name, what, paths_of(split, same), same),
        *counted(WARNING, "torn", split.name, f"{what}, with other labels", paths_of(split, torn), torn),
    ]


def _outside(split):
    """Paths that work on one machine, or from one place, alone."""
    absolute = [row for row, path in rows_and_paths(split) if os.path.isabs(path)]
    above = [row for row, path in rows_and_paths(split) if ".." in PurePath(path).parts]
    return [
        *counted(WARNING, "absolute", split.name, "paths are absolute", paths_of(split, absolute), absolute),
        *counted(WARNING, "above", split.name, "paths lead upwards (..)", paths_of(split, above), above),
    ]


def rows_and_paths(split):
    """(number in the file, path) of each record of a Split."""
    return zip(split.rows, split.records.paths, strict=True)


def paths_of(split, rows):
    """The paths of records, by their numbers in the file."""
    return [split.raw[row]["img_path"] for row in rows]


def counted(level, check, split, what, said, rows):
    """[Finding] that counts what is `said` and shows the first, or [] without any."""
    if not said:
        return []
    return [Finding(level, check, split, f"{len(said)} {what}: {examples(said)}", tuple(rows))]
