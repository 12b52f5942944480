"""Make a data set of photos and labels of your own; `--dataset DIR` then takes it in every script.

python utils/prepare/prepare_custom.py labels.csv --out_dir DIR

IN is one of: a CSV file (path,labels with cat;dog, or path and a column a class with 1, 0 or nothing
for unknown), JSON lines, a COCO JSON, a folder of VOC's XML, a folder of YOLO's text files. Labels that
are unknown count neither in the loss nor in the figures. docs/own_data.md shows each.
"""

import os
import sys
import unicodedata
from pathlib import Path

# `python utils/prepare/prepare_custom.py` puts only this folder on the path, not the repository
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import utils  # noqa: F401  # isort: skip (first: it tells what is not installed)
import numpy as np

from utils.data_checks import examples
from utils.errors import UserError, printable, run_script
from utils.files import is_missing
from utils.options import OPTIONS, make_parser, number
from utils.prepare.box_readers import read_coco_file, read_voc_folder, xml_files
from utils.prepare.custom_output import check_outputs, findings_of, left_over, summary, texts_of
from utils.prepare.label_files import text_lines, warn, write_data_set
from utils.prepare.labelled import check_splits, check_twice, choose_classes, record_of
from utils.prepare.photo_facts import facts_of_all
from utils.prepare.splitting import choose_test, groups_of
from utils.prepare.table_readers import is_lines, read_lines, read_table
from utils.prepare.yolo_text import label_files, read_yolo_folder

READERS = {".csv": read_table, ".tsv": read_table, ".jsonl": read_lines, ".ndjson": read_lines,
           ".json": read_coco_file}  # fmt: skip
KINDS = "a .csv, .jsonl or COCO .json file, or a folder of VOC's XML or YOLO's text files"


def read_source(path, photos):
    """The Source of what lies at `path`, by its suffix or by what the folder holds."""
    if photos and not os.path.isdir(photos):
        raise UserError(f"--photos {photos} is no folder; name the one that the photos' paths count from")
    if is_missing(path):
        raise UserError(f"{path} is not there; IN is {KINDS}")
    if os.path.isdir(path):
        check_folder(path)
        has_xml, has_text = bool(xml_files(path)), bool(label_files(path))
        if has_xml and has_text:
            raise UserError(f"{path} holds VOC's XML and text files as well; name a folder with one of them")
        if not has_xml and not has_text:
            raise UserError(f"{path} holds no VOC XML and no text files of YOLO; IN is {KINDS}")
        return (read_voc_folder if has_xml else read_yolo_folder)(path, photos)
    if path.suffix.lower() not in READERS:
        raise UserError(f"{path}: what is it? IN is {KINDS}")
    reader = READERS[path.suffix.lower()]
    return (read_lines if reader is read_coco_file and is_lines(path) else reader)(path, photos)


def check_folder(path):
    """UserError where a folder cannot be listed: looking for files in it finds none, and says nothing."""
    try:
        os.listdir(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; change its permissions") from None


def names_of(given):
    """The class names of --classes: names, or a file with one a line; None where the annotations tell."""
    if given == ["auto"]:
        return None
    one = Path(given[0])
    if len(given) > 1 or not (one.suffix == ".txt" or os.path.isfile(one)):
        return given
    if not text_lines(one):
        raise UserError(f"--classes {one} holds no name; write one a line")
    return text_lines(one)


def look_at_photos(paths):
    """The Facts of all photos; UserError where some are not there or cannot be read."""
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        near = meant(missing[0])
        remedy = "say with --photos DIR what their paths count from, or take them out"
        if near:
            remedy = f"{near} is there: write names as the folder has them, case, accents, ending, / and all"
        raise UserError(f"{len(missing)} of {len(paths)} photos not found: {examples(missing)}; {remedy}")
    facts = facts_of_all(paths, OPTIONS["num_workers"]["default"])
    broken = [f"{path} ({fact.error})" for path, fact in zip(paths, facts, strict=True) if fact.error]
    if broken:
        raise UserError(
            f"{len(broken)} of {len(paths)} photos cannot be read: {examples(broken)}; mend or take them out"
        )
    return facts


def meant(path):
    """The file that is there when `path` is not, and differs in case, in how accents are coded, in a suffix
    that is missing, or in a \\ for a / alone; None without one."""
    folder, name = os.path.split(path.replace("\\", "/"))
    try:
        there = sorted(os.listdir(folder or "."))
    except (OSError, ValueError):  # ValueError: a zero byte
        return None
    fits = (one for one in there if plain(name) in (plain(one), plain(os.path.splitext(one)[0])))
    return next((os.path.join(folder, one) for one in fits), None)


def plain(name):
    """A name without case, and with accents coded in one way: macOS has another than Linux and Windows."""
    return unicodedata.normalize("NFC", name).casefold()


def make_splits(photos, records, facts, share, seed):
    """({"train", "val" or "test", or both: records}, a line that tells how, warnings)."""
    if check_splits(photos):
        names, how, notes = [photo.split for photo in photos], "as the annotations say", []
    elif share == 0:
        names, how, notes = ["train"] * len(photos), "all, by --test_share 0", []
    else:
        group, note = groups_of(facts, share)
        targets = [record["target"] for record in records]
        in_test = choose_test(targets, group, share, seed)
        names, notes = ["test" if chosen else "train" for chosen in in_test], [note] if note else []
        sizes = np.bincount(group)
        how, several = f"stratified by labels, seed {seed}", sizes[sizes > 1]
        if len(several):
            how += f"; {several.sum()} photos look like others, in {len(several)} groups, each on one side"
    if set(names) == {"train"}:
        notes.append("no photo is kept for the evaluation: train.py needs --tranval False")
    splits = {name: [] for name in ("train", "val", "test") if name in names}
    for name, record in zip(names, records, strict=True):
        splits[name].append(record)
    return splits, how, notes


def parse_args(argv=None):
    """Read the command line."""
    seed = {"seed": {"help": "of the split"}}
    parser = make_parser(__doc__, run="seed", changes=seed)
    add = parser.add_argument
    add("input", metavar="IN", type=Path, help="what says which labels the photos have, see above")
    add("--out_dir", type=Path, required=True, metavar="DIR", help="folder for the data set")
    add(
        "--photos",
        type=Path,
        metavar="DIR",
        help="where the photos lie (default: paths count from IN's folder)",
    )
    add(
        "--classes",
        nargs="+",
        default=["auto"],
        metavar="NAME",
        help="class names in order, or a .txt file of them, one a line (default: those in the annotations)",
    )
    add(
        "--test_share",
        type=number(0, 0.9),
        default=0.2,
        metavar="SHARE",
        help="of the photos, to evaluate on, where the annotations do not say which (default: %(default)s)",
    )
    return parser.parse_args(argv)


def main(args):
    """Read and check everything, then write the label files and classes.json."""
    source = read_source(args.input, args.photos)
    check_twice(source.photos)
    classes = choose_classes(names_of(args.classes), source)
    records = [record_of(photo, classes) for photo in source.photos]
    paths = [record["img_path"] for record in records]
    facts = look_at_photos(paths)
    splits, how, notes = make_splits(source.photos, records, facts, args.test_share, args.seed)
    texts = texts_of(args.out_dir, args.input, classes, splits)
    check_outputs(texts, args.out_dir, args.input)
    findings = findings_of(classes, splits, dict(zip(paths, facts, strict=True)))
    write_data_set(texts)

    print("\n".join(summary(args.input, classes, splits, how)))
    for note in [*source.notes, *notes, *findings, *left_over(texts, args.out_dir)]:
        warn(printable(note))
    print(f"wrote {', '.join(str(path) for path in texts)}")


if __name__ == "__main__":
    run_script(main, parse_args)
