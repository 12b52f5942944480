"""What can be wrong with the photos of a data set: unreadable, odd, outside their boxes, there twice."""

from collections import defaultdict

import numpy as np

from datasets.transforms import clipped
from utils.data_checks import ERROR, WARNING
from utils.prepare.duplicates import near_rows
from utils.prepare.label_checks import SPLITS, counted, paths_of, rows_and_paths

USUAL_MODES = ("RGB", "L")
TINY = 32  # pixels of the shorter side
LONG = 10  # times as long as wide, or more
BEYOND = 1  # pixel that a box may stick out: rounding


def check_photos(splits, facts):
    """Findings about the photos of all splits; facts: {path: its Facts}."""
    findings = []
    for split in splits:
        findings += _unreadable(split, facts) + _odd(split, facts) + _boxes(split, facts)
    return findings + _same_bytes(splits, facts) + _look_alike(splits, facts)


def _unreadable(split, facts):
    rows = [row for row, path in rows_and_paths(split) if facts[path].error]
    said = [f"{split.raw[row]['img_path']} ({facts[split.raw[row]['img_path']].error})" for row in rows]
    return counted(ERROR, "photo", split.name, "photos cannot be read", said, rows)


def _odd(split, facts):
    odd = defaultdict(list)
    for row, path in rows_and_paths(split):
        if facts[path].error:
            continue
        short, long = sorted(facts[path].size)
        if facts[path].mode not in USUAL_MODES:
            odd["mode", f"photos are of mode {facts[path].mode}"].append((row, path))
        if short < TINY:
            odd["size", f"photos are under {TINY} pixels wide or high"].append((row, path))
        elif long >= LONG * short:
            odd["size", f"photos are {LONG} times as long as wide and will be squashed"].append((row, path))
    return [
        finding
        for (check, what), found in sorted(odd.items())
        for finding in _told(WARNING, check, split.name, what, found)
    ]


def _boxes(split, facts):
    """Boxes against the photos that they lie in: crops, then objects."""
    lost, cut, far = [], [], []
    for row, path, box, things in zip(
        split.rows, split.records.paths, split.records.boxes, split.records.objects, strict=True
    ):
        if facts[path].error:
            continue
        size = facts[path].size
        if box is not None:
            (lost if clipped(box, size) is None else cut if _sticks_out(box, size) else []).append(row)
        if any(_sticks_out(thing[1], size) for thing in things or ()):
            far.append(row)
    return [
        *counted(ERROR, "box", split.name, "boxes lie outside their photos", paths_of(split, lost), lost),
        *counted(WARNING, "box_cut", split.name, "boxes stick out of photos", paths_of(split, cut), cut),
        *counted(WARNING, "object_box", split.name, "photos have objects outside", paths_of(split, far), far),
    ]


def _sticks_out(box, size):
    x, y, width, height = box
    right, bottom = size[0] - x - width, size[1] - y - height  # what is left there
    return min(x, y, right, bottom) < -BEYOND


def _same_bytes(splits, facts):
    """Files of different names with the same bytes, in both splits and within one."""
    places = defaultdict(lambda: {name: [] for name in SPLITS})  # digest -> {split: [(row, path), ...]}
    for split in splits:
        for row, path in rows_and_paths(split):
            if not facts[path].error:
                places[facts[path].digest][split.name].append((row, path))
    leaks, twins, torn = [], defaultdict(list), defaultdict(list)
    for same in places.values():
        in_test = {path for _, path in same["test"]}
        leaks += [(row, path) for row, path in same["train"] if in_test - {path}]
        for split in splits:
            found = same[split.name]
            if len({path for _, path in found}) > 1:  # one file twice: _repeated tells
                differ = len({tuple(split.raw[row]["target"]) for row, _ in found}) > 1
                (torn if differ else twins)[split.name] += found
    findings = _told(ERROR, "leak", "train", "photos are in the test split under another name", leaks)
    for name in SPLITS:
        findings += _told(
            WARNING, "twin", name, "photos are in the split under another name too", twins[name]
        )
        what = "photos are in the split under another name, with other labels"
        findings += _told(WARNING, "torn", name, what, torn[name])
    return findings


def _told(level, check, split, what, found):
    """counted() of [(row, path), ...]."""
    found = sorted(found)
    return counted(level, check, split, what, [path for _, path in found], [row for row, _ in found])


def _look_alike(splits, facts):
    """Photos that show the same though their bytes differ, in both splits and within one."""
    paths = list({fact.digest: path for path, fact in facts.items() if not fact.error}.values())
    place = {facts[path].digest: number for number, path in enumerate(paths)}
    first_row = {name: np.full(len(paths), -1) for name in SPLITS}  # -1: the split does not have it
    for split in splits:
        for row, path in reversed(list(rows_and_paths(split))):
            if not facts[path].error:
                first_row[split.name][place[facts[path].digest]] = row
    like = _first_like([facts[path].fingerprint for path in paths], first_row)
    findings = []
    for check, ours, theirs, what in (
        ("near_leak", "train", "test", "photos of the test split look like one of the training split"),
        ("near", "train", "train", "photos look like another one of the split"),
        ("near", "test", "test", "photos look like another one of the split"),
    ):
        there = np.flatnonzero((first_row[theirs] >= 0) & (like[ours] >= 0))
        said = [f"{paths[photo]} like {paths[like[ours][photo]]}" for photo in there]
        findings += counted(WARNING, check, theirs, what, said, first_row[theirs][there].tolist())
    return findings


def _first_like(fingerprints, first_row):
    """{split: for each photo the first one of the split that looks like it, or -1}, (N,) int each.

    first_row: {split: (N,) int, -1 for a photo that the split does not have}.
    """
    like = {name: np.full(len(fingerprints), -1) for name in first_row}
    for photo, later in near_rows(fingerprints):
        for name, first in like.items():
            if first_row[name][photo] >= 0:
                first[later[first[later] < 0]] = photo
            among = later[first_row[name][later] >= 0]
            if first[photo] < 0 and len(among):
                first[photo] = among[0]
    return like
