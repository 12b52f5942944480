"""Kill one training by SIGKILL at random moments, going on each time: it must end as if nothing had happened.

python benchmarks/resume_kills.py [--kills 20] [--seed 0] [--out FILE.jsonl]      (some five minutes)

The same job runs twice in processes of train.py, with momentum, averaged weights and saves within
the epochs: once undisturbed, once killed again and again, each time followed by --resume auto. The
moments are spread over the whole run: one in each of as many equal parts of it, at random there,
and then as long again at random as two steps and a save took. Then all files are compared:
weights, averaged weights, best, state of the optimizer and curves to the bit, the log save what
clocks say. Prints a line for each kill and a last one of JSON; ends with 1 when anything differs.
"""

import argparse
import json
import math
import operator
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from statistics import median

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.common import markdown, used_versions  # noqa: E402
from utils.checkpoint import read_checkpoint  # noqa: E402
from utils.prepare.shapes import CLASSES, draw_scene  # noqa: E402
from utils.weights import STATE, read_state  # noqa: E402

BATCH, EPOCHS, SAVE_EVERY = 4, 5, 2
TRAIN, TEST = 34, 12  # pictures that are drawn; the last step of an epoch is a smaller one
CLOCKS = ("time", "batch_time", "data_time", "compute_time", "photos_per_second")
STEP = re.compile(r"^Epoch (\d+)\[(\d+)/", re.MULTILINE)
BEGUN = re.compile(
    r"^(?:nothing to go on|going on in epoch (\d+) after (\d+)|going on after epoch (\d+))", re.M
)


def draw_pictures(folder):
    """Pictures of textured shapes and their label files; returns the folder."""
    folder.mkdir()
    records = []
    for number in range(1, TRAIN + TEST + 1):
        pixels, shapes, _ = draw_scene(0, number, 96)
        path = folder / f"{number:02}.png"
        Image.fromarray(pixels).save(path)
        seen = {shape.name for shape in shapes}
        records.append({"img_path": str(path), "target": [int(name in seen) for name in CLASSES]})
    about = {"classes": list(CLASSES), "train": "train.json", "test": "test.json"}
    for name, content in [("classes", about), ("train", records[:TRAIN]), ("test", records[TRAIN:])]:
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def start(args, dataset, save_dir):
    """A process of train.py that goes on in `save_dir`."""
    given = ["--dataset", dataset, "--save_dir", save_dir, "--model", args.model, "--pretrained", "none"]
    given += ["--img_size", 64, "--batch_size", BATCH, "--total_epoch", EPOCHS, "--warmup_epoch", 1]
    given += ["--lr", 0.002, "--ema", 0.9, "--save_every", SAVE_EVERY, "--print_freq", 1]
    given += ["--num_workers", 1, "--device", "cpu", "--resume", "auto"]
    return subprocess.Popen(
        [sys.executable, "-u", ROOT / "train.py", *map(str, given)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    """(what a process said, seconds between its steps) when it has ended; a bad end is the end of all."""
    said, times = "", []
    for line in process.stdout:
        said += line
        times += [time.monotonic()] * bool(STEP.match(line))
    if process.wait():
        sys.exit(f"{said}train.py ended with {process.returncode}")
    return said, median(map(operator.sub, times[1:], times))


def kill(process, steps_of_epoch, until, delay):
    """Let a process do the `until`th step of the whole run, if it was not done before, wait and kill it.

    Returns (seconds that it lived, steps of the run when it began, steps that it has done).
    """
    begin, said = time.monotonic(), ""
    for line in process.stdout:
        said += line
        if BEGUN.search(said) and steps_done(said, steps_of_epoch)[1] >= until:
            break
    time.sleep(delay)
    process.kill()
    seconds = time.monotonic() - begin
    said += process.stdout.read()
    if process.wait() != -signal.SIGKILL:
        sys.exit(f"{said}train.py ended with {process.returncode} before it was killed")
    return seconds, *steps_done(said, steps_of_epoch)


def steps_done(said, steps_of_epoch):
    """(steps of the run that were done when a process began, steps that are done now)."""
    epoch, iteration, whole = (int(number or 0) for number in BEGUN.search(said).groups())
    begun = whole * steps_of_epoch if whole else max(epoch - 1, 0) * steps_of_epoch + iteration
    for epoch, seen in STEP.findall(said)[-1:]:
        return begun, (int(epoch) - 1) * steps_of_epoch + math.ceil(int(seen) / BATCH)
    return begun, begun


def content_of(path):
    """(digest of the tensors, what the file says of itself save versions) of a checkpoint or state."""
    tensors, about = (read_state if path.suffix == STATE else read_checkpoint)(path)
    digest = sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        digest.update(tensors[name].tobytes())
    return digest.hexdigest(), {name: value for name, value in about.items() if name != "versions"}


def contents_of(folder):
    """{name: content_of it} of all checkpoints and states; files that are the same are read once."""
    paths = [path for path in folder.iterdir() if path.suffix in (".pdparams", STATE)]
    inodes = {path.stat().st_ino: path for path in paths}
    contents = {inode: content_of(path) for inode, path in inodes.items()}
    return {path.name: contents[path.stat().st_ino] for path in paths}


def log_of(folder):
    """The lines of log.jsonl, without what clocks say."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in line.items() if name not in CLOCKS} for line in lines]


def epochs_of(folder):
    """The lines of log.jsonl that stand for an epoch, without what clocks say."""
    return [line for line in log_of(folder) if "epoch" in line]


def differences(folder, expected):
    """What is not the same in two folders of runs, a list of names."""
    names, others = set(os.listdir(folder)), set(os.listdir(expected))
    ours, theirs = contents_of(folder), contents_of(expected)
    wrong = {name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]}
    for name in {"curves.png"} & names & others:
        if (folder / name).read_bytes() != (expected / name).read_bytes():
            wrong.add(name)
    if epochs_of(folder) != epochs_of(expected):
        wrong.add("log.jsonl")
    return sorted(wrong | (names ^ others))


def place(steps, steps_of_epoch):
    """A number of steps of the run in words."""
    epochs, iterations = divmod(steps, steps_of_epoch)
    return (
        f"epoch {epochs + 1}, {iterations}" if iterations else f"epoch {epochs}, all" if epochs else "start"
    )


def run_with_kills(args, dataset, save_dir, steps_of_epoch, pace):
    """Kill a run again and again, then let it end; what is told of each kill, a list of dicts."""
    draw, steps, kills = random.Random(args.seed), EPOCHS * steps_of_epoch - 3, []
    for number in range(args.kills):
        until = (number + draw.random()) / args.kills * steps
        delay = draw.uniform(0, 2 * pace)
        seconds, begun, done = kill(start(args, dataset, save_dir), steps_of_epoch, until, delay)
        if kills:
            kills[-1].update(resumed=begun, lost=kills[-1]["done"] - begun)
        half = [path.name.split(".")[1] + path.suffixes[0] for path in (save_dir / args.model).glob(".*.tmp")]
        kills.append({"kill": number + 1, "seconds": round(seconds, 2), "done": done, "writing": half})
        print(kills[-1], flush=True)
    said, _ = finish(start(args, dataset, save_dir))
    begun, _ = steps_done(said, steps_of_epoch)
    kills[-1].update(resumed=begun, lost=kills[-1]["done"] - begun)
    return kills


def table(kills, steps_of_epoch):
    return markdown(
        ["kill", "s after its start", "iterations done", "half written", "gone on after", "iterations lost"],
        [
            [
                row["kill"],
                row["seconds"],
                place(row["done"], steps_of_epoch),
                ", ".join(row["writing"]),
                place(row["resumed"], steps_of_epoch),
                row["lost"],
            ]
            for row in kills
        ],
    )


def main():
    args = parse_args()
    with tempfile.TemporaryDirectory() as work:
        dataset = args.dataset or draw_pictures(Path(work) / "pictures")
        said, pace = finish(start(args, dataset, Path(work) / "whole"))
        steps_of_epoch = len(STEP.findall(said)) // EPOCHS
        print(
            f"{EPOCHS} epochs of {steps_of_epoch} iterations, {pace:.2f} s each; {used_versions()}",
            flush=True,
        )
        kills = run_with_kills(args, dataset, Path(work) / "killed", steps_of_epoch, pace)
        whole, killed = (Path(work) / name / args.model for name in ("whole", "killed"))
        wrong, files = differences(killed, whole), sorted(os.listdir(whole))
    print(table(kills, steps_of_epoch))
    result = {
        "kills": len(kills),
        "identical": not wrong,
        "files": files,
        "different": wrong,
        "iterations": EPOCHS * steps_of_epoch,
        "lost": sum(row["lost"] for row in kills),
        "while_writing": sum(bool(row["writing"]) for row in kills),
    }
    lines = [json.dumps(line) for line in [*kills, result]]
    if args.out:
        Path(args.out).write_text("".join(f"{line}\n" for line in lines))
    print(lines[-1])
    return bool(wrong)


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", default=20, type=int)
    parser.add_argument("--seed", default=0, type=int, help="of the moments")
    parser.add_argument("--dataset", help="a folder with classes.json (default: 46 pictures that are drawn)")
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--out", metavar="FILE", help="a line of JSON for each kill, and the last line")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
