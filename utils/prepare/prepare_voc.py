"""Make label files from a PASCAL VOC tree (XML annotations): one JSON record a photo.

python utils/prepare/prepare_voc.py --data_path Dataset/VOCdevkit --year 2007 --out_dir data/voc07
python utils/prepare/prepare_voc.py --data_path mine --classes auto    a folder of that layout and any name
"""

import difflib
import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

# `python utils/prepare/prepare_voc.py` puts only this folder on the path, not the repository
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import utils  # noqa: F401  # isort: skip (first: it tells what is not installed)
from tqdm import tqdm

from datasets.spec import CLASSES_FILE, VOC_CLASSES
from utils.errors import UserError, run_script
from utils.options import Parser
from utils.prepare.class_names import check_printable, tidy
from utils.prepare.label_checks import check_names
from utils.prepare.label_files import records_text, text_lines, warn, write_data_set
from utils.prepare.voc_folder import DEFAULT_YEAR, LISTS, find_voc, tag_of
from utils.prepare.voc_lists import IGNORED, compare, read_split
from utils.prepare.voc_xml import read_objects

SUFFIXES = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")


class Photo(NamedTuple):
    """A listed photo: where it and its annotation lie, its Objects."""

    img_path: str
    xml_path: Path
    objects: list


def read_photos(voc, split, ids):
    """Return {id: Photo} in the order of `ids`; UserError names the file that is missing or broken."""
    photos = {}
    with tqdm(ids, desc=split, unit="photo", disable=None) as progress:  # None: silent outside a terminal
        for photo_id in progress:
            xml_path = voc / "Annotations" / f"{photo_id}.xml"
            candidates = [voc / "JPEGImages" / f"{photo_id}{suffix}" for suffix in SUFFIXES]
            img_path = next((path for path in candidates if os.path.isfile(path)), candidates[0])
            for path in (xml_path, img_path):
                if not os.path.isfile(path):
                    raise UserError(f"{path} not found, though split {split} lists it; unpack VOC again")
            photos[photo_id] = Photo(str(img_path), xml_path, read_objects(xml_path))
    return photos


def choose_classes(choice, photos):
    """Return the class names for `--classes voc|auto|FILE`; `photos`: every Photo that was read.

    Raises UserError for a file that does not fit and for an object of another class.
    """
    found = {}  # name -> the XML where it is first
    for photo in photos:
        for thing in photo.objects:
            found.setdefault(thing.name, photo.xml_path)
    classes = {"voc": list(VOC_CLASSES), "auto": sorted(found)}.get(choice)
    if classes is None:
        classes = [tidy(line) for line in text_lines(Path(choice))]
    if not classes or len(set(classes)) < len(classes):
        raise UserError(f"--classes {choice} gives no class or one twice; want different names, one a line")
    check_printable(classes, found)
    unknown = [name for name in found if name not in classes]
    if unknown:
        name = unknown[0]
        near = ", ".join(difflib.get_close_matches(name, classes)) or "none"
        raise UserError(
            f"{found[name]}: unknown class '{name}' (near it: {near}); correct it or give --classes"
        )
    return classes


def target_of(objects, classes):
    """Return each class's label: 1 present, 0 (IGNORED) when all its objects are difficult, -1 absent."""
    labels = {}
    for name, difficult, _ in objects:
        labels[name] = max(labels.get(name, IGNORED), IGNORED if difficult else 1)
    return [labels.get(name, -1) for name in classes]


def targets_of(photos, classes):
    """Return {id: target} of {id: Photo}."""
    return {photo_id: target_of(photo.objects, classes) for photo_id, photo in photos.items()}


def records_of(photos, targets, classes, training):
    """Return the records of a label file; in training absent and IGNORED become 0.

    A record has "objects" where each of the photo's objects has a valid box.
    """
    records = []
    for photo_id, photo in photos.items():
        target = [max(label, 0) for label in targets[photo_id]] if training else targets[photo_id]
        record = {"img_path": photo.img_path, "target": target}
        if has_boxes(photo):
            record["objects"] = [
                {"class": classes.index(name), "bbox": box, "difficult": int(difficult)}
                for name, difficult, box in photo.objects
            ]
        records.append(record)
    return records


def has_boxes(photo):
    """Whether the place of each object is known (of none: it is)."""
    return all(thing.box for thing in photo.objects)


def report(split, ids, photos, targets, compared, differing):
    """Print what a split holds; warn of repeated ids, labels that differ from VOC's lists, missing boxes."""
    labels = [label for target in targets.values() for label in target]
    print(f"{split}: {len(targets)} photos, {labels.count(1)} labels", end=", ")
    print(f"{labels.count(IGNORED)} more of difficult objects only", end="; ")
    print(f"{compared - len(differing)} of {compared} labels found in {LISTS} agree")
    if differing:
        first = ", ".join(f"{i} {name} {ours}/{theirs}" for i, name, ours, theirs in differing[:3])
        warn(f"{len(differing)} labels of {split} differ from {LISTS}/CLASS_*.txt (XML/list): {first}")
    if len(ids) > len(targets):
        warn(f"{len(ids) - len(targets)} lines of split {split} repeat an id; each photo was taken once")
    boxless = [photo.xml_path for photo in photos.values() if not has_boxes(photo)]
    if boxless and any(thing.box for photo in photos.values() for thing in photo.objects):
        warn(f"{len(boxless)} photos of {split} hold an object without a valid box, first {boxless[0]}")


def warn_of_names(classes, targets):
    """Warn of names found that look like one class in two spellings, and the like."""
    counts = {name: column.count(1) for name, column in zip(classes, zip(*targets, strict=True), strict=True)}
    for finding in check_names(classes, counts):
        warn(finding.message)


def parse_args(argv=None):
    """Read the command line."""
    parser = Parser(__doc__)
    add = parser.add_argument
    add(
        "--data_path",
        default="Dataset/VOCdevkit/",
        help="folder that holds VOC{year}, or a folder that itself holds Annotations ... (%(default)s)",
    )
    add("--year", help=f"the photos lie in VOC{{year}} ({DEFAULT_YEAR})")
    add("--train_split", default="trainval", help="list in ImageSets/Main (%(default)s)")
    add("--test_split", default="test", help="list in ImageSets/Main, or none (%(default)s)")
    add("--out_dir", help="folder for the label files (data/voc07 for VOC2007, data/mine for mine)")
    add("--classes", default="voc", help="voc, auto (names in the XML) or a file, one name a line (voc)")
    return parser.parse_args(argv)


def choose_splits(train_split, test_split):
    """Return the splits to make; UserError where their names do not make two file names."""
    splits = [train_split] if test_split == "none" else [train_split, test_split]
    if train_split == test_split:
        raise UserError(f"--train_split and --test_split are both '{train_split}'; give different ones")
    for split in splits:
        if Path(split).name != split:
            raise UserError(f"split '{split}' is a path; give the name of a list in {LISTS}, such as train")
    return splits


def main(args):
    """Read and check everything, then write the label files and classes.json."""
    splits = choose_splits(args.train_split, args.test_split)
    voc = find_voc(args.data_path, args.year)
    tag = tag_of(voc)
    listed = {split: read_split(voc, split) for split in splits}
    # sorted as text, as the reference sorts its photos
    photos = {split: read_photos(voc, split, sorted(set(ids))) for split, ids in listed.items()}
    classes = choose_classes(args.classes, [photo for read in photos.values() for photo in read.values()])
    targets = {split: targets_of(read, classes) for split, read in photos.items()}
    checks = {split: compare(voc, split, classes, targets[split]) for split in splits}

    out_dir = Path(args.out_dir or f"data/{tag}")
    files = {split: f"{split}_{tag}.json" for split in splits}
    description = {"classes": classes, "train": files[args.train_split], "test": files.get(args.test_split)}
    description["ignored"] = IGNORED
    texts = {out_dir / CLASSES_FILE: json.dumps(description, ensure_ascii=False) + "\n"}
    for split in splits:
        training = split == args.train_split
        records = records_of(photos[split], targets[split], classes, training)
        texts[out_dir / files[split]] = records_text(records)
    write_data_set(texts)

    for split in splits:
        report(split, listed[split], photos[split], targets[split], *checks[split])
    print(f"wrote {', '.join(str(path) for path in texts)}")
    if args.classes == "auto":
        warn_of_names(classes, [target for of in targets.values() for target in of.values()])
    shared = set(targets[splits[0]]) & set(targets[splits[-1]]) if len(splits) > 1 else ()
    if shared:
        warn(f"{len(shared)} photos are in {args.train_split} and in {args.test_split}, first {min(shared)}")


if __name__ == "__main__":
    run_script(main, parse_args)
