"""download.py from the first byte to the label files, on a small VOC behind a server of our own."""

import hashlib
import importlib
import io
import json
import re
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from utils.errors import UserError
from utils.prepare import download, unpack
from utils.prepare.download import SETS, DataSet
from utils.prepare.fetch import Archive


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path, monkeypatch):
    """(folder, address) of a server on this machine."""
    monkeypatch.setenv("no_proxy", "*")
    folder = tmp_path / "served"
    folder.mkdir()
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield folder, f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()


def voc_tar(path, split, ids, other_lists=()):
    """A tar in the layout of VOC's: annotations, photos (their bytes are never read), a list."""
    with tarfile.open(path, "w") as archive:

        def add(name, text):
            info = tarfile.TarInfo(f"VOCdevkit/VOC2007/{name}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))

        for name in ids:
            thing = "<object><name>dog</name><difficult>0</difficult></object>"
            add(f"Annotations/{name}.xml", f"<annotation>{thing}</annotation>")
            add(f"JPEGImages/{name}.jpg", "photo")
        add(f"ImageSets/Main/{split}.txt", "".join(f"{name}\n" for name in ids))
        for name, text in other_lists:
            add(name, text)


@pytest.fixture
def voc(served):
    """{"voc07": DataSet} of two small archives behind the server."""
    folder, address = served
    voc_tar(folder / "trainval.tar", "trainval", ["000001", "000002"])
    voc_tar(folder / "test.tar", "test", ["000003"])
    return {
        "voc07": SETS["voc07"]._replace(
            archives=tuple(archive(folder / f"{n}.tar", address) for n in ("trainval", "test"))
        )
    }


def archive(path, *addresses):
    raw = path.read_bytes()
    return Archive(
        path.name,
        len(raw),
        f"md5:{hashlib.md5(raw).hexdigest()}",
        tuple(f"{a}/{path.name}" for a in addresses),
    )


@pytest.fixture
def run(tmp_path):
    """run(sets, name): the script, into tmp_path/Dataset and tmp_path/labels."""

    def run(sets, name="voc07"):
        argv = [name, "--out_dir", str(tmp_path / "Dataset"), "--label_dir", str(tmp_path / "labels")]
        download.main(download.parse_args(argv), sets)

    return run


def test_voc_from_the_first_byte_to_the_labels(voc, run, tmp_path, capsys):
    run(voc)
    records = json.loads((tmp_path / "labels/trainval_voc07.json").read_text())
    assert [r["img_path"][-10:] for r in records] == ["000001.jpg", "000002.jpg"]
    assert len(json.loads((tmp_path / "labels/test_voc07.json").read_text())) == 1
    assert sorted(p.name for p in (tmp_path / "Dataset").iterdir()) == [
        "VOCdevkit",
        "test.tar",
        "trainval.tar",
    ]
    said = capsys.readouterr()
    assert re.search(
        r"^trainval.tar: 0.00 GB to come\n.*trainval.tar: \d+ bytes, md5 as published\n", said.out
    )
    assert "5 files of trainval.tar lie in " in said.out
    assert "wrote " in said.out
    assert said.err == ""


def test_a_second_run_asks_nobody(voc, run, served, tmp_path, capsys):
    run(voc)
    for path in served[0].iterdir():
        path.unlink()
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "Dataset").rglob("*")}
    capsys.readouterr()
    run(voc)
    assert "to come" not in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "Dataset").rglob("*")} == before


def test_a_wrong_archive_is_told_and_nothing_is_unpacked(voc, run, served, tmp_path):
    path = served[0] / "test.tar"
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(UserError, match="cannot get test.tar: .* wrong checksum"):
        run(voc)
    assert not (tmp_path / "labels").exists()
    assert not (tmp_path / "Dataset/test.tar").exists()


def test_no_room_is_told_before_anything_is_asked(voc, run, tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "SPARE", 1 << 60)
    with pytest.raises(UserError, match="needed to download and unpack, .* give another --out_dir"):
        run(voc)
    assert list((tmp_path / "Dataset").iterdir()) == []


def test_a_package_that_is_missing_is_told_before_anything_is_asked(voc, run, tmp_path):
    with pytest.raises(UserError, match="this needs no_such_package, .* pip install no_such_package"):
        run({"voc07": voc["voc07"]._replace(package="no_such_package")})
    assert not (tmp_path / "Dataset").exists()


def test_an_out_dir_that_cannot_be(voc, run, tmp_path):
    (tmp_path / "Dataset").write_text("a file")
    with pytest.raises(UserError, match="cannot write to .*Dataset: (File exists|Not a directory)"):
        run(voc)


def test_an_unknown_data_set(capsys):
    with pytest.raises(SystemExit) as stop:
        download.parse_args(["voc08"])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("error: argument dataset: invalid choice: 'voc08'")


@pytest.mark.parametrize("name", SETS)
def test_the_prepare_scripts_take_the_options(name):
    data_set = SETS[name]
    script = importlib.import_module(f"utils.prepare.{data_set.script}")
    argv = ["--data_path", data_set.data_path, *data_set.options, "--out_dir", "labels"]
    assert script.parse_args(argv).out_dir == "labels"


def test_the_sets_as_published():
    """What the issue and the publishers' mirrors say; a typing error would make every download fail."""
    sums = {a.name: a.checksum for data_set in SETS.values() for a in data_set.archives}
    assert sums["VOCtrainval_06-Nov-2007.tar"] == "md5:c52e279531787c972589f7e41ab4ae64"
    assert sums["VOCtest_06-Nov-2007.tar"] == "md5:b6e924de25625d8de591ea690078ad9f"
    for data_set in SETS.values():
        assert isinstance(data_set, DataSet)
        for each in data_set.archives:
            kind, digest = each.checksum.split(":")
            assert len(bytes.fromhex(digest)) == hashlib.new(kind).digest_size
            assert len(each.addresses) >= 2
            assert each.addresses[0].startswith("https://")
            assert all(address.endswith(f"/{each.name}") for address in each.addresses)
            assert each.name.endswith((".tar", ".zip"))
