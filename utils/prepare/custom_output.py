"""What prepare_custom.py writes, and what it says of it."""

import json
import os

import numpy as np

from datasets.records import as_records
from datasets.spec import CLASSES_FILE
from utils.data_checks import check_records
from utils.errors import UserError, printable
from utils.files import is_missing, read_json
from utils.prepare.label_checks import Split, check_names
from utils.prepare.label_files import records_text
from utils.prepare.labelled import UNKNOWN
from utils.prepare.photo_checks import check_photos


def texts_of(out_dir, source, classes, splits):
    """{path: text} of the data set. Given all three splits, val evaluates while training, and a second data
    set, OUT_DIR/test, keeps the test photos."""
    homes = {"train": out_dir, "val": out_dir, "test": out_dir / "test" if "val" in splits else out_dir}
    texts = {homes[name] / f"{name}.json": records_text(records) for name, records in splits.items()}
    for home in dict.fromkeys(homes[name] for name in splits):
        there = [name for name in splits if homes[name] == home]
        evaluated = next((f"{name}.json" for name in there if name != "train"), None)
        about = {
            "classes": classes,
            "train": "train.json" if "train" in there else None,
            "test": evaluated,
            "ignored": UNKNOWN,
            "train_ignored": UNKNOWN,
            "source": printable(str(source)),
        }
        texts[home / CLASSES_FILE] = json.dumps(about, ensure_ascii=False) + "\n"
    return texts


def check_outputs(texts, out_dir, source):
    """UserError where a file would be replaced that is none of an earlier run, or the annotations' own."""
    there = [path for path in texts if not is_missing(path)]
    about = None if is_missing(out_dir / CLASSES_FILE) else read_json(out_dir / CLASSES_FILE)
    if there and not (isinstance(about, dict) and "source" in about):
        raise UserError(
            f"{there[0]} is there and not of an earlier run that ended; remove it or choose another --out_dir"
        )
    same = [path for path in label_files(out_dir) if os.path.samefile(path, source)]
    if same:
        raise UserError(f"{same[0]} is what labels are read from; choose another --out_dir")


def label_files(out_dir):
    """Those label files that are in `out_dir`, whichever run made them."""
    names = ("train.json", "val.json", "test.json", "test/test.json")
    return [out_dir / name for name in names if not is_missing(out_dir / name)]


def left_over(texts, out_dir):
    """A note of label files of an earlier run that are no part of the data set any more: [text] or []."""
    stale = [str(path) for path in label_files(out_dir) if path not in texts]
    note = f"{', '.join(stale)} of an earlier run may hold photos that train now; remove it"
    return [note] if stale else []


def findings_of(classes, splits, facts):
    """Lines of warnings: what check_dataset.py finds, save photos alike within a split."""
    read = {name: as_records(records, len(classes), UNKNOWN) for name, records in splits.items()}
    counts = sum((records.labels == 1).sum(axis=0) for records in read.values())
    findings = check_names(classes, dict(zip(classes, counts.tolist(), strict=True)))
    pairs = [("train", name) for name in splits if name != "train"] or [("train", None)]
    if {"val", "test"} <= {*splits}:
        pairs.append(("val", "test"))
    for first, second in pairs:
        names = {"train": first, "test": second}  # those checks know two splits
        pair = [
            Split(kind, None, splits[name], [*range(len(read[name]))], read[name])
            for kind, name in names.items()
            if name in splits
        ]
        found = check_records(classes, read.get(first), read.get(second)) + check_photos(pair, facts)
        findings += [_renamed(finding, names) for finding in found]
    told = [f"{f.split} split: {f.message}" if f.split else f.message for f in findings if f.check != "near"]
    return list(dict.fromkeys(told))


def _renamed(finding, names):
    """A Finding of the splits train and test as one of the splits that these were; names: {kind: name}."""
    message = finding.message
    for kind, called in (("train", "training"), ("test", "test")):
        if names[kind] != kind:
            message = message.replace(f"the {called} split", f"the {names[kind]} split")
    return finding._replace(split=names.get(finding.split, ""), message=message)


def summary(source, classes, splits, how):
    """Lines: what there is, how it is split, positives of each class."""
    targets = {name: np.array([record["target"] for record in records]) for name, records in splits.items()}
    every = np.concatenate([*targets.values()])  # (N, C)
    lines = [
        f"{source}: {len(every)} photos, {len(classes)} classes, {(every == 1).sum()} labels, "
        f"{(every == UNKNOWN).sum()} unknown; {(~(every == 1).any(axis=1)).sum()} photos without a label",
        f"{', '.join(f'{len(records)} {name}' for name, records in splits.items())} ({how})",
        f"positives of each class, {' / '.join(splits)}:",
    ]
    for column, name in enumerate(classes):
        counts = " / ".join(str((of[:, column] == 1).sum()) for of in targets.values())
        unknown = (every[:, column] == UNKNOWN).sum()
        lines.append(f"  {name}: {counts}" + (f", {unknown} unknown" if unknown else ""))
    return lines
