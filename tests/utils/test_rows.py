"""Rows of predictions: what is written is what is read back."""

import csv
import errno
import io
import json
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.errors import UserError
from utils.predictions import Prediction
from utils.rows import about_rows, cell, path_cell, row_table, rows, standard_output

CLASSES = ["cat", "dög", "=1+1"]
DESCRIBED = {"classes": CLASSES, "img_size": 64}
ABOUT = about_rows(DESCRIBED, 0.5, "x.pdparams")
SURROGATE = "caf\udce9.jpg"  # Latin-1 bytes in a file's name


def prediction(path="a.jpg", labels=("cat",), scores=(0.75, 0.25, 0.125), width=4, height=3):
    return Prediction(path, list(labels), dict(zip(CLASSES, scores, strict=True)), width, height)


def written(form, photos, about=ABOUT, text=""):
    """What rows() makes of Predictions."""
    file = io.StringIO()
    with rows(file, form, CLASSES, about, text) as write:
        for photo in photos:
            write(photo)
    return file.getvalue()


def expected(photo, **about):
    return {**vars(photo), "maps": None, **ABOUT, **about}


def read_json(text):
    return [{**row, "maps": None} for row in json.loads(text)]


# --- JSON and JSON lines


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_is_a_list_and_json_lines_are_lines(count):
    photos = [prediction(f'pho"to,{number}.jpg') for number in range(count)]
    assert read_json(written("json", photos)) == [expected(photo) for photo in photos]
    lines = written("jsonl", photos)
    assert lines.count("\n") == count
    assert read_json(f"[{','.join(lines.splitlines())}]") == [expected(photo) for photo in photos]


def test_a_list_that_was_cut_short_is_not_taken_for_a_whole_one():
    file = io.StringIO()
    with pytest.raises(KeyboardInterrupt), rows(file, "json", CLASSES, ABOUT) as write:  # noqa: PT012
        write(prediction())
        raise KeyboardInterrupt
    with pytest.raises(json.JSONDecodeError):
        json.loads(file.getvalue())


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "text"])
def test_a_row_is_out_as_soon_as_it_is_written(form):
    raw = io.BytesIO()
    with rows(io.TextIOWrapper(raw), form, ["cat"], ABOUT, "{path}\n") as write:
        write(Prediction("first.jpg", [], {"cat": 0.5}, 4, 3))
        assert b"first.jpg" in raw.getvalue()


# --- CSV


def read_csv(text):
    return list(csv.reader(io.StringIO(text, newline="")))


def test_csv():
    header, row = read_csv(written("csv", [prediction(labels=["cat", "=1+1"])]))
    assert header == [
        "path",
        "labels",
        "cat",
        "dög",
        "'=1+1",
        "width",
        "height",
        "threshold",
        "img_size",
        "checkpoint",
    ]
    assert row == ["a.jpg", "cat;'=1+1", "0.75", "0.25", "0.125", "4", "3", "0.5", "64", "x.pdparams"]


def test_thresholds_by_class():
    about = about_rows(DESCRIBED, [0.25, 0.5, 1], "x.pdparams")
    (row,) = read_json(written("json", [prediction()], about))
    assert row["threshold"] == {"cat": 0.25, "dög": 0.5, "=1+1": 1}
    assert read_csv(written("csv", [prediction()], about))[1][7] == "0.25;0.5;1"


def test_no_threshold():
    about = about_rows(DESCRIBED, None, "x.pdparams")
    assert read_json(written("json", [prediction()], about))[0]["threshold"] is None
    assert read_csv(written("csv", [prediction()], about))[1][7] == ""


@pytest.mark.parametrize("start", "=+-@\t\r\n＝＋－＠")
def test_nothing_that_a_spreadsheet_would_compute(start):
    assert cell(f"{start}1+1") == f"'{start}1+1"
    assert path_cell(f"{start}1.jpg") == f"./{start}1.jpg"
    row = read_csv(written("csv", [prediction(f"{start}1.jpg")], {**ABOUT, "checkpoint": f"{start}x"}))[1]
    assert (row[0], row[-1]) == (f"./{start}1.jpg", f"./{start}x")


@pytest.mark.parametrize("text", ["", "cat", "a=b", "1-2", "'=1", " =1", "/x/=1.jpg", "日本"])
def test_other_texts_stay(text):
    assert cell(text) == path_cell(text) == text


# --- any path, any score


PATHS = st.text(
    st.characters(exclude_characters="\0"), min_size=1
)  # surrogates too: what os.fsdecode may give
SCORES = st.lists(st.floats(0, 1, width=32), min_size=len(CLASSES), max_size=len(CLASSES))
PHOTOS = st.lists(
    st.builds(
        prediction,
        PATHS,
        st.lists(st.sampled_from(CLASSES), unique=True),
        SCORES,
        st.integers(1, 60000),
        st.integers(1, 60000),
    ),
    max_size=4,
)


@given(PHOTOS)
def test_what_is_written_is_read_back(photos):
    for form in ("json", "jsonl"):
        text = written(form, photos).encode("utf-8", "backslashreplace").decode()
        found = json.loads(text) if form == "json" else [json.loads(line) for line in text.split("\n")[:-1]]
        assert [{**row, "maps": None} for row in found] == [expected(photo) for photo in photos]
    for photo, row in zip(photos, read_csv(written("csv", photos))[1:], strict=True):
        assert row[0].removeprefix("./") == photo.path.removeprefix("./")
        assert [label.removeprefix("'") for label in filter(None, row[1].split(";"))] == photo.labels
        assert [float(score) for score in row[2:5]] == [*photo.scores.values()]
        assert row[5:] == [str(photo.width), str(photo.height), "0.5", "64", "x.pdparams"]


# --- files


@pytest.mark.parametrize("form", ["json", "jsonl", "csv"])
def test_a_table_holds_what_is_printed(tmp_path, form, capsys):
    path = tmp_path / f"x.{form}"
    with row_table(path, CLASSES, ABOUT) as write:
        write(prediction(SURROGATE))
        assert not path.exists()
    assert capsys.readouterr().out == f"wrote {path}\n"
    assert path.read_bytes() == written(form, [prediction(SURROGATE)]).encode("utf-8", "backslashreplace")
    if form != "csv":
        assert json.loads(path.read_text(encoding="utf-8").strip("[]\n"))["path"] == SURROGATE


def test_a_run_that_fails_leaves_no_table(tmp_path):
    with pytest.raises(UserError), row_table(tmp_path / "x.json", CLASSES, ABOUT) as write:  # noqa: PT012
        write(prediction())
        raise UserError("no")
    assert list(tmp_path.iterdir()) == []


def test_who_reads_standard_output_and_goes_away_is_not_the_table_s_fault(tmp_path):
    with pytest.raises(BrokenPipeError), row_table(tmp_path / "x.json", CLASSES, ABOUT):
        raise BrokenPipeError
    assert list(tmp_path.iterdir()) == []


# --- standard output


class Full(io.StringIO):
    """A file on a full disk."""

    def flush(self):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "text"])
def test_a_full_disk_is_told_with_what_is_on_it(tmp_path, form):
    with (
        pytest.raises(UserError, match="cannot write standard output: No space left"),
        row_table(tmp_path / "x.json", CLASSES, ABOUT),
        rows(Full(), form, CLASSES, ABOUT, "{path}\n") as write,
    ):
        write(prediction())
    assert list(tmp_path.iterdir()) == []


def test_rows_are_alone_on_standard_output(capsys):
    for form in ("json", "jsonl", "csv"):
        with standard_output(form) as stdout:
            print("a note")
            stdout.write("rows\n")
        assert capsys.readouterr() == ("rows\n", "a note\n")
    print("after it")
    with standard_output("text") as stdout:
        print("a note")
        stdout.write("rows\n")
    assert capsys.readouterr() == ("after it\na note\nrows\n", "")


def test_rows_are_utf_8_on_any_terminal(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "latin-1"))
    with standard_output("jsonl") as stdout, rows(stdout, "jsonl", CLASSES, ABOUT) as write:
        write(prediction(f"日本😀/{SURROGATE}"))
    assert "日本😀".encode() in raw.getvalue()
    assert json.loads(raw.getvalue())["path"] == f"日本😀/{SURROGATE}"
