"""Look for what is wrong with a data set, before hours of training do.

python utils/prepare/check_dataset.py data/voc07
python utils/prepare/check_dataset.py DIR --fix FIXED    then as it says: --dataset FIXED

Every photo is decoded. Errors stop a training or falsify its figures, warnings are worth a look.
Exit code: 0 without errors, 1 with, 2 when it cannot be checked or --fix finds no sound record.
"""

import json
import os
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as `python utils/prepare/check_dataset.py`

import utils  # noqa: F401  # isort: skip (first: it tells what is not installed)
import numpy as np

from datasets.spec import CLASSES_FILE, SPECS, load_spec
from utils.data_checks import ERROR
from utils.errors import UserError, printable, run_script
from utils.files import is_missing, write_json
from utils.options import make_parser
from utils.prepare.class_names import tidy
from utils.prepare.label_checks import check_labels, check_wanted, read_split
from utils.prepare.label_files import records_text, write_data_set
from utils.prepare.photo_checks import check_photos
from utils.prepare.photo_facts import facts_of_all

DROPPED = ("record", "photo", "box", "leak", "all_ignored")  # checks whose records --fix leaves out


def examine(spec, folder, wanted, num_workers):
    """Return ([Split], {path: Facts}, [Finding], errors first) of a data set; wanted: class names or None."""
    names = [name for name, file in (("train", spec.train_file), ("test", spec.test_file)) if file]
    if not names:
        raise UserError(f"data set {spec.name} in {folder} has neither a train nor a test split")
    splits, findings = [], []
    for name in names:
        split, wrong = read_split(spec, folder, name)
        splits.append(split)
        findings += wrong
    findings += check_labels(spec.classes, splits)
    findings += check_wanted(spec.classes, wanted) if wanted else []
    paths = list(dict.fromkeys(path for split in splits for path in split.records.paths))
    facts = dict(zip(paths, facts_of_all(paths, num_workers), strict=True))
    findings += check_photos(splits, facts)
    return splits, facts, sorted(findings, key=lambda finding: finding.level != ERROR)


def positives(split):
    """Positives of each class, (C,) int."""
    return (split.records.labels == 1).sum(axis=0)


def summary(spec, splits, facts, findings):
    """Lines to read: splits, positives of each class, findings, a verdict."""
    lines = []
    for split in splits:
        photos = {path: facts[path] for path in split.records.paths}
        sizes = np.array([fact.size for fact in photos.values() if not fact.error] or [(0, 0)])
        width, height = np.median(sizes, axis=0)
        ignored = (split.records.labels == -1).mean() if len(split.records) else 0
        lines.append(
            f"{split.name}: {len(split.raw)} records in {split.path}, {len(photos)} photos, mostly around "
            f"{width:.0f} x {height:.0f}; {positives(split).sum()} positive labels, {ignored:.1%} ignored"
        )
    lines.append("positives of each class, " + " / ".join(split.name for split in splits) + ":")
    counts = np.stack([positives(split) for split in splits], axis=1)  # (C, 1 or 2)
    for name, row in zip(spec.classes, counts.tolist(), strict=True):
        lines.append(f"  {name}: {' / '.join(map(str, row))}")
    for finding in findings:
        where = f"{finding.split}: " if finding.split else ""
        lines.append(f"{finding.level}: {where}{printable(finding.message)}")
    levels = Counter(finding.level for finding in findings)
    return [*lines, f"{levels['error']} errors, {levels['warning']} warnings"]


def as_json(spec, splits, facts, findings):
    """The same and more as plain values; rows count from 0."""
    return {
        "dataset": spec.name,
        "classes": list(spec.classes),
        "splits": {
            split.name: {
                "file": str(split.path),
                "records": len(split.raw),
                "photos": len(set(split.records.paths)),
                "positives": dict(zip(spec.classes, positives(split).tolist(), strict=True)),
                "ignored": int((split.records.labels == -1).sum()),
                "modes": Counter(
                    facts[path].mode for path in set(split.records.paths) if not facts[path].error
                ),
            }
            for split in splits
        },
        "findings": [finding._asdict() for finding in findings],
        "errors": sum(finding.level == ERROR for finding in findings),
    }


def fixed(spec, splits, findings, folder):
    """{path: text} of the data set in `folder`, without the records that DROPPED checks found; and lines."""
    files = {split.name: split.path.name for split in splits}
    if len({*files.values()}) < len(files):  # they lay in different folders
        files = {name: f"{name}.json" for name in files}
    description = {
        "classes": list(spec.classes),
        "train": files.get("train"),
        "test": files.get("test"),
        "ignored": spec.test_ignored,
        "train_ignored": spec.train_ignored,
    }
    texts, lines = {}, []
    for split in splits:
        dropped = {row for f in findings if f.check in DROPPED and f.split == split.name for row in f.rows}
        kept = [record for row, record in enumerate(split.raw) if row not in dropped]
        if not kept:
            raise UserError(f"--fix: no record of {split.path} is sound; correct it by hand")
        texts[folder / files[split.name]] = records_text(kept)
        lines.append(f"{folder / files[split.name]}: {len(kept)} records, {len(dropped)} left out")
    texts[folder / CLASSES_FILE] = json.dumps(description, ensure_ascii=False) + "\n"
    # the recipe and the rules of a built-in data set go with its name
    use = f"{spec.name} --data_dir {folder}" if spec.name in SPECS else folder
    return texts, [*lines, f"use it with --dataset {use}"]


def check_outputs(args, folder):
    """UserError for outputs that would change the data set itself, or anything else that is there."""
    if args.fix and not is_missing(args.fix) and not (os.path.isdir(args.fix) and not os.listdir(args.fix)):
        raise UserError(f"--fix {args.fix} exists and is not empty; name a new folder")
    if args.json and os.path.exists(args.json) and os.path.samefile(args.json.parent, folder):
        raise UserError(f"--json {args.json} is a file of the data set; give another name")


def names_of(given):
    """The class names of --names: those of a data set, or of a text file, one a line."""
    if given is None:
        return None
    if given in SPECS or os.path.isdir(given):
        return load_spec(given)[0].classes
    try:
        names = [tidy(line) for line in Path(given).read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read --names {given}: {reason}") from None
    if not any(names):
        raise UserError(f"--names {given} holds no name; write one a line")
    return [name for name in names if name]


def parse_args(argv=None):
    parser = make_parser(__doc__, data="data_dir num_workers")
    add = parser.add_argument
    add("dataset", metavar="DIR", help="a folder with classes.json, or voc07, coco or wider")
    add("--names", help="the class names that are right: a data set, or a file, one name a line")
    add("--json", type=Path, metavar="FILE", help="write everything that was found to this file")
    add(
        "--fix",
        type=Path,
        metavar="NEW",
        help="write a data set without the broken records to this new folder",
    )
    return parser.parse_args(argv)


def main(args):
    spec, folder = load_spec(args.dataset, args.data_dir)
    check_outputs(args, folder)
    splits, facts, findings = examine(spec, folder, names_of(args.names), args.num_workers)
    print("\n".join(summary(spec, splits, facts, findings)))
    if args.json:
        write_json(args.json, as_json(spec, splits, facts, findings), indent=1)
    # below what was found: where nothing is sound, that is what the user needs
    texts, lines = fixed(spec, splits, findings, args.fix) if args.fix else ({}, [])
    write_data_set(texts)
    for line in lines:
        print(line)
    return int(any(finding.level == ERROR for finding in findings))


if __name__ == "__main__":
    run_script(main, parse_args)
