"""Which folder of VOC's layout a user means: Annotations, JPEGImages and ImageSets/Main are in it."""

import os
import re
from pathlib import Path

from utils.errors import UserError

LISTS = Path("ImageSets", "Main")
DEFAULT_YEAR = "2007"


def find_voc(data_path, year=None):
    """Return the folder VOC{year} of a VOCdevkit, or `data_path` where that itself is of VOC's layout.

    year: None where the user gave none. UserError tells what is there instead.
    """
    if year and Path(year).name != year:
        raise UserError(f"--year '{year}' is a path; give the 2007 of a folder VOC2007")
    data_path, name = Path(data_path), f"VOC{year or DEFAULT_YEAR}"
    voc = data_path / name
    if not os.path.isdir(voc):
        if not os.path.isdir(data_path / "Annotations") or (year and _name_of(data_path) != name):
            raise UserError(f"folder {voc} not found; {_what_is_there(data_path)}")
        voc = data_path
    for part in (LISTS, "Annotations", "JPEGImages"):
        if not os.path.isdir(voc / part):
            without = ", or without lists take prepare_custom.py" if part == LISTS else ""
            raise UserError(f"folder {voc / part} not found; unpack the whole VOC archive again{without}")
    return voc


def _what_is_there(data_path):
    if not os.path.isdir(data_path):
        return "give --data_path the VOCdevkit folder that holds it"
    if os.path.isdir(data_path / "Annotations"):
        return f"{data_path} itself holds Annotations: to take these, leave out --year"
    found = sorted(path.name for path in data_path.glob("VOC*") if os.path.isdir(path))
    return f"{data_path} holds {', '.join(found) or 'no VOC* folder'}; choose by --data_path and --year"


def tag_of(voc):
    """What a folder's label files are named by: voc07 for VOC2007, vocmine for VOCmine, mine for mine."""
    name = _name_of(voc)
    year = name.removeprefix("VOC")
    if year in ("", name):
        return name
    return "voc" + (year[2:] if re.fullmatch("[0-9]{4}", year) else year)


def _name_of(folder):
    return os.path.basename(os.path.abspath(folder))  # "." has one too
