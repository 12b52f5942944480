"""What the label files alone say against a data set, told before a training in a line each."""

import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datasets.records import Records
from utils.data_checks import check_records, examples, warn_of


def records(*rows):
    """Records of (path, labels)."""
    return Records(
        [path for path, _ in rows], np.array([labels for _, labels in rows], np.int8), [None] * len(rows)
    )


SOUND = records(("a.jpg", [1, 0]), ("b.jpg", [0, 1])), records(("c.jpg", [1, 1]))
FAULTY = (
    records(("a.jpg", [1, 0]), ("b.jpg", [-1, -1]), ("c.jpg", [0, -1]), ("d.jpg", [-1, -1])),
    records(("c.jpg", [0, 1]), ("c.jpg", [0, 1]), ("a.jpg", [0, 0])),
)


def test_a_sound_data_set_is_passed_over(capsys):
    assert check_records(["cat", "dog"], *SOUND) == []
    warn_of(["cat", "dog"], *SOUND, "data/mine")
    assert capsys.readouterr() == ("", "")


def test_each_fault_is_one_line(capsys):
    warn_of(["cat", "dog"], *FAULTY, "my set")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "warning: train split: 1 of 2 classes never occur: dog",
        "warning: train split: 2 records have ignored labels only and teach nothing, first b.jpg",
        "warning: test split: 1 of 2 classes never occur: cat",
        "warning: train split: 2 photos are in the test split too, first a.jpg",
        "warning: python utils/prepare/check_dataset.py 'my set' tells more of the data",
    ]


def test_rows():
    findings = check_records(["cat", "dog"], *FAULTY)
    assert [(f.level, f.check, f.rows) for f in findings] == [
        ("error", "no_positive", ()),
        ("warning", "all_ignored", (1, 3)),
        ("error", "no_positive", ()),
        ("error", "leak", (0, 2)),
    ]


def test_without_an_evaluation_split():
    assert [f.check for f in check_records(["cat", "dog"], FAULTY[0], None)] == ["no_positive", "all_ignored"]
    assert check_records(["cat", "dog"], None, None) == []


def test_a_path_that_is_no_line_is_told_in_one(capsys):
    odd = records(("a\n\x1b[31m.jpg", [1, 1]))
    warn_of(["cat", "dog"], odd, odd, "data/mine")
    assert capsys.readouterr().err.splitlines()[0].endswith("first a \\x1b[31m.jpg")


def test_examples():
    assert examples(["a", "b", "c"]) == "a, b, c"
    assert examples(["a", "b", "c", "d"]) == "a, b, c and 1 more"


label_rows = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.lists(st.sampled_from([-1, 0, 1]), min_size=3, max_size=3)),
    min_size=1,
    max_size=6,
)


@given(label_rows, label_rows)
def test_the_findings_are_those_of_a_loop(train, test):
    found = {(f.check, f.split, f.rows) for f in check_records("xyz", records(*train), records(*test))}
    expected = set()
    for split, rows in (("train", train), ("test", test)):
        if any(all(labels[column] != 1 for _, labels in rows) for column in range(3)):
            expected.add(("no_positive", split, ()))
        dull = tuple(row for row, (_, labels) in enumerate(rows) if set(labels) == {-1})
        if dull:
            expected.add(("all_ignored", split, dull))
    shared = tuple(row for row, (path, _) in enumerate(train) if path in {path for path, _ in test})
    if shared:
        expected.add(("leak", "train", shared))
    assert found == expected


def test_it_is_cheap():
    """80,000 records of 80 classes: some 15 ms on a core that is free; ten times that is allowed here."""
    rng = np.random.default_rng(0)
    labels = (rng.random((80_000, 80)) < 0.04).astype(np.int8)
    many = Records(
        [f"Dataset/COCO2014/train2014/{row:012}.jpg" for row in range(80_000)], labels, [None] * 80_000
    )
    few = Records(["other.jpg"], np.ones((1, 80), np.int8), [None])
    durations = []
    for _ in range(3):
        begin = time.perf_counter()
        assert check_records(range(80), many, few) == []
        durations.append(time.perf_counter() - begin)
    assert min(durations) < 0.15
