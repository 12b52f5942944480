"""What every reader of own annotations gives: photos as somebody lists them, and what a label may say."""

from pathlib import Path
from typing import NamedTuple

from utils.errors import UserError

ABSENT, PRESENT, DIFFICULT, UNKNOWN = (
    0,
    1,
    2,
    99,
)  # of a class in a photo; difficult: nothing but hard objects
SPLITS = {
    **dict.fromkeys(("train", "training", "trainval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


class Listed(NamedTuple):
    """A photo as it is listed.

    path: as it is written there; labels: {class name: ABSENT ... UNKNOWN}, ABSENT where a name is not
    among them; where: file and line, for messages; split: train, val, test or None; objects:
    [(class name, [x, y, width, height] in pixels, difficult), ...] or None where boxes are not known.
    """

    path: str
    labels: dict
    where: str
    split: str | None = None
    objects: list | None = None


def read_text(path):
    """The text of a file as it is, line ends too, without a BOM; UserError when it is not UTF-8."""
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {line}, is not UTF-8 text; save it as UTF-8") from None


def class_name(text, where):
    """A class name without the blanks around it; UserError for none and for one that cannot be printed."""
    name = text.strip()
    if not name or not name.isprintable():
        raise UserError(f"{where}: class name '{name}' is empty or cannot be printed; correct it")
    return name


def split_name(text, where):
    """train, val or test for the names that people give them, in any case; None for an empty text."""
    split = SPLITS.get(text.strip().lower())
    if split is None and text.strip():
        raise UserError(f"{where}: split '{text}' is none of train, val and test")
    return split
