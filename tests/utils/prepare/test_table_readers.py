"""CSV and JSON lines of labels: what is written is read; what is no table is refused in one line."""

import csv
import io
import json
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from utils.errors import UserError
from utils.prepare.class_names import tidy
from utils.prepare.labelled import UNKNOWN
from utils.prepare.table_readers import is_lines, read_lines, read_table


@pytest.fixture
def table(tmp_path):
    """table(text, name): write a file, read it; {file name: (present, unknown, split)}."""

    def read(text, name="labels.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        source = (read_table if name.endswith("csv") else read_lines)(path)
        return as_facts(source, tmp_path)

    return read


@pytest.fixture
def refused(table):
    """refused(text, name): the error that reading gives."""

    def read(text, name="labels.csv"):
        with pytest.raises(UserError) as stop:
            table(text, name)
        return str(stop.value)

    return read


def as_facts(source, folder):
    """{path below the folder: (sorted present, sorted unknown, split)} of a Source."""
    for photo in source.photos:
        assert photo.img_path.startswith(f"{folder}/")
        assert photo.objects is None
    return {
        photo.img_path.removeprefix(f"{folder}/"): (sorted(photo.present), sorted(photo.unknown), photo.split)
        for photo in source.photos
    }


# --- a list of labels


def test_a_list_with_and_without_header(table):
    expected = {
        "a.jpg": (["cat", "dog"], [], None),
        "b/c d.png": ([], [], None),
        "e.jpg": (["dog"], [], None),
    }
    text = "a.jpg,dog; cat\nb/c d.png,\ne.jpg,dog;;dog\n"
    assert (
        table(text) == table("path,labels\n" + text) == table("\ufeffImage,Tags\r\n\r\n" + text) == expected
    )


def test_a_list_says_what_is_unknown_and_where_it_goes(table):
    text = "path,split,labels,unknown\na.jpg,Train,cat,dog;owl\nb.jpg,valid,,\nc.jpg,test,dog,\n"
    assert table(text) == {
        "a.jpg": (["cat"], ["dog", "owl"], "train"),
        "b.jpg": ([], [], "val"),
        "c.jpg": (["dog"], [], "test"),
    }


def test_what_a_spreadsheet_writes(table):
    """Semicolons or tabs for commas; a list is then in quotes."""
    expected = {"a.jpg": (["cat", "dog"], [], None), "b.jpg": (["dog"], [], None)}
    assert table('path;labels\r\na.jpg;"cat;dog"\r\nb.jpg;dog\r\n') == expected
    assert table("path\tlabels\na.jpg\tcat;dog\nb.jpg\tdog\n") == expected
    assert table("path;cat;dog\na.jpg;1;1\nb.jpg;0;1\n") == expected


@pytest.mark.parametrize("mark", ";\t,")
def test_a_class_may_hold_what_stands_between_columns_elsewhere(table, mark):
    names = ["tall, dark", "a;b", "tab\tbed"]
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=mark).writerows([["path", *names], ["a.jpg", 1, 0, 1], ["b.jpg", 0, "", 1]])
    assert table(file.getvalue()) == {
        "a.jpg": (["tab\tbed", "tall, dark"], [], None),
        "b.jpg": (["tab\tbed"], ["a;b"], None),
    }


def test_a_name_is_one_whichever_way_it_is_written(table):
    """With blanks around it, and its accents as characters of their own (NFD)."""
    expected = {"a.jpg": (["café"], ["Bär"], None), "b.jpg": (["café"], [], None)}
    nfd = dict(cafe="cafe\u0301", bear="Ba\u0308r")
    text = "path,labels,unknown\na.jpg,{cafe}; café ,{bear};Bär\nb.jpg,café,\n"
    assert table(text.format(**nfd)) == expected
    lines = (
        {"path": "a.jpg", "labels": [nfd["cafe"], " café"], "unknown": ["Bär ", nfd["bear"]]},
        {"path": "b.jpg", "labels": ["café"]},
    )
    assert table("\n".join(map(json.dumps, lines)), "t.jsonl") == expected
    columns = "path,{cafe},Bär\na.jpg,1,\nb.jpg,1,0\n"
    assert table(columns.format(**nfd)) == expected


NAMES = st.text(min_size=1, max_size=6).filter(
    lambda name: name.isprintable() and name == tidy(name) and ";" not in name
)
PHOTOS = (
    st.text(min_size=1, max_size=8).filter(lambda n: n.isprintable() and n == n.strip()).map("p{}.jpg".format)
)


@given(
    st.dictionaries(
        PHOTOS,
        st.tuples(st.sets(NAMES, max_size=4), st.sets(NAMES, max_size=2)).map(lambda s: (s[0] - s[1], s[1])),
        min_size=1,
        max_size=6,
    )
)
@example({"p,.jpg": ({'"', ","}, set())})
def test_lists_are_read_as_they_were_written(tmp_path_factory, truth):
    folder = tmp_path_factory.mktemp("table")
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(["path", "labels", "unknown"])
    for name, (present, unknown) in truth.items():
        writer.writerow([name, "; ".join(sorted(present)), ";".join(unknown)])
    (folder / "t.csv").write_text(file.getvalue(), encoding="utf-8", newline="")
    lines = [{"path": n, "labels": [*a], "unknown": [*b]} for n, (a, b) in truth.items()]
    (folder / "t.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for source in (read_table(folder / "t.csv"), read_lines(folder / "t.jsonl")):
        assert source.classes is None
        found = {p.img_path.removeprefix(f"{folder}/"): (p.present, p.unknown) for p in source.photos}
        # p/.jpg and the like: a Path drops what does not matter
        assert found == {str(folder / n).removeprefix(f"{folder}/"): truth[n] for n in truth}


# --- a column a class


@given(st.lists(st.lists(st.sampled_from((1, 0, UNKNOWN)), min_size=3, max_size=3), min_size=1, max_size=8))
def test_columns_are_read_as_they_were_written(tmp_path_factory, rows):
    folder, names = tmp_path_factory.mktemp("table"), ["dog", "Cat", "großer Bär, alt"]
    spelled = {1: ("1", "1.0", "True"), 0: ("0", "0.0", "FALSE"), UNKNOWN: ("", " ", "")}
    for way in range(3):
        file = io.StringIO(newline="")
        csv.writer(file).writerows(
            [
                ["file_name", *names],
                *([f"{n}.jpg", *(spelled[v][way] for v in row)] for n, row in enumerate(rows)),
            ]
        )
        (folder / "t.csv").write_text(file.getvalue(), encoding="utf-8-sig", newline="")
        source = read_table(folder / "t.csv")
        assert source.classes == names
        for photo, row in zip(source.photos, rows, strict=True):
            assert [1 if n in photo.present else UNKNOWN if n in photo.unknown else 0 for n in names] == row


def test_columns_may_be_named_like_those_of_lists(table):
    """ "path" comes first; what is "photo" or "unknown" beside it are classes."""
    text = "path,photo,unknown,Split\na.jpg,1,0,train\n"
    assert table(text) == {"a.jpg": (["photo"], [], "train")}


@pytest.mark.parametrize("behind", [",,", ",", ""])
def test_empty_columns_behind_the_last_do_not_count(table, behind):
    """A spreadsheet writes those in which something once stood, in all lines or in some."""
    assert table(f"path,labels{behind}\na.jpg,cat,,\nb.jpg,{behind}\n") == {
        "a.jpg": (["cat"], [], None),
        "b.jpg": ([], [], None),
    }
    assert table(f"path,cat,dog{behind}\na.jpg,1,,,\n,,\n") == {"a.jpg": (["cat"], ["dog"], None)}


def test_paths_count_from_the_folder_of_photos(tmp_path):
    (tmp_path / "t.csv").write_text(f"path,cat\nin/a.jpg,1\n{tmp_path}/b.jpg,0\n")
    found = [photo.img_path for photo in read_table(tmp_path / "t.csv", tmp_path / "elsewhere").photos]
    assert found == [f"{tmp_path}/elsewhere/in/a.jpg", f"{tmp_path}/b.jpg"]
    assert read_table(tmp_path / "t.csv").photos[0].where == f"{tmp_path}/t.csv, line 2"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("\n \n,,\n", "is empty"),
        ("path,labels\n", "holds no photo"),
        ("a.jpg\n", "its first line must name the columns"),
        ("a.jpg,1,0\n", "its first line must name the columns"),
        (",path,cat\n0,a.jpg,1\n", "its first line must name the columns"),
        ("path\na.jpg\n", "at least one class"),
        ("path,split\na.jpg,train\n", "at least one class"),
        ("Datei,Etiketten\na.jpg,cat\n", "its first line must name the columns"),
        ("path,cat,\na.jpg,1,0\n", "must name every column"),
        ("path,cat,cat\na.jpg,1,1\n", "names 'cat' twice"),
        ("path,café,cafe\u0301\na.jpg,1,0\n", "names 'café' twice"),
        ("path,cat,split,split\na.jpg,1,train,test\n", "must name every column"),
        ("path,labels,width\na.jpg,cat,500\n", "column 'width' beside 'labels'"),
        ("path,cat,labels\na.jpg,1,dog\n", "column 'cat' beside 'labels'"),
        ("path,labels,tags\na.jpg,cat,dog\n", "column 'tags' beside 'labels'"),
        ("path,labels,split,split\na.jpg,cat,train,train\n", "column 'split' beside 'labels'"),
        ("path,labels,unknown,unknown\na.jpg,cat,dog,\n", "column 'unknown' beside 'labels'"),
        ("path,labels,unknown\na.jpg,café,cafe\u0301\n", "line 2: 'café' is there and unknown"),
        ("path,cat,dog\na.jpg,1\n", "line 2: 2 columns, where the first line has 3"),
        ("path,cat\na.jpg,1\nb.jpg,1,0\n", "line 3: 3 columns, where the first line has 2"),
        ("path,labels\na.jpg,cat,dog\n", "the first line has 2; labels share one cell"),
        ("path,cat\na.jpg,yes\n", "line 2: 'yes' for 'cat' is none of 1, 0 and nothing"),
        ("path,cat\na.jpg,-1\n", "line 2: '-1' for 'cat'"),
        ("path,cat\n,1\n", "line 2: no path"),
        ("path,labels,unknown\na.jpg,cat;dog,dog\n", "line 2: 'dog' is there and unknown"),
        ("path,labels,split\na.jpg,cat,holdout\n", "line 2: split 'holdout' is none of train, val and test"),
        ('path,labels\na.jpg,"cat\n', "no CSV"),
        ('path,labels\na.jpg,"cat"dog\n', "line 2: no CSV"),
        ("path,labels\na.jpg," + "x" * 200_000 + "\n", "no CSV (field larger than"),
        (b"path,labels\na.jpg,caf\xe9\n", "is not UTF-8 text"),
        ("path,labels\na.jpg,cat\n".encode("utf-16"), "is not UTF-8 text"),
    ],
)
def test_what_is_no_table_is_refused(refused, text, said):
    really = refused(text)
    assert said in really
    assert "labels.csv" in really


@given(st.binary(max_size=60) | st.text(alphabet='path,labels;"\n\r 01\x00é', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    for name, read in (("t.csv", read_table), ("t.jsonl", read_lines)):
        path = tmp_path_factory.mktemp("any") / name
        path.write_bytes(content)
        with suppress(UserError):
            photos = read(path).photos
            assert photos
            assert all(not photo.present & photo.unknown for photo in photos)


def test_a_missing_file_is_named(tmp_path):
    for read in (read_table, read_lines):
        with pytest.raises(UserError, match="cannot read .*none.csv: No such file"):
            read(tmp_path / "none.csv")


# --- JSON lines


def test_lines_may_have_more(table):
    text = (
        '{"path": "a.jpg", "labels": ["dog", "cat"], "split": "train", "width": 5}\n\n'
        '{"img_path": "b.jpg", "labels": [], "unknown": ["cat"], "split": "validation"}'
    )
    assert table(text, "t.jsonl") == {
        "a.jpg": (["cat", "dog"], [], "train"),
        "b.jpg": ([], ["cat"], "val"),
    }
    assert table('\ufeff{"path": "a.jpg", "labels": [], "unknown": null, "split": null}\r\n', "t.jsonl") == {
        "a.jpg": ([], [], None)
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("{}", "line 1: want"),
        ("[1]", "line 1: want"),
        ('{"path": "a.jpg"}', "line 1: want"),
        ('{"labels": []}', "line 1: want"),
        ('{"path": "", "labels": []}', "line 1: want"),
        ('{"path": 1, "labels": []}', "line 1: want"),
        ('{"path": "a.jpg", "labels": "cat"}', "line 1: want"),
        ('{"path": "a.jpg", "labels": [1]}', "line 1: want"),
        ('{"path": "a.jpg", "labels": [], "unknown": "cat"}', "'unknown' must be a list"),
        ('{"path": "a.jpg", "labels": ["cat"], "unknown": ["cat"]}', "'cat' is there and unknown"),
        ('{"path": "a.jpg", "labels": [], "split": 1}', "split '1' is none of"),
        ('{"path": "a.jpg", "labels": [], "split": 0}', "split '0' is none of"),
        ('{"path": "a.jpg", "labels": []}\n{"path"', "line 2: no JSON"),
        ("[" * 100_000, "line 1: no JSON"),
    ],
)
def test_what_is_no_json_line_is_refused(refused, text, said):
    really = refused(text, "t.jsonl")
    assert said in really
    assert "t.jsonl" in really


def test_lines_are_known_by_the_first(tmp_path):
    path = tmp_path / "t.json"
    for text, expected in (
        ('{"path": "a.jpg", "labels": []}\n', True),
        ('{"path": "a.jpg", "labels": []}', True),
        ('{"images": [], "annotations": []}', False),
        ('{\n"labels": []}', False),
        ("[" * 200_000, False),
        ('["labels"]', False),
    ):
        path.write_text(text)
        assert is_lines(path) is expected
    assert not is_lines(tmp_path / "none")
