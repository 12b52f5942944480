"""A photo and what somebody's annotations say of it, whatever their form; what prepare_custom.py works on."""

import os
from typing import NamedTuple

from utils.data_checks import examples
from utils.errors import UserError
from utils.prepare.class_names import check_printable, nearest, tidy

UNKNOWN = 99  # target of a class of which a photo's annotation says nothing
SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


class Labelled(NamedTuple):
    """A photo. Of the classes, `present` and `unknown` name some, tidy() each; all others are absent.

    where: what says so, for messages; split: a value of SPLITS or None; objects: (name, [x, y, width,
    height] in pixels, difficult) of every object, or None where one's place is not known.
    """

    img_path: str
    present: set
    unknown: set
    where: str
    split: str | None = None
    objects: list | None = None


class Source(NamedTuple):
    """What a reader returns. classes: their names in the annotations' own order, or None; notes: warnings."""

    photos: list
    classes: list | None
    notes: list


def split_of(text, where):
    """The split that a cell or key names: one of SPLITS' values, None for nothing."""
    name = text.strip().lower() if isinstance(text, str) else text
    if not name and name in ("", None):
        return None
    if not isinstance(name, str) or name not in SPLITS:
        raise UserError(f"{where}: split '{text}' is none of train, val and test")
    return SPLITS[name]


def check_splits(photos):
    """Whether the annotations say how to split; UserError where they say it of some photos alone."""
    without = [photo for photo in photos if photo.split is None]
    if without and len(without) < len(photos):
        raise UserError(
            f"{without[0].where}: no split, as {len(without)} of {len(photos)} photos, though others "
            "have one; give one to all or to none"
        )
    return not without


def check_twice(photos):
    """UserError for a photo that is there twice, its path written in whatever way; links are not followed."""
    first = {}
    for photo in photos:
        path = os.path.abspath(photo.img_path)  # without /./ and /x/../
        if path in first:
            raise UserError(f"{photo.where}: photo {photo.img_path} is at {first[path]} already")
        first[path] = photo.where


def choose_classes(wanted, source):
    """The class names, in order: those `wanted` or else the source's own, or sorted as text.

    Raises UserError for a name that is no name or twice there, and for those in the annotations that are
    not among them, with the nearest that is to the first.
    """
    found = {}  # name -> where it is first
    for photo in source.photos:
        for name in sorted(photo.present | photo.unknown):
            found.setdefault(name, photo.where)
    classes = [tidy(name) for name in wanted or source.classes or sorted(found)]
    check_printable(classes, found)
    for name in classes:
        if classes.count(name) > 1:
            raise UserError(f"class '{name}' is there twice; want different names")
    if not classes:
        raise UserError("no photo has a label, and no class is named; give --classes")
    strange = [name for name in found if name not in classes]
    if strange:
        near = nearest(strange[0], classes)
        hint = f"; the nearest known name is '{near}'" if near else ""
        hint += f"; also unknown: {examples(strange[1:])}" if len(strange) > 1 else ""
        raise UserError(
            f"{found[strange[0]]}: class '{strange[0]}' is unknown{hint}; correct it or add it to --classes"
        )
    return classes


def record_of(photo, classes):
    """The record of a label file: target 1 present, 0 absent, UNKNOWN; "objects" where all are known."""
    target = [1 if name in photo.present else UNKNOWN if name in photo.unknown else 0 for name in classes]
    record = {"img_path": photo.img_path, "target": target}
    if photo.objects is not None:
        record["objects"] = [
            {"class": classes.index(name), "bbox": box, "difficult": int(difficult)}
            for name, box, difficult in photo.objects
        ]
    return record
