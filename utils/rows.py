"""Predictions as rows, one a photo, written as they come: text, JSON, JSON lines or CSV."""

import csv
import io
import json
import sys
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from utils.errors import UserError
from utils.files import atomic_path

FORMATS = ("text", "json", "jsonl", "csv")  # the names of all but the first are also suffixes of files
FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # what a spreadsheet may take for the beginning of a formula


@contextmanager
def standard_output(form):
    """Yield standard output for rows of `form`.

    Unless they are text they are alone there: what is printed within the block goes to
    standard error. And they are UTF-8, whatever the terminal's encoding is.
    """
    stdout = sys.stdout
    if form == "text":
        yield stdout
        return
    if isinstance(stdout, io.TextIOWrapper):
        stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    with redirect_stdout(sys.stderr):
        yield stdout


@contextmanager
def rows(file, form, classes, about, text="", place="standard output"):
    """Yield a function that writes one utils.predictions.Prediction to `file` as a row of `form`, at once.

    form: one of FORMATS; about: see about_rows; text: how a row of text looks, with {path} and
    {labels} (each with a comma after it). JSON is one list, whole when the block succeeds. File names
    need not be text: `file` must have errors="backslashreplace", which in JSON is an escape. UserError
    with `place`, which says what the file is, when it cannot be written.
    """
    written = 0

    def write(photo):
        nonlocal written
        _put(_as_text(photo, form, about, text, first=not written), file, place)
        written += 1

    names = map(cell, classes)
    begin = {"json": "[", "csv": _csv_line(["path", "labels", *names, "width", "height", *about])}
    _put(begin.get(form, ""), file, place)
    yield write
    _put("\n]\n" if form == "json" else "", file, place)


@contextmanager
def row_table(path, classes, about):
    """The same to a file, .json, .jsonl or .csv, that appears when the block succeeds."""
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="") as file,
        rows(file, Path(path).suffix[1:], classes, about, place=path) as write,
    ):
        yield write
    print(f"wrote {path}")


def about_rows(described, threshold, checkpoint):
    """What all rows of a run have in common.

    described: description of a checkpoint or deploy.json; threshold: a number, a list of C, or None
    (labels are the best, whatever their scores); checkpoint: path of the model.
    """
    by_class = isinstance(threshold, list)
    return {
        "threshold": dict(zip(described["classes"], threshold, strict=True)) if by_class else threshold,
        "img_size": described["img_size"],
        "checkpoint": str(checkpoint),
    }


def cell(text):
    """A name for a cell of a CSV file: with "'" before it where a spreadsheet would compute it."""
    return f"'{text}" if text.startswith(FORMULA) else text


def path_cell(path):
    """The same for a path, with "./" before it: it is a path still."""
    return f"./{path}" if path.startswith(FORMULA) else path


def _put(text, file, place):
    try:
        file.write(text)
        file.flush()
    except BrokenPipeError:  # who read it went away: utils.errors.run_script ends the run
        raise
    except OSError as error:
        raise UserError(
            f"cannot write {place}: {error.strerror}; make room or choose another place"
        ) from None


def _as_text(photo, form, about, text, first):
    """A Prediction as a row of a form; first: whether it is the first of the list."""
    if form == "text":
        return text.format(path=photo.path, labels="".join(f"{label}," for label in photo.labels))
    row = {
        "path": photo.path,
        "labels": photo.labels,
        "scores": photo.scores,
        "width": photo.width,
        "height": photo.height,
        **about,
    }
    if form == "csv":
        return _csv_line(_cells(row))
    as_json = json.dumps(row, ensure_ascii=False)
    return as_json + "\n" if form == "jsonl" else f"{'' if first else ','}\n {as_json}"


def _cells(row):
    """A row as CSV has it: several labels or thresholds, in the order of classes, are joined by ";"."""
    limit = row["threshold"]
    return [
        path_cell(row["path"]),
        ";".join(map(cell, row["labels"])),
        *row["scores"].values(),
        row["width"],
        row["height"],
        ";".join(map(str, limit.values())) if isinstance(limit, dict) else limit,
        row["img_size"],
        path_cell(row["checkpoint"]),
    ]


def _csv_line(cells):
    line = io.StringIO()
    csv.writer(line).writerow(cells)  # its own \r\n at the end makes it quote either of them in a name
    return line.getvalue()[:-2] + "\n"
