"""Labels in tables: CSV with a list of labels or a column a class, and JSON lines.

path,labels              path,cat,dog          {"path": "1.jpg", "labels": ["cat", "dog"]}
1.jpg,cat;dog            1.jpg,1,1             {"path": "2.jpg", "labels": [], "unknown": ["dog"]}
2.jpg,                   2.jpg,0,

An empty cell of a class says that it is unknown; a list names all that is there, and what is unknown
in a further column or key, "unknown". A column or key "split" says train, val or test.
"""

import csv
import io
import json
import os
from contextlib import suppress
from pathlib import Path

from utils.errors import UserError
from utils.prepare.class_names import tidy
from utils.prepare.label_files import read_text
from utils.prepare.labelled import UNKNOWN, Labelled, Source, split_of

PATHS = ("path", "img_path", "photo", "image", "file", "filename", "file_name")  # names of the first column
LISTS = ("labels", "label", "classes", "tags")
VALUES = {"1": 1, "1.0": 1, "true": 1, "0": 0, "0.0": 0, "false": 0, "": UNKNOWN}  # pandas writes 1.0, True
BETWEEN = ";"  # labels in a list
LONGEST_LINE = 100_000  # characters of a record; what is longer is no JSON line


def read_table(path, photos=None):
    """The Source of a CSV file; photos: the folder that paths count from, or None for the file's own."""
    (first_line, first), *rows = _rows(path)
    header = [cell.casefold() for cell in first]
    if header[0] not in PATHS:
        if len(first) != 2 or not os.path.splitext(first[0])[1]:  # no photo's name: a heading
            raise UserError(
                f"{path}: its first line must name the columns: path,labels or path and the classes"
            )
        rows, first, header = [(first_line, first), *rows], ["path", "labels"], ["path", "labels"]
    first = [tidy(cell) for cell in first]
    listed = [name for name in header[1:] if name in LISTS]
    classes = None if listed else [n for n, low in zip(first[1:], header[1:], strict=True) if low != "split"]
    _check_header(path, header, listed, classes)
    read, folder = _read_list if listed else _read_columns, Path(photos or Path(path).parent)
    found = []
    for line, cells in rows:
        where = f"{path}, line {line}"
        if len(cells) != len(first):
            hint = '; labels share one cell: "cat;dog"' if listed and len(cells) > len(first) else ""
            raise UserError(f"{where}: {len(cells)} columns, where the first line has {len(first)}{hint}")
        if not cells[0]:
            raise UserError(f"{where}: no path of a photo")
        values = dict(zip(header, cells, strict=True)) if listed else dict(zip(first, cells, strict=True))
        split = split_of(cells[header.index("split")], where) if "split" in header else None
        present, unknown = read(values, listed[0] if listed else classes, where)
        found.append(Labelled(str(folder / cells[0]), present, unknown, where, split))
    if not found:
        raise UserError(f"{path} holds no photo; write one a line")
    return Source(found, classes, [])


def _rows(path):
    """[(number of the line, cells)] of a CSV file without its empty lines and the empty columns behind the
    last; a spreadsheet may have put semicolons or tabs for commas: the first line tells."""
    text = read_text(path)
    first = text.strip().split("\n")[0]  # a class of it may hold another of the marks
    delimiter = min((mark for mark in ",\t;" if mark in first), key=first.index, default=",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: no CSV ({error})") from None
    rows = [(line, cells) for line, cells in rows if any(cells)]
    if not rows:
        raise UserError(f"{path} is empty; want path,labels and a photo a line")
    width = max(2, *(index for _, cells in rows for index, cell in enumerate(cells, 1) if cell))
    return [(line, cells[:width]) for line, cells in rows]


def _check_header(path, header, listed, classes):
    named = [name for name in header if name not in ("split", "unknown")] if listed else classes
    once = ("split", "unknown", *LISTS) if listed else ("split", *LISTS)
    twice = next((name for name in header if header.count(name) > 1 and name in once), None)
    if listed and (twice or len(named) != 2):
        extra = twice or named[2 if named[1] == listed[0] else 1]
        raise UserError(f"{path}: column '{extra}' beside '{listed[0]}': take it out, labels are all in one")
    if not listed and (not classes or not all(classes) or twice):
        raise UserError(f"{path}: its first line must name every column, and at least one class")
    if not listed and len({*classes}) < len(classes):
        name = next(name for name in classes if classes.count(name) > 1)
        raise UserError(f"{path}: its first line names '{name}' twice")


def _read_list(values, column, where):
    present, unknown = (
        {tidy(name) for name in values.get(key, "").split(BETWEEN)} - {""} for key in (column, "unknown")
    )
    return _checked(present, unknown, where)


def _read_columns(values, classes, where):
    found = {1: set(), UNKNOWN: set(), 0: set()}
    for name in classes:
        value = values[name].lower()
        if value not in VALUES:
            raise UserError(f"{where}: '{values[name]}' for '{name}' is none of 1, 0 and nothing (unknown)")
        found[VALUES[value]].add(name)
    return found[1], found[UNKNOWN]


def _checked(present, unknown, where):
    both = present & unknown
    if both:
        raise UserError(f"{where}: '{min(both)}' is there and unknown; take one of them out")
    return present, unknown


def read_lines(path, photos=None):
    """The Source of a file of JSON lines, see above; further keys do not matter."""
    found, folder = [], Path(photos or Path(path).parent)
    for number, line in enumerate(read_text(path).split("\n"), 1):
        where = f"{path}, line {number}"
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where}: no JSON ({error}); want one record a line") from None
        name = (record.get("path") or record.get("img_path")) if isinstance(record, dict) else None
        if not isinstance(name, str) or not _are_names(record.get("labels")):
            raise UserError(f'{where}: want {{"path": "1.jpg", "labels": ["cat", ...]}}')
        if not _are_names(record.get("unknown") or []):
            raise UserError(f"{where}: 'unknown' must be a list of names")
        labels, unknown = ({tidy(name) for name in record.get(key) or ()} for key in ("labels", "unknown"))
        split = split_of(record.get("split"), where)
        found.append(Labelled(str(folder / name), *_checked(labels, unknown, where), where, split))
    if not found:
        raise UserError(f"{path} is empty; want one record a line")
    return Source(found, None, [])


def is_lines(path):
    """Whether the first line of a file is a whole record with labels, as in JSON lines."""
    if not os.path.isfile(path):  # a pipe would be waited for
        return False
    with suppress(OSError, ValueError, RecursionError), open(path, encoding="utf-8-sig") as file:
        record = json.loads(file.readline(LONGEST_LINE))
        return isinstance(record, dict) and "labels" in record
    return False


def _are_names(value):
    return isinstance(value, list) and all(isinstance(name, str) for name in value)
