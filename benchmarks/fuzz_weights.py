"""Damage weights files at random: each must give one clear line or exactly the right values.

python benchmarks/fuzz_weights.py [FILES]     (2,000 files a format by default, one or two minutes)

Where the format or our description has a checksum (zip, .pdparams, .safetensors), what
is read must be what was written. The legacy format of torch.save has none: there, what
is read must stand in the file, value for value, and is compared with torch's own safe
reader where torch is installed. Every file is read by one process whose memory may grow
by 200 MB at most. Prints a table; ends with 1 when a file gave anything else.
"""

import importlib
import random
import resource
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from utils.errors import UserError  # noqa: E402
from utils.weights import read_arrays, read_weights, write_weights  # noqa: E402

VARIANTS = ROOT / "tests/golden/pth_variants"
FORMATS = {"zip": ".pth", "legacy": ".pth", "pdparams": ".pdparams", "safetensors": ".safetensors"}
MOST_MEMORY = 200  # MB


def original(kind):
    """The bytes of a small whole file of a format (one of FORMATS)."""
    if kind in ("zip", "legacy"):
        return (VARIANTS / f"{kind}_plain.pth").read_bytes()
    tensors = {
        "backbone.conv1.weight": np.arange(24, dtype="float32").reshape(2, 3, 2, 2) / 7,
        "backbone.fc1.weight": np.arange(6, dtype="float16").reshape(2, 3),
        "classifier.multi_head.0.head.weight": np.ones((3, 2, 1, 1), "float32"),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"whole{FORMATS[kind]}"
        write_weights(path, tensors, {"format": 1, "classes": ["a", "b", "c"], "lam": 0.1})
        return path.read_bytes()


def mutated(content, draw):
    """A copy of `content` with one to three faults: flipped bits, other, lost or added bytes, a cut."""
    content = bytearray(content)
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(content))
        kind = draw.choice(["flip", "flip", "byte", "cut", "remove", "insert", "copy"])
        if kind == "flip":
            content[at] ^= 1 << draw.randrange(8)
        elif kind == "byte":
            content[at] = draw.randrange(256)
        elif kind == "cut":
            del content[max(at, 1) :]
        elif kind == "remove":
            del content[at : at + draw.randint(1, 8)]
            content = content or bytearray(b".")
        elif kind == "insert":
            content[at:at] = draw.randbytes(draw.randint(1, 8))
        else:
            start = draw.randrange(len(content))
            content[at : at + 16] = content[start : start + 16]
    return bytes(content)


def same(first, second):
    """Whether two dicts of arrays are equal: names, types, shapes, bits."""
    return first.keys() == second.keys() and all(
        (first[name].dtype, first[name].shape, first[name].tobytes())
        == (second[name].dtype, second[name].shape, second[name].tobytes())
        for name in first
    )


def stands_in(tensors, content):
    """Whether every name and every value of `tensors` is to be found in the bytes of the file."""
    return all(
        name.removeprefix("backbone.").encode() in content
        and all(value.tobytes() in content for value in array.reshape(-1))
        for name, array in tensors.items()
    )


def outcome(kind, path, content, right):
    """ "refused", "right", "as the file says" (legacy alone) or "WRONG"."""
    path.write_bytes(content)
    try:
        tensors = read_weights(path).tensors
    except UserError as error:
        return "refused" if str(path) in str(error) and "\n" not in str(error) else "WRONG"
    if same(tensors, right):
        return "right"
    return "as the file says" if kind == "legacy" and stands_in(tensors, content) else "WRONG"


def fuzz(kind, files, folder):
    """Read `files` damaged files of a format; returns a Counter of outcomes."""
    path, whole, draw = Path(folder) / f"damaged{FORMATS[kind]}", original(kind), random.Random(0)
    path.write_bytes(whole)
    right = read_weights(path).tensors
    return Counter(outcome(kind, path, mutated(whole, draw), right) for _ in range(files))


def agrees_with_torch(files, folder):
    """How many damaged legacy files both read and read alike, and how many differently."""
    torch = importlib.import_module("torch")  # not a requirement of the project
    path, whole, draw = Path(folder) / "damaged.pth", original("legacy"), random.Random(0)
    counts = Counter()
    for _ in range(files):
        path.write_bytes(mutated(whole, draw))
        try:
            ours = read_arrays(path)[0]
            theirs = torch.load(path, weights_only=True)
        except Exception:  # torch raises nearly anything; what only one of them reads is not compared
            continue
        theirs = {name: value.numpy() for name, value in theirs.items()}
        counts["alike" if same(ours, theirs) else "differently"] += 1
    return counts


def main(files):
    for kind in FORMATS:
        original(kind)  # imports what is needed, before memory is looked at
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wrong = False
    with tempfile.TemporaryDirectory() as folder:
        print("format       refused   right   as the file says   WRONG")
        for kind in FORMATS:
            counts = fuzz(kind, files, folder)
            print(f"{kind:11}  {counts['refused']:7}  {counts['right']:6}", end="")
            print(f"  {counts['as the file says']:17}  {counts['WRONG']:6}")
            wrong |= counts["WRONG"] > 0
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"memory grew by {grown:.0f} MB at most")
        try:
            counts = agrees_with_torch(files, folder)
            print(f"legacy, read by torch too: {counts['alike']} alike, {counts['differently']} differently")
        except ImportError:
            print("legacy, beside torch: not compared, torch is not installed")
    return wrong or grown > MOST_MEMORY


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000))
