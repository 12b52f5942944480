"""Outputs of training, evaluation and prediction."""

from pathlib import Path

from benchmarks.bad_input.row import bad
from benchmarks.bad_input.things import checkpoint, data_set, forbidden, full_after, photo, train

FULL = full_after(64)
READ_ONLY = forbidden(".", 0o555)


def predict(*options):
    cpu = ["--load_from", checkpoint(), "--device", "cpu", "--num_workers", "0"]
    return ["--img_dir", photo("photos/a.png"), *cpu, *options]


def evaluate(*options):
    return [
        "--dataset",
        data_set(),
        "--load_from",
        checkpoint(),
        "--device",
        "cpu",
        "--num_workers",
        "0",
        *options,
    ]


@bad(
    "predict",
    "a table where nothing may be written",
    "cannot write out/scores.json: Permission denied; choose a folder that is writable",
    READ_ONLY,
)
def predict_read_only(folder):
    return predict("--out", "out/scores.json")


@bad(
    "predict",
    "a table on a full disk",
    "cannot write out/scores.json: ...; free some space or choose another folder",
    FULL,
)
def predict_full(folder):
    photos = [photo(f"photos/{number}.png") for number in range(20)]
    return [*predict("--out", "out/scores.json"), "--img_dir", *photos]


@bad(
    "predict",
    "a table within a file",
    "cannot write out/scores.json: File exists; choose a folder that is writable",
)
def predict_in_file(folder):
    Path("out").write_text("")
    return predict("--out", "out/scores.json")


@bad(
    "predict",
    "heat maps on a full disk",
    "cannot write maps/a....jpg: ...; free some space or choose another folder",
    FULL,
)
def heatmap_full(folder):
    return predict("--heatmap", "maps", "--heatmap_classes", "all")


@bad(
    "predict",
    "photos with their labels on a full disk",
    "cannot write named/a.jpg: ...; free some space or choose another folder",
    FULL,
)
def annotated_full(folder):
    return predict("--annotated", "named")


@bad("predict", "a file in place of the folder of heat maps", "--heatmap maps is a file; name a folder")
def heatmap_file(folder):
    Path("maps").write_text("")
    return predict("--heatmap", "maps")


@bad(
    "predict",
    "heat maps among the photos that are read",
    "--heatmap photos holds photos that are read (photos/a.png); name another folder",
)
def heatmap_photos(folder):
    return predict("--heatmap", "photos")


@bad(
    "predict",
    "heat maps of a class that is not there",
    "--heatmap_classes: the model knows no class 'greene'; did you mean green?",
)
def heatmap_class(folder):
    return predict("--heatmap", "maps", "--heatmap_classes", "greene")


@bad(
    "predict",
    "a folder of 300 letters",
    "cannot write mmm...mmm/a....jpg: File name too long; choose a folder that is writable",
)
def heatmap_long(folder):
    return predict("--heatmap", "m" * 300)


@bad(
    "val",
    "figures where nothing may be written",
    "cannot write out/metrics.json: Permission denied; choose a folder that is writable",
    READ_ONLY,
)
def val_read_only(folder):
    return evaluate("--out", "out")


@bad(
    "val",
    "figures on a full disk",
    "cannot write out/metrics.json: ...; free some space or choose another folder",
    FULL,
)
def val_full(folder):
    return evaluate("--out", "out")


@bad(
    "val",
    "a report where nothing may be written",
    "cannot write to out: Permission denied; choose another folder",
    READ_ONLY,
    needs=("matplotlib", "jinja2"),
)
def report_read_only(folder):
    return evaluate("--report", "out")


@bad(
    "val",
    "a report on a full disk",
    "cannot write out/index.html: ...; free some space or choose another folder",
    FULL,
    needs=("matplotlib", "jinja2"),
)
def report_full(folder):
    return evaluate("--report", "out")


@bad(
    "train",
    "a run where nothing may be written",
    "cannot write to save/efficientnet_lite0: Permission denied; free some space or choose another "
    "--save_dir",
    READ_ONLY,
)
def train_read_only(folder):
    return ["--dataset", data_set(), *train("--save_dir", "save")]


@bad(
    "train",
    "a run within a file",
    "cannot write to save/efficientnet_lite0: Not a directory; free some space or choose another --save_dir",
)
def train_in_file(folder):
    Path("save").write_text("")
    return ["--dataset", data_set(), *train("--save_dir", "save")]


@bad(
    "train",
    "a run on a full disk (its log is kept)",
    "cannot write save/efficientnet_lite0/log.jsonl: ...; free some space or choose another --save_dir",
    FULL,
    leaves=("save",),
)
def train_full(folder):
    return ["--dataset", data_set(), *train("--save_dir", "save")]


@bad(
    "train",
    "curves within a file",
    "cannot write curves/run: Not a directory; choose another --log_dir",
    needs=("visualdl",),
)
def curves_in_file(folder):
    Path("curves").write_text("")
    return ["--dataset", data_set(), *train("--save_dir", "save", "--log_dir", "curves/run")]


@bad(
    "utils/plot_log",
    "a run that is not there",
    "no log of a run at checkpoint/resnet101; give a run's folder, with its log.jsonl",
    needs=("matplotlib",),
)
def plot_missing(folder):
    return ["checkpoint/resnet101"]


@bad(
    "utils/plot_log",
    "a log that is none",
    "log.jsonl, line 1, is none of a run's log; give one of train.py",
    needs=("matplotlib",),
)
def plot_no_log(folder):
    Path("log.jsonl").write_text('{"loss": 0.5, "epoch": "first"}\n')
    return ["log.jsonl"]


@bad(
    "utils/plot_log",
    "a picture on a full disk",
    "cannot write curves.png: ...; free some space or choose another folder",
    FULL,
    needs=("matplotlib",),
)
def plot_full(folder):
    Path("log.jsonl").write_text('{"epoch": 1, "loss": 0.5, "lr": 0.1, "metrics": null}\n')
    return ["log.jsonl"]
