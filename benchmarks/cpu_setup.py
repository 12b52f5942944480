"""What utils/device.py wins on a CPU: ResNet-18 training steps as Paddle starts and as we start it.

python benchmarks/cpu_setup.py          (about a minute; the two take turns, n = 5 each)
Prints one line of JSON: seconds a step, median of each, and the ratio.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STEP = """
import sys, time
sys.path.insert(0, {root!r})
import numpy as np
import paddle
from datasets.loader import Batch
from models import build_model
from utils.device import choose_device
from utils.learner import Learner, make_optimizer
if {ours}:
    choose_device("cpu")
paddle.seed(0)
model = build_model("resnet18", 20)
learner = Learner(model, make_optimizer(model, 0.9, 1e-4), {{"mean": [0, 0, 0], "std": [1, 1, 1]}})
rng = np.random.default_rng(0)
photos, labels = rng.integers(0, 256, (16, 96, 96, 3), "uint8"), rng.integers(0, 2, (16, 20), "int8")
batch = Batch(photos, labels, np.arange(16))
times = []
for _ in range(4):
    begin = time.perf_counter()
    learner.step(labels.size, [batch], 0.01)
    times.append(time.perf_counter() - begin)
print(min(times[1:]))
"""


def seconds_a_step(ours):
    """The fastest of three steps (batch 16, 96 px) in a fresh process, in seconds."""
    unset = {"OMP_NUM_THREADS", "MKL_DEBUG_CPU_TYPE"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    code = STEP.format(root=str(ROOT), ours=ours)
    output = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return float(output.stdout.split()[-1])


def main():
    pairs = [(seconds_a_step(False), seconds_a_step(True)) for _ in range(5)]
    before, after = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(json.dumps({"paddle_alone_s": before, "ours_s": after, "ratio": ratio, "n": len(pairs)}))


if __name__ == "__main__":
    main()
