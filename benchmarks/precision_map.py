"""What bfloat16 and 8-bit integers cost in mAP: infer.py on a labelled split, by precision.

python benchmarks/precision_map.py CHECKPOINT OUT [--data_dir DIR] [--dataset NAME|DIR]

The photos are those of the test split of the checkpoint's data set; int8 is calibrated on 300 of
its training split. OUT takes the exports and the scores. The last line is JSON: mAP by name, with the
checkpoint's own (predict.py) first, also over the classes with at least 15 positives in both
splits, and the largest difference of a score from it.
"""

import argparse
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.common import filled_classes  # noqa: E402
from datasets.records import read_split  # noqa: E402
from datasets.spec import load_spec  # noqa: E402
from utils.checkpoint import read_checkpoint  # noqa: E402
from utils.evaluation.metrics import evaluate  # noqa: E402

CALIBRATION = 300  # photos
WAYS = {  # name -> (export, options of infer.py)
    "fp32": ("paddle/model.json", ["--batch_size", 8]),
    "bf16": ("paddle/model.json", ["--batch_size", 8, "--precision", "bf16"]),
    "openvino_bf16": ("onnx/model.onnx", ["--batch_size", 8, "--engine", "openvino", "--precision", "bf16"]),
    "openvino_int8": ("int8/model.xml", ["--batch_size", 8]),
}


def main():
    args = parse_args()
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    _, description = read_checkpoint(args.checkpoint)
    spec, folder = load_spec(args.dataset or description["dataset"], args.data_dir or description["data_dir"])
    test, train = (read_split(spec, folder, split) for split in ("test", "train"))
    step = -(-len(train) // CALIBRATION)
    export(args.checkpoint, out, train.paths[::step])
    table = out / "checkpoint.json"
    run("predict.py", "--load_from", args.checkpoint, "--img_dir", *test.paths, "--out", table)
    expected = read_scores(table, test.paths, spec.classes)
    found = {"checkpoint": expected}
    for name, (model_file, options) in WAYS.items():
        if (out / model_file).parent.exists():
            table = out / f"{name}.json"
            files = ["--model_file", out / model_file, "--input_file", *test.paths, "--out", table]
            run("infer.py", *files, *options)
            found[name] = read_scores(table, test.paths, spec.classes)
    rules = {"ignored_is_negative": spec.ignored_is_negative_in_precision}
    ap = {name: evaluate(scores, test.labels, **rules)["ap"] for name, scores in found.items()}
    filled = filled_classes(train.labels, test.labels)
    maps = {name: mean_of(values, range(len(values))) for name, values in ap.items()}
    filled_maps = {name: mean_of(values, filled) for name, values in ap.items()}
    worst = {name: float(np.abs(scores - expected).max()) for name, scores in found.items()}
    of_filled = {"classes_of_15": len(filled), "mAP_of_them": filled_maps}
    print(json.dumps({"photos": len(test), "mAP": maps, **of_filled, "largest_difference": worst}))


def mean_of(ap, classes):
    """Mean AP of some classes; one without positives has none."""
    return float(np.mean([ap[c] for c in classes if ap[c] is not None]))


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint")
    parser.add_argument("out")
    parser.add_argument("--data_dir")
    parser.add_argument("--dataset")
    return parser.parse_args()


def export(checkpoint, out, photos):
    """Paddle's files, and where the packages are there an .onnx and an int8 .xml, to folders of OUT."""
    argv = ["export_model.py", "--model_path", checkpoint, "--save_dir"]
    run(*argv, out / "paddle")
    if find_spec("paddle2onnx"):
        run(*argv, out / "onnx", "--format", "onnx")
    if find_spec("paddle2onnx") and find_spec("nncf"):
        run(*argv, out / "int8", "--format", "openvino", "--int8", "--calib", *photos)


def run(script, *argv):
    command = [sys.executable, ROOT / script, *argv]
    subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL)


def read_scores(table, paths, classes):
    """Scores (N, C) of a table, in the order of paths."""
    rows = {row["path"]: row["scores"] for row in json.loads(table.read_text())}
    return np.float32([[rows[str(Path(path))][name] for name in classes] for path in paths])


if __name__ == "__main__":
    main()
