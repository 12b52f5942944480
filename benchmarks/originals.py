"""The main job on unaltered VOC 2007 photos: does it learn, agree with itself, repeat itself?

python benchmarks/originals.py VOCdevkit OUT_DIR     (half an hour on two cores, most of it ResNet-101)

VOCdevkit holds VOC2007 with lists trainval and test. Runs the README's commands and
writes OUT_DIR/originals.json: mAP on the training photos after 30 epochs of ResNet-18 at
112 px without augmentation, the largest difference between val's and predict's scores, whether two runs
with one seed end in equal weights, and time and peak memory of ResNet-101 at 448 px.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from utils.checkpoint import read_checkpoint, versions  # noqa: E402

SMALL = ["--model", "resnet18", "--pretrained", "none", "--img_size", "112", "--batch_size", "8",
         "--total_epoch", "30", "--step_size", "26", "--train_aug", "--keep", "1"]  # fmt: skip
LARGE = ["--model", "resnet101", "--pretrained", "none", "--total_epoch", "1", "--warmup_epoch", "0"]


def run(script, *options):
    """Run a script of the project; returns (seconds, peak memory of it in GiB)."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, ROOT / script, *map(str, options)], check=True, stdout=sys.stderr)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # KiB, of the largest child so far
    return time.perf_counter() - begin, peak / 2**20


def small_runs(devkit, out):
    """Two runs of ResNet-18 with one seed, evaluated on train and test, predicted on test."""
    labels = out / "labels"
    run("utils/prepare/prepare_voc.py", "--data_path", devkit, "--out_dir", labels)
    for name in ("one", "two"):
        run("train.py", "--data_dir", labels, "--save_dir", out / name, *SMALL)
    last = out / "one/resnet18/last.pdparams"
    for split in ("train", "test"):
        run("val.py", "--load_from", last, "--split", split, "--out", out / split)
    scores = np.load(out / "test/scores.npz")
    run("predict.py", "--load_from", last, "--out", out / "predicted.json", "--img_dir", *scores["paths"])
    by_path = {
        entry["path"]: list(entry["scores"].values())
        for entry in json.loads((out / "predicted.json").read_text())
    }
    predicted = np.array([by_path[path] for path in scores["paths"]])
    one, two = (read_checkpoint(out / name / "resnet18/last.pdparams")[0] for name in ("one", "two"))
    return {
        "mAP_on_training_photos": json.loads((out / "train/metrics.json").read_text())["mAP"],
        "val_predict_largest_difference": float(np.abs(predicted - scores["scores"]).max()),
        "same_seed_same_weights": all(np.array_equal(one[key], two[key]) for key in one),
    }


def large_run(out):
    """One epoch, val and predict with ResNet-101 at 448 px: seconds and peak memory (GiB)."""
    train_s, memory = run("train.py", "--data_dir", out / "labels", "--save_dir", out / "large", *LARGE)
    last = out / "large/resnet101/last.pdparams"
    first, *rest = (json.loads(line) for line in (out / "large/resnet101/log.jsonl").read_text().splitlines())
    val_s, _ = run("val.py", "--load_from", last)
    predict_s, _ = run("predict.py", "--load_from", last, "--img_dir", ROOT / "utils/demo_images")
    return {
        "train_s": train_s,
        "train_images_per_second": rest[0]["photos_per_second"],
        "peak_memory_GiB": memory,
        "val_s": val_s,
        "predict_s": predict_s,
        "photos": first["photos"],
    }


def main():
    devkit, out = Path(sys.argv[1]), Path(sys.argv[2])
    results = {
        "resnet18_112": small_runs(devkit, out),
        "resnet101_448": large_run(out),
        "versions": versions(),
    }
    (out / "originals.json").write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
