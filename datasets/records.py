"""Label files: JSON lists of {"img_path", "target"}.

Beside them "bbox" where a part of the photo counts, and "objects" where it is known where the
objects are: [{"class": column, "bbox": [x, y, width, height], "difficult": 0 or 1}, ...].
"""

import os
import reprlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.errors import UserError
from utils.files import is_missing, read_json

TARGETS = (-1, 0, 1, 99)  # negative, negative or difficult, positive, unspecified


@dataclass
class Records:
    """A split. paths: N strings; labels (N, C) int8: 1 positive, 0 negative, -1 ignored (by the
    loss, by evaluation); boxes: N boxes (x, y, width, height) in pixels, or None; objects: for each
    photo a list of (class index, box, difficult) with every object, or None where they are not known."""

    paths: list
    labels: np.ndarray
    boxes: list
    objects: list = None

    def __post_init__(self):
        if self.objects is None:
            self.objects = [None] * len(self.paths)

    def __len__(self):
        return len(self.paths)


def read_split(spec, folder, split):
    """Records of the "train" or "test" split of a data set whose label files lie in `folder`."""
    name = spec.train_file if split == "train" else spec.test_file
    if name is None:
        raise UserError(f"data set {spec.name} in {folder} has no {split} split; prepare it with one")
    path, ignored = Path(folder) / name, spec.train_ignored if split == "train" else spec.test_ignored
    if is_missing(path):
        raise UserError(f"no label file {path}; make it with {spec.prepare}, or say where with --data_dir")
    return read_records(path, len(spec.classes), ignored)


def read_records(path, num_classes, ignored=None):
    """Read a label file; targets equal to `ignored` become -1, all others but 1 become 0.

    Raises UserError, naming the file and the record, when it is missing or empty,
    when a record does not fit `num_classes`, or when a photo is not there.
    """
    records = read_list(path)
    for number, record in enumerate(records):
        problem = record_problem(record, num_classes)
        if problem:
            raise UserError(f"{path}, record {number}: {problem}")
    return as_records(records, num_classes, ignored)


def read_list(path):
    """The records of a label file as they stand there; UserError when it is missing or is no list of any."""
    if is_missing(path):
        raise UserError(f"no label file {path}; the scripts of utils/prepare make such files")
    records = read_json(path)
    if not isinstance(records, list) or not records:
        raise UserError(
            f"{path} must hold a list of one record or more; make it anew with the prepare script"
        )
    return records


def as_records(records, num_classes, ignored=None):
    """Records of a list of which record_problem finds no fault; see read_records."""
    targets = np.array([record["target"] for record in records], dtype=np.int8).reshape(-1, num_classes)
    labels = (targets == 1).astype(np.int8)  # (N, C)
    if ignored is not None:
        labels[targets == ignored] = -1
    objects = [_objects(record.get("objects")) for record in records]
    return Records([r["img_path"] for r in records], labels, [r.get("bbox") for r in records], objects)


def _objects(things):
    if things is None:
        return None
    return [(thing["class"], tuple(thing["bbox"]), bool(thing["difficult"])) for thing in things]


def record_problem(record, num_classes):
    """What is wrong with a record of a label file, in words, or None."""
    if not isinstance(record, dict) or not isinstance(record.get("img_path"), str):
        return 'must be {"img_path": text, "target": list}'
    target = record.get("target")
    if not isinstance(target, list) or len(target) != num_classes:
        length = len(target) if isinstance(target, list) else "no"
        return f"{length} targets for {num_classes} classes; was it made for another class list?"
    wrong = [value for value in target if type(value) is not int or value not in TARGETS]
    if wrong:
        return f"target {reprlib.repr(wrong[0])}; allowed are {TARGETS}"
    box = record.get("bbox")
    if box is not None and not _is_box(box):
        return f"bbox {reprlib.repr(box)} must be [x, y, width, height]"
    if box is not None and record.get("objects") is not None:
        return "bbox is a part of a photo, objects are places in a whole one; leave one of them out"
    if not os.path.isfile(record["img_path"]):
        return f"no photo {record['img_path']}; paths count from the folder in which you start the script"
    return _problem_of_objects(record.get("objects"), num_classes)


def _problem_of_objects(things, num_classes):
    if not isinstance(things, list | None):
        return f"objects {reprlib.repr(things)} must be a list"
    wrong = [thing for thing in things or () if not _is_object(thing, num_classes)]
    if not wrong:
        return None
    form = f'{{"class": 0 to {num_classes - 1}, "bbox": [x, y, width, height], "difficult": 0 or 1}}'
    return f"object {reprlib.repr(wrong[0])} must be {form}"


def _is_object(thing, num_classes):
    if not isinstance(thing, dict) or type(thing.get("class")) is not int:
        return False
    box = thing.get("bbox")
    in_order = 0 <= thing["class"] < num_classes and thing.get("difficult") in (0, 1)
    return in_order and _is_box(box) and box[2] > 0 and box[3] > 0


def _is_box(box):
    return isinstance(box, list) and len(box) == 4 and all(_is_number(value) for value in box)


def _is_number(value):
    return type(value) in (int, float) and abs(value) < 1e9  # pixels; NaN is not
