"""The reader of pickles: exact values out of Paddle's files, nothing but an error out of hostile ones."""

import functools
import operator
import os
import pickle
import struct
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import paddle
import pytest

from utils.errors import UserError
from utils.safe_pickle import read_pickle

REPO = Path(__file__).resolve().parents[2]
OWNED = "owned"  # the file that a hostile pickle tries to make in the current folder


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Where a test puts its pickle; the test fails when the pickle did what it asks for."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "weights.pdparams"
    assert not (tmp_path / OWNED).exists()


def refused(path):
    """The text of the UserError: one line that names the file."""
    with pytest.raises(UserError) as error:
        read_pickle(path)
    text = str(error.value)
    assert "\n" not in text
    assert str(path) in text
    return text


def same(array, expected):
    return (
        array.dtype.newbyteorder("=") == expected.dtype.newbyteorder("=")
        and array.shape == expected.shape
        and np.array_equal(array, expected)
    )


# --- what Paddle writes


def small_net():
    paddle.seed(3)
    return paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 3), paddle.nn.BatchNorm2D(4))


def test_state_dict_of_paddle(path):
    net = small_net()
    paddle.save(net.state_dict(), str(path))
    read = read_pickle(path)
    assert [name for name in read if name != "StructuredToParameterName@@"] == list(net.state_dict())
    assert all(same(read[name], value.numpy()) for name, value in net.state_dict().items())


def test_state_dict_with_a_text_in_it(path):
    """Paddle then writes each tensor as tuple((parameter name, array))."""
    net = small_net()
    paddle.save({**net.state_dict(), "note": "text"}, str(path))
    assert b"tuple" in path.read_bytes()
    content = read_pickle(path)
    assert content["note"] == "text"
    assert all(same(content[name], value.numpy()) for name, value in net.state_dict().items())


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "bool", ">f4", ">i8"])
def test_arrays_are_exact(path, dtype, protocol):
    values = np.random.default_rng(0).normal(size=(2, 3, 4)) * 3
    arrays = {
        "rows": values.astype(dtype),
        "columns": np.asfortranarray(values.astype(dtype)),
        "scalar": np.array(values[0, 0, 0]).astype(dtype),
    }
    paddle.save(arrays, str(path), protocol=protocol)
    read = read_pickle(path)
    assert all(same(read[name], array) for name, array in arrays.items())


def test_empty_array(path):
    paddle.save({"none": np.zeros((0, 3), "float32")}, str(path))
    assert same(read_pickle(path)["none"], np.zeros((0, 3), "float32"))


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_plain_values(path, protocol):
    value = {"a": [1, 2.5, None, True, ("x", 2**70)], "b": {"c": "é\U0001f600"}, "d": OrderedDict(e=-1)}
    path.write_bytes(pickle.dumps(value, protocol))
    assert read_pickle(path) == value


def test_bytes(path):
    for protocol in (2, 4):
        path.write_bytes(pickle.dumps([b"\x00\xff"], protocol))
        assert read_pickle(path) == [b"\x00\xff"]


# --- files that ask to run something


class Call:
    """Pickled as `function(*args)`."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


TOUCH = f"touch {OWNED}"
OPEN = f"open({OWNED!r}, 'w').close()"
CALLS = {
    "os.system": Call(os.system, TOUCH),
    "eval": Call(eval, OPEN),
    "exec": Call(exec, OPEN),
    "Popen": Call(subprocess.Popen, TOUCH.split()),
    "open": Call(open, OWNED, "w"),
    "getattr": Call(getattr, "", "join"),
    "import": Call(__import__, "os"),
    "partial": Call(functools.partial, os.system, TOUCH),
    "methodcaller": Call(operator.methodcaller, "system", TOUCH),
    "attrgetter": Call(operator.attrgetter, "system"),
    "map": Call(map, os.system, [TOUCH]),
    "nested pickle": Call(pickle.loads, pickle.dumps(Call(os.system, TOUCH))),
    "bytearray": Call(bytearray, b"abc"),
    "numpy.load": Call(np.load, "x.npy"),
    "numpy.fromfile": Call(np.fromfile, "x"),
}


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_calls_are_refused(path, call, protocol):
    path.write_bytes(pickle.dumps({"weight": np.zeros(2, "float32"), "x": call}, protocol))
    refused(path)


def test_the_refused_name_is_told(path):
    path.write_bytes(pickle.dumps({"x": Call(eval, OPEN)}))
    assert "builtins.eval" in refused(path)


def text(value):
    """Opcode that pushes a short text."""
    return b"\x8c" + bytes([len(value)]) + value.encode()


def name(module, attribute):
    """Opcodes that push module.attribute."""
    return text(module) + text(attribute) + b"\x93"


def pickled(opcodes):
    return b"\x80\x04" + opcodes + b"."


RECONSTRUCT = name("numpy.core.multiarray", "_reconstruct")
SYSTEM = f"S'{TOUCH}'\n".encode()
OPCODES = {
    "GLOBAL": b"cos\nsystem\n(" + SYSTEM + b"tR.",
    "GLOBAL alone": b"cos\nsystem\n.",
    "INST": b"(" + SYSTEM + b"ios\nsystem\n.",
    "OBJ": b"(cos\nsystem\n" + SYSTEM + b"o.",
    "STACK_GLOBAL": pickled(name("os", "system") + text(TOUCH) + b"\x85R"),
    "NEWOBJ": pickled(name("subprocess", "Popen") + text(TOUCH) + b"\x85\x81"),
    "dotted name": pickled(name("numpy", "core.multiarray.os.system") + text(TOUCH) + b"\x85R"),
    "dotted name of a class": pickled(name("builtins", "tuple.__class__")),
    "name in a listed module": pickled(name("numpy.core.multiarray", "fromfile")),
    "extension": pickled(b"\x82\x01"),
    "persistent id, text": b"Pabc\n.",
    "persistent id, binary": pickled(text("abc") + b"Q"),
    "out-of-band buffer": b"\x80\x05\x97.",
    "set": pickled(b"\x8f(K\x01\x90"),
    "frozen set": pickled(b"(K\x01\x91"),
    "class as a value": pickled(name("collections", "OrderedDict")),
    "function as a value": pickled(RECONSTRUCT),
    "dtype as a value": pickled(name("numpy", "dtype") + text("f4") + b"\x85R"),
    "array without data": pickled(RECONSTRUCT + b"N\x85R"),
    # the stand-ins are ours: a file must not change them for the files read after it
    "attribute of a function": pickled(RECONSTRUCT + b"}" + text("x") + b"K\x01sb0}"),
    "default of a function": pickled(
        name("_codecs", "encode") + b"N}" + text("__defaults__") + b"K\x01\x85s\x86b0}"
    ),
    "attribute of a class": pickled(name("numpy", "dtype") + b"N}" + text("x") + b"K\x01s\x86b0}"),
    "self-referencing list": pickled(b"]\x94h\x00a"),
    "self-referencing dict": pickled(b"}\x94K\x01h\x00s"),
    "deep lists": pickled(b"]" * 20_000 + b"a" * 19_999),
    "deep tuples": pickled(b")" + b"\x85" * 20_000),
    "list as a key": pickled(b"}]K\x01s"),
    "unknown opcode": pickled(b"\xfe"),
    "empty stack": pickled(b"R"),
}


@pytest.mark.parametrize("content", OPCODES.values(), ids=OPCODES)
def test_opcodes_are_refused(path, content):
    path.write_bytes(content)
    refused(path)
    path.write_bytes(pickle.dumps({"w": np.ones(2, "float32")}, 2))
    assert same(read_pickle(path)["w"], np.ones(2, "float32"))  # the reader is as it was


def test_persistent_id_of_a_pickler(path):
    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return ("storage", "0") if value == "outside" else None

    with open(path, "wb") as file:
        Pickler(file).dump({"w": "outside"})
    refused(path)


@pytest.mark.parametrize(
    "array",
    [
        np.array(["a", None, 1], dtype=object),
        np.array([Call(os.system, TOUCH)], dtype=object),
        np.zeros(2, dtype=[("a", "f4"), ("b", "O")]),
        np.zeros(2, dtype="V4"),
        np.array(["text"]),
        np.array(["2026-01-01"], dtype="datetime64[D]"),
    ],
    ids=lambda array: str(array.dtype),
)
def test_other_arrays_are_refused(path, array):
    path.write_bytes(pickle.dumps({"w": array}, 4))
    refused(path)


def array_of(shape, raw):
    """A pickled float32 array that claims `shape` (opcodes) and holds the bytes `raw`."""
    dtype = name("numpy", "dtype") + text("f4") + b"\x89\x88\x87R(K\x03" + text("<") + b"NNNJ\xff\xff\xff\xff"
    dtype += b"J\xff\xff\xff\xffK\x00tb"
    return pickled(
        RECONSTRUCT
        + name("numpy", "ndarray")
        + b"K\x00\x85C\x01b\x87R(K\x01"
        + shape
        + dtype
        + b"\x89C"
        + bytes([len(raw)])
        + raw
        + b"tb"
    )


def test_shape_must_fit_the_bytes(path):
    path.write_bytes(array_of(b"K\x02\x85", np.array([1, 2], "<f4").tobytes()))
    assert same(read_pickle(path), np.array([1, 2], "float32"))
    giant = struct.pack("<I", 1 << 30)
    minus = b"J" + struct.pack("<i", -1)
    for shape in (b"K\x03\x85", minus + b"\x85", b"J" + giant + b"J" + giant + b"\x86", b"N\x85", text("ab")):
        path.write_bytes(array_of(shape, bytes(8)))
        refused(path)


# --- giants: each is read by a process of its own, which may take neither memory nor time


def four_bytes(number):
    return struct.pack("<I", number)


def twice(slot):
    """Opcodes that push the value of a memo slot two times."""
    return b"h" + bytes([slot]) + b"h" + bytes([slot])


def nested_tuples(depth):
    """Tuples of two that hold the one before twice: 2 ** depth leaves. The last one is on the stack."""
    return b")\x94" + b"".join(b"0" + twice(slot) + b"\x86\x94" for slot in range(depth))


MILLION = b"](" + b"N" * 1_000_000 + b"e\x94"  # memo 0: a list of a million entries
GIANTS = {
    "memo index": b"}r" + four_bytes(0x7FFFFFFF) + b"h\x05",
    "memo index that would fit in memory": b"}r" + four_bytes(100_000_000) + b"h\x05",
    "memo index in text": b"}p100000000\nh\x05",
    "length of bytes": b"\x8e" + struct.pack("<Q", 1 << 40),
    "length of text": b"\x8d" + struct.pack("<Q", 1 << 62) + b"abc",
    "length of a bytearray": b"\x96" + struct.pack("<Q", 1 << 40),
    "length of a frame": b"\x95" + struct.pack("<Q", 1 << 40),
    "length of a number": b"\x8b" + four_bytes(0x7FFFFFFF),
    "laughs in lists": b"]\x94" + b"".join(b"](" + twice(slot) + b"e\x94" for slot in range(40)),
    "laughs in tuples": nested_tuples(40),
    "laughs in a key": b"}" + nested_tuples(40) + b"K\x01s",
    "laughs in a frozen set": b"(" + nested_tuples(40) + b"\x91",
    "deep tuple as a key": b"})" + b"\x85" * 1_000_000 + b"K\x01s",  # its hash would overflow the stack
    "deep lists": b"]" * 1_000_000 + b"a" * 999_999,
    "laughs in a type": name("numpy", "dtype") + nested_tuples(40) + b"\x85R",
    "deep tuple as a type": name("numpy", "dtype") + b")" + b"\x85" * 300_000 + b"\x85R",
    "laughs in a shape": RECONSTRUCT + b")R(K\x01(" + nested_tuples(40) + b"h\x28t"
    + name("numpy", "dtype") + text("f4") + b"\x85R\x89C\x04abcdtb",
    "a million arguments": RECONSTRUCT + b"\x94X" + four_bytes(1_000_000) + b"a" * 1_000_000 + b"\x94]("
    + b"h\x00h\x01R" * 100_000 + b"e",
    "five million dicts": b"](" + b"}" * 4_990_000 + b"e",
    "five million memos": b"N" + b"\x94" * 4_990_000,
    "copies of a list": MILLION + name("builtins", "tuple") + b"\x94](" + b"h\x01h\x00\x85R" * 20_000 + b"e",
    "copies of a dict": b"}(" + b"".join(b"J" + four_bytes(i) + b"N" for i in range(100_000)) + b"u\x94"
    + name("collections", "OrderedDict") + b"\x94](" + b"h\x01h\x00\x85R" * 2_000 + b"e",
    "copies of a text": b"X" + four_bytes(1_000_000) + b"a" * 1_000_000 + text("latin1") + b"\x86\x94"
    + name("_codecs", "encode") + b"\x94](" + b"h\x01h\x00R" * 20_000 + b"e",
}  # fmt: skip

READ_GIANT = """
import resource, sys
from utils.errors import UserError
from utils.safe_pickle import read_pickle
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_pickle(sys.argv[1])
except UserError as error:
    print(error)
    taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    sys.exit(0 if taken < 400 else f"took {taken} MB")
"""


@pytest.mark.parametrize("content", GIANTS.values(), ids=GIANTS)
def test_giants_are_refused(path, content):
    path.write_bytes(pickled(content))
    reader = subprocess.run(
        [sys.executable, "-c", READ_GIANT, path], cwd=REPO, capture_output=True, text=True, timeout=20
    )
    assert (reader.returncode, reader.stderr) == (0, "")
    assert reader.stdout.count("\n") == 1
    assert str(path) in reader.stdout


# --- damaged files


def test_truncated_files_are_refused(path):
    paddle.save({**small_net().state_dict(), "csra": "{}"}, str(path))
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:length])
        refused(path)


def test_other_things_than_checkpoints_are_refused(path, tmp_path):
    refused(path)  # missing
    refused(tmp_path)  # a folder
    for content in (b"", b"hello, world\n", b"\x89PNG\r\n\x1a\n" + bytes(64), bytes(100)):
        path.write_bytes(content)
        refused(path)
