"""Which photos are meant by a mix of files and folders (fault 30)."""

import os

import pytest

from utils.errors import UserError
from utils.photos import find_photos


@pytest.fixture
def folder(tmp_path):
    """Photos with names in any case, and files that are none."""
    photos = ["b.jpg", "A.JPG", "c.Jpeg", "d.png", "e.PNG", "f.bmp", "g.WebP"]
    for name in [*photos, "notes.txt", "labels.json", "Thumbs.db", "jpg", ".hidden"]:
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "more").mkdir()
    (tmp_path / "more/z.jpg").write_bytes(b"x")
    return tmp_path


def names(paths, folder):
    return [os.path.relpath(path, folder) for path in paths]


def test_photos_of_a_folder(folder):
    found = find_photos([str(folder)])
    assert names(found, folder) == ["A.JPG", "b.jpg", "c.Jpeg", "d.png", "e.PNG", "f.bmp", "g.WebP"]
    assert found == sorted(found)


def test_files_and_folders_mixed(folder):
    found = find_photos([folder / "more", folder / "d.png", folder / "A.JPG"])
    assert names(found, folder) == ["A.JPG", "d.png", "more/z.jpg"]


def test_each_once(folder):
    once = find_photos([folder])
    twice = find_photos([folder, f"{folder}/", folder / "b.jpg", f"{folder}/./b.jpg", folder])
    assert twice == once


def test_a_file_that_is_named_is_taken_as_it_is(folder):
    assert names(find_photos([folder / "notes.txt"]), folder) == ["notes.txt"]


def test_a_folder_with_the_name_of_a_photo_is_none(folder):
    (folder / "album.jpg").mkdir()
    assert "album.jpg" not in names(find_photos([folder]), folder)


def test_paths_stay_as_given(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert find_photos(["more", "b.jpg"]) == ["b.jpg", "more/z.jpg"]


def test_missing(folder):
    with pytest.raises(UserError, match="nowhere"):
        find_photos([folder, folder / "nowhere"])


def test_no_photo_at_all(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UserError, match="no photo") as error:
        find_photos([tmp_path])
    assert str(tmp_path) in str(error.value)
    assert ".webp" in str(error.value)
