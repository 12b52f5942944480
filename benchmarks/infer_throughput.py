"""Images a second from file to label, and model time, of every engine and precision of infer.py.

python benchmarks/infer_throughput.py PHOTOS OUT       (ResNet-101, 448 px: half an hour on two cores)

PHOTOS is a folder of photos, repeated to --photos. OUT takes the exports and the table. Each
measurement is a process of its own, since thread pools of two engines disturb each other; with
--rounds they take turns. Weights are drawn unless --model_path names a checkpoint: they do not
change the speed. The seed's way (fp32, no oneDNN, one thread, batch 1, nothing overlapped) runs on
the first --seed_photos only. GFLOP/s count convolutions
alone. The last line is JSON: images/s by name, model_ms and gflops by name
(null where a package is absent), and the machine's measured matrix peak.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from utils.cpu import has_bfloat16  # noqa: E402
from utils.photos import find_photos  # noqa: E402

SEED = ["--enable_mkldnn", "False", "--cpu_threads", "1", "--num_workers", "0"]
WAYS = {  # name -> (export, options of infer.py)
    "seed_fp32": ("paddle", SEED),
    "fp32": ("paddle", []),
    "bf16": ("paddle", ["--precision", "bf16"]),
    "onnxruntime": ("onnx", ["--engine", "onnxruntime"]),
    "openvino_fp32": ("onnx", ["--engine", "openvino"]),
    "openvino_bf16": ("onnx", ["--engine", "openvino", "--precision", "bf16"]),
    "openvino_int8": ("int8", []),
}
EXPORTS = {  # name -> (options of export_model.py, model file)
    "paddle": ([], "model.json"),
    "onnx": (["--format", "onnx"], "model.onnx"),
    "int8": (["--format", "openvino", "--int8", "--calib"], "model.xml"),
}
MODEL = """
import sys, time
import numpy as np
sys.path.insert(0, {root!r})
import infer
args = infer.parse_args(sys.argv[1:])
engine, deployed = infer.open_model(args, infer.find_model(args.model_file))
size = deployed["img_size"]
batch = np.random.default_rng(0).integers(0, 256, (args.batch_size, size, size, 3), dtype=np.uint8)
times = []
for _ in range({runs} + 3):
    begin = time.perf_counter()
    engine.run(batch)
    times.append(time.perf_counter() - begin)
print(1000 * float(np.median(times[3:])) / args.batch_size)
"""
CHECKPOINT = """
import sys
sys.path.insert(0, {root!r})
import paddle
from datasets.spec import SPECS
from models import build_model
from utils.checkpoint import save_checkpoint
from utils.device import choose_device
choose_device("cpu")
spec = SPECS["voc07"]
description = dict(model={model!r}, num_heads=1, lam=0.1, num_cls=len(spec.classes), classes=spec.classes,
    img_size={size}, normalization=dict(mean=spec.mean, std=spec.std), dataset="voc07", data_dir=None)
save_checkpoint({path!r}, build_model({model!r}, len(spec.classes)), description)
"""
MACS = """
import sys
sys.path.insert(0, {root!r})
import paddle
from utils.checkpoint import load_checkpoint
model, description = load_checkpoint({path!r})
counts = []
def count(layer, given, result):  # multiplications of a convolution: those of each output value
    counts.append(result.size * layer.weight[0].size)
for layer in model.sublayers():
    if isinstance(layer, paddle.nn.Conv2D):
        layer.register_forward_post_hook(count)
model(paddle.zeros([1, 3, description["img_size"], description["img_size"]]))
print(float(sum(map(int, counts))))
"""
PEAK = """
import time
import numpy as np
import openvino
a = openvino.opset13.parameter([2048, 4096], np.float32)
b = openvino.opset13.constant(np.ones((4096, 4096), np.float32))
model = openvino.Model([openvino.opset13.matmul(a, b, False, False)], [a])
found = []
for hint in ("f32", "bf16"):
    run = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": hint})
    times = []
    for _ in range(10):
        begin = time.perf_counter()
        run(np.ones((2048, 4096), np.float32))
        times.append(time.perf_counter() - begin)
    found.append(2 * 2048 * 4096 * 4096 / min(times) / 1e9)
print(*found)
"""


def main():
    args = parse_args()
    out = Path(args.out)
    photos = repeat(find_photos([args.photos_dir], "PHOTOS"), out / "photos", args.photos)
    checkpoint = args.model_path or draw_checkpoint(out / "drawn.pdparams", args)
    macs = float(python(MACS.format(root=str(ROOT), path=str(checkpoint))).split()[-1])
    ways = [name for name in WAYS if possible(name)]
    for kind in sorted({WAYS[name][0] for name in ways}):
        export(kind, checkpoint, out / kind, args.photos_dir)
    speeds, times = {name: [] for name in ways}, {name: [] for name in ways}
    for _ in range(args.rounds):
        for name in ways:
            few = name == "seed_fp32"
            batch_size = 1 if few else args.batch_size
            times[name].append(model_ms(name, out, batch_size, 4 if few else args.runs))
            speeds[name].append(
                images_per_s(name, out, photos[: args.seed_photos] if few else photos, batch_size)
            )
            print(
                f"{name}: {speeds[name][-1]:.3f} images/s, model {times[name][-1]:.1f} ms a photo", flush=True
            )
    report(speeds, times, macs, args)


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos_dir", metavar="PHOTOS")
    parser.add_argument("out", metavar="OUT")
    parser.add_argument("--model_path", help="a checkpoint (default: drawn weights)")
    parser.add_argument("--model", default="resnet101", help="of drawn weights")
    parser.add_argument("--img_size", default=448, type=int, help="of drawn weights")
    parser.add_argument("--photos", default=512, type=int)
    parser.add_argument("--seed_photos", default=64, type=int)
    parser.add_argument("--batch_size", default=8, type=int, help="of all but the seed's way")
    parser.add_argument("--runs", default=10, type=int, help="timed batches of the model alone")
    parser.add_argument("--rounds", default=1, type=int)
    return parser.parse_args()


def possible(name):
    """Whether the packages and the processor for one of WAYS are there."""
    needed = {"onnx": ["paddle2onnx"], "int8": ["paddle2onnx", "nncf"]}.get(WAYS[name][0], [])
    needed += [package for package in ("onnxruntime", "openvino") if package in name]
    return all(map(find_spec, needed)) and (has_bfloat16() or "bf16" not in name)


def repeat(photos, folder, count):
    """`count` names for the photos, as links in a folder, each photo as often as the next."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    links = [folder / f"{number:06}{Path(photos[number % len(photos)]).suffix}" for number in range(count)]
    for number, link in enumerate(links):
        link.symlink_to(Path(photos[number % len(photos)]).resolve())
    return links


def draw_checkpoint(path, args):
    python(CHECKPOINT.format(root=str(ROOT), model=args.model, size=args.img_size, path=str(path)))
    return path


def export(kind, checkpoint, folder, photos_dir):
    options, _ = EXPORTS[kind]
    calib = [photos_dir] if kind == "int8" else []
    python(ROOT / "export_model.py", "--model_path", checkpoint, "--save_dir", folder, *options, *calib)


def images_per_s(name, out, photos, batch_size):
    """From file to label, after the engine has warmed up; infer.py's own figure."""
    table = out / f"{name}.csv"
    argv = infer_options(name, out, batch_size)
    said = python(
        ROOT / "infer.py", *argv, "--input_file", *photos, "--out", table, "--enable_benchmark", "True",
        seed=name == "seed_fp32",
    )  # fmt: skip
    return float(re.search(r"([\d.]+) images/s", said)[1])


def model_ms(name, out, batch_size, runs):
    """Milliseconds a photo in the engine alone, median of `runs` batches."""
    argv = [*infer_options(name, out, batch_size), "--input_file", "none"]
    said = python(MODEL.format(root=str(ROOT), runs=runs), *argv, seed=name == "seed_fp32")
    return float(said.split()[-1])


def infer_options(name, out, batch_size):
    kind, options = WAYS[name]
    return ["--model_file", out / kind / EXPORTS[kind][1], "--use_gpu", "False", "-b", batch_size, *options]


def python(code, *argv, seed=False):
    """Standard output of a script (a path) or of code (a text). seed: without our help for MKL on AMD."""
    first = [code] if isinstance(code, Path) else ["-c", code]
    environment = {**os.environ, **({"MKL_DEBUG_CPU_TYPE": "0"} if seed else {})}
    command = [sys.executable, *map(str, first), *map(str, argv)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return done.stdout


def report(speeds, times, macs, args):
    """A table, and the JSON line."""
    peak = [float(value) for value in python(PEAK).split()[-2:]] if find_spec("openvino") else [None, None]
    speed = {name: statistics.median(speeds[name]) if name in speeds else None for name in WAYS}
    model = {name: statistics.median(times[name]) if name in times else None for name in WAYS}
    gflops = {name: ms and 2 * macs / ms / 1e6 for name, ms in model.items()}
    print("| way | images/s | x seed | model ms a photo | GFLOP/s |\n| --- | --- | --- | --- | --- |")
    for name in speeds:
        ratio = speed[name] / speed["seed_fp32"]
        print(f"| {name} | {speed[name]:.3f} | {ratio:.1f} | {model[name]:.1f} | {gflops[name]:.0f} |")
    about = {"macs": macs, "matrix_peak_gflops": dict(zip(("fp32", "bf16"), peak, strict=True))}
    print(json.dumps({**speed, "model_ms": model, "gflops": gflops, **about, "options": vars(args)}))


if __name__ == "__main__":
    main()
