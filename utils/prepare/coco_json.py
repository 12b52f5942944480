"""Annotations in COCO's format (instances_*.json), read without their outlines and checked."""

from collections import Counter
from contextlib import redirect_stdout
from io import StringIO

from utils.errors import UserError
from utils.optional import optional
from utils.prepare.label_files import AGAIN, is_box, read_annotations

NEEDED = {  # lists of an annotation file, and the values that each of their items must have
    "images": {"id": int, "file_name": str},
    "annotations": {"id": int, "image_id": int, "category_id": int},
    "categories": {"id": int, "name": str},
}


def read_coco(path):
    """Return a pycocotools.coco.COCO of an annotation file, its index made; see read_instances."""
    coco = optional("pycocotools.coco", "pycocotools").COCO()
    coco.dataset = read_instances(path)
    with redirect_stdout(StringIO()):  # it prints what it does
        coco.createIndex()
    return coco


def read_instances(path):
    """Return what an annotation file holds, {"images": [...], ...} as NEEDED says, without "segmentation".

    Outlines are nine tenths of the file, and as Python numbers far more; nothing here needs them.
    Raises UserError when the file is missing, cut off or of another form, when an id is there twice
    and when an annotation names an image or a category that is not there.
    """
    content = read_annotations(path, _without_outline)
    ids = {}
    for name, needed in NEEDED.items():
        _check_list(path, name, content.get(name), needed)
        ids[name] = Counter(item["id"] for item in content[name])
    for name, counts in ids.items():
        if len(counts) < len(content[name]):
            twice = counts.most_common(1)[0][0]
            raise UserError(f"{path}: '{name}' has id {twice} twice; {AGAIN}")
    for kind, key, name in (("image", "image_id", "images"), ("category", "category_id", "categories")):
        unknown = {item[key] for item in content["annotations"]} - ids[name].keys()
        if unknown:
            raise UserError(f"{path}: an annotation is of {kind} {min(unknown)}, which is not there; {AGAIN}")
    return content


def box_of(annotation):
    """The "bbox" as [x, y, width, height] in pixels from 0, with two decimals; None where it is no box."""
    box = annotation.get("bbox")
    if not is_box(box):
        return None
    box = [round(side, 2) for side in box]
    return box if box[2] > 0 and box[3] > 0 else None


def _without_outline(item):
    item.pop("segmentation", None)
    return item


def _check_list(path, name, items, needed):
    if not isinstance(items, list) or not items and name != "annotations":
        raise UserError(f"{path}: '{name}' must be a list of one or more; are these COCO's instances?")
    for number, item in enumerate(items):
        if not isinstance(item, dict) or any(type(item.get(key)) is not kind for key, kind in needed.items()):
            form = ", ".join(f"{key} ({'text' if kind is str else 'number'})" for key, kind in needed.items())
            raise UserError(
                f"{path}: item {number} of '{name}' must have {form}; are these COCO's instances?"
            )
