"""What the training loop costs beside forward, backward and step; and whether memory grows over epochs.

python benchmarks/training_overhead.py --dataset LABELS [--model resnet18 --img_size 160 --rounds 12]

Overhead: the same photos, already decoded, are trained on by bare Paddle (loss of
paddle.nn.functional, Momentum, pixels already normalised) and by utils/training.py, in turns,
one epoch of four steps each; the median of the rounds' ratios counts. The clock is processor time
on a CPU, which other processes disturb less, and wall time on a GPU. Memory: the peak resident
memory of `train.py --dataset LABELS` after each of `--epochs` epochs. The last line is JSON.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import paddle
import paddle.nn.functional as F

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.common import Ready  # noqa: E402
from datasets.loader import Loader  # noqa: E402
from datasets.records import read_split  # noqa: E402
from datasets.spec import load_spec  # noqa: E402
from models import build_model, normalize  # noqa: E402
from utils.checkpoint import versions  # noqa: E402
from utils.device import choose_device  # noqa: E402
from utils.learner import Learner, make_optimizer  # noqa: E402
from utils.training import train_epoch  # noqa: E402

BATCH, STEPS, RATE = 16, 4, 1e-3
PIXELS = {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}


def bare_epoch(model, optimizer, batches):
    """Forward, backward and step, and nothing else; the last loss is read, which waits for the device."""
    model.train()
    optimizer.set_lr(RATE)
    for x, target in batches:
        loss = F.binary_cross_entropy_with_logits(model(x), target)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
    return float(loss)


def overhead(name, size, rounds, photos, labels, clock):
    """Seconds of an epoch, bare and ours, of each round: a list of pairs."""
    model = build_model(name, labels.shape[1], img_size=size)
    optimizer = make_optimizer(model, 0.9, 1e-4)
    learner, ready = Learner(model, optimizer, PIXELS), Ready(photos, labels, BATCH)
    batches = [
        (normalize(batch.photos, **PIXELS), paddle.to_tensor(batch.labels.astype("float32")))
        for batch in ready.epoch()
    ]

    def ours():
        with redirect_stdout(StringIO()):
            train_epoch(learner, ready, lambda _: RATE, 1, 100)

    pairs = []
    for number in range(rounds + 1):
        turns = [(0, lambda: bare_epoch(model, optimizer, batches)), (1, ours)]
        seconds = [0.0, 0.0]
        for place, run in turns if number % 2 else reversed(turns):
            begin = clock()
            run()
            seconds[place] = clock() - begin
        pairs.append(seconds)
    return pairs[1:]  # the first warms up


def peak_memory(dataset, name, size, epochs):
    """Peak resident memory of a training after each epoch, MiB."""
    peaks = []
    with tempfile.TemporaryDirectory() as out:
        command = [
            sys.executable,
            ROOT / "train.py",
            "--dataset",
            dataset,
            "--save_dir",
            out,
            "--model",
            name,
        ]
        options = ["--img_size", size, "--total_epoch", epochs, "--keep", 1, "--pretrained", "none"]
        process = subprocess.Popen([*map(str, command + options)], stdout=subprocess.PIPE, text=True)
        for line in process.stdout:
            if line.startswith("Epoch") and "training ends" in line:
                status = Path(f"/proc/{process.pid}/status").read_text()
                peaks.append(int(status.split("VmHWM:")[1].split()[0]) / 1024)
    if process.wait():
        raise SystemExit(f"train.py ended with {process.returncode}")
    return peaks


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", required=True, help="folder of label files")
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--img_size", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=24)
    args = parser.parse_args()
    clock = time.process_time if choose_device("auto") == "cpu" else time.perf_counter
    records = read_split(*load_spec(args.dataset), "train")
    rows = np.arange(BATCH * STEPS) % len(records)
    photos = next(Loader(records, args.img_size, len(records)).epoch()).photos[rows]
    pairs = overhead(args.model, args.img_size, args.rounds, photos, records.labels[rows], clock)
    ratios = [ours / bare for bare, ours in pairs]
    peaks = peak_memory(args.dataset, args.model, args.img_size, args.epochs)
    print(json.dumps({"versions": versions(), "seconds": pairs, "peak_mib": peaks}))
    print(
        json.dumps(
            {
                "overhead_percent": round(100 * (statistics.median(ratios) - 1), 2),
                "quartiles_percent": [round(100 * (q - 1), 2) for q in statistics.quantiles(ratios, n=4)],
                "peak_mib_after_two_thirds_and_all_epochs": [
                    round(peaks[2 * len(peaks) // 3]),
                    round(peaks[-1]),
                ],
                "n": len(pairs),
            }
        )
    )


if __name__ == "__main__":
    main()
