"""Outputs."""

import socket
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bad_input.row import bad
from benchmarks.bad_input.things import (
    checkpoint,
    coco,
    data_set,
    exported,
    forbidden,
    full_after,
    photo,
    train,
    voc,
    wider,
    without,
)

FULL = full_after(64)
READ_ONLY = forbidden(".", 0o555)
VOC, COCO, WIDER = (f"utils/prepare/prepare_{name}" for name in ("voc", "coco", "wider"))


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
    "val",
    "a report without the package for it",
    "this needs jinja2, which is not installed: pip install jinja2",
    without("jinja2"),
)
def report_package(folder):
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
    "train",
    "curves without the package for them",
    "this needs visualdl, which is not installed: pip install visualdl",
    without("visualdl"),
)
def curves_package(folder):
    return ["--dataset", data_set(), *train("--save_dir", "save", "--log_dir", "curves")]


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


@contextmanager
def port_taken(folder):
    with socket.create_server(("127.0.0.1", 17861)):
        yield


@bad(
    "app",
    "a port in use",
    "port 17861 of 127.0.0.1: Address already in use...; choose another with --port",
    port_taken,
)
def app_port(folder):
    return ["--port", "17861"]


@bad(
    "app",
    "no package gradio",
    "this needs gradio, which is not installed: pip install gradio",
    without("gradio"),
)
def app_package(folder):
    return ["--port", "17862"]


def no_gpu():
    import paddle

    return not (paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count())


@bad(
    "train",
    "a GPU where there is none",
    "--device gpu, but this Paddle sees no GPU; install paddlepaddle-gpu or give --device cpu",
)
def train_gpu(folder):
    return ["--dataset", data_set(), *train("--device", "gpu")]
