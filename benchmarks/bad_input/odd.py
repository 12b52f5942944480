"""Odd, but sound."""

import json
import os
from pathlib import Path

from benchmarks.bad_input.row import works
from benchmarks.bad_input.things import (
    checkpoint,
    coco,
    data_set,
    exported,
    photo,
    train,
    voc,
    wider,
    write,
)

ODD = os.fsdecode(b"two  words $(touch stranger);'\"&|`*?[a]\\ caf\xe9")  # the last byte is no UTF-8
TEXT = ODD[:-1]  # what Paddle can write to
NAMES = (f"{ODD}.png", "line\nbreak.png", "-rf.png", "=1+1.png", "\u72d7.png")
QUIET = ("--device", "cpu", "--num_workers", "0")
HOSTILE = "spaces, quotes, `$(touch stranger)`, line breaks, bytes that are no UTF-8 in names"


def odd_data(folder):
    """A data set of photos with odd names in a folder with one; its name."""
    (folder / ODD).mkdir()
    paths = [photo(f"{ODD}/{name}") for name in NAMES]
    records = [{"img_path": path, "target": [n % 2, 1, 1 - n % 2]} for n, path in enumerate(paths)]
    data_set(ODD, classes=["=1+1", "$(touch stranger)", "two words"])
    write(f"{ODD}/train.json", records[:3])
    write(f"{ODD}/test.json", records[3:])
    return ODD


@works("predict", HOSTILE, "each photo is named, JSON has escapes", leaves=("out", "out/scores.json", "maps"))
def predict_json(folder):
    for name in NAMES:
        photo(f"photos/{ODD}/{name}")
    options = ["--heatmap", "maps", "--heatmap_classes", "red", "--out", "out/scores.json", *QUIET]
    return ["--img_dir", "photos", "--load_from", checkpoint(f"{ODD}.pdparams"), *options]


@works("predict", "an output folder with such a name", "it is made", leaves=(ODD,))
def predict_csv(folder):
    return ["--img_dir", photo("a.png"), "--load_from", checkpoint(), *QUIET, "--out", f"{ODD}/scores.csv"]


@works("predict", "a photo called `-`-something, named with `./`", "it is read")
def predict_dash(folder):
    photo("-rf.png")
    return ["--img_dir", "./-rf.png", "--load_from", checkpoint(), *QUIET]


@works("predict", "a photo whose name is a pattern too", "the photo is meant", leaves=("scores.json",))
def predict_pattern(folder):
    photo("a[1].png")
    return ["--img_dir", "a[1].png", "--load_from", checkpoint(), *QUIET, "--out", "scores.json"]


@works("predict", "a photo of 700 x 1 pixels, with all its pictures", "it is drawn", leaves=("maps", "named"))
def predict_line(folder):
    photo("photos/a.png", (700, 1))
    options = ["--heatmap", "maps", "--heatmap_classes", "all", "--annotated", "named", *QUIET]
    return ["--img_dir", "photos", "--load_from", checkpoint(), *options]


@works("predict", "links in a circle among the folders", "they are not followed")
def predict_circle(folder):
    photo("photos/a.png")
    os.symlink("..", "photos/up")
    return ["--img_dir", "photos", "--load_from", checkpoint(), *QUIET]


@works("train", HOSTILE, "it trains", leaves=(f"{ODD} save",))
def train_odd(folder):
    return ["--dataset", odd_data(folder), *train("--save_dir", f"{ODD} save")]


@works("val", HOSTILE, "it evaluates", leaves=("out", "out/metrics.json", "out/scores.npz"))
def val_odd(folder):
    path = trained_on(odd_data(folder))
    return ["--load_from", path, "--dataset", ODD, *QUIET, "--out", "out"]


@works(
    "val",
    f"{HOSTILE}; a report",
    "the page shows them as text",
    leaves=("out",),
    needs=("matplotlib", "jinja2"),
)
def report_odd(folder):
    path = trained_on(odd_data(folder))
    return ["--load_from", path, "--dataset", ODD, *QUIET, "--report", "out"]


def trained_on(data):
    """A checkpoint with a data set's classes; its name, an odd one too."""
    from datasets.spec import load_spec
    from utils.checkpoint import read_checkpoint
    from utils.weights import write_weights

    tensors, about = read_checkpoint(checkpoint())
    classes = list(load_spec(data)[0].classes)
    write_weights(f"{ODD}.pdparams", tensors, {**about, "classes": classes, "dataset": data})
    return f"{ODD}.pdparams"


@works("export_model", HOSTILE, "it exports", leaves=(TEXT,))
def export_odd(folder):
    return ["--model_path", checkpoint(f"{ODD}.pdparams"), "--save_dir", TEXT]


@works("infer", HOSTILE, "each photo is named", leaves=("scores.csv",))
def infer_odd(folder):
    graph = exported()[1]
    os.rename("exported", ODD)
    for name in NAMES:
        photo(f"photos/{name}")
    argv = ["--model_file", f"{ODD}/{Path(graph).name}", "--input_file", "photos", "--num_workers", "0"]
    return [*argv, "--out", "scores.csv", "--enable_mkldnn", "False"]


@works(
    "predict",
    "a photo and classes called `=1+1`, in a CSV file",
    "no cell is a formula: paths get `./` before them, names `'`",
    leaves=("scores.csv",),
)
def predict_formula(folder):
    path = trained_on(odd_data(folder))
    return ["--load_from", path, *QUIET, "--img_dir", photo("=1+1.png"), "--out", "scores.csv"]


@works("utils/convert_weights", HOSTILE, "it converts", leaves=(f"{ODD}.pdparams",))
def convert_odd(folder):
    return [checkpoint(), f"{ODD}.pdparams"]


@works("utils/prepare/prepare_voc", HOSTILE, "label files hold the names", leaves=("out",))
def voc_odd(folder):
    return voc(ids=(ODD.replace("caf\udce9", "b"), "=1+1"))


@works("utils/prepare/prepare_custom", HOSTILE, "label files hold the names", leaves=("out",))
def custom_odd(folder):
    paths = [photo(name, (64, 48)) for name in NAMES]
    splits = ["train", "train", "train", "test", "test"]
    lines = [
        {"path": path, "labels": ["=1+1", TEXT], "split": split}
        for path, split in zip(paths, splits, strict=True)
    ]
    with open(f"{TEXT}.jsonl", "w") as file:
        file.writelines(f"{json.dumps(line)}\n" for line in lines)
    return [f"{TEXT}.jsonl", "--out_dir", "out"]


@works("utils/prepare/prepare_wider", HOSTILE, "label files hold the names", leaves=("out",))
def wider_odd(folder):
    argv = wider()
    os.rename("wider", ODD)
    return ["--data_path", ODD, *argv[2:]]


@works("utils/prepare/prepare_coco", HOSTILE, "label files hold the names", ("out",), ("pycocotools",))
def coco_odd(folder):
    argv = coco()
    os.rename("coco", ODD)
    return ["--data_path", ODD, *argv[2:]]
