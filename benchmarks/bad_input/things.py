"""Sound inputs, small, for rows to break one thing of; and what a machine can refuse."""

import ctypes
import json
import os
import resource
import shutil
import sys
import tempfile
import zlib
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from datasets.spec import COCO_CLASSES, WIDER_CLASSES

CLASSES = ["red", "green", "blue"]
SIZE = 32  # pixels of the models' squares
MODEL = "efficientnet_lite0"  # the smallest trunk: 14 MB


def photo(path, size=(40, 30)):
    """Write a photo; its path as text."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32(os.fsencode(path)))  # no two alike
    Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)).save(path)
    return str(path)


def write(path, value):
    """Write a value as JSON; its path as text."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return str(path)


def data_set(name="data", records=None, **about):
    """Write a data set of four photos, two a split, or of other `records` in both splits; its name."""
    paths = [photo(f"{name}/photos/{number}.png") for number in range(4)]
    ours = [
        {"img_path": path, "target": [int(number != c) for c in range(3)]}
        for number, path in enumerate(paths)
    ]
    write(f"{name}/train.json", ours[:2] if records is None else records)
    write(f"{name}/test.json", ours[2:] if records is None else records)
    write(f"{name}/classes.json", {"classes": CLASSES, "train": "train.json", "test": "test.json", **about})
    return name


def train(*options):
    """Options of a training on data_set() that would end soon."""
    small = ["--model", MODEL, "--pretrained", "none", "--img_size", SIZE, "--total_epoch", 1]
    return [*map(str, small), "--batch_size", "2", "--num_workers", "0", "--device", "cpu", *options]


def description(**changes):
    """What a checkpoint says about itself."""
    about = {
        "format": 1,
        "model": MODEL,
        "num_heads": 1,
        "lam": 0.1,
        "num_cls": 3,
        "classes": CLASSES,
        "img_size": SIZE,
        "normalization": {"mean": [0, 0, 0], "std": [1, 1, 1]},
        "dataset": "data",
        "data_dir": None,
    }
    return {**about, **changes}


@cache
def _made():
    """A folder, for as long as the process lives, with a checkpoint and what was exported from it."""
    import paddle

    import export_model
    from benchmarks.bad_input.row import captured
    from models import build_model
    from utils.checkpoint import save_checkpoint
    from utils.device import choose_device

    choose_device("cpu")
    paddle.seed(0)
    folder = tempfile.TemporaryDirectory(prefix="bad_input_")
    checkpoint = Path(folder.name, "model.pdparams")
    save_checkpoint(checkpoint, build_model(MODEL, 3, 1, 0.1), description())
    with captured():
        export_model.main(
            export_model.parse_args(
                ["--model_path", str(checkpoint), "--save_dir", f"{folder.name}/exported"]
            )
        )
    return folder  # which is removed with it


def checkpoint(name="model.pdparams"):
    """Put a whole checkpoint into the working folder; its name."""
    shutil.copy(Path(_made().name, "model.pdparams"), name)
    return name


def small_checkpoint(name="small.pdparams", tensors=None, **changes):
    """Write a checkpoint that fits no model; its description is read first. Its name."""
    from utils.weights import write_weights

    write_weights(name, tensors or {"backbone.x": np.ones(2, "float32")}, description(**changes))
    return name


def changed_checkpoint(change):
    """Write a checkpoint whose tensors (name -> array) went through change(tensors); its name."""
    from utils.checkpoint import read_checkpoint
    from utils.weights import write_weights

    tensors, about = read_checkpoint(checkpoint())
    os.unlink("model.pdparams")
    tensors = {name: np.array(value) for name, value in tensors.items()}
    change(tensors)
    write_weights("model.pdparams", tensors, about)
    return "model.pdparams"


def exported():
    """Put an exported model into the folder exported/; the options of infer that name it and a photo."""
    shutil.copytree(Path(_made().name, "exported"), "exported")
    graph = next(path for path in Path("exported").iterdir() if path.name in ("model.json", "model.pdmodel"))
    return ["--model_file", str(graph), "--input_file", photo("photo.png"), "--num_workers", "0"]


XML = "<annotation><object><name>dog</name><difficult>0</difficult></object></annotation>"


def voc(xml=XML, ids=("a", "b"), lists=("trainval", "test")):
    """Write a VOC tree of two photos, the second of them for testing; the options that name it."""
    home = Path("VOCdevkit/VOC2007")
    for folder in ("Annotations", "ImageSets/Main"):
        (home / folder).mkdir(parents=True)
    for name in ids:
        photo(home / f"JPEGImages/{name}.jpg")
        (home / f"Annotations/{name}.xml").write_text(xml)
    for name, photo_id in zip(lists, ids, strict=True):
        (home / f"ImageSets/Main/{name}.txt").write_text(f"{photo_id}\n")
    return ["--data_path", "VOCdevkit", "--out_dir", "out"]


def coco(**changes):
    """Write a COCO tree of a photo a split, its training annotations with other lists; the options."""
    names = [name.replace("_", " ") for name in COCO_CLASSES]
    for split in ("train", "val"):
        photo(f"coco/{split}2014/1.jpg")
        content = {
            "images": [{"id": 1, "file_name": "1.jpg"}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "iscrowd": 0}],
            "categories": [{"id": number, "name": name} for number, name in enumerate(names, 1)],
        }
        write(
            f"coco/annotations/instances_{split}2014.json",
            {**content, **(changes if split == "train" else {})},
        )
    return ["--data_path", "coco", "--out_dir", "out"]


def wider(person=None, **changes):
    """Write a WIDER tree of a photo a split, its training annotations changed; the options that name it."""
    for split in ("trainval", "test"):
        photo(f"wider/Image/{split}/1.jpg")
        ours = {"attribute": [1, -1, 0] + [-1] * 11, "bbox": [1, 1, 9, 9]}
        content = {
            "attribute_id_map": {str(number): name for number, name in enumerate(WIDER_CLASSES)},
            "images": [{"file_name": f"{split}/1.jpg", "targets": [ours]}],
        }
        if split == "trainval":
            content["images"][0]["targets"] = [{**ours, **(person or {})}]
            content.update(changes)
        write(f"wider/Annotations/wider_attribute_{split}.json", content)
    return ["--data_path", "wider", "--out_dir", "out"]


def nested(depth):
    """JSON of so many lists in one another."""
    return "[" * depth + "]" * depth


def sparse(name, size):
    """A file of `size` zero bytes that takes no room on the disk; its name."""
    with open(name, "wb") as file:
        file.truncate(size)
    return name


def full_after(size):
    """A context maker: see file_limit."""
    return lambda folder: file_limit(size)


@contextmanager
def file_limit(size):
    """Within the block no file of this process grows beyond `size` bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def forbidden(name, mode=0):
    """A context maker: what is called `name` has this mode, and the process no right to ignore it."""

    @contextmanager
    def around(folder):
        before = os.stat(name).st_mode
        os.chmod(name, mode)
        try:
            with _bound_by_modes():
                yield
        finally:
            os.chmod(name, before)

    return around


@contextmanager
def _bound_by_modes():
    """Within the block the modes of files bind this thread, and those it starts, even if root runs it.

    It stays the owner of its files: as another user it might not reach Python's own (capabilities(7)).
    """
    if os.geteuid():
        yield
        return
    libc = ctypes.CDLL(None)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread
    before = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable of 32 capabilities; the same of more
    if libc.capget(header, before):
        raise OSError("capget failed")
    bound = type(before)(*before)
    bound[0] &= ~(1 << 1 | 1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    if libc.capset(header, bound):
        raise OSError("capset failed")
    try:
        yield
    finally:
        libc.capset(header, before)


def without(package):
    """A context maker: a package cannot be imported."""

    @contextmanager
    def around(folder):
        ours = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == package}
        sys.modules[package] = None
        try:
            yield
        finally:
            del sys.modules[package]
            sys.modules.update(ours)

    return around
