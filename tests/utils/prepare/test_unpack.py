"""Archives that may be hostile: what is unpacked lies below the folder, or nothing is."""

import io
import os
import stat
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.errors import UserError
from utils.prepare import unpack as unpacking
from utils.prepare.unpack import unpack

FILES = {
    "VOCdevkit/VOC2007/JPEGImages/000001.jpg": b"one",
    "VOCdevkit/VOC2007/a b.txt": b"",
    "top": bytes(range(256)) * 2,
}


def make_tar(path, files=None, *others, mode="w"):
    """A tar of files {name: bytes} and of further TarInfo."""
    with tarfile.open(path, mode) as archive:
        for info in others:
            archive.addfile(info, io.BytesIO(b"x" * info.size) if info.isreg() else None)
        for name, content in (files or {}).items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o4777
            archive.addfile(info, io.BytesIO(content))
    return path


def make_zip(path, files=None, *others):
    """A zip of files {name: bytes} and of further (ZipInfo, bytes)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, content in others:
            archive.writestr(info, content)
        for name, content in (files or {}).items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return path


def tar_info(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_link(name, target):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, target


def contents(folder):
    """{relative path: bytes} of all files in a folder, hidden ones too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


MAKERS = {"tar": make_tar, "zip": make_zip}
KINDS = pytest.mark.parametrize("kind", MAKERS)


@KINDS
def test_files_are_unpacked(tmp_path, out, kind):
    path = MAKERS[kind](tmp_path / f"a.{kind}", {f"./{name}": content for name, content in FILES.items()})
    assert unpack(path, out) == 3
    assert contents(out) == FILES
    modes = {stat.S_IMODE(p.stat().st_mode) for p in out.rglob("*") if p.is_file()}
    mask = os.umask(0)
    os.umask(mask)
    assert modes == {0o666 & ~mask}  # not the archive's


@KINDS
def test_folders_in_the_archive_and_files_that_were_there(tmp_path, out, kind):
    """Two archives into one tree, as VOC 2007 comes."""
    folder = (
        [tar_info("VOCdevkit", tarfile.DIRTYPE)] if kind == "tar" else [(zipfile.ZipInfo("VOCdevkit/"), b"")]
    )
    unpack(MAKERS[kind](tmp_path / f"a.{kind}", FILES, *folder), out)
    unpack(
        MAKERS[kind](tmp_path / f"b.{kind}", {"VOCdevkit/VOC2007/other": b"2", "top": b"new"}, *folder), out
    )
    assert contents(out) == FILES | {"VOCdevkit/VOC2007/other": b"2", "top": b"new"}


NAMES = {
    "up": "../evil",
    "up later": "VOCdevkit/../../evil",
    "up at the end": "VOCdevkit/..",
    "absolute": "/tmp/evil",
    "drive": "C:/evil",
    "drive alone": "C:evil",
    "share": "//host/share/evil",
    "backslashes": "..\\evil",
    "absolute backslashes": "\\evil",
    "here": ".",
}


@KINDS
@pytest.mark.parametrize("case", NAMES)
def test_a_name_that_leads_out(tmp_path, out, kind, case):
    path = MAKERS[kind](tmp_path / f"a.{kind}", FILES | {NAMES[case]: b"evil"})
    with pytest.raises(UserError, match="leads out of the folder; nothing was unpacked"):
        unpack(path, out)
    assert os.listdir(out) == []
    assert sorted(os.listdir(tmp_path)) == [f"a.{kind}", "out"]


TYPES = {
    "symlink": tar_info("link", tarfile.SYMTYPE, "/etc"),
    "symlink inside": tar_info("link", tarfile.SYMTYPE, "top"),
    "hard link": tar_info("link", tarfile.LNKTYPE, "top"),
    "character device": tar_info("null", tarfile.CHRTYPE),
    "block device": tar_info("disk", tarfile.BLKTYPE),
    "fifo": tar_info("pipe", tarfile.FIFOTYPE),
    "sparse": tar_info("sparse", tarfile.GNUTYPE_SPARSE),
}


@pytest.mark.parametrize("case", TYPES)
def test_a_tar_with_what_is_no_file(tmp_path, out, case):
    with pytest.raises(UserError, match="is a link or a device"):
        unpack(make_tar(tmp_path / "a.tar", FILES, TYPES[case]), out)
    assert os.listdir(out) == []


def test_a_link_and_a_file_through_it(tmp_path, out):
    path = make_tar(
        tmp_path / "a.tar", {"link/evil": b"evil"}, tar_info("link", tarfile.SYMTYPE, str(tmp_path))
    )
    with pytest.raises(UserError, match="link is a link"):
        unpack(path, out)
    assert sorted(os.listdir(tmp_path)) == ["a.tar", "out"]


def test_a_zip_with_a_link_or_a_secret(tmp_path, out):
    with pytest.raises(UserError, match="is a link, a device or encrypted"):
        unpack(make_zip(tmp_path / "a.zip", FILES, zip_link("link", "/etc")), out)
    path = make_zip(tmp_path / "b.zip", {"secret": b"x"})
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1  # the flag "encrypted" of the central directory
    path.write_bytes(raw)
    with pytest.raises(UserError, match="secret is a link, a device or encrypted"):
        unpack(path, out)
    assert os.listdir(out) == []


@KINDS
@pytest.mark.parametrize("names", [("a/b", "a/./b"), ("a/b.JPG", "A/b.jpg")])  # the latter on some disks
def test_two_files_of_one_name(tmp_path, out, kind, names):
    path = MAKERS[kind](tmp_path / f"a.{kind}", dict(zip(names, (b"1", b"2"), strict=True)))
    with pytest.raises(UserError, match="two files of one name"):
        unpack(path, out)
    assert os.listdir(out) == []


@KINDS
@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b/c", "a")])
def test_a_file_where_another_needs_a_folder(tmp_path, out, kind, names):
    path = MAKERS[kind](tmp_path / f"a.{kind}", dict(zip(names, (b"1", b"2"), strict=True)))
    with pytest.raises(UserError, match="a file and a folder of one name"):
        unpack(path, out)
    assert os.listdir(out) == []


@KINDS
def test_thousands_of_folders_in_folders(tmp_path, out, kind):
    path = MAKERS[kind](tmp_path / f"a.{kind}", {"d/" * 2000 + "x": b"1"})
    with pytest.raises(UserError, match="leads too deep"):
        unpack(path, out)
    assert os.listdir(out) == []


def test_bombs(tmp_path, out, monkeypatch):
    path = make_zip(tmp_path / "a.zip", {"zeros": bytes(10_000_000)})
    assert path.stat().st_size < 20_000
    with pytest.raises(UserError, match="would unpack to 1 files, 10000000 bytes"):
        unpack(path, out)
    monkeypatch.setattr(unpacking, "MOST_FILES", 2)
    with pytest.raises(UserError, match="would unpack to 3 files"):
        unpack(make_tar(tmp_path / "a.tar", FILES), out)
    assert os.listdir(out) == []


def test_a_zip_that_holds_more_than_it_says(tmp_path, out):
    path = make_zip(tmp_path / "a.zip", {"zeros": bytes(100_000)})
    raw = path.read_bytes().replace((100_000).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    path.write_bytes(raw)
    with pytest.raises(UserError, match="is damaged"):
        unpack(path, out)
    assert os.listdir(out) == []


def test_no_room(tmp_path, out, monkeypatch):
    monkeypatch.setattr(unpacking, "SPARE", 1 << 60)
    with pytest.raises(UserError, match="needed to unpack the archive, .* free; free some space"):
        unpack(make_tar(tmp_path / "a.tar", FILES), out)
    assert os.listdir(out) == []


@KINDS
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", bytes(3000)])
def test_what_is_no_archive(tmp_path, out, kind, content):
    (tmp_path / f"a.{kind}").write_bytes(content)
    with pytest.raises(UserError, match="is damaged|has no file in it"):
        unpack(tmp_path / f"a.{kind}", out)
    assert os.listdir(out) == []


def test_a_compressed_tar_is_refused(tmp_path, out):
    with pytest.raises(UserError, match="is damaged"):
        unpack(make_tar(tmp_path / "a.tar", FILES, mode="w:gz"), out)


@KINDS
@given(data=st.data())
def test_a_truncated_archive_leaves_nothing(tmp_path_factory, kind, data):
    """Save that the second half of a tar's mark of the end, and its padding, may go."""
    folder = tmp_path_factory.mktemp("cut")
    path = MAKERS[kind](folder / f"a.{kind}", FILES)
    (folder / "out").mkdir()
    cut = data.draw(st.integers(0, path.stat().st_size - 1))
    path.write_bytes(path.read_bytes()[:cut])
    try:
        unpack(path, folder / "out")
    except UserError:
        assert os.listdir(folder / "out") == []
    else:
        assert kind == "tar"
        assert contents(folder / "out") == FILES


def test_a_wrong_byte_in_a_zip_is_found(tmp_path, out):
    path = make_zip(tmp_path / "a.zip", {"a": os.urandom(5000), "b": b"b"})
    raw = bytearray(path.read_bytes())
    raw[2000] ^= 1
    path.write_bytes(raw)
    with pytest.raises(UserError, match="is damaged .*remove it and download it again"):
        unpack(path, out)
    assert os.listdir(out) == []  # nor what was begun


@KINDS
def test_a_killed_run_is_gone_on_with(tmp_path, out, kind, monkeypatch):
    path = MAKERS[kind](tmp_path / f"a.{kind}", FILES)
    copy, copied = unpacking._copy, []

    def copy_two(member, folder):
        if len(copied) == 2:
            target = folder.joinpath(*member.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(b"half")
            raise KeyboardInterrupt
        copied.append(member.parts[-1])
        copy(member, folder)

    monkeypatch.setattr(unpacking, "_copy", copy_two)
    with pytest.raises(KeyboardInterrupt):
        unpack(path, out)
    assert os.listdir(out) == [f".a.{kind}.unpacking"]  # nothing in its place yet
    monkeypatch.setattr(
        unpacking, "_copy", lambda member, folder: (copied.append(member.parts[-1]), copy(member, folder))
    )
    unpack(path, out)
    assert contents(out) == FILES
    assert copied == ["000001.jpg", "a b.txt", "top"]  # each once


def test_what_lies_there_is_not_unpacked_again(tmp_path, out, monkeypatch):
    path = make_tar(tmp_path / "a.tar", FILES)
    unpack(path, out)
    monkeypatch.setattr(unpacking, "_copy", None)
    assert unpack(path, out) == 3
    (out / "top").unlink()
    with pytest.raises(TypeError):
        unpack(path, out)


def test_a_run_killed_while_files_take_their_places(tmp_path, out, monkeypatch):
    path = make_tar(tmp_path / "a.tar", FILES)
    (out / "VOCdevkit").mkdir()  # so that the move is not one step
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda *paths: (replace(*paths), exec("raise KeyboardInterrupt")))
    with pytest.raises(KeyboardInterrupt):
        unpack(path, out)
    monkeypatch.undo()
    unpack(path, out)
    assert contents(out) == FILES
