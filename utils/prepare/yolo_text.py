"""Labels in YOLO's text files: one object a line, the number of its class, then its box or outline.

Where they lie: in a folder beside their photos; in labels/ with the photos in images/, with or without
train/ and val/ below; or in train/labels/ and train/images/. Class names stand in classes.txt or data.yaml.
"""

import os
from pathlib import Path

from datasets.transforms import photo_size
from utils.errors import UserError
from utils.optional import optional
from utils.prepare.box_readers import Finder, all_or_none, boxless, without_hidden
from utils.prepare.class_names import tidy
from utils.prepare.label_files import read_text
from utils.prepare.labelled import SPLITS, Labelled, Source

NAMES, DESCRIPTION, LABELS, IMAGES = "classes.txt", "data.yaml", "labels", "images"


def label_files(folder):
    """The text files of labels in, or below, a folder; sorted."""
    every = without_hidden(Path(folder).rglob("*.txt"), folder)
    inner = [path for path in every if LABELS in path.relative_to(folder).parts[:-1]]
    return [p for p in inner or every if p.name != NAMES and (inner or p.parent == Path(folder))]


def read_yolo_folder(folder, photos=None):
    """The Source of a folder of YOLO's text files; photos: a folder that holds all photos, or None."""
    names = class_names(Path(folder))
    photo_of, found = Finder([photos] if photos else []), []
    for path in label_files(folder):
        photo = photo_of(path, () if photos else (images_of(path, folder), path.parent))
        size = photo_size(photo, "; mend it or take it out")
        things = [
            read_object(line.split(), names, size, f"{path}, line {number}")
            for number, line in enumerate(read_text(path).split("\n"), 1)
            if line.strip()
        ]
        inner = path.relative_to(folder).parts[:-1]
        split = next((SPLITS[part] for part in inner if part in SPLITS), None)
        present = {name for name, *_ in things}
        found.append(Labelled(photo, present, set(), str(path), split, all_or_none(things)))
    return Source(found, names, boxless(found) + photo_of.left_out())


def images_of(path, folder):
    """Where the photo of a label file lies by YOLO's rule: images for the last labels in its path."""
    parts = list(path.relative_to(folder).parts[:-1])
    if LABELS in parts:
        at = len(parts) - 1 - parts[::-1].index(LABELS)
        return Path(folder, *parts[:at], IMAGES, *parts[at + 1 :])
    return Path(folder).parent / IMAGES  # given the folder labels itself


def class_names(folder):
    """The names, by number; UserError where there is no list of them."""
    texts = (folder / NAMES, folder / LABELS / NAMES, folder.parent / NAMES)
    path = next((path for path in texts if os.path.isfile(path)), None)
    if path:
        names = [line.strip() for line in read_text(path).strip().split("\n")]
        return checked(names, path)
    path = next(
        (at / DESCRIPTION for at in (folder, folder.parent) if os.path.isfile(at / DESCRIPTION)), None
    )
    if path:
        return checked(_described(path), path)
    raise UserError(f"{folder} holds text files but no {NAMES} (one class a line) or {DESCRIPTION}")


def _described(path):
    yaml = optional("yaml", "pyyaml")
    try:
        content = yaml.load(read_text(path), yaml.BaseLoader)  # everything stays text: "no" is a name too
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UserError(f"{path} is not valid YAML ({error})") from None
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict):
        in_order = [names.get(str(number)) for number in range(len(names))]
        names = None if None in in_order else in_order
    return names


def checked(names, path):
    """The names where they are a list of text; UserError otherwise."""
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise UserError(f"{path}: want a list of class names, one for each number from 0")
    return [tidy(name) for name in names]


def read_object(values, names, size, where):
    """(name, box in pixels or None, False) of a line's values; size: the photo's (width, height).

    Four numbers after the class are centre and size of a box, more are the corners of an outline, x and y
    in turn, which gives its bounding box; all are shares of width and height, 0 to 1.
    """
    try:
        number, shares = int(values[0]), [float(value) for value in values[1:]]
    except ValueError:
        raise UserError(f"{where}: '{' '.join(values)}' is no class number and a box") from None
    if not 0 <= number < len(names):
        raise UserError(f"{where}: class {number}; there are {len(names)} names, for 0 to {len(names) - 1}")
    if len(shares) < 4 or len(shares) % 2:
        raise UserError(
            f"{where}: {len(shares)} numbers after the class; want x y width height, or an outline"
        )
    if not all(0 <= share <= 1 for share in shares):  # NaN is in no range
        return names[number], None, False
    if len(shares) == 4:
        x, y, width, height = shares
        left, top, right, bottom = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    else:
        (left, right), (top, bottom) = ((min(of), max(of)) for of in (shares[::2], shares[1::2]))
    sides = left * size[0], top * size[1], (right - left) * size[0], (bottom - top) * size[1]
    box = [round(side, 2) for side in sides]
    return names[number], box if box[2] > 0 and box[3] > 0 else None, False
