"""Tables of scores that several processes write, and that survive a kill."""

import json

import pytest

from utils.errors import UserError
from utils.parts import Part, parts_of
from utils.predictions import Prediction
from utils.rows import row_table

ABOUT_ROWS = {"threshold": 0.5, "img_size": 8, "checkpoint": "model.json"}
ABOUT = {"model": {"model.json": 3}, "threshold": 0.5}


def prediction(name):
    return Prediction(name, ["number"], {"number": float(name)}, int(name) + 1, 7)


def write(out, names, rank=0, world=1, resume=False, finish=True, about=ABOUT):
    part = Part(out, about, rank, world, resume)
    for name in names:
        if name not in part.done:
            part.add(prediction(name))
    if finish:
        part.finish(["number"], ABOUT_ROWS)
    return part


def numbers(out):
    return [int(row["path"]) for row in json.loads(out.read_text())]


@pytest.fixture
def out(tmp_path):
    return tmp_path / "scores.json"


def test_the_last_one_merges_in_order(out):
    for rank in (1, 2, 0):
        assert not out.exists()
        write(out, [f"{number:03}" for number in range(rank, 100, 3)], rank, 3)
    assert numbers(out) == list(range(100))
    assert parts_of(out) == []


def test_what_was_done_is_not_done_again(out):
    write(out, ["1", "2"], finish=False)
    part = write(out, ["1", "2", "3"], resume=True)
    assert part.done == {"1", "2"}
    assert numbers(out) == [1, 2, 3]


def test_a_kill_within_a_line(out):
    write(out, ["1", "2"], finish=False)
    (path,) = parts_of(out)
    whole = path.read_bytes()
    for size in range(whole.index(b"\n") + 1, len(whole)):
        path.write_bytes(whole[:size])
        write(out, ["1", "2", "3"], resume=True)
        assert numbers(out) == [1, 2, 3]


def test_a_kill_within_the_first_line(out):
    write(out, [], finish=False)
    (path,) = parts_of(out)
    path.write_bytes(path.read_bytes()[:5])
    write(out, ["1"], resume=True, finish=False)
    write(out, ["1", "2"], resume=True)
    assert numbers(out) == [1, 2]


def test_another_number_of_processes_goes_on(out):
    write(out, ["0", "4"], 0, 4, finish=False)
    write(out, ["1", "5"], 1, 4)
    names = [str(number) for number in range(8)]
    for rank in range(2):
        write(out, names[rank::2], rank, 2, resume=True)
    assert numbers(out) == list(range(8))
    assert parts_of(out) == []


def test_a_part_that_is_continued_is_not_complete(out):
    """Photos were added: who was complete before must not be merged before it is done again."""
    write(out, ["0"], 0, 2)
    zero = Part(out, ABOUT, 0, 2, resume=True)
    write(out, ["1"], 1, 2)
    assert not out.exists()
    zero.add(prediction("2"))
    zero.finish(["number"], ABOUT_ROWS)
    assert numbers(out) == [0, 1, 2]


def test_an_interrupted_run_is_not_overwritten(out):
    write(out, ["1"], finish=False)
    with pytest.raises(UserError, match="--resume"):
        Part(out, ABOUT)
    with pytest.raises(UserError, match="another model"):
        Part(out, {**ABOUT, "threshold": 0.7}, resume=True)


def test_a_part_of_an_older_version_is_told(out):
    out.with_name("scores.json.part-0-1").write_text(json.dumps(ABOUT) + '\n["1", [], [1.0]]\n')
    with pytest.raises(UserError, match=r"part-0-1 is of another version of this code; delete it"):
        Part(out, ABOUT, resume=True)


@pytest.mark.parametrize("suffix", ["json", "jsonl", "csv"])
def test_rows_are_those_of_a_run_without_parts(tmp_path, suffix):
    parts, whole = tmp_path / f"parts.{suffix}", tmp_path / f"whole.{suffix}"
    write(parts, ["1"], finish=False)
    write(parts, ["1", "2"], resume=True)
    with row_table(whole, ["number"], ABOUT_ROWS) as add:
        add(prediction("1"))
        add(prediction("2"))
    assert parts.read_bytes() == whole.read_bytes()


def test_other_tables_do_not_disturb(out):
    out.with_name("scores.json.bak").write_text("x")
    write(out.with_name("other.json"), ["1"], finish=False)
    write(out, ["1"])
    assert numbers(out) == [1]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="choose another --out"):
        Part(tmp_path / "file/scores.json", ABOUT)
