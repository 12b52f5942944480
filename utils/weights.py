"""Read and write weights: `.pdparams`, PyTorch's `.pth` (both formats) and `.safetensors`.

The format is told from the content, not from the name. Names and layouts come out as
ours, whatever the file's. `.pdparams` has Paddle's; the other two have PyTorch's: those
of the original CSRA, of torchvision's ResNets, of timm's ViTs and of EfficientNet-Lite's
usual port.
"""

import json
import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.errors import UserError, printable
from utils.files import atomic_path
from utils.optional import optional
from utils.safe_pickle import read_pickle
from utils.torch_file import is_torch_file, read_torch

ENTRY = "csra"  # the name of the description in a .pdparams and in the metadata of a .safetensors
CRC = "crc32"  # the name of the checksum in a description
CONTAINERS = ("state_dict", "model", "model_ema")  # under which training scripts save the weights
EXPORTED = (".json", ".pdmodel", ".pdiparams", ".onnx", ".xml")  # suffixes of what export_model.py writes
STATE = ".pdopt"  # the suffix of what resuming needs beside a checkpoint
MOST_SHARING = 8  # how many times the file's size its tensors may take, unfolded: some are tied
UNUSED = ("backbone.fc.", "backbone.head.")  # 1000-way classifiers of trunks


@dataclass
class Weights:
    """The content of a weights file, in our names."""

    tensors: dict  # `backbone....` and `classifier....` -> array
    description: dict | None  # what a checkpoint of ours says about itself
    left_out: str  # which entries were dropped because a model has no use for them; "" if none


def read_weights(path):
    """Read any weights file. Tensors are NumPy arrays of the file's precision.

    Raises UserError when the file is missing, damaged, holds something else than
    tensors, numbers and text, or needs the package safetensors, which is absent.
    """
    if Path(path).suffix == STATE:
        raise UserError(f"{path} holds the state of an optimizer, not weights; give the .pdparams beside it")
    if Path(path).suffix in EXPORTED:
        raise UserError(
            f"{path} is of an exported model, which infer.py runs; give the checkpoint it is from"
        )
    arrays, text, pytorch = read_arrays(path)
    tensors, left_out, counters = {}, [], 0
    for name, value in arrays.items():
        own_name, value = _from_pytorch(name, value) if pytorch else (name, value)
        if not own_name.startswith(("backbone.", "classifier.")):
            own_name = f"backbone.{own_name}"
        if own_name.endswith(".num_batches_tracked"):
            counters += 1
        elif own_name.startswith(UNUSED):
            left_out.append(name)
        elif own_name in tensors:
            raise UserError(f"{path} holds {own_name.removeprefix('backbone.')!r} twice, under two names")
        else:
            tensors[own_name] = value
    left_out += [f"{counters} num_batches_tracked"] * bool(counters)
    return Weights(tensors, _read_description(text, tensors, path), printable(", ".join(left_out)))


def read_arrays(path):
    """Return (arrays by the file's own names, text of the description or None, whether it is PyTorch's)."""
    try:
        if os.path.isdir(path):
            raise UserError(f"{path} is a folder; name the file in it, such as a run's last.pdparams")
        if os.path.exists(path) and not os.path.isfile(path):
            raise UserError(f"{path} is no file")
        with open(path, "rb") as file:
            start = file.read(262)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    if start[257:] == b"ustar":
        raise UserError(f"{path} is in PyTorch's oldest format, a tar file; load and save it once with torch")
    is_safetensors = start[6:9] == b"\0\0{"  # the header's length, eight bytes, and the header, JSON
    pytorch = is_safetensors or is_torch_file(start)
    if is_safetensors:
        content = _read_safetensors(path)
    else:
        content = _unwrap(read_torch(path) if pytorch else read_pickle(path), path)
    if not all(isinstance(name, str) and name.isprintable() for name in content):
        raise UserError(f"{path} has names that are no text; it is no state dict")
    arrays = {name: value for name, value in content.items() if isinstance(value, np.ndarray)}
    if not arrays:
        raise UserError(f"{path} holds no tensors (only {', '.join(list(content)[:5]) or 'an empty dict'})")
    if sum(value.nbytes for value in arrays.values()) > MOST_SHARING * os.path.getsize(path):
        raise UserError(f"{path} is refused: its tensors share their numbers too often")
    return arrays, _find_description(content, path), pytorch


def write_weights(path, tensors, description):
    """Write tensors (our names -> array) in the format that the suffix of `path` names.

    The description (a dict of plain values) goes into a `.pdparams` or `.safetensors`
    with a checksum; a `.pth` has no place for it. The file appears whole or not at all.
    Raises UserError for another suffix and when an optional package is absent.
    """
    if Path(path).suffix not in WRITERS:
        raise UserError(f"{path} must end in {', '.join(WRITERS)}")
    save = WRITERS[Path(path).suffix]
    text = describe(tensors, description)
    with atomic_path(path) as temporary:
        save(str(temporary), tensors, text)


def write_state(path, tensors, about):
    """Write what resuming needs (name -> array) and `about`, a dict of plain values, whole or not at all."""
    with atomic_path(path) as temporary:
        _save_paddle(str(temporary), tensors, describe(tensors, about))


def read_state(path):
    """Return (tensors, about) of write_state. Raises UserError when the file is missing or damaged."""
    tensors, text, _ = read_arrays(path)
    about = _read_description(text, tensors, path)
    if about is None:
        raise UserError(f"{path} is damaged: it does not say what it is")
    return tensors, about


def describe(tensors, description):
    """The JSON text of a description with the checksum that ties it to the tensors."""
    return json.dumps({**description, CRC: _checksum(tensors, description)}, allow_nan=False)


def _unwrap(content, path):
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no dict of tensors, but an object of type {type(content).__name__}")
    inner = [name for name in CONTAINERS if isinstance(content.get(name), dict)]
    if len(inner) > 1:
        print(f"{path} holds {' and '.join(inner)}: {inner[0]} is read")
    return content[inner[0]] if inner else content


def _find_description(entries, path):
    texts = {id(text): name for name, text in entries.items() if name != ENTRY and isinstance(text, str)}
    astray = [name for name in texts.values() if CRC in entries[name]]
    if astray:
        raise UserError(f"{path} is damaged: its description is called {astray[0]!r}, not {ENTRY!r}")
    return entries.get(ENTRY)


def _from_pytorch(name, value):
    """PyTorch's name and layout of a tensor -> ours."""
    name = name.removeprefix("module.")  # of DataParallel
    name = re.sub(r"(^|\.)_", r"\1", name)  # EfficientNet's files: _blocks.0._bn0.weight
    name = name.replace(".running_mean", "._mean").replace(".running_var", "._variance")
    return name, value.T if _is_linear(name, value) else value


def _to_pytorch(name, value):
    name = name.removeprefix("backbone.")
    name = name.replace("._mean", ".running_mean").replace("._variance", ".running_var")
    return name, value.T if _is_linear(name, value) else value


def _is_linear(name, value):
    """Weights of linear layers are (outputs, inputs) in PyTorch, (inputs, outputs) in Paddle."""
    return name.endswith(".weight") and value.ndim == 2


def _read_description(text, tensors, path):
    if text is None:
        return None
    try:
        description = json.loads(text)
        whole = description.pop(CRC) == _checksum(tensors, description)
    except (TypeError, ValueError, LookupError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise UserError(f"{path} is damaged: its checksum does not fit; take another checkpoint of the run")
    return description


def _checksum(tensors, description):
    """CRC-32 of names, shapes, values and description; the formats themselves have none."""
    crc = zlib.crc32(json.dumps(description, sort_keys=True).encode())
    for name in sorted(tensors):
        value = np.ascontiguousarray(tensors[name])
        crc = zlib.crc32(f"{name} {value.dtype.str} {tensors[name].shape}".encode(), crc)
        crc = zlib.crc32(value, crc)
    return crc


def _save_paddle(path, tensors, text):
    import paddle

    paddle.save({**tensors, ENTRY: text}, path)


def _read_safetensors(path):
    safetensors = optional("safetensors")
    try:
        with safetensors.safe_open(path, "numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
            return {**(file.metadata() or {}), **arrays}
    except Exception as error:  # the library lets NumPy's errors through, for types that NumPy lacks
        raise UserError(f"{path} is damaged or of a type that NumPy lacks ({error})") from None


def _save_safetensors(path, tensors, text):
    save_file = optional("safetensors.numpy").save_file
    arrays = dict(_to_pytorch(name, value) for name, value in tensors.items())
    save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, path, {ENTRY: text})


def _save_torch(path, tensors, _):
    torch = optional("torch")
    arrays = dict(_to_pytorch(name, value) for name, value in tensors.items())
    torch.save({name: torch.tensor(value) for name, value in arrays.items()}, path)


WRITERS = {".pdparams": _save_paddle, ".safetensors": _save_safetensors, ".pth": _save_torch}
