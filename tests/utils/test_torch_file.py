"""The reader of torch.save's files: the values to the bit, and nothing but a line out of hostile ones."""

import io
import json
import pickle
import resource
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from utils.errors import UserError
from utils.torch_file import LEGACY_MAGIC, read_torch
from utils.weights import read_arrays

VARIANTS = Path(__file__).parents[1] / "golden/pth_variants"
HOSTILE = sorted((VARIANTS / "hostile").iterdir())
FLOAT = b"ctorch\nFloatStorage\n"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


def whole(number):
    """Opcode that pushes a whole number of any size."""
    raw = number.to_bytes(number.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def text(value):
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def numbers(*values):
    """Opcodes that push a tuple of whole numbers."""
    return b"(" + b"".join(whole(value) for value in values) + b"t"


def storage(key="0", size=12, kind=FLOAT, tag="storage"):
    return b"(" + text(tag) + kind + text(key) + text("cpu") + whole(size) + b"tQ"


def tensor(stored, offset=0, shape=(3, 4), strides=(4, 1)):
    arguments = stored + whole(offset) + numbers(*shape) + numbers(*strides)
    return REBUILD + b"(" + arguments + b"\x89ccollections\nOrderedDict\n)RtR"


def state_dict(**values):
    entries = b"".join(text(name) + value for name, value in values.items())
    return b"\x80\x02}(" + entries + b"u."


VALUES = np.arange(12, dtype="<f4").tobytes()


@pytest.fixture
def save(tmp_path):
    """save(pickle, records): a zip file as torch.save writes it; returns its path as text."""

    def write(content, records=None, compression=zipfile.ZIP_STORED):
        path = tmp_path / "weights.pth"
        with zipfile.ZipFile(path, "w", compression) as archive:
            archive.writestr("archive/data.pkl", content)
            for name, raw in ({"data/0": VALUES} if records is None else records).items():
                archive.writestr(f"archive/{name}", raw)
        return str(path)

    return write


def refused(path, read=read_torch):
    """The text of the UserError: one line that names the file."""
    with pytest.raises(UserError) as error:
        read(path)
    told = str(error.value)
    assert "\n" not in told
    assert str(path) in told
    return told


# --- what PyTorch writes


@pytest.mark.parametrize("name", json.loads((VARIANTS / "variants.json").read_text()))
def test_variant_to_the_bit(name):
    expected = {
        key.split("/")[1]: value
        for key, value in np.load(VARIANTS / "expected.npz").items()
        if key.startswith(f"{name}/")
    }
    arrays, description, pytorch = read_arrays(VARIANTS / name)
    assert expected
    assert arrays.keys() == expected.keys()
    for key, value in arrays.items():
        assert (value.dtype, value.shape) == (expected[key].dtype, expected[key].shape)
        assert value.tobytes() == expected[key].tobytes()
    assert description is None
    assert pytorch


def test_what_stands_beside_the_weights(golden):
    content = read_torch(VARIANTS / "zip_nested_extra.pth")
    assert {"state_dict", "epoch", "arch", "best", "args"} <= set(content)
    assert type(content["epoch"]) is int
    assert isinstance(content["args"], dict)


def test_views_share_their_storage_and_cannot_be_written():
    arrays, *_ = read_arrays(VARIANTS / "zip_views_shared_storage.pth")
    assert np.shares_memory(arrays["weight"], arrays["whole"])
    assert not arrays["weight"].flags.writeable


@pytest.mark.parametrize(("order", "dtype"), [(b"little", "<f4"), (b"big", ">f4")])
def test_byte_order(save, order, dtype):
    raw = np.arange(12, dtype=dtype).tobytes()
    path = save(state_dict(w=tensor(storage())), {"data/0": raw, "byteorder": order})
    assert read_torch(path)["w"].tolist() == np.arange(12.0).reshape(3, 4).tolist()


@pytest.mark.parametrize("protocol", [2, 4])
def test_names_of_python_2(tmp_path, protocol):
    """SHORT_BINSTRING, which torch's own safe reader knows too."""
    path = tmp_path / "old.pth"
    content = b"\x80\x02}(U\x01a" + whole(3) + b"u."
    rest = b"".join(pickle.dumps(value, protocol) for value in (1001, {"little_endian": True}))
    path.write_bytes(LEGACY_MAGIC + rest + content + pickle.dumps([]))
    assert read_torch(path) == {"a": 3}


def test_scalars_empty_tensors_and_strides(save):
    path = save(
        state_dict(
            scalar=tensor(storage(), 5, (), ()),
            empty=tensor(storage(), 0, (0, 3), (3, 1)),
            column=tensor(storage(), 1, (3,), (4,)),
            transposed=tensor(storage(), 0, (4, 3), (1, 4)),
            last=tensor(storage(), 11, (1, 1), (7, 9)),
        )
    )
    read = read_torch(path)
    assert read["scalar"].shape == ()
    assert read["scalar"] == 5
    assert read["empty"].shape == (0, 3)
    assert read["column"].tolist() == [1, 5, 9]
    assert read["transposed"].tolist() == np.arange(12.0).reshape(3, 4).T.tolist()
    assert read["last"].tolist() == [[11]]


# --- files that are to be refused

MANY = 100_000
SLOW = {  # small files that once took minutes
    "long shape": REBUILD + b"q\x000(" + storage() + b"K\x00(" + b"K\x01" * 100_000 + b"tq\x01h\x01tq\x020]("
    + b"h\x00h\x02R" * MANY + b"e",
    "long persistent id": b"(" + text("storage") + FLOAT + text("0") + text("cpu") + whole(12)
    + b"N" * 100_000 + b"tq\x000](" + b"h\x00Q0" * MANY + b"e",
}  # fmt: skip


@pytest.mark.parametrize("content", SLOW.values(), ids=SLOW)
def test_slow_files_are_refused_at_once(save, content):
    begin = time.monotonic()
    refused(save(b"\x80\x02" + content + b"."))
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("dressed", [".pth", ".pdparams", ".pdopt", ".safetensors"])
@pytest.mark.parametrize("file", HOSTILE, ids=lambda file: file.stem)
def test_hostile_file_is_refused(tmp_path, file, dressed):
    """All of them in one process: a marker or a large allocation by one would be seen."""
    path = tmp_path / f"weights{dressed}"
    path.write_bytes(file.read_bytes())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(path, read_arrays)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 50  # MB
    assert not list(Path("/tmp").glob("OWNED_*"))


def test_all_hostile_files_are_here():
    described = json.loads((VARIANTS / "hostile.json").read_text())
    assert sorted(file.name for file in HOSTILE) == sorted(described)
    assert len(HOSTILE) >= 49


BAD_TENSORS = {
    "more than the storage": tensor(storage(), 0, (13,), (1,)),
    "beyond its end": tensor(storage(), 1),
    "stride beyond its end": tensor(storage(), 0, (2,), (12,)),
    "expanded": tensor(storage(), 0, (1000,), (0,)),
    "expanded to a giant": tensor(storage(), 0, (10**6, 10**6), (0, 0)),
    "empty in a storage of none, and a giant": tensor(storage(), 0, (0, 10**30), (1, 1)),
    "negative offset": tensor(storage(), -1),
    "negative length": tensor(storage(), 0, (-1,), (1,)),
    "negative stride": tensor(storage(), 3, (3,), (-1,)),
    "lengths and strides": tensor(storage(), 0, (3, 4), (1,)),
    "too many dimensions": tensor(storage(), 0, (1,) * 70, (1,) * 70),
    "offset is text": REBUILD + b"(" + storage() + text("0") + numbers(3) + numbers(1) + b"\x89}tR",
    "shape is text": REBUILD + b"(" + storage() + whole(0) + text("ab") + numbers(1, 1) + b"\x89}tR",
    "shape is a list": REBUILD + b"(" + storage() + whole(0) + b"](K\x0ce" + numbers(1) + b"\x89}tR",
    "flag of negation": REBUILD
    + b"("
    + storage()
    + whole(0)
    + numbers(3)
    + numbers(1)
    + b"\x89}}"
    + text("neg")
    + b"\x88stR",
    "no storage": REBUILD + b"(" + text("x") + whole(0) + numbers(3) + numbers(1) + b"\x89}tR",
    "storage as a value": storage(),
    "storage of another length": b"(" + tensor(storage()) + tensor(storage(size=6), 0, (6,), (1,)) + b"t",
    "storage of another type": b"("
    + tensor(storage())
    + tensor(storage(kind=b"ctorch\nIntStorage\n"))
    + b"t",
    "storage of a negative length": tensor(storage(size=-1), 0, (0,), (1,)),
    "longer than its record": tensor(storage(size=13), 0, (13,), (1,)),
    "longer than memory": tensor(storage(size=10**15), 0, (10**15,), (1,)),
    "record that is missing": tensor(storage("7")),
    "record outside": tensor(storage("../version")),
    "other tag": tensor(storage(tag="module")),
    "unknown type": tensor(storage(kind=b"ctorch\nComplexFloatStorage\n")),
    "type by text": tensor(storage(kind=text("O"))),
    "parameter of something": b"ctorch._utils\n_rebuild_parameter\n(" + b"}" * 3 + b"tR" + b"b",
    "state of a tensor": tensor(storage()) + b"}b",
    "state of a storage": storage() + b"}b",
    "quantised": b"ctorch._utils\n_rebuild_qtensor\n(tR",
    "numpy": b"cnumpy\ndtype\n(" + text("f4") + b"tR",
}


@pytest.mark.parametrize("value", BAD_TENSORS.values(), ids=BAD_TENSORS)
def test_tensors_that_do_not_fit_are_refused(save, value):
    refused(save(state_dict(w=value)))


ARCHIVES = {
    "no pickle": {"archive/version": b"3"},
    "two pickles": {"archive/data.pkl": b"\x80\x02}.", "other/data.pkl": b"\x80\x02}."},
    "a document": {"word/document.xml": b"<a/>"},
    "odd byte order": {"archive/data.pkl": b"\x80\x02}.", "archive/byteorder": b"middle"},
    "a program of TorchScript": {"archive/data.pkl": b"\x80\x02c__torch__\nNet\n)\x81}b."},
}


@pytest.mark.parametrize("records", ARCHIVES.values(), ids=ARCHIVES)
def test_other_archives_are_refused(tmp_path, records):
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w") as archive:
        for name, raw in records.items():
            archive.writestr(name, raw)
    refused(path)


def test_compressed_records_are_refused_unread(save):
    path = save(state_dict(w=tensor(storage())), {"data/0": bytes(1 << 26)}, zipfile.ZIP_DEFLATED)
    assert "compressed records" in refused(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_records_of_one_name_are_refused(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for raw in (VALUES, VALUES[::-1]):
            archive.writestr("archive/data/0", raw)
        archive.writestr("archive/data.pkl", state_dict(w=tensor(storage())))
    path = tmp_path / "x.pth"
    path.write_bytes(content.getvalue())
    assert "one over the other" in refused(path)


def test_records_inside_of_records_are_refused(tmp_path):
    """Each of ten records holds all that follow: ten times the file's size would be read."""
    path, infos, content = tmp_path / "x.pth", [], bytes(10_000)
    for number in range(10):
        info = zipfile.ZipInfo(f"archive/data/{number}")
        info.CRC, info.file_size, info.compress_size = zlib.crc32(content), len(content), len(content)
        content = info.FileHeader() + content
        infos.append(info)
    for info in infos:
        info.header_offset = len(content) - info.file_size - len(info.FileHeader())
    with open(path, "wb") as file, zipfile.ZipFile(file, "w") as archive:
        file.write(content)
        archive.start_dir, archive.filelist = len(content), infos
        archive.NameToInfo = {info.filename: info for info in infos}
        archive.writestr("archive/data.pkl", state_dict(w=tensor(storage("9", 10, b"ctorch\nByteStorage\n"))))
    assert "one over the other" in refused(path)


@pytest.fixture
def save_legacy(tmp_path):
    """save_legacy(content, keys, storages): a file as torch.save wrote it before 1.6."""

    def write(content, keys, storages, little_endian=True):
        path = tmp_path / "legacy.pth"
        machine = {"protocol_version": 1001, "little_endian": little_endian}
        start = LEGACY_MAGIC + pickle.dumps(1001, 2) + pickle.dumps(machine, 2)
        path.write_bytes(start + content + pickle.dumps(keys, 2) + b"".join(storages))
        return path

    return write


def legacy_storage(values, length=None):
    return struct.pack("<q", len(values) if length is None else length) + values.tobytes()


TWELVE = np.arange(12, dtype="<f4")


def test_legacy_file(save_legacy):
    path = save_legacy(state_dict(w=tensor(storage("94"))), ["94"], [legacy_storage(TWELVE)])
    assert read_torch(path)["w"].tolist() == TWELVE.reshape(3, 4).tolist()


@pytest.mark.parametrize(
    ("keys", "storages", "told"),
    [
        ([], [], "list of storages"),
        (["1"], [legacy_storage(TWELVE)], "list of storages"),
        (["0", "0"], [legacy_storage(TWELVE)] * 2, "list of storages"),
        (["0"], [legacy_storage(TWELVE, 13)], "not as long"),
        (["0"], [legacy_storage(TWELVE, -1)], "not as long"),
        (["0"], [legacy_storage(TWELVE)[:-1]], "announced"),
        (["0"], [], "not as long"),
        ([0], [legacy_storage(TWELVE)], "list of storages"),
    ],
)
def test_legacy_storages_that_do_not_fit_are_refused(save_legacy, keys, storages, told):
    path = save_legacy(state_dict(w=tensor(storage())), keys, storages)
    assert told in refused(path)


def test_legacy_list_of_storages_that_would_compare_for_ever(save_legacy):
    laughs = ()
    for _ in range(40):
        laughs = (laughs, laughs)
    path = save_legacy(state_dict(w=tensor(storage())), [laughs, (laughs,)], [legacy_storage(TWELVE)])
    assert "list of storages" in refused(path)


def test_legacy_protocol_is_the_one_there_ever_was(save_legacy):
    path = save_legacy(state_dict(w=tensor(storage())), ["0"], [legacy_storage(TWELVE)])
    content = path.read_bytes()
    path.write_bytes(content.replace(pickle.dumps(1001, 2), pickle.dumps(999, 2), 1))
    assert "protocol" in refused(path)


def test_legacy_view_of_a_storage_is_refused(save_legacy):
    view = b"(" + text("storage") + FLOAT + text("0") + text("cpu") + whole(12) + numbers(0, 0, 6) + b"tQ"
    assert "outside" in refused(save_legacy(state_dict(w=tensor(view)), ["0"], [legacy_storage(TWELVE)]))


def test_a_flipped_bit_in_the_values_is_found(save):
    path = Path(save(state_dict(w=tensor(storage()))))
    content = bytearray(path.read_bytes())
    content[content.index(VALUES) + 5] ^= 1
    path.write_bytes(content)
    assert "CRC" in refused(path)


@pytest.mark.parametrize("name", ["zip_plain.pth", "legacy_plain.pth"])
def test_every_truncation_is_refused(tmp_path, name):
    content, path = (VARIANTS / name).read_bytes(), tmp_path / "cut.pth"
    for length in [*range(0, len(content), 7), len(content) - 1]:
        path.write_bytes(content[:length])
        refused(path, read_arrays)


def test_torch_is_not_needed():
    code = f"""
import sys
sys.modules["torch"] = None  # an import of it would fail
from utils.weights import read_weights
read_weights({str(VARIANTS / "zip_plain.pth")!r})
sys.exit("paddle" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=VARIANTS.parents[2]).returncode == 0
