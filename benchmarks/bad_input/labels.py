"""Label files and data sets."""

import os

from benchmarks.bad_input.row import bad
from benchmarks.bad_input.things import (
    checkpoint,
    data_set,
    forbidden,
    nested,
    photo,
    sparse,
    train,
    write,
)


def training(name="data"):
    return ["--dataset", name, *train("--save_dir", "save")]


@bad(
    "train",
    "a data set that is not there",
    "unknown data set 'pascal': give voc07, coco, wider or a folder that holds a classes.json, "
    "which utils/prepare/prepare_custom.py makes",
)
def unknown(folder):
    return ["--dataset", "pascal", *train()]


@bad(
    "train",
    "label files that were not made yet",
    "no label file data/voc07/trainval_voc07.json; make it with utils/prepare/prepare_voc.py, or say"
    " where with --data_dir",
)
def not_made(folder):
    return ["--dataset", "voc07", *train()]


@bad(
    "train",
    "a folder that may not be read",
    "cannot read data/classes.json: Permission denied; make it anew with the prepare script",
    forbidden("data"),
)
def unreadable_folder(folder):
    data_set()
    return training()


@bad(
    "train",
    "a link to itself as the folder",
    "cannot read data/classes.json: Too many levels of symbolic links; make it anew with the prepare script",
)
def loop(folder):
    os.symlink("data", "data")
    return training()


@bad(
    "train",
    "an empty label file",
    "data/train.json is not valid JSON (...); make it anew with the prepare script",
)
def empty(folder):
    data_set()
    open("data/train.json", "w").close()
    return training()


@bad(
    "train",
    "half a label file",
    "data/train.json is not valid JSON (...); make it anew with the prepare script",
)
def truncated(folder):
    data_set()
    os.truncate("data/train.json", 50)
    return training()


@bad(
    "train",
    "a label file that is a folder",
    "cannot read data/train.json: Is a directory; make it anew with the prepare script",
)
def is_folder(folder):
    data_set()
    os.unlink("data/train.json")
    os.mkdir("data/train.json")
    return training()


@bad(
    "train",
    "a label file that is a pipe",
    "cannot read data/train.json: it is no file; make it anew with the prepare script",
)
def pipe(folder):
    data_set()
    os.unlink("data/train.json")
    os.mkfifo("data/train.json")
    return training()


@bad(
    "train",
    "bytes that are no text",
    "data/train.json is not valid JSON (...); make it anew with the prepare script",
)
def no_text(folder):
    data_set()
    with open("data/train.json", "wb") as file:
        file.write(b"\xff\xfe[]")
    return training()


@bad(
    "train",
    "a label file of no record",
    "data/train.json must hold a list of one record or more; make it anew with the prepare script",
)
def no_record(folder):
    data_set()
    write("data/train.json", [])
    return training()


@bad(
    "train",
    "an object in place of the list",
    "data/train.json must hold a list of one record or more; make it anew with the prepare script",
)
def wrong_type(folder):
    data_set()
    write("data/train.json", {"images": []})
    return training()


@bad(
    "train",
    "JSON nested a million deep",
    "data/train.json is not valid JSON (...); make it anew with the prepare script",
)
def deep(folder):
    data_set()
    with open("data/train.json", "w") as file:
        file.write(nested(1_000_000))
    return training()


@bad(
    "train",
    "1 GB of JSON",
    "cannot read data/train.json: it has 1073741824 bytes, more than the 1000000000 that are read; "
    "make it anew with the prepare script",
)
def large(folder):
    data_set()
    sparse("data/train.json", 2**30)
    return training()


@bad(
    "train",
    "a target nested as deep as JSON may be",
    "data/train.json, record 0: target [[[[[[[...]]]]]]]; allowed are (-1, 0, 1, 99)",
)
def deep_target(folder):
    data_set()
    record = f'[{{"img_path": "data/photos/0.png", "target": [1, 0, {nested(900)}]}}]'
    with open("data/train.json", "w") as file:
        file.write(record)
    return training()


@bad(
    "train",
    "targets of another length: another class list",
    "data/train.json, record 0: 2 targets for 3 classes; was it made for another class list?",
)
def wrong_length(folder):
    data_set(records=[{"img_path": photo("a.png"), "target": [1, 0]}])
    return training()


@bad("train", "a target of 2", "data/train.json, record 0: target 2; allowed are (-1, 0, 1, 99)")
def wrong_value(folder):
    data_set(records=[{"img_path": photo("a.png"), "target": [1, 0, 2]}])
    return training()


@bad("train", "NaN among the targets", "data/train.json, record 0: target nan; allowed are (-1, 0, 1, 99)")
def nan(folder):
    data_set(records=[{"img_path": photo("a.png"), "target": [1, 0, float("nan")]}])
    return training()


@bad(
    "train",
    "a record without a photo's name",
    'data/train.json, record 0: must be {"img_path": text, "target": list}',
)
def no_name(folder):
    data_set(records=[{"image": "a.png", "target": [1, 0, 0]}])
    return training()


@bad(
    "train",
    "a photo that is not there",
    "data/train.json, record 0: no photo gone.png; paths count from the folder in which you start the script",
)
def no_photo(folder):
    data_set(records=[{"img_path": "gone.png", "target": [1, 0, 0]}])
    return training()


@bad(
    "train",
    "a zero byte in a photo's name",
    "data/train.json, record 0: no photo a\\x00.png; paths count from the folder in which you start "
    "the script",
)
def zero_byte(folder):
    data_set(records=[{"img_path": "a\0.png", "target": [1, 0, 0]}])
    return training()


@bad(
    "val", "a box of three numbers", "data/test.json, record 0: bbox [1, 2, 3] must be [x, y, width, height]"
)
def wrong_box(folder):
    data_set(records=[{"img_path": photo("a.png"), "target": [1, 0, 0], "bbox": [1, 2, 3]}])
    return ["--load_from", checkpoint(), "--device", "cpu"]


@bad(
    "val",
    "an object of a class that is not there",
    "data/test.json, record 0: object {'bbox': [1, 1, 5, 5], 'class': 3, 'difficult': 0} must be "
    '{"class": 0 to 2, "bbox": [x, y, width, height], "difficult": 0 or 1}',
)
def wrong_object(folder):
    thing = {"class": 3, "bbox": [1, 1, 5, 5], "difficult": 0}
    data_set(records=[{"img_path": photo("a.png"), "target": [1, 0, 0], "objects": [thing]}])
    return ["--load_from", checkpoint(), "--device", "cpu"]


@bad(
    "val",
    "a data set of other classes than the checkpoint's",
    "model.pdparams knows other classes (3: red, ...) than data set data (3: blue, ...); name its "
    "own data set with --dataset",
)
def other_classes(folder):
    data_set(classes=["blue", "green", "red"])
    return ["--load_from", checkpoint(), "--device", "cpu"]


@bad(
    "train",
    "no name in classes.json",
    "data/classes.json: 'classes' must be a list of names (of characters that can be printed)",
)
def no_class(folder):
    data_set(classes=[])
    return training()


@bad("train", "a class twice", "data/classes.json: 'classes' must be a list of different names")
def class_twice(folder):
    data_set(classes=["red", "red", "blue"])
    return training()


@bad(
    "train",
    "a class name with a line break",
    "data/classes.json: 'classes' must be a list of names (of characters that can be printed)",
)
def class_name(folder):
    data_set(classes=["red", "green\nblue", "blue"])
    return training()


@bad(
    "train",
    "an ignored value that is the positive one",
    "data/classes.json: 'ignored' must be a whole number other than 1, which is positive, or null",
)
def ignored(folder):
    data_set(ignored=1)
    return training()


@bad(
    "train", "a data set without a test split", "data set data in data has no test split; prepare it with one"
)
def no_split(folder):
    data_set(test=None)
    return training()


@bad(
    "utils/prepare/check_dataset",
    "half a label file",
    "data/train.json is not valid JSON (...); make it anew with the prepare script",
)
def check_truncated(folder):
    data_set()
    os.truncate("data/train.json", 50)
    return ["data", "--fix", "fixed"]


@bad(
    "utils/prepare/check_dataset",
    "a file of names that is not there",
    "cannot read --names names.txt: No such file or directory",
)
def check_names(folder):
    return [data_set(), "--names", "names.txt", "--fix", "fixed"]


@bad(
    "utils/prepare/check_dataset",
    "`--fix` into a folder that holds something",
    "--fix data exists and is not empty; name a new folder",
)
def check_fix(folder):
    data_set()
    return ["data", "--fix", "data"]


@bad(
    "utils/prepare/check_dataset",
    "`--fix` where no record is sound; what was found is printed, and written where `--json` says",
    "--fix: no record of data/train.json is sound; correct it by hand",
    leaves=("found.json",),
)
def check_all_broken(folder):
    data_set(records=[{"img_path": "gone.png", "target": [1, 0, 0]}])
    return ["data", "--fix", "fixed", "--json", "found.json"]
