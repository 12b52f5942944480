"""Read what torch.save wrote, without torch and without running anything that the file asks for.

Two formats. Since torch 1.6 a zip archive, never compressed: NAME/data.pkl is the
pickle, NAME/data/KEY the bytes of a storage, NAME/byteorder "little" or "big". Before,
five pickles one after the other (magic number, protocol, machine, content, storage
keys) and then each storage: its length as int64 and its bytes. In both a tensor is a
view (offset, shape, strides) of a storage, which the pickle names by a persistent id.
"""

import io
import pickle
import zipfile
from collections import OrderedDict

import numpy as np

from utils.safe_pickle import (
    Refused,
    SafeUnpickler,
    StandIn,
    check_arguments,
    mapped,
    ordered_dict,
    plain,
    whole_numbers,
)

ZIP_MAGIC = b"PK\x03\x04"
LEGACY_MAGIC = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e"  # the first pickle, whole
STORAGES = {  # storage class -> NumPy dtype; bfloat16, which NumPy lacks, is the high half of a float32
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "b1",
}


def is_torch_file(start):
    """Whether the first bytes of a file are those of torch.save (15 bytes tell)."""
    return start.startswith((ZIP_MAGIC, LEGACY_MAGIC))


def read_torch(path):
    """Return the object in a file of torch.save: plain containers, numbers, text, tensors as arrays.

    Arrays are read-only views of the file's storages (bfloat16 becomes float32, exactly).
    Raises UserError when the file is missing, damaged or compressed, when a checksum is
    wrong (the zip format has them), a tensor exceeds its storage, or the pickle names
    anything else.
    """
    with mapped(path) as data:
        return _read_zip(path, len(data)) if data[:4] == ZIP_MAGIC else _read_legacy(data)


def _read_zip(path, length):
    with zipfile.ZipFile(path) as archive:
        records = {info.filename: info for info in archive.infolist()}
        sizes = [info.file_size for info in records.values()]
        if any(info.compress_type != zipfile.ZIP_STORED for info in records.values()):
            raise Refused("holds compressed records, which torch.save never writes (a TorchScript program?)")
        if len(records) < len(archive.infolist()) or sum(sizes) > length:
            raise Refused("holds records one over the other")
        pickles = [name for name in records if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) != 1:
            raise ValueError("a zip archive, but not of torch.save")
        folder = pickles[0].removesuffix("data.pkl")

        def read(name):
            if folder + name not in records:
                raise ValueError(f"the record {folder + name} is missing")
            return archive.read(folder + name)  # checks the CRC

        order = read("byteorder") if folder + "byteorder" in records else b"little"
        reader = _TorchUnpickler(io.BytesIO(read("data.pkl")), {b"little": "<", b"big": ">"}[order])
        content = reader.load()
        for key, storage in reader.storages.items():
            storage.fill(read(f"data/{key}"))
        return plain(content)


def _read_legacy(data):
    _, protocol, machine = (_TorchUnpickler(data).load() for _ in range(3))
    if protocol != 1001:
        raise ValueError("its protocol is not the one that torch.save ever wrote")
    reader = _TorchUnpickler(data, "<" if machine["little_endian"] else ">")
    content = reader.load()
    keys = _TorchUnpickler(data).load()
    if type(keys) is not list or not all(type(key) is str for key in keys):
        raise Refused("holds a list of storages of an unknown kind")
    if sorted(keys) != sorted(reader.storages):
        raise ValueError("its list of storages is not that of its tensors")
    for key in keys:
        storage = reader.storages[key]
        if int.from_bytes(data.read(8), "little", signed=True) != storage.size:
            raise ValueError(f"storage {key} is not as long as its tensors say")
        storage.fill(data.read(storage.size * storage.itemsize))
    return plain(content)


class _Storage:
    """`size` numbers of one type; `values` holds them once fill() was given their bytes."""

    def __init__(self, kind, size, order):
        self.kind, self.size = kind, size
        self.dtype = np.dtype("u2" if kind == "bfloat16" else kind).newbyteorder(order)
        self.itemsize = self.dtype.itemsize
        self.values = None

    def fill(self, raw):
        if len(raw) != self.size * self.itemsize:
            raise ValueError(f"{self.size * self.itemsize} bytes of a storage announced, {len(raw)} there")
        self.values = np.frombuffer(raw, self.dtype).astype(self.dtype.newbyteorder("="), copy=False)
        if self.kind == "bfloat16":
            self.values = (self.values.astype("u4") << 16).view("f4")


class _Tensor(StandIn):
    """Stands for torch._utils._rebuild_tensor_v2(storage, offset, shape, strides, ...)."""

    def __init__(self, storage, offset, shape, strides, requires_grad=False, hooks=None, metadata=None):
        if not isinstance(storage, _Storage) or not all(map(whole_numbers, ((offset,), shape, strides))):
            raise Refused("holds a tensor of an unknown kind")
        if metadata:  # flags: the values are to be negated or conjugated
            raise Refused("holds a tensor with flags")
        count, last = 1, offset  # exact whole numbers, as large as the file makes them
        for length, stride in zip(shape, strides, strict=True):
            count *= length
            last += (length - 1) * stride
        if count > storage.size or (count > 0 and last >= storage.size):
            raise Refused(
                f"holds a tensor of {count} numbers from {offset} on in a storage of {storage.size}"
            )
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self):
        values = self.storage.values
        steps = [stride * values.itemsize for stride in self.strides]
        if 0 in self.shape:
            return np.empty(self.shape, values.dtype)
        return np.ndarray(self.shape, values.dtype, values, self.offset * values.itemsize, steps)


def _parameter(tensor, *_):  # torch.nn.Parameter
    return tensor


class _TorchUnpickler(SafeUnpickler):
    names = {
        ("torch._utils", "_rebuild_tensor"): _Tensor,
        ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
        ("torch._utils", "_rebuild_parameter"): _parameter,
        ("collections", "OrderedDict"): ordered_dict,
        **{("torch", name): kind for name, kind in STORAGES.items()},
    }

    def __init__(self, data, order="<"):
        super().__init__(data)
        self.order = order
        self.storages = {}  # key -> _Storage

    def persistent_load(self, pid):
        """The _Storage that ("storage", class, key, place, length) names."""
        check_arguments(pid)
        kind, numpy_kind, key, _, size, *view = pid
        if kind != "storage" or numpy_kind not in STORAGES.values() or any(view):
            raise Refused("names something outside of the file")
        if type(key) is not str or type(size) is not int or size < 0:
            raise Refused("holds a storage of an unknown kind")
        storage = self.storages.setdefault(key, _Storage(numpy_kind, size, self.order))
        if (storage.kind, storage.size) != (numpy_kind, size):
            raise Refused(f"gives storage {key} two lengths or types")
        return storage

    def load_build(self):
        if type(self.stack[-2]) is OrderedDict:  # the _metadata that Module.state_dict() sets
            self.stack.pop()
        else:
            super().load_build()

    dispatch = SafeUnpickler.dispatch.copy()
    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.BINPERSID[0]] = pickle._Unpickler.load_binpersid
    dispatch[pickle.SHORT_BINSTRING[0]] = pickle._Unpickler.load_short_binstring  # of Python 2
