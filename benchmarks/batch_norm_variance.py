"""What does Paddle's biased running variance of batch norm change in a result?

python benchmarks/batch_norm_variance.py CHECKPOINT BATCH_SIZE

Paddle keeps the biased variance of a batch, PyTorch the unbiased one: n/(n-1) times as
much, n = batch size x positions of the map. Evaluates a checkpoint on its data set twice:
as it is, and with each variance times its n/(n-1), which is what a whole training by
PyTorch's rule with batches of BATCH_SIZE would have kept. Prints both mAP, the smallest n
and the largest change of a score.
"""

import sys
from pathlib import Path

import numpy as np
import paddle

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from datasets.loader import Loader  # noqa: E402
from datasets.records import read_split  # noqa: E402
from datasets.spec import load_spec  # noqa: E402
from utils.checkpoint import load_checkpoint  # noqa: E402
from utils.device import choose_device  # noqa: E402
from utils.scoring import evaluate_split  # noqa: E402


def positions(backbone, size):
    """Name of each batch norm -> positions (h * w) of its map for photos of `size` pixels."""
    counts = {}

    def count(name):
        return lambda _, __, output: counts.update({name: int(np.prod(output.shape[2:]))})

    for name, layer in backbone.named_sublayers():
        if isinstance(layer, paddle.nn.BatchNorm2D):
            layer.register_forward_post_hook(count(name))
    with paddle.no_grad():
        backbone(paddle.zeros([1, 3, size, size]))
    return counts


def main(checkpoint, batch_size):
    choose_device("cpu", 0)
    model, description = load_checkpoint(checkpoint)
    spec, folder = load_spec(description["dataset"], description["data_dir"])
    loader = Loader(read_split(spec, folder, "test"), description["img_size"], 16, num_workers=2)
    scores, figures = {}, {}
    for rule in ("biased", "unbiased"):
        if rule == "unbiased":
            counts = positions(model.backbone, description["img_size"])
            for name, count in counts.items():
                variance = model.backbone.state_dict()[f"{name}._variance"]
                n = count * batch_size
                variance.set_value(variance.numpy() * n / (n - 1))
        scores[rule], figures[rule] = evaluate_split(model, loader, description["normalization"], spec, 0.5)
        print(f"{rule}: mAP {figures[rule]['mAP']:.6f} on {len(loader.records)} photos")
    n = min(counts.values()) * batch_size
    change = np.abs(scores["biased"] - scores["unbiased"]).max()
    print(f"smallest n {n}, n/(n-1) {n / (n - 1):.5f}; largest change of a score {change:.4f}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
