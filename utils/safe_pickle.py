"""Read pickles without running anything that the file asks for.

A `.pdparams` is a pickle, a `.pth` holds one, and unpickling calls whatever the pickle
names. This reader builds tensors (NumPy arrays), numbers, strings and plain containers,
knows the opcodes that those need and no others, and never looks a name up. It is Python's
own reader in Python: unlike the one in C it takes no memory before the bytes are there.
"""

import mmap
import pickle
import pickletools
from collections import OrderedDict
from contextlib import contextmanager

import numpy as np

from utils.errors import UserError

DTYPES = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "b1"}
MOST_OPCODES = 1_000_000  # a ResNet-152 of PyTorch has some 40,000
MOST_OBJECTS = 1_000_000  # the same when what is shared is unfolded
MOST_DIMENSIONS = 32  # of a tensor, as in old NumPy; and nothing that is called has more arguments


def read_pickle(path):
    """Return the object in a pickle file: dicts, lists, tuples, strings, numbers, arrays.

    Raises UserError when the file is missing, damaged or names anything else.
    """
    with mapped(path) as data:
        return plain(_NumpyUnpickler(data).load())


@contextmanager
def mapped(path):
    """The bytes of a file, mapped into memory; what goes wrong inside becomes one line, a UserError."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except Refused as error:
        raise UserError(
            f"{path} is refused: it {error}; only tensors, numbers and text are read (a state dict alone)"
        ) from None
    except Exception as error:  # a damaged file raises nearly anything
        raise UserError(f"{path} is damaged or no checkpoint ({type(error).__name__}: {error})") from None


class Refused(Exception):
    """What a file holds that is not read: "names os.system"."""


class StandIn:
    """What a pickle may build instead of the object that it names."""

    def array(self):
        """The NumPy array that it stands for."""
        raise Refused(f"holds a {type(self).__name__.lower().lstrip('_')} where a value should be")


class _Dtype(StandIn):
    """Stands for numpy.dtype(code, align, copy)."""

    def __init__(self, code, *_):
        if type(code) is not str or code not in DTYPES:  # hashing nested tuples would take for ever
            raise Refused("holds an array of another type")
        self.code = code
        self.order = "<"

    def __setstate__(self, state):
        self.order = ">" if state[1] == ">" else "<"


class _Array(StandIn):
    """Stands for the empty array that a pickle fills by __setstate__."""

    value = None

    def __setstate__(self, state):
        _, shape, dtype, fortran, raw = state
        if not isinstance(dtype, _Dtype) or not isinstance(raw, bytes) or not whole_numbers(shape):
            raise Refused("holds an array of an unknown kind")
        flat = np.frombuffer(raw, dtype=dtype.order + dtype.code)
        self.value = flat.reshape(shape, order="F" if fortran else "C")

    def array(self):
        return super().array() if self.value is None else self.value


def whole_numbers(shape):
    """Whether a shape (or strides) from a file is a tuple of few whole numbers, none negative."""
    few = type(shape) is tuple and len(shape) <= MOST_DIMENSIONS
    return few and all(type(number) is int and number >= 0 for number in shape)


def _reconstruct(*_):
    return _Array()


def _tuple(entries):  # paddle.save writes (parameter name, array) so
    if type(entries) is not tuple:
        raise Refused("makes a tuple of something else")
    return entries


def ordered_dict():
    """Stands for collections.OrderedDict: an empty one, which the pickle fills."""
    return OrderedDict()


_OPCODES = (  # all that a state dict is made of
    pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK, pickle.POP, pickle.MEMOIZE, pickle.PUT,
    pickle.BINPUT, pickle.LONG_BINPUT, pickle.GET, pickle.BINGET, pickle.LONG_BINGET, pickle.GLOBAL,
    pickle.STACK_GLOBAL, pickle.REDUCE, pickle.BUILD, pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE,
    pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.LONG1, pickle.BINFLOAT, pickle.BINUNICODE,
    pickle.SHORT_BINUNICODE, pickle.BINUNICODE8, pickle.BINBYTES, pickle.SHORT_BINBYTES,
    pickle.BINBYTES8, pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3,
    pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS, pickle.EMPTY_DICT, pickle.SETITEM, pickle.SETITEMS,
)  # fmt: skip


class _Dispatch(dict):
    """The opcodes of one pickle: others are refused, and those that come are counted."""

    count = 0

    def __getitem__(self, opcode):
        self.count += 1
        if self.count > MOST_OPCODES:
            raise Refused("is made of too many parts")
        return super().__getitem__(opcode)

    def __missing__(self, opcode):
        known = pickletools.code2op.get(chr(opcode))
        raise Refused(f"uses the pickle opcode {known.name if known else hex(opcode)}")


class SafeUnpickler(pickle._Unpickler):
    """Python's unpickler for these opcodes, and for the names in the table `names` of a subclass."""

    names = {}

    def __init__(self, data):
        super().__init__(data)
        self.dispatch = _Dispatch(self.dispatch)

    def find_class(self, module, name):
        if (module, name) not in self.names:
            raise Refused("names " + ascii(f"{module}.{name}"[:80])[1:-1])
        return self.names[module, name]

    def load_build(self):
        if not hasattr(self.stack[-2], "__setstate__") or not isinstance(self.stack[-2], StandIn):
            raise Refused(f"sets the state of a {type(self.stack[-2]).__name__}")
        super().load_build()

    def load_reduce(self):
        check_arguments(self.stack[-1])
        super().load_reduce()

    def load_setitem(self):
        _check_keys(self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self):
        _check_keys(self.stack[::2])
        super().load_setitems()

    dispatch = {opcode[0]: pickle._Unpickler.dispatch[opcode[0]] for opcode in _OPCODES}
    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems


class _NumpyUnpickler(SafeUnpickler):
    """For what paddle.save and pickle.dump make of NumPy arrays."""

    names = {
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy", "ndarray"): None,  # only ever an argument of _reconstruct
        ("numpy", "dtype"): _Dtype,
        ("builtins", "tuple"): _tuple,
        ("__builtin__", "tuple"): _tuple,
        ("collections", "OrderedDict"): ordered_dict,
    }

    def __init__(self, data):
        super().__init__(data)
        self.encodable = len(data)  # each text of the file is encoded once

    def find_class(self, module, name):
        return self._encode if (module, name) == ("_codecs", "encode") else super().find_class(module, name)

    def _encode(self, text, encoding):  # how protocol 2 writes bytes
        self.encodable -= len(text)
        if encoding != "latin1" or self.encodable < 0:
            raise Refused("holds text where bytes should be")
        return text.encode("latin1")


def check_arguments(arguments):
    """What is called with a text of a million characters would get a million arguments."""
    if type(arguments) is not tuple or len(arguments) > MOST_DIMENSIONS:
        raise Refused("calls something in an unknown way")


def _check_keys(keys):
    """Nested tuples would be hashed: for ever, or until the stack overflows."""
    if not all(type(key) in (str, int) for key in keys):
        raise Refused("holds a key that is neither text nor a whole number")


def plain(value):
    """Copy what an unpickler built into plain containers and arrays; refuse all else, and giants."""
    return _plain(value, [MOST_OBJECTS])


def _plain(value, left):
    left[0] -= 1
    if left[0] < 0:
        raise Refused("unfolds into too many objects")
    if isinstance(value, StandIn):
        return value.array()
    if type(value) in (dict, OrderedDict):
        return {_plain(key, left): _plain(entry, left) for key, entry in value.items()}
    if type(value) is tuple and len(value) == 2 and isinstance(value[1], _Array):
        return _plain(value[1], left)  # (parameter name, array)
    if type(value) in (list, tuple):
        return type(value)(_plain(entry, left) for entry in value)
    if value is None or type(value) in (str, bytes, int, float, bool):
        return value
    raise Refused(f"holds a {type(value).__name__}")
