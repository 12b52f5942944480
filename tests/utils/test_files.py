"""Files appear whole or not at all (fault 18)."""

import json
import os
import stat
from pathlib import Path
from threading import Thread

import pytest

from utils.errors import UserError
from utils.files import atomic_path, read_json, write_all, write_json, write_text


def test_the_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new/folder/x.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert temporary.parent == path.parent  # so that the rename cannot cross file systems
        assert not path.exists()
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["x.txt"]


def test_readers_see_the_old_file_until_then(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, UserError])
def test_an_error_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(error), atomic_path(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise error("stop")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x.txt"]


def test_full_disk_is_told_in_one_line(tmp_path):
    path = tmp_path / "x.txt"
    with pytest.raises(UserError, match="No space left") as error, atomic_path(path):
        raise OSError(28, "No space left on device")
    assert str(path) in str(error.value)
    assert os.listdir(tmp_path) == []


def test_bytes_are_on_disk_before_the_name(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append("flush"), fsync(handle))[1])
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("rename"), replace(*names))[1])
    with atomic_path(tmp_path / "x.txt"):
        pass
    assert done[:2] == ["flush", "rename"]
    done.clear()
    write_all({tmp_path / name: "new" for name in "abc"})
    assert done[:3] == ["flush"] * 3  # of all, before the first is renamed


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_umask_is_respected(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_text(tmp_path / "x.txt", "new")
        assert os.umask(umask) == umask  # and left as it was
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x.txt").stat().st_mode) == mode


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file/x.txt"
    with pytest.raises(UserError, match="cannot write") as error, atomic_path(path):
        pytest.fail("the block must not run")
    assert str(path) in str(error.value)


def test_target_that_is_a_folder(tmp_path):
    (tmp_path / "x.json").mkdir()
    with pytest.raises(UserError, match="x.json"):
        write_json(tmp_path / "x.json", {})
    assert os.listdir(tmp_path) == ["x.json"]


def test_several_files_of_which_one_is_a_folder(tmp_path):
    """In whatever place: none of the others is written."""
    for last in range(3):
        names = [f"{(number + last) % 3}.txt" for number in range(3)]
        for name in names:
            (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / names[0]).mkdir()
        (tmp_path / names[1]).write_text("old")
        with pytest.raises(UserError, match=f"{names[0]}: Is a directory"):
            write_all({tmp_path / f"{number}.txt": "new" for number in range(3)})
        assert sorted(os.listdir(tmp_path)) == sorted(names[:2])
        assert (tmp_path / names[1]).read_text() == "old"
        (tmp_path / names[0]).rmdir()


def states_of(write, folder, monkeypatch):
    """What is in `folder`, {name: text}, each time write() is about to rename or remove a file, and after."""
    states = []

    def noted(operation):
        def call(*given, **named):
            states.append({p.name: p.read_text() for p in folder.iterdir() if p.name[0] != "."})
            return operation(*given, **named)

        return call

    with monkeypatch.context() as patch:
        for place, name in ((os, "replace"), (os, "unlink"), (Path, "unlink")):
            patch.setattr(place, name, noted(getattr(place, name)))
        write()
    noted(bool)()
    return states


def test_a_run_that_is_killed_leaves_no_mixture(tmp_path, monkeypatch):
    """The table of contents goes first and comes last: what is there with it belongs together."""
    key = tmp_path / "key.json"
    old, new = ({tmp_path / "a": word, key: word, tmp_path / "b": word} for word in ("old", "new"))
    (tmp_path / "other").write_text("other")
    for texts, before in ((old, set()), (new, {"old"})):
        states = states_of(lambda texts=texts: write_all(texts, last=[key]), tmp_path, monkeypatch)
        assert states[-1] == {**{path.name: text for path, text in texts.items()}, "other": "other"}
        whole = [state for state in states if "key.json" in state]
        assert all(len({state["a"], state["b"], state["key.json"]}) == 1 for state in whole)
        assert {state["a"] for state in whole} == {*texts.values()} | before
        assert len(whole) < len(states)


def test_two_runs_at_once_leave_the_files_of_one(tmp_path, monkeypatch):
    """The second begins when the first has renamed one of its three files."""
    first, second = ({tmp_path / name: word for name in ("a", "b", "key")} for word in ("first", "second"))
    last, replace, renamed, others = [tmp_path / "key"], os.replace, [], []

    def replace_and_begin(*names):
        renamed.append(replace(*names))
        if not others:
            others.append(Thread(target=write_all, args=(second, last)))
            others[0].start()
            others[0].join(0.3)  # it waits, or else is done by then

    monkeypatch.setattr(os, "replace", replace_and_begin)
    write_all(first, last)
    others[0].join()
    assert len(renamed) == 6
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        ("a", "b", "key"), "second"
    )


def test_json_round_trip(tmp_path):
    value = {"name": "café 犬", "numbers": [0.1, 1e-300, 3], "none": None}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value
    assert "犬" in (tmp_path / "x.json").read_text(encoding="utf-8")


def test_nan_is_no_json(tmp_path):
    write_json(tmp_path / "x.json", [1])
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", [float("nan")])
    assert json.loads((tmp_path / "x.json").read_text()) == [1]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"[1] 2"])
def test_what_is_no_json(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        read_json(path)
    assert str(path) in str(error.value)


def test_json_as_windows_writes_it(tmp_path):
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf{"a": "\xc3\xa9"}\r\n')
    assert read_json(tmp_path / "x.json") == {"a": "é"}


def test_json_file_that_is_not_there(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(UserError, match="cannot read") as error:
            read_json(path)
        assert str(path) in str(error.value)
