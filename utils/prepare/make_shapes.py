"""Draw photo-like multi-label scenes of textured shapes, laid out as PASCAL VOC 2007.

A small data set that anyone can make in seconds, to try a whole training on. A picture
depends on the seed and its number alone; JPEG bytes also on the version of Pillow.
"""

import io
import os
import sys
import tempfile
import xml.etree.ElementTree as ET
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as `python utils/prepare/make_shapes.py`

import utils  # noqa: F401  # isort: skip (first: it tells what is not installed)
from PIL import Image
from tqdm import tqdm

from utils.errors import UserError, run_script
from utils.options import Parser, whole
from utils.prepare.shapes import CLASSES, DEFAULT_SIZE, draw_scene

LARGEST = 1024  # pixels
CLASS_LINES = "".join(f"{name}\n" for name in CLASSES)  # classes.txt


def write_picture(number, folder, seed, size):
    """Draw picture `number` and write its JPEG and XML under `folder` (VOC2007).

    Returns {class name: True when all its objects are difficult}.
    """
    pixels, shapes, quality = draw_scene(seed, number, size)
    name = f"{number:06d}"
    jpeg = io.BytesIO()  # where the disk fills while Pillow writes to a file, it says nothing
    Image.fromarray(pixels).save(jpeg, "JPEG", quality=quality)
    (folder / "JPEGImages" / f"{name}.jpg").write_bytes(jpeg.getvalue())
    root = ET.Element("annotation")
    _add(root, "folder", "VOC2007")
    _add(root, "filename", f"{name}.jpg")
    extent = _add(root, "size")
    for tag, value in zip(("width", "height", "depth"), (pixels.shape[1], pixels.shape[0], 3), strict=True):
        _add(extent, tag, value)
    labels = {}
    for shape in shapes:
        left, top, right, bottom = shape.box()
        thing = _add(root, "object")
        _add(thing, "name", shape.name)
        _add(thing, "difficult", int(shape.difficult()))
        box = _add(thing, "bndbox")  # VOC counts pixels from 1 and includes the last
        for tag, value in (("xmin", left + 1), ("ymin", top + 1), ("xmax", right), ("ymax", bottom)):
            _add(box, tag, value)
        labels[shape.name] = labels.get(shape.name, True) and shape.difficult()
    ET.indent(root)
    ET.ElementTree(root).write(folder / "Annotations" / f"{name}.xml", encoding="utf-8")
    return labels


def _add(parent, tag, text=None):
    child = ET.SubElement(parent, tag)
    child.text = None if text is None else str(text)
    return child


def write_lists(folder, labels, train):
    """Write ImageSets/Main; `labels` are write_picture's results of pictures 1, 2, ..."""
    numbers = range(1, len(labels) + 1)
    half = (train + 1) // 2
    splits = {
        "train": numbers[:half],
        "val": numbers[half:train],
        "trainval": numbers[:train],
        "test": numbers[train:],
    }
    for split, members in splits.items():
        (folder / f"{split}.txt").write_text("".join(f"{n:06d}\n" for n in members))
    for name in CLASSES:
        for split in ("trainval", "test"):
            signs = ((n, labels[n - 1].get(name)) for n in splits[split])  # None: no such object
            lines = (f"{n:06d} {-1 if hard is None else 1 - hard:2d}\n" for n, hard in signs)
            (folder / f"{name}_{split}.txt").write_text("".join(lines))


def make_data_set(folder, args):
    """Write VOCdevkit/ and classes.txt into `folder`; return write_picture's results."""
    voc = folder / "VOCdevkit" / "VOC2007"
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (voc / part).mkdir(parents=True)
    numbers = range(1, args.train + args.test + 1)
    write = partial(write_picture, folder=voc, seed=args.seed, size=args.size)
    bar = partial(tqdm, total=len(numbers), unit="picture", disable=not sys.stderr.isatty())
    if args.workers == 1:
        labels = list(bar(map(write, numbers)))
    else:
        with ProcessPoolExecutor(min(args.workers, len(numbers))) as pool:
            # the workers start before tqdm's thread does: forking with threads is unsafe
            results = pool.map(write, numbers, chunksize=8)
            labels = list(bar(results))
    write_lists(voc / "ImageSets" / "Main", labels, args.train)
    (folder / "classes.txt").write_text(CLASS_LINES)
    return labels


def check_args(args):
    """Raise UserError for a number that cannot be and for a place that is taken."""
    if args.train + args.test > 999_999:
        raise UserError("--train and --test: VOC's names of six digits hold 999999 pictures; give less")
    if args.size > LARGEST:
        raise UserError(f"--size {args.size}: give a longest side of at most {LARGEST} pixels")
    taken, names = args.out_dir / "VOCdevkit", args.out_dir / "classes.txt"
    try:
        if taken.exists() and not (taken.is_dir() and not any(taken.iterdir())):
            raise UserError(f"{taken} exists and is not empty; remove it or give another --out_dir")
        if names.exists() and names.read_text() != CLASS_LINES:
            raise UserError(f"{names} lists other classes; remove it or give another --out_dir")
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {args.out_dir} ({error}); give another --out_dir") from None


def parse_args(argv=None):
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--out_dir", type=Path, required=True, help="gets VOCdevkit/ and classes.txt")
    add("--train", type=whole(1), default=1800, help="pictures to train on, train + val (%(default)s)")
    add("--test", type=whole(1), default=300, help="pictures to test on (%(default)s)")
    add("--size", type=whole(64), default=DEFAULT_SIZE, help="longest side in pixels (%(default)s)")
    add("--seed", type=whole(0), default=0, help="another seed, other pictures (%(default)s)")
    add("--workers", type=whole(1), default=os.cpu_count(), help="processes; the result is the same")
    return parser.parse_args(argv)


def main(args):
    check_args(args)
    new = not os.path.exists(args.out_dir)
    try:
        args.out_dir.mkdir(parents=True, exist_ok=True)
        # built inside --out_dir, which may be a disk of its own: renaming works within one only
        with tempfile.TemporaryDirectory(prefix=".make_shapes.", dir=args.out_dir) as building:
            labels = make_data_set(Path(building), args)
            for part in ("classes.txt", "VOCdevkit"):
                os.replace(Path(building) / part, args.out_dir / part)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(
            f"cannot write {args.out_dir}: {reason}; free some space or give another --out_dir"
        ) from None
    finally:
        if new:
            with suppress(OSError):  # goes only while it is empty, which is after a failure
                args.out_dir.rmdir()
    difficult = sum(hard for picture in labels for hard in picture.values())
    count = sum(map(len, labels))
    print(
        f"{args.train} training and {args.test} test pictures with {count} labels of {len(CLASSES)} classes "
        f"({difficult} difficult) in {args.out_dir}"
    )


if __name__ == "__main__":
    run_script(main, parse_args)
