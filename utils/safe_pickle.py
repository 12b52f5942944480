"""Read `.pdparams` without running anything that the file asks for.

A `.pdparams` is a pickle, and unpickling calls whatever the pickle names. This
reader builds tensors (NumPy arrays), numbers, strings and plain containers, and
refuses every other name before it is looked up. A file may lie about sizes: the
opcodes are checked against the length of the file before memory is taken.
"""

import mmap
import pickle
import pickletools
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
            _check_opcodes(data)
            data.seek(0)
            return _plain(_Reader(data).load(), [MOST_OBJECTS])
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except _Refused as error:
        raise UserError(f"{path} is refused: it {error}; only tensors, numbers and text are read") from None
    except Exception as error:  # a damaged pickle raises nearly anything
        raise UserError(f"{path} is damaged or no checkpoint ({type(error).__name__}: {error})") from None


def read_tensors(path):
    """Return the arrays of a state dict file, name -> array; entries that are no tensor are left out."""
    content = read_pickle(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, not a dict of tensors")
    if Path(path).suffix == ".pdopt":
        raise UserError(f"{path} holds the state of an optimizer, not weights; give the .pdparams beside it")
    return {name: value for name, value in content.items() if isinstance(value, np.ndarray)}


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


def _encode(text, encoding):  # how protocol 2 writes bytes
    if encoding != "latin1":
        raise _Refused(f"holds text in the encoding {encoding!r}")
    return text.encode("latin1")


_NAMES = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): None,  # only ever an argument of _reconstruct
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
    ("builtins", "tuple"): tuple,  # paddle.save writes (parameter name, array) so
    ("__builtin__", "tuple"): tuple,
    ("collections", "OrderedDict"): OrderedDict,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in _NAMES:
            raise _Refused(f"names {module}.{name}")
        return _NAMES[module, name]

    def persistent_load(self, pid):
        raise _Refused("refers to something outside the file")


def _check_opcodes(data):
    """Refuse memo slots beyond the file's length: the unpickler would allocate them all."""
    for opcode, argument, _ in pickletools.genops(data):
        if "PUT" in opcode.name and int(argument) > len(data):
            raise _Refused("claims more entries than it has bytes")


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
