"""Thresholds, other runs, exported models."""

import json
import os
from pathlib import Path

import numpy as np

from benchmarks.bad_input.row import bad
from benchmarks.bad_input.things import (
    CLASSES,
    checkpoint,
    data_set,
    exported,
    nested,
    photo,
    write,
)

SOUND = {"format": 1, "classes": CLASSES, "threshold": [0.25] * 3, "temperature": 1.0}


def predict(thresholds, **changes):
    if changes:
        write(thresholds, {**SOUND, **changes})
    cpu = ["--load_from", checkpoint(), "--device", "cpu"]
    return ["--img_dir", photo("a.png"), "--thresholds", thresholds, "--out", "out/scores.csv", *cpu]


@bad(
    "predict",
    "thresholds that are not there",
    "cannot read t.json: No such file or directory; make it anew with val.py --tune_thresholds",
)
def thresholds_missing(folder):
    return predict("t.json")


@bad(
    "predict",
    "half a file of thresholds",
    "t.json is not valid JSON (...); make it anew with val.py --tune_thresholds",
)
def thresholds_truncated(folder):
    argv = predict("t.json", goal="f1")
    os.truncate("t.json", 40)
    return argv


@bad(
    "predict",
    "thresholds nested deep",
    "t.json is not valid JSON (...); make it anew with val.py --tune_thresholds",
)
def thresholds_nested(folder):
    with open("t.json", "w") as file:
        file.write(nested(100_000))
    return predict("t.json")


@bad(
    "predict",
    "thresholds of other classes",
    "t.json is for other classes (3: blue, ...) than the model's (3: red, ...); tune the thresholds "
    "of this model",
)
def thresholds_classes(folder):
    return predict("t.json", classes=["blue", "green", "red"])


@bad(
    "predict",
    "a threshold above 1",
    "t.json is no thresholds.json, or damaged; make it anew with val.py --tune_thresholds",
)
def thresholds_range(folder):
    return predict("t.json", threshold=[0.25, 0.25, 5])


@bad(
    "predict",
    "NaN as a threshold",
    "t.json is no thresholds.json, or damaged; make it anew with val.py --tune_thresholds",
)
def thresholds_nan(folder):
    return predict("t.json", threshold=[0.25, 0.25, float("nan")])


@bad(
    "predict",
    "the model's own thresholds, where it has none",
    "--thresholds without a file: the model has no thresholds of its own; make some with val.py "
    "--tune_thresholds",
)
def thresholds_own(folder):
    return [*predict("t.json")[:2], "--thresholds", "--load_from", "model.pdparams", "--device", "cpu"]


def compare(scores, targets=((1, 0, 0), (0, 1, 1)), paths=("data/photos/2.png", "data/photos/3.png")):
    data_set()
    write("other/metrics.json", {"mAP": 0.5})
    np.savez("other/scores.npz", scores=np.float32(scores), targets=np.int8(targets), paths=np.array(paths))
    return ["--load_from", checkpoint(), "--compare", "other/metrics.json", "--device", "cpu", "--out", "out"]


@bad(
    "val",
    "another run that is not there",
    "cannot read other/metrics.json: No such file or directory; give the metrics.json that val.py "
    "--out wrote",
)
def compare_missing(folder):
    data_set()
    return ["--load_from", checkpoint(), "--compare", "other/metrics.json", "--device", "cpu"]


@bad(
    "val",
    "another run on other photos",
    "other/metrics.json is of other photos: 2 of 2 here are not there, 2 of 2 there are not here; "
    "compare runs on one split",
)
def compare_photos(folder):
    return compare(np.zeros((2, 3)), paths=("a.png", "b.png"))


@bad(
    "val",
    "NaN among another run's scores",
    "other/scores.npz holds no whole table of scores; make it anew with val.py --out",
)
def compare_nan(folder):
    return compare(np.full((2, 3), np.nan))


@bad(
    "val",
    "scores that only pickle could read",
    "other/scores.npz is no file of scores (...); make it anew with val.py --out",
)
def compare_pickle(folder):
    argv = compare(np.zeros((2, 3)))
    objects = np.empty((2, 3), dtype=object)
    np.savez("other/scores.npz", scores=objects, targets=np.zeros((2, 3), "int8"), paths=np.array(["a", "b"]))
    return argv


@bad(
    "infer", "an exported model that is not there", "no file output/model.json; make it with export_model.py"
)
def infer_missing(folder):
    return ["--model_file", "output/model.json", "--input_file", photo("a.png")]


@bad(
    "infer",
    "a checkpoint in place of an exported model",
    "--model_file model.pdparams is none of .json, .pdmodel, .onnx and .xml; make one of a "
    "checkpoint: export_model.py",
)
def infer_checkpoint(folder):
    return ["--model_file", checkpoint(), "--input_file", photo("a.png")]


@bad("infer", "no deploy.json", "no file exported/deploy.json; make it with export_model.py")
def infer_no_deploy(folder):
    argv = exported()
    os.unlink("exported/deploy.json")
    return argv


@bad("infer", "a deploy.json that says too little", "exported/deploy.json is damaged; export the model again")
def infer_deploy(folder):
    argv = exported()
    write("exported/deploy.json", {"format": 1})
    return argv


@bad(
    "infer",
    "a deploy.json of another export",
    "exported/model.pdiparams has ... bytes, but exported/deploy.json says ...; export or copy it again",
)
def infer_other(folder):
    argv = exported()
    deploy = json.loads(Path("exported/deploy.json").read_text())
    deploy["files"]["model.pdiparams"]["bytes"] += 1
    write("exported/deploy.json", deploy)
    return argv


@bad(
    "infer",
    "half of the exported weights",
    "exported/model.pdiparams has 1000 bytes, but exported/deploy.json says ...; export or copy it again",
)
def infer_truncated(folder):
    argv = exported()
    os.truncate("exported/model.pdiparams", 1000)
    return argv


@bad(
    "infer",
    "a byte of the exported weights changed",
    "exported/model.pdiparams is damaged, its checksum is not that in exported/deploy.json; export "
    "or copy it again",
)
def infer_changed(folder):
    argv = exported()
    with open("exported/model.pdiparams", "r+b") as file:
        file.seek(1_000_000)
        byte = file.read(1)[0]
        file.seek(1_000_000)
        file.write(bytes([byte ^ 255]))
    return argv


@bad(
    "infer",
    "the exported graph is something else of the same length",
    "exported/model... is damaged, its checksum is not that in exported/deploy.json; export or copy it again",
)
def infer_graph(folder):
    argv = exported()
    size = os.path.getsize(argv[1])
    Path(argv[1]).write_bytes(b"x" * size)
    return argv


@bad(
    "infer",
    "an engine that cannot read it",
    "--engine openvino cannot read exported/model...; it wants paddle",
)
def infer_engine(folder):
    return [*exported(), "--engine", "openvino"]


@bad(
    "infer",
    "a data set of other classes",
    "--dataset voc07 has other classes than exported/model...; leave the option out",
)
def infer_data_set(folder):
    return [*exported(), "--dataset", "voc07"]


@bad(
    "infer",
    "going on with a part that is damaged",
    "scores.json.part-0-1 is damaged; delete it to start anew",
)
def infer_part(folder):
    argv = [*exported(), "--out", "scores.json", "--resume"]
    Path("scores.json.part-0-1").write_text("half a line of JSON{\n")
    return argv


@bad(
    "infer",
    "a part of an interrupted run in the way",
    "scores.json.part-0-1 is of an interrupted run: add --resume, or delete it to start anew",
)
def infer_interrupted(folder):
    argv = [*exported(), "--out", "scores.json"]
    Path("scores.json.part-0-1").write_text("{}\n")
    return argv


@bad("export_model", "a checkpoint that is not there", "cannot read best.pdparams: No such file or directory")
def export_missing(folder):
    return ["--model_path", "best.pdparams", "--save_dir", "out"]


@bad("export_model", "half a checkpoint", "model.pdparams is damaged or no checkpoint (...)")
def export_truncated(folder):
    os.truncate(checkpoint(), 1_000_000)
    return ["--model_path", "model.pdparams", "--save_dir", "out"]
