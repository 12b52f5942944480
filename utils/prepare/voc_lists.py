"""The lists in a VOC folder's ImageSets/Main: the photos of a split, and VOC's own labels to compare with."""

import os
import re

from utils.errors import UserError
from utils.prepare.label_files import text_lines
from utils.prepare.voc_folder import LISTS

IGNORED = 0  # label of a class that has difficult objects only; 1 present, -1 absent
LIST_LABELS = {"-1": -1, "0": IGNORED, "1": 1}  # in VOC's own CLASS_SPLIT.txt
LABEL_COLUMNS = re.compile(r"(\s+[+-]?\d\d?)+$")  # after the id: a label, a number of objects


def lists_of(voc, split):
    """Return the names of the lists that make up a split: itself, or train and val for trainval."""
    found = sorted(path.stem for path in (voc / LISTS).glob("*.txt"))
    if split in found:
        return [split]
    if split == "trainval" and {"train", "val"} <= set(found):
        return ["train", "val"]
    splits = ", ".join(name for name in found if "_" not in name)  # the others are CLASS_SPLIT.txt
    raise UserError(f"{voc / LISTS / split}.txt not found; lists there: {splits or 'none'}")


def read_split(voc, split):
    """Return the ids of a split in the order of its list, repeated ones included."""
    paths = [voc / LISTS / f"{name}.txt" for name in lists_of(voc, split)]
    ids = [_id_of(line, voc / "Annotations") for path in paths for line in text_lines(path)]
    if not ids:
        raise UserError(f"{paths[0]} lists no photo; unpack VOC again or choose another split")
    return ids


def _id_of(line, annotations):
    """Return the id in a line `ID` or `ID  1`; an id may hold blanks, even `photo 1`."""
    whole = os.path.isfile(annotations / f"{line}.xml")
    return line if whole else LABEL_COLUMNS.sub("", line)


def compare(voc, split, classes, targets):
    """Compare {id: target} with VOC's own CLASS_SPLIT.txt files, where they exist.

    Returns (number of labels compared, [(id, class, ours, theirs)] that differ).
    """
    compared, differing = 0, []
    for name in lists_of(voc, split):
        for column, class_name in enumerate(classes):
            path = voc / LISTS / f"{class_name}_{name}.txt"
            for line in text_lines(path) if os.path.isfile(path) else ():
                photo_id, *label = line.rsplit(None, 1)
                if not label or photo_id not in targets:  # a list without labels; one longer than ours
                    continue
                compared += 1
                ours, theirs = targets[photo_id][column], LIST_LABELS.get(label[0], label[0])
                if ours != theirs:
                    differing.append((photo_id, class_name, ours, theirs))
    return compared, differing
