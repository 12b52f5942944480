"""Make label files of COCO 2014 or 2017 from its instances_*.json: one JSON record a photo.

python utils/prepare/prepare_coco.py --data_path Dataset/COCO2014
python utils/prepare/prepare_coco.py --data_path Dataset/COCO2017 --year 2017

Every object of a class makes the class present, a crowd (iscrowd: a group in one outline) too; its
box is marked difficult. Photos without annotation are left out. Both is as in the original of CSRA.
"""

import json
import os
import sys
from pathlib import Path

# `python utils/prepare/prepare_coco.py` puts only this folder on the path, not the repository
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from datasets.spec import CLASSES_FILE, COCO_CLASSES
from utils.errors import UserError, run_script
from utils.files import is_missing, read_json
from utils.options import Parser
from utils.prepare.coco_json import box_of, read_coco
from utils.prepare.label_files import records_text, warn, write_data_set

SPLITS = ("train", "val")
YEARS = {"2014": "coco", "2017": "coco17"}  # and the folder under data/


def find_photos(data_path, split, year):
    """Return the folder of a split's photos: in DATA_PATH, or in its images/ as the original wants it."""
    folders = [Path(data_path, *inner, f"{split}{year}") for inner in ((), ("images",))]
    found = next((folder for folder in folders if os.path.isdir(folder)), None)
    if found is None:
        raise UserError(f"folder {folders[0]} not found; choose by --data_path and --year")
    return found


def columns_of(coco, path):
    """Return {category id: column}, in the order of the ids; UserError where they are not COCO's 80."""
    ids = sorted(coco.cats)
    names = [coco.cats[number]["name"].replace(" ", "_") for number in ids]
    if names != list(COCO_CLASSES):
        pairs = zip([*names, "no more"], [*COCO_CLASSES, "no more"], strict=False)
        found, wanted = next(pair for pair in pairs if pair[0] != pair[1])
        raise UserError(
            f"{path}: its {len(names)} categories are not COCO's {len(COCO_CLASSES)}: '{found}' in place of "
            f"'{wanted}'; utils/prepare/prepare_custom.py takes any categories"
        )
    return {number: column for column, number in enumerate(ids)}


def records_of(coco, columns, photos, keep_empty):
    """Return a record a photo, in the order of image ids; photos: their folder.

    A record has "objects" where each of the photo's annotations has a valid box.
    """
    records = []
    for number in sorted(coco.imgs):
        annotations = coco.imgToAnns.get(number, [])
        if annotations or keep_empty:
            path = photos / coco.imgs[number]["file_name"]
            records.append(record_of(str(path), annotations, columns))
    return records


def record_of(img_path, annotations, columns):
    """Return the record of one photo; its target holds 1 for a class that is there and 0 for others."""
    target, objects = [0] * len(columns), []
    for annotation in annotations:
        column, box = columns[annotation["category_id"]], box_of(annotation)
        target[column] = 1
        if box:
            crowd = int(annotation.get("iscrowd") == 1)
            objects.append({"class": column, "bbox": box, "difficult": crowd})
    record = {"img_path": img_path, "target": target}
    return record if len(objects) < len(annotations) else {**record, "objects": objects}


def check_photos(coco, records, path):
    """UserError for a photo that is not there or there twice, and for a name that leaves the folder."""
    for image in coco.imgs.values():
        if os.path.basename(image["file_name"]) != image["file_name"]:
            raise UserError(f"{path}: file_name '{image['file_name']}' is not the name of a file in a folder")
    paths = [record["img_path"] for record in records]
    if not paths:
        raise UserError(f"{path} has no photo with an annotation; give --keep_empty to keep those without")
    if len(set(paths)) < len(paths):
        raise UserError(f"{path} names {len(paths) - len(set(paths))} photos more than once")
    missing = [photo for photo in paths if not os.path.isfile(photo)]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(paths)} photos not found, first {missing[0]}; unpack them again"
        )


def read_split(data_path, split, year, keep_empty):
    """Return (records, what to print, warnings) of a split; the annotations are let go of."""
    photos = find_photos(data_path, split, year)
    path = Path(data_path, "annotations", f"instances_{split}{year}.json")
    coco = read_coco(path)
    records = records_of(coco, columns_of(coco, path), photos, keep_empty)
    check_photos(coco, records, path)
    crowds = sum(annotation.get("iscrowd") == 1 for annotation in coco.anns.values())
    empty = len(coco.imgs) - len(coco.imgToAnns.keys() & coco.imgs.keys())
    labels = sum(sum(record["target"]) for record in records)
    said = (
        f"{split}{year}: {len(records)} photos, {labels} labels of {len(coco.anns)} annotations, {crowds} of "
        f"them crowds; {empty} photos without annotation {'kept' if keep_empty else 'left out'}"
    )
    boxless = [record["img_path"] for record in records if "objects" not in record]
    warning = f"{len(boxless)} photos of {split}{year} have an annotation without a valid box, and so get "
    return records, said, boxless and f"{warning}no objects, first {boxless[0]}"


def check_out_dir(out_dir, train_file):
    """UserError where `out_dir` holds a classes.json of other label files: the two would be mixed up."""
    path = out_dir / CLASSES_FILE
    if is_missing(path):
        return
    known = read_json(path)
    train = known.get("train") if isinstance(known, dict) else None
    if train != train_file:
        raise UserError(f"{path} is of other label files (train: {train}); choose another --out_dir")


def parse_args(argv=None):
    """Read the command line."""
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--data_path", help="folder of annotations/ and of the photos (default: Dataset/COCO{year})")
    add("--year", default="2014", choices=tuple(YEARS), help="(default: %(default)s)")
    add("--out_dir", help="folder for the label files (default: data/coco; for 2017 data/coco17)")
    add("--keep_empty", action="store_true", help="keep photos without annotation, all classes absent")
    return parser.parse_args(argv)


def main(args):
    """Read and check both splits, then write the label files and classes.json."""
    data_path = args.data_path or f"Dataset/COCO{args.year}"
    out_dir = Path(args.out_dir or f"data/{YEARS[args.year]}")
    files = {split: f"{split}_coco{args.year}.json" for split in SPLITS}
    check_out_dir(out_dir, files["train"])
    about = {"classes": COCO_CLASSES, "train": files["train"], "test": files["val"], "ignored": None}
    texts, said = {out_dir / CLASSES_FILE: json.dumps(about) + "\n"}, {}
    for split in SPLITS:
        records, *said[split] = read_split(data_path, split, args.year, args.keep_empty)
        texts[out_dir / files[split]] = records_text(records)
    write_data_set(texts)
    for line, warning in said.values():
        print(line)
        if warning:
            warn(warning)
    print(f"wrote {', '.join(str(path) for path in texts)}")


if __name__ == "__main__":
    run_script(main, parse_args)
