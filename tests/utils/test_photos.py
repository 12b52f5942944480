"""Which photos are meant by a mix of files, folders, patterns and lists (fault 30); names of what is made."""

import io
import os
import re
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from utils.errors import UserError
from utils.photos import check_output_folder, check_output_folders, each_photo, find_photos, output_names

PHOTOS = ["A.JPG", "b.jpg", "c.Jpeg", "d.png", "e.PNG", "f.bmp", "g.WebP", "more/z.jpg"]


@pytest.fixture
def folder(tmp_path):
    """Photos with names in any case, and files that are none."""
    (tmp_path / "more").mkdir()
    for name in [*PHOTOS, "notes.txt", "labels.json", "Thumbs.db", "jpg", ".hidden", "._b.jpg", "more/z.txt"]:
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def names(paths, folder):
    return [os.path.relpath(path, folder) for path in paths]


def test_photos_of_a_folder(folder):
    found = find_photos([str(folder)])
    assert names(found, folder) == PHOTOS
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


def test_photos_of_formats_that_are_not_read_are_told(folder, capsys):
    """Silence would look as if all had been predicted."""
    assert names(find_photos([folder]), folder) == PHOTOS
    assert capsys.readouterr() == ("", "")
    for name in ("b.HEIC", "a.tif", "more/c.gif", "more/d.avif", ".e.heic"):
        (folder / name).write_bytes(b"x")
    said = f"4 files of formats that are not read, convert them: {folder}/a.tif, {folder}/b.HEIC, "
    assert names(find_photos([folder, f"{folder}/m*", folder / "d.png"]), folder) == PHOTOS
    assert capsys.readouterr().err.startswith(f"left out {said}")
    for name in PHOTOS:
        (folder / name).unlink()
    with pytest.raises(UserError, match=rf"no photo \(.*\) in {re.escape(f'{folder}; {said}')}"):
        find_photos([folder])
    assert capsys.readouterr().err == ""


def test_no_photo_at_all(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UserError, match="no photo") as error:
        find_photos([tmp_path])
    assert str(tmp_path) in str(error.value)
    assert ".webp" in str(error.value)


# --- folders within folders


def test_folders_within_folders(folder):
    for name in ("more/deep/er", ".thumbnails", "more/.git"):
        (folder / name).mkdir(parents=True)
        (folder / name / "y.png").write_bytes(b"x")
    assert names(find_photos([folder]), folder) == sorted([*PHOTOS, "more/deep/er/y.png"])
    assert names(find_photos([folder / ".thumbnails"]), folder) == [".thumbnails/y.png"]  # it is named


def test_links(folder):
    """Links to files count, links to folders do not: a loop must end."""
    (folder / "more/up").symlink_to(folder)
    (folder / "more/album.jpg").symlink_to(folder)
    (folder / "more/link.jpg").symlink_to(folder / "b.jpg")
    expected = sorted([*PHOTOS, "more/link.jpg"])
    assert names(find_photos([folder]), folder) == expected
    assert names(find_photos([folder / "**/[bl]*.jpg"]), folder) == ["b.jpg", "more/link.jpg"]
    assert len(find_photos([folder / "more/up"])) == len(expected)  # it is named


def test_a_folder_that_cannot_be_listed_is_an_error(folder, monkeypatch):
    here = folder
    monkeypatch.chdir(folder)
    for _ in range(20):  # its path grows longer than the system takes, even from a superuser
        here = here / ("x" * 240)
        os.mkdir("x" * 240)
        os.chdir("x" * 240)
    for place in (folder, folder / "**/*.jpg"):
        with pytest.raises(UserError, match="cannot read .*name too long"):
            find_photos([place])
    os.chdir(folder)
    shutil.rmtree("x" * 240)


# --- patterns


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.jpg", ["b.jpg"]),
        ("**/*.jpg", ["b.jpg", "more/z.jpg"]),
        ("**", PHOTOS),
        ("[a-c].*", ["b.jpg", "c.Jpeg"]),
        ("m*", ["more/z.jpg"]),
        ("m*/z.jpg", ["more/z.jpg"]),
        ("m*/z*", ["more/z.jpg", "more/z.txt"]),  # as if named
        ("**/more/*.jpg", ["more/z.jpg"]),
        ("more/../?.png", ["d.png"]),
        ("*idden", None),
        (".h*", [".hidden"]),
        ("*.tiff", None),
        ("b.jpg/*", None),
        ("nowhere/*", None),
    ],
)
def test_patterns(folder, monkeypatch, pattern, expected):
    monkeypatch.chdir(folder)
    for place in (pattern, folder / pattern):
        if expected is None:
            with pytest.raises(UserError, match="no file or folder matches"):
                find_photos([place])
        else:
            assert names(map(os.path.realpath, find_photos([place])), folder) == expected


def test_a_file_of_that_very_name_is_no_pattern(folder):
    (folder / "[b].jpg").write_bytes(b"x")
    assert names(find_photos([folder / "[b].jpg"]), folder) == ["[b].jpg"]


# --- a list on standard input


@pytest.fixture
def listed(monkeypatch):
    """listed(bytes): put them on standard input."""
    return lambda content: monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_a_list(folder, listed, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "two words.jpg").write_bytes(b"x")
    (folder / " *.jpg ").write_bytes(b"x")
    listed(b"\ntwo words.jpg\r\n\n *.jpg \nmore\nb.jpg\n./b.jpg")
    assert find_photos(["-", "d.png"]) == [" *.jpg ", "b.jpg", "d.png", "more/z.jpg", "two words.jpg"]


def test_names_in_a_list_need_not_be_text(tmp_path, listed):
    path = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    with open(path, "wb") as file:
        file.write(b"x")
    listed(path + b"\n")
    (found,) = find_photos(["-"])
    assert os.fsencode(found) == path


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "standard input"),
        (b"\n\n", "standard input"),
        (b"\nno.jpg", "no.jpg; line 2"),
        (b"a\0b", "line 1"),
        (b"*.jpg", "line 1"),
    ],
)
def test_mistakes_in_a_list(folder, listed, monkeypatch, content, told):
    monkeypatch.chdir(folder)
    listed(content)
    with pytest.raises(UserError, match=told):
        find_photos(["-"])


def test_no_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)  # as Python has it after `<&-`
    with pytest.raises(UserError, match="standard input is closed"):
        find_photos(["-"])


# --- names of what is made


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["p/1.jpg"], ["1"]),
        (["p/1.jpg", "p/q/2.jpg"], ["1", "q/2"]),
        (["a/1.jpg", "b/1.jpg", "c/../a/2.jpg"], ["a/1", "b/1", "a/2"]),
        (["1.jpg", "1.png", "2.jpg"], ["1_jpg", "1_png", "2"]),
        (["1.jpg", "1.png", "1_jpg.png"], ["1_jpg_2", "1_png", "1_jpg"]),
        (["a.jpg", "A.jpg"], ["a_jpg", "A_jpg_2"]),
        (["/x/1.jpg", "/y/z/1.jpg"], ["x/1", "y/z/1"]),
        (["../1.jpg", "1.jpg"], ["1", "here/1"]),
        (["1.tar.jpg", ".jpg", "bare"], ["1.tar", ".jpg", "bare"]),
        ([], []),
    ],
)
def test_output_names(tmp_path, monkeypatch, paths, expected):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert output_names(paths) == dict(zip(paths, expected, strict=True))


PART = st.sampled_from(["a", "A", "b", "a_jpg", "a_jpg_2", "..", "."])
PATH = st.builds(
    lambda root, folders, name: root + "/".join([*folders, name]),
    st.sampled_from(["", "/", "/tmp/", "../../"]),
    st.lists(PART, max_size=3),
    st.sampled_from(["a.jpg", "A.JPG", "a.png", "a_jpg.png", "a_jpg_2.jpg", "a", "\udce9.jpg"]),
)


@given(st.lists(PATH, unique=True))
def test_output_names_are_unique_and_stay_inside(paths):
    found = output_names(paths)
    assert list(found) == paths
    assert len({name.casefold() for name in found.values()}) == len(paths)
    for name in found.values():
        assert not os.path.isabs(name)
        assert not {"", ".", ".."} & set(name.split("/"))


@pytest.mark.parametrize("output", [".", "..", "p", "p/q/..", "link", "link/p", "target"])
def test_photos_are_never_replaced(tmp_path, monkeypatch, output):
    for name in ("work/p/q", "work/target"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    os.symlink(".", "link")
    os.symlink("../target/t.jpg", "p/2.jpg")
    with pytest.raises(UserError, match="holds photos that are read .p/"):
        check_output_folder(output, ["p/1.jpg", "p/2.jpg"], "--annotated")
    for fine in ("p/q", "p/new", "new", "p/1"):
        check_output_folder(fine, ["p/1.jpg", "p/2.jpg"], "--annotated")


def test_a_file_is_no_folder(folder):
    with pytest.raises(UserError, match="--annotated .* is a file"):
        check_output_folder(folder / "notes.txt", [], "--annotated")


def test_two_outputs_need_two_folders(tmp_path):
    folders = {"--heatmap": tmp_path / "a", "--annotated": tmp_path / "b", "--other": None}
    check_output_folders(folders, [])
    check_output_folders({"--heatmap": None, "--annotated": None}, [])
    with pytest.raises(UserError, match="--heatmap and --annotated name the same folder"):
        check_output_folders({**folders, "--annotated": tmp_path / "b/../a"}, [])
    with pytest.raises(UserError, match="--annotated .* holds photos"):
        check_output_folders(folders, [tmp_path / "b/1.jpg"])


def test_photos_of_a_mix_come_in_the_order_given(folder):
    image = Image.new("L", (2, 2))
    found = list(each_photo([folder / "d.png", image, folder / "more", str(folder / "gone.jpg")]))
    assert found == [str(folder / "d.png"), image, str(folder / "more/z.jpg"), str(folder / "gone.jpg")]
    for one in (image, str(folder / "d.png"), folder / "d.png"):
        assert list(each_photo(one)) == [one if one is image else str(one)]
    assert names(each_photo(folder), folder) == PHOTOS
    with pytest.raises(TypeError, match="not int"):
        list(each_photo([3]))


def test_a_folder_is_looked_into_when_its_turn_comes(folder):
    photos = each_photo([folder / "d.png", folder / "later"])
    assert next(photos) == str(folder / "d.png")
    shutil.copytree(folder / "more", folder / "later")
    assert next(photos) == str(folder / "later/z.jpg")
