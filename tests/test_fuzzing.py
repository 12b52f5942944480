"""Files that anybody may have written: whatever they hold, a reader gives a result or one line, soon."""

import hashlib
import io
import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from datasets.records import read_records
from datasets.spec import load_spec
from datasets.transforms import photo_size, read_photo
from utils.deploy import RESIZE, read_deploy
from utils.errors import UserError
from utils.evaluation.compare import read_other
from utils.parts import FORM, Part
from utils.plot_log import read_log
from utils.prepare.box_readers import read_coco_file
from utils.prepare.coco_json import box_of, read_coco
from utils.prepare.photo_facts import facts_of
from utils.prepare.prepare_wider import read_images
from utils.prepare.table_readers import read_lines, read_table
from utils.prepare.voc_xml import read_objects
from utils.prepare.yolo_text import class_names, read_yolo_folder
from utils.thresholds import read_thresholds

CLASSES = ["red", "green"]
LONGEST = 5  # seconds; all but the slowest machines need a hundredth
PHOTO = "photo.png"

# --- sound files, small


def picture(kind):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert("P" if kind == "PNG" else "RGB").save(file, kind)
    return file.getvalue()


def scores():
    file = io.BytesIO()
    np.savez(file, scores=np.zeros((1, 2), "f4"), targets=np.ones((1, 2), "i1"), paths=np.array([PHOTO]))
    return file.getvalue()


OBJECT = {"class": 1, "bbox": [0, 0, 5, 5.5], "difficult": 0}
RECORDS = [
    {"img_path": PHOTO, "target": [1, -1], "objects": [OBJECT]},
    {"img_path": PHOTO, "target": [0, 99], "bbox": [1, 2, 3, 4]},
]
ABOUT = {"classes": CLASSES, "train": "a.json", "test": None, "ignored": 0, "train_ignored": 99}
THRESHOLDS = {"format": 1, "classes": CLASSES, "threshold": [0.25, 1], "temperature": 2.5, "goal": "f1"}
DEPLOY = {
    "format": 1,
    "model": "resnet18",
    "num_cls": 2,
    "classes": CLASSES,
    "threshold": [0.25, 0.75],
    "temperature": 1,
    "img_size": 32,
    "resize": RESIZE,
    "precision": "fp32",
    "files": {"model.json": {"bytes": 2, "sha256": hashlib.sha256(b"{}").hexdigest()}},
}
COCO = {
    "images": [{"id": 1, "file_name": PHOTO}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 3.5, 4], "iscrowd": 0}],
    "categories": [{"id": 3, "name": "red"}],
}
WIDER = {
    "attribute_id_map": {str(number): f"name {number}" for number in range(14)},
    "images": [{"file_name": PHOTO, "targets": [{"attribute": [0] * 14, "bbox": [1, 2, 3, 4]}]}],
}
LINE = {"epoch": 1, "loss": 0.5, "lr": 0.1, "metrics": {"mAP": 0.25}}
XML = """<?xml version="1.0" encoding="utf-8"?><!DOCTYPE annotation [<!ELEMENT a ANY>]><annotation><object>
<name>dog</name><difficult>1</difficult><part><name>head</name></part><bndbox><xmin>1</xmin><ymin>2.5</ymin>
<xmax>30</xmax><ymax>4</ymax></bndbox></object><object><name>cat</name></object></annotation>"""

# --- readers: what they read, and how


def coco(path):
    pytest.importorskip("pycocotools")
    found = read_coco(path)
    return [box_of(annotation) for annotation in found.anns.values()]


def deploy(path):
    path.with_name("model.json").write_text("{}")
    return read_deploy(path.with_name("model.json"))


def other(path):
    path.with_name("metrics.json").write_text("{}")
    return read_other(path.with_name("metrics.json"), [PHOTO], np.ones((1, 2), np.int8), CLASSES)


def metrics(path):
    path.with_name("scores.npz").write_bytes(scores())
    return read_other(path, [PHOTO], np.ones((1, 2), np.int8), CLASSES)


def yolo(path):
    (path.parent / PHOTO).write_bytes(picture("PNG"))
    (path.parent / "classes.txt").write_text("red\ngreen\n")
    return read_yolo_folder(path.parent)


def described(path):
    pytest.importorskip("yaml")
    return class_names(path.parent)


def part(path):
    return Part(path.with_name("table.json"), {"model": 1}, resume=True).done


JSON = {  # name of the file -> (content, reader)
    "records.json": (RECORDS, lambda path: read_records(path, 2, 0)),
    "classes.json": (ABOUT, lambda path: load_spec(str(path.parent))),
    "thresholds.json": (THRESHOLDS, lambda path: read_thresholds(path, CLASSES)),
    "deploy.json": (DEPLOY, deploy),
    "metrics.json": ({"checkpoint": {"classes": CLASSES}}, metrics),
    "coco.json": (COCO, coco),
    "own_coco.json": (COCO, read_coco_file),
    "lines.jsonl": ({"path": PHOTO, "labels": ["red"], "unknown": ["green"], "split": "val"}, read_lines),
    "wider.json": (WIDER, read_images),
    "log.jsonl": (LINE, read_log),
    "table.json.part-0-1": ({"form": FORM, "model": 1}, part),
}
OTHERS = {
    "voc.xml": (XML.encode(), read_objects),
    "scores.npz": (scores(), other),
    "list.csv": (b'path,labels,unknown\nphoto.png,red;"green",\n"a, b.png",,red\n', read_table),
    "columns.csv": (b"path;red;green;split\nphoto.png;1;;train\nb.png;0;1.0;test\n", read_table),
    "yolo/photo.txt": (b"0 0.5 0.5 0.25 0.25\n1 0 0 1 0 1 1\n", yolo),
    "described/data.yaml": (b"names:\n  0: red\n  1: &a green\nnc: 2\n", described),
    **{f"read.{kind}": (picture(kind), read_photo) for kind in ("JPEG", "PNG", "BMP", "WEBP")},
    **{f"size.{kind}": (picture(kind), photo_size) for kind in ("JPEG", "PNG", "BMP", "WEBP")},
    **{f"facts.{kind}": (picture(kind), facts_of) for kind in ("JPEG", "PNG", "BMP", "WEBP")},
}
FILES = {name: (f"{json.dumps(content)}\n".encode(), read) for name, (content, read) in JSON.items()} | OTHERS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzzing")


@pytest.fixture(autouse=True)
def _here(folder, monkeypatch):
    (folder / PHOTO).write_bytes(picture("PNG"))
    monkeypatch.chdir(folder)


def outcome(read, path, content):
    """What a reader makes of a file: ("read", result) or ("told", line); any other exception passes."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    start = time.monotonic()
    try:
        return "read", read(path)
    except UserError as error:
        return "told", str(error)
    finally:
        path.unlink()
        assert time.monotonic() - start < LONGEST


@st.composite
def damage(draw, content):
    """A file's bytes with some changed, put in, left out or repeated, or cut off."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(content)))
        length = draw(st.integers(0, 8))
        kind = draw(st.sampled_from(["change", "insert", "delete", "repeat", "cut"]))
        if kind == "cut":
            del content[start:]
        elif kind == "repeat":
            content[start:start] = content[start : start + 8 * length] * draw(st.integers(1, 4))
        else:
            new = draw(st.binary(min_size=length, max_size=length))
            content[start : start + (0 if kind == "insert" else length)] = b"" if kind == "delete" else new
    return bytes(content)


@pytest.mark.parametrize("name", FILES)
def test_a_sound_file_is_read(folder, name):
    content, read = FILES[name]
    kind, result = outcome(read, folder / name, content)
    assert (kind, getattr(result, "error", None)) == ("read", None), result


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
def test_a_damaged_file_is_read_or_told(folder, name, data):
    content, read = FILES[name]
    kind, result = outcome(read, folder / name, data.draw(damage(content)))
    assert kind == "read" or "\n" not in result


# --- JSON of another form: a sound value, one of whose parts is another

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -1, 0, 1, 2**63, 1e300])
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["", PHOTO, "\ud800", "a\0b", "../x", "1" * 5000])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
)


@st.composite
def altered(draw, value):
    """A value of JSON, one of whose parts is another, is there twice or is missing."""
    if not isinstance(value, (dict, list)) or not value or draw(st.integers(0, 3)) == 0:
        return draw(VALUES)
    keys = list(value) if isinstance(value, dict) else range(len(value))
    key = draw(st.sampled_from(keys))
    value = value.copy()
    kind = draw(st.sampled_from(["alter", "alter", "alter", "drop", "repeat"]))
    if kind == "alter":
        value[key] = draw(altered(value[key]))
    elif kind == "drop":
        del value[key]
    elif isinstance(value, list):
        value.append(value[key])
    else:
        value[draw(st.text(max_size=4) | st.sampled_from(["1" * 5000, "\u00b2", "\u0663"]))] = value[key]
    return value


@pytest.mark.parametrize("name", JSON)
@settings(max_examples=100)
@given(data=st.data())
def test_json_of_another_form_is_read_or_told(folder, name, data):
    content, read = JSON[name]
    text = json.dumps(data.draw(altered(content)))
    kind, result = outcome(read, folder / name, f"{text}\n".encode())
    assert kind == "read" or "\n" not in result


@pytest.mark.parametrize("name", JSON)
@pytest.mark.parametrize("depth", [500, 900, 950, 980, 990, 1000, 100_000])
def test_deep_json_is_read_or_told(folder, name, depth):
    """Just below the depth at which Python's reader gives up, what comes after it must not fail either."""
    content, read = JSON[name]
    deep = "[" * depth + "]" * depth
    for spot in ("null", "1", '"red"', "2.5"):
        text = json.dumps(content).replace(spot, deep, 1)
        outcome(read, folder / name, f"{text}\n".encode())
    outcome(read, folder / name, deep.encode() + b"\n")


# --- tables made by a grammar

WORDS = ["path", "labels", "split", "unknown", "red", "green", "0", "1", "2", "photo.png", "train", "val"]
CELLS = st.sampled_from(
    WORDS + ["", " ", '"', '""', '"a\nb"', ";", "red;green", "\t", "\0", "\r", "\ufeff", "=1+1"]
)


NUMBERS = ["0", "1", "2", "-1", "0.5", "1e9", "nan", "inf", "1e999", "x"]


@settings(max_examples=200)
@given(rows=st.lists(st.lists(CELLS, max_size=5), max_size=6), mark=st.sampled_from(",;\t"))
def test_any_table_is_read_or_told(folder, rows, mark):
    text = "\n".join(mark.join(cells) for cells in [["path", "labels"][: len(rows) % 3], *rows])
    kind, result = outcome(read_table, folder / "list.csv", text.encode())
    if kind == "read":
        assert result.photos
    else:
        assert "\n" not in result


@given(lines=st.lists(st.lists(st.sampled_from(NUMBERS), max_size=9)))
def test_any_boxes_are_read_or_told(folder, lines):
    text = "\n".join(" ".join(values) for values in lines)
    kind, result = outcome(yolo, folder / "yolo/photo.txt", text.encode())
    boxes = [box for photo in result.photos for _, box, _ in photo.objects or ()] if kind == "read" else []
    assert all(0 <= side <= 16 for box in boxes for side in box[2:])


# --- XML made by a grammar

NAMES = st.sampled_from(
    ["object", "name", "difficult", "bndbox", "xmin", "xmax", "ymin", "ymax", "part", "annotation"]
)
TEXTS = st.sampled_from(
    ["dog", "0", "1", "true", "nan", "inf", "1e999", "1_0", "-1", "&amp;", "&lol;", "<![CDATA[x]]>"]
)
ENCODINGS = [
    "utf-8",
    "latin-1",
    "utf-16",
    "utf-7",
    "idna",
    "hex",
    "shift_jis",
    "punycode",
    "undefined",
    "none",
    "é",
]
ELEMENTS = st.recursive(
    TEXTS,
    lambda inner: st.builds(
        lambda name, parts: f"<{name}>{''.join(parts)}</{name}>", NAMES, st.lists(inner, max_size=5)
    ),
    max_leaves=20,
)
HEADS = st.sampled_from(
    [
        "",
        *(f'<?xml version="1.0" encoding="{name}"?>' for name in ENCODINGS),
        '<!DOCTYPE a [<!ENTITY lol "lol">]>',
        '<!DOCTYPE a SYSTEM "photo.png">',
        '<!DOCTYPE a [<!ENTITY % lol SYSTEM "photo.png"> %lol;]>',
    ]
)


@settings(max_examples=200)
@given(head=HEADS, parts=st.lists(ELEMENTS, max_size=5))
def test_any_xml_is_read_or_told(folder, head, parts):
    text = f"{head}<annotation>{''.join(parts)}</annotation>"
    kind, result = outcome(read_objects, folder / "voc.xml", text.encode())
    if kind == "read":
        assert all(thing.name and len(thing.box or [0] * 4) == 4 for thing in result)
    else:
        assert "\n" not in result


@pytest.mark.parametrize("depth", [1000, 100_000])
def test_deep_xml_is_read_or_told(folder, depth):
    text = "<annotation>" + "<a>" * depth + "</a>" * depth + "</annotation>"
    assert outcome(read_objects, folder / "voc.xml", text.encode()) == ("read", [])
