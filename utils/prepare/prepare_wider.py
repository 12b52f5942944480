"""Make label files of WIDER Attribute: one JSON record a person, with the person's box.

python utils/prepare/prepare_wider.py --data_path Dataset/WIDER

An attribute that is not specified counts as absent in trainval and is ignored (99) in test, as in the
original of CSRA. A person whose box holds no pixel of the photo is left out.
"""

import json
import os
import reprlib
import sys
from pathlib import Path

# `python utils/prepare/prepare_wider.py` puts only this folder on the path, not the repository
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import utils  # noqa: F401  # isort: skip (first: it tells what is not installed)
from tqdm import tqdm

from datasets.spec import CLASSES_FILE, SPECS, WIDER_CLASSES
from datasets.transforms import clipped, photo_size
from utils.errors import UserError, run_script
from utils.options import Parser
from utils.prepare.label_files import AGAIN, is_box, read_annotations, records_text, warn, write_data_set

SPEC = SPECS["wider"]
FILES = {"trainval": SPEC.train_file, "test": SPEC.test_file}
UNSPECIFIED = {"trainval": 0, "test": SPEC.test_ignored}  # the target of an attribute that is not specified
# where the annotations lie: as the original wants them, and as the official archive unpacks
FOLDERS = ("Annotations", "Annotations/wider_attribute_annotation", "wider_attribute_annotation", ".")


def find_annotations(data_path, split):
    """Return the path of a split's annotations; UserError where there are none."""
    name = f"wider_attribute_{split}.json"
    paths = [Path(data_path, folder, name) for folder in FOLDERS]
    found = next((path for path in paths if os.path.isfile(path)), None)
    if found is None:
        raise UserError(f"{paths[0]} not found; choose by --data_path the folder of Annotations and Image")
    return found


def read_images(path):
    """Return the "images" of an annotation file: [{"file_name", "targets": [{"attribute", "bbox"}]}].

    Raises UserError for another form and for another list of attributes.
    """
    content = read_annotations(path)
    images = content.get("images")
    if not isinstance(images, list) or not images:
        raise UserError(f"{path}: 'images' must be a list of one or more; {AGAIN}")
    check_attributes(path, content.get("attribute_id_map"))
    seen = set()
    for number, image in enumerate(images):
        problem = _problem(image)
        if problem is None and image["file_name"] in seen:
            problem = f"file_name '{image['file_name']}' is there twice"
        if problem:
            raise UserError(f"{path}, image {number}: {problem}; {AGAIN}")
        seen.add(image["file_name"])
    return images


def check_attributes(path, names):
    """UserError where {id: name} has not WIDER's attributes in their order; letters' case does not matter."""
    if not isinstance(names, dict) or not all(
        key.isdecimal() and len(key) < 9 and isinstance(name, str) for key, name in names.items()
    ):
        raise UserError(f"{path}: 'attribute_id_map' must be an object of numbers and names; {AGAIN}")
    found = [names[key].lower() for key in sorted(names, key=int)]
    if len(found) != len(WIDER_CLASSES):
        raise UserError(f"{path} has {len(found)} attributes, WIDER has {len(WIDER_CLASSES)}; {AGAIN}")
    ours = [name.lower() for name in WIDER_CLASSES]
    differing = [f"'{a}' for '{b}'" for a, b in zip(found, ours, strict=True) if a != b]
    if differing and sorted(found) == sorted(ours):
        raise UserError(f"{path} has WIDER's attributes in another order: {differing[0]}; {AGAIN}")
    if differing:
        warn(f"{path} names attributes otherwise, taken by their place: {', '.join(differing)}")


def _problem(image):
    if not isinstance(image, dict) or not isinstance(image.get("file_name"), str):
        return "has no file_name"
    parts = Path(image["file_name"]).parts
    if not parts or Path(image["file_name"]).is_absolute() or ".." in parts:
        return f"file_name '{image['file_name']}' is not a path within the folder Image"
    if not isinstance(image.get("targets"), list):
        return "'targets' must be a list of persons"
    return next(filter(None, map(_problem_of_person, image["targets"])), None)


def _problem_of_person(person):
    attribute = person.get("attribute") if isinstance(person, dict) else None
    if not isinstance(attribute, list) or len(attribute) != len(WIDER_CLASSES):
        return f"attribute {reprlib.repr(attribute)} must be a list of {len(WIDER_CLASSES)}"
    wrong = [value for value in attribute if type(value) is not int or value not in (-1, 0, 1)]
    if wrong:
        return f"attribute {reprlib.repr(wrong[0])} is none of 1, 0 and -1"
    if not is_box(person.get("bbox")):
        return f"bbox {reprlib.repr(person.get('bbox'))} must be [x, y, width, height]"
    return None


def target_of(attribute, unspecified):
    """Return the targets of a person's attributes 1, 0 (not specified) and -1."""
    return [{1: 1, 0: unspecified, -1: 0}[value] for value in attribute]


def records_of(images, folder, split):
    """Return (records, paths of photos with a person left out), in the order of the annotations."""
    records, left_out = [], []
    with tqdm(images, desc=split, unit="photo", disable=None) as progress:  # None: silent outside a terminal
        for image in progress:
            path = folder / image["file_name"]
            size = photo_size(path, "; unpack the photos again")
            for person in image["targets"]:
                target = target_of(person["attribute"], UNSPECIFIED[split])
                if clipped(person["bbox"], size):
                    records.append({"img_path": str(path), "target": target, "bbox": person["bbox"]})
                else:
                    left_out.append(str(path))
    return records, left_out


def parse_args(argv=None):
    """Read the command line."""
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--data_path", default="Dataset/WIDER", help="folder of Annotations/ and Image/ (%(default)s)")
    add("--out_dir", default="data/wider", help="folder for the label files (%(default)s)")
    return parser.parse_args(argv)


def main(args):
    """Read and check both splits, then write the label files and classes.json."""
    paths = {split: find_annotations(args.data_path, split) for split in FILES}
    images = {split: read_images(path) for split, path in paths.items()}
    found = {split: records_of(images[split], Path(args.data_path, "Image"), split) for split in FILES}
    for split, (records, _) in found.items():
        if not records:
            raise UserError(f"{paths[split]} has no person; {AGAIN}")

    about = {"classes": WIDER_CLASSES, "train": SPEC.train_file, "test": SPEC.test_file}
    about["ignored"] = SPEC.test_ignored
    out_dir = Path(args.out_dir)
    texts = {out_dir / CLASSES_FILE: json.dumps(about) + "\n"}
    texts.update({out_dir / FILES[split]: records_text(records) for split, (records, _) in found.items()})
    write_data_set(texts)

    for split, (records, left_out) in found.items():
        attributes = [value for image in images[split] for p in image["targets"] for value in p["attribute"]]
        unspecified = "taken as absent" if UNSPECIFIED[split] == 0 else "to be ignored"
        print(
            f"{split}: {len(records)} persons in {len(images[split])} photos, {attributes.count(1)} "
            f"attributes, {attributes.count(0)} more not specified, {unspecified}"
        )
        if left_out:
            warn(f"{len(left_out)} persons of {split} left out, their box is not in {left_out[0]}, ...")
    print(f"wrote {', '.join(str(path) for path in texts)}")


if __name__ == "__main__":
    run_script(main, parse_args)
