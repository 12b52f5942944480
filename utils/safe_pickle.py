"""Read `.pdparams` without running anything that the file asks for.

A `.pdparams` is a pickle, and unpickling calls whatever the pickle names. This
reader builds tensors (NumPy arrays), numbers, strings and plain containers, knows
the opcodes that those need and no others, and never looks a name up. It is Python's
own reader in Python: unlike the one in C it takes no memory before the bytes are there.
"""

import mmap
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np

from utils.errors import UserError

DTYPES = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "b1"}
MOST_OBJECTS = 1_000_000  # a ResNet-152 checkpoint holds some 1,000


def read_pickle(path):
    """Return the object in a pickle file: dicts, lists, tuples, strings, numbers, arrays.

    Raises UserError when the file is missing, damaged or names anything else.
    """
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _plain(_Reader(data).load(), [MOST_OBJECTS])
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except _Refused as error:
        raise UserError(f"{path} is refused: it {error}; only tensors, numbers and text are read") from None
    except Exception as error:  # a damaged pickle raises nearly anything
        raise UserError(f"{path} is damaged or no checkpoint ({type(error).__name__}: {error})") from None


def read_state_dict(path):
    """Return (tensors, content) of a state dict file: its arrays by name, and everything by name.

    Raises UserError when the file is no dict by text names, or holds an optimizer's state.
    """
    content = read_pickle(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, not a dict of tensors")
    if Path(path).suffix == ".pdopt":
        raise UserError(f"{path} holds the state of an optimizer, not weights; give the .pdparams beside it")
    if not all(isinstance(name, str) for name in content):
        raise UserError(f"{path} has names that are no text; it is no state dict")
    return {name: value for name, value in content.items() if isinstance(value, np.ndarray)}, content


def read_tensors(path):
    """Return the arrays of a state dict file, name -> array; entries that are no tensor are left out."""
    return read_state_dict(path)[0]


class _Refused(Exception):
    pass


class _Dtype:
    """Stands for numpy.dtype(code, align, copy)."""

    def __init__(self, code, *_):
        if code not in DTYPES:
            raise _Refused(f"holds an array of type {code!r}")
        self.code = code
        self.order = "<"

    def __setstate__(self, state):
        self.order = ">" if state[1] == ">" else "<"


class _Array:
    """Stands for the empty array that a pickle fills by __setstate__."""

    value = None

    def __setstate__(self, state):
        _, shape, dtype, fortran, raw = state
        if not isinstance(dtype, _Dtype) or not isinstance(raw, bytes) or min(shape, default=0) < 0:
            raise _Refused("holds an array of an unknown kind")
        flat = np.frombuffer(raw, dtype=dtype.order + dtype.code)
        self.value = flat.reshape(shape, order="F" if fortran else "C")


def _reconstruct(*_):
    return _Array()


def _tuple(entries):  # paddle.save writes (parameter name, array) so
    if type(entries) is not tuple:
        raise _Refused("makes a tuple of something else")
    return entries


def _ordered_dict():
    return OrderedDict()


_NAMES = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): None,  # only ever an argument of _reconstruct
    ("numpy", "dtype"): _Dtype,
    ("builtins", "tuple"): _tuple,
    ("__builtin__", "tuple"): _tuple,
    ("collections", "OrderedDict"): _ordered_dict,
}
_OPCODES = (  # all that a state dict is made of
    pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK, pickle.POP, pickle.MEMOIZE, pickle.PUT,
    pickle.BINPUT, pickle.LONG_BINPUT, pickle.GET, pickle.BINGET, pickle.LONG_BINGET, pickle.GLOBAL,
    pickle.STACK_GLOBAL, pickle.REDUCE, pickle.BUILD, pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE,
    pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.LONG1, pickle.BINFLOAT, pickle.BINUNICODE,
    pickle.SHORT_BINUNICODE, pickle.BINUNICODE8, pickle.BINBYTES, pickle.SHORT_BINBYTES,
    pickle.BINBYTES8, pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3,
    pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS, pickle.EMPTY_DICT, pickle.SETITEM, pickle.SETITEMS,
)  # fmt: skip


class _Reader(pickle._Unpickler):
    def __init__(self, data):
        super().__init__(data)
        self.encodable = len(data)  # each text of the file is encoded once

    def find_class(self, module, name):
        if (module, name) == ("_codecs", "encode"):
            return self._encode
        if (module, name) not in _NAMES:
            raise _Refused(f"names {module}.{name}")
        return _NAMES[module, name]

    def _encode(self, text, encoding):  # how protocol 2 writes bytes
        self.encodable -= len(text)
        if encoding != "latin1" or self.encodable < 0:
            raise _Refused("holds text where bytes should be")
        return text.encode("latin1")

    def load_build(self):
        if not isinstance(self.stack[-2], (_Dtype, _Array)):
            raise _Refused(f"sets the state of a {type(self.stack[-2]).__name__}")
        super().load_build()

    def load_setitem(self):
        _check_keys(self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self):
        _check_keys(self.stack[::2])
        super().load_setitems()

    dispatch = {opcode[0]: pickle._Unpickler.dispatch[opcode[0]] for opcode in _OPCODES}
    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems


def _check_keys(keys):
    """Nested tuples would be hashed: for ever, or until the stack overflows."""
    if not all(type(key) in (str, int) for key in keys):
        raise _Refused("holds a key that is neither text nor a whole number")


def _plain(value, left):
    """Copy `value` into plain containers; refuse what is none, and self-repeating giants."""
    left[0] -= 1
    if left[0] < 0:
        raise _Refused("unfolds into too many objects")
    if isinstance(value, _Array) and value.value is not None:
        return value.value
    if type(value) in (dict, OrderedDict):
        return {_plain(key, left): _plain(entry, left) for key, entry in value.items()}
    if type(value) is tuple and len(value) == 2 and isinstance(value[1], _Array):
        return _plain(value[1], left)  # (parameter name, array)
    if type(value) in (list, tuple):
        return type(value)(_plain(entry, left) for entry in value)
    if value is None or type(value) in (str, bytes, int, float, bool):
        return value
    raise _Refused(f"holds a {type(value).__name__}")
