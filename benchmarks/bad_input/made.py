"""Outputs of exports, conversions and prepare scripts."""

from pathlib import Path

from benchmarks.bad_input.row import bad
from benchmarks.bad_input.things import (
    checkpoint,
    coco,
    data_set,
    exported,
    forbidden,
    full_after,
    voc,
    wider,
)

FULL = full_after(64)
READ_ONLY = forbidden(".", 0o555)
VOC, COCO, WIDER = (f"utils/prepare/prepare_{name}" for name in ("voc", "coco", "wider"))


@bad(
    "export_model",
    "a folder where nothing may be written",
    "cannot write to out: Permission denied; choose another folder",
    READ_ONLY,
)
def export_read_only(folder):
    return ["--model_path", checkpoint(), "--save_dir", "out"]


@bad("export_model", "a full disk", "cannot write to out: ...; choose another folder", FULL)
def export_full(folder):
    return ["--model_path", checkpoint(), "--save_dir", "out"]


@bad(
    "export_model",
    "a disk that fills while the graph is written",
    "...cannot ...choose another ...",
    full_after(10_000),
)
def export_graph(folder):
    return ["--model_path", checkpoint(), "--save_dir", "out"]


@bad(
    "export_model",
    "a disk that fills while the weights are written",
    "...cannot ...choose another ...",
    full_after(5_000_000),
)
def export_weights(folder):
    return ["--model_path", checkpoint(), "--save_dir", "out"]


@bad(
    "export_model", "a file in place of the folder", "cannot write to out: File exists; choose another folder"
)
def export_file(folder):
    Path("out").write_text("")
    return ["--model_path", checkpoint(), "--save_dir", "out"]


@bad(
    "export_model",
    "a folder whose name is no UTF-8",
    "Paddle cannot write to caf\\udce9/..., whose name is no UTF-8; choose another",
)
def export_utf8(folder):
    return ["--model_path", checkpoint(), "--save_dir", "caf\udce9"]


@bad(
    "infer",
    "a table where nothing may be written",
    "cannot write out/scores.json.part-0-1: Permission denied; choose another --out",
    READ_ONLY,
)
def infer_read_only(folder):
    return [*exported(), "--out", "out/scores.json"]


@bad(
    "utils/convert_weights",
    "a folder where nothing may be written",
    "cannot write out/best.pdparams: Permission denied; choose a folder that is writable",
    READ_ONLY,
)
def convert_read_only(folder):
    return [checkpoint(), "out/best.pdparams"]


@bad(
    "utils/convert_weights",
    "a full disk",
    "cannot write out/best.pdparams: ...; free some space or choose another folder",
    FULL,
)
def convert_full(folder):
    return [checkpoint(), "out/best.pdparams"]


@bad(
    VOC,
    "label files where nothing may be written",
    "cannot write out/classes.json: Permission denied; choose a folder that is writable",
    READ_ONLY,
)
def voc_read_only(folder):
    return voc()


@bad(
    COCO,
    "label files on a full disk",
    "cannot write out/classes.json: ...; free some space or choose another folder",
    FULL,
    needs=("pycocotools",),
)
def coco_full(folder):
    return coco()


@bad(
    COCO,
    "a folder that holds the label files of another data set",
    "out/classes.json is of other label files (train: train.json); choose another --out_dir",
    needs=("pycocotools",),
)
def coco_other(folder):
    data_set("out")
    return coco()


@bad(
    WIDER,
    "a file in place of the folder",
    "cannot write out/classes.json: File exists; choose a folder that is writable",
)
def wider_file(folder):
    Path("out").write_text("")
    return wider()


@bad(
    "utils/prepare/check_dataset",
    "findings where nothing may be written",
    "cannot write out/found.json: Permission denied; choose a folder that is writable",
    READ_ONLY,
)
def check_read_only(folder):
    return [data_set(), "--json", "out/found.json"]


@bad(
    "utils/prepare/check_dataset",
    "findings in place of a label file",
    "--json data/train.json is a file of the data set; give another name",
)
def check_overwrite(folder):
    return [data_set(), "--json", "data/train.json"]


@bad(
    "utils/prepare/make_shapes",
    "a folder where nothing may be written",
    "cannot write out: Permission denied; free some space or give another --out_dir",
    READ_ONLY,
)
def shapes_read_only(folder):
    return ["--out_dir", "out", "--train", "1", "--test", "1", "--workers", "1"]


@bad(
    "utils/prepare/make_shapes",
    "a folder that holds another data set",
    "VOCdevkit exists and is not empty; remove it or give another --out_dir",
)
def shapes_taken(folder):
    voc()
    return ["--out_dir", ".", "--train", "1", "--test", "1"]


@bad(
    "utils/prepare/make_shapes",
    "a full disk",
    "cannot write out: ...; free some space or give another --out_dir",
    FULL,
)
def shapes_full(folder):
    return ["--out_dir", "out", "--train", "1", "--test", "1", "--workers", "1"]


@bad(
    "utils/prepare/download",
    "a folder where nothing may be written",
    "cannot write to out: Permission denied; choose another --out_dir",
    READ_ONLY,
)
def download_read_only(folder):
    return ["voc07", "--out_dir", "out"]


@bad(
    "utils/prepare/download",
    "another file under the name of the archive",
    "out/VOCtrainval_11-May-2012.tar is not the official archive "
    "(md5:6cd6e144f989b92b3379bac3b3de84fd); remove it",
)
def download_other(folder):
    Path("out").mkdir()
    Path("out/VOCtrainval_11-May-2012.tar").write_text("<html>moved</html>")
    return ["voc12", "--out_dir", "out"]
