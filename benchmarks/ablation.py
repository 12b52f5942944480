"""What H and lambda do on real photos: heads on a frozen EfficientNet-Lite0, several seeds a setting.

python benchmarks/ablation.py LABELS OUT                          (an hour on two cores)
python benchmarks/ablation.py LABELS OUT --write docs/results     (ablation.md, ablation.png, ablation.jsonl)

LABELS holds the label files of the photos (utils/prepare/prepare_voc.py). OUT takes the feature maps,
one JSON line a training, and its scores; a second start goes on where the first one ended. Heads see
photos and their mirror images; SGD with momentum, cosine decay, batch 64. Stages: "reference" (the
settings in which the original was measured), "choose" (learning rate and epochs for each H, at 224 px on
a part of the training split), "grid" (H x lambda x seed x size at what was chosen), "baselines" (a plain
linear layer; one head with scaled logits). --sizes and --seeds share "grid" among processes, once all
are through with "choose".
"""

import argparse
import json
import sys
import time
from contextlib import redirect_stdout
from functools import lru_cache, partial
from io import StringIO
from itertools import groupby
from pathlib import Path
from zlib import crc32

import numpy as np
import paddle
from paddle import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.ablation_plan import BATCH, MODEL, SEEDS, SIZES, name_of, wanted  # noqa: E402
from benchmarks.ablation_report import write_report  # noqa: E402
from benchmarks.common import filled_classes, mean_ap, unnamed  # noqa: E402
from benchmarks.head_bank import (  # noqa: E402
    MOMENTUM,
    WEIGHT_DECAY,
    cosine,
    score_bank,
    train_bank,
)
from datasets.features import FeatureLoader  # noqa: E402
from datasets.records import read_split  # noqa: E402
from datasets.spec import load_spec  # noqa: E402
from models import build_model, normalization_of  # noqa: E402
from models.csra import MHA  # noqa: E402
from utils.device import choose_device  # noqa: E402
from utils.features import cached_features  # noqa: E402
from utils.learner import HEAD_LR, Learner, make_optimizer  # noqa: E402
from utils.scoring import score_split  # noqa: E402
from utils.training import train_epoch  # noqa: E402


@lru_cache(1)
def feature_maps(labels, out, size):
    """(training maps, training records, test maps, test records); maps (N, h * w, D) float32, in memory.

    The training photos come twice: as they are, and mirrored.
    """
    spec, folder = load_spec(labels)
    model = build_model(MODEL, len(spec.classes), pretrained="imagenet")
    model.eval()
    find = partial(cached_features, model.backbone, normalization_of(model, spec), workers=2)
    train, test = (read_split(spec, folder, split) for split in ("train", "test"))
    train_views = find(train, size, out / "features", ("plain", "mirrored"))
    (test_view,) = find(test, size, out / "features")
    return np.concatenate([_rows(view) for view in train_views]), train, _rows(test_view), test


def _rows(maps):
    """(N, D, h, w) -> (N, h * w, D) float32."""
    count, dim = maps.shape[:2]
    return maps.reshape(count, dim, -1).transpose(0, 2, 1).astype(np.float32)


def parts_of_train(records):
    """Which training photos to fit on when settings are chosen, (N,) bool; a fifth is kept out, by name."""
    return np.array([crc32(Path(path).name.encode()) % 5 != 0 for path in records.paths])


def run(settings, labels, out):
    """Train the settings, which share stage, size, seed and epochs; yields (setting, scores, labels)."""
    first = settings[0]
    maps, train, test_maps, test = feature_maps(labels, out, first["size"])
    train_labels, test_labels = np.concatenate([train.labels] * 2), test.labels
    if first["stage"] == "choose":
        fit = parts_of_train(train)
        test_maps, test_labels = maps[: len(train)][~fit], train.labels[~fit]
        maps, train_labels = maps[np.tile(fit, 2)], train_labels[np.tile(fit, 2)]
    flat = [s for s in settings if s["kind"][-1] == 0 or s["kind"][0] != "csra"]
    if flat:  # without attention a head uses the mean of its maps alone
        means, test_means = maps.mean(axis=1, keepdims=True), test_maps.mean(axis=1, keepdims=True)
        yield from train_all(flat, means, train_labels, test_means, test_labels)
    rest = [s for s in settings if s not in flat]
    if rest:
        yield from train_all(rest, maps, train_labels, test_maps, test_labels)


def train_all(settings, maps, labels, test_maps, test_labels):
    """Train CSRA heads side by side, other kinds one by one; yields (setting, scores, labels)."""
    heads = [s for s in settings if s["kind"][0] == "csra"]
    if heads:
        kinds, rates, first = [s["kind"][1:] for s in heads], [s["lr"] for s in heads], heads[0]
        by_epoch = first["stage"] == "reference"  # as PyTorch's schedulers are mostly stepped
        bank = train_bank(kinds, rates, maps, labels, first["epochs"], BATCH, first["seed"], by_epoch)
        for setting, scores in zip(heads, score_bank(bank, test_maps, BATCH), strict=True):
            yield setting, scores, test_labels
    for setting in settings:
        if setting["kind"][0] != "csra":
            yield setting, train_baseline(setting, maps, labels, test_maps, test_labels), test_labels


class Scaled(nn.Layer):
    """One head without attention whose logits are multiplied: what H heads do beside attention."""

    def __init__(self, dim, classes, scale):
        super().__init__()
        self.head, self.scale = MHA(1, 0, dim, classes), scale

    def forward(self, x):
        return self.scale * self.head(x)


def train_baseline(setting, maps, labels, test_maps, test_labels):
    """Scores (N, C) of a plain linear layer (bias, free norm) or a scaled head; maps (N, 1, D)."""
    paddle.seed(setting["seed"])
    dim, classes = maps.shape[2], labels.shape[1]
    name, *scale = setting["kind"]
    linear = nn.Sequential(nn.Flatten(), nn.Linear(dim, classes))
    head = linear if name == "linear" else Scaled(dim, classes, *scale)
    learner = Learner(head, make_optimizer(head, MOMENTUM, WEIGHT_DECAY), normalization=None)

    def loader(maps, labels, **options):
        return FeatureLoader(unnamed(labels), maps.transpose(0, 2, 1)[..., None], batch_size=BATCH, **options)

    train = loader(maps, labels, shuffle=True, seed=setting["seed"])
    steps = setting["epochs"] * len(train)
    for epoch in range(setting["epochs"]):
        before = epoch * len(train)
        rates = [cosine(setting["lr"] / HEAD_LR, before + i, steps) for i in range(len(train))]
        with redirect_stdout(StringIO()):
            train_epoch(learner, train, rates.__getitem__, epoch, len(train))
    return score_split(head, loader(test_maps, test_labels), None)


def read_lines(out):
    """The lines of all trainings so far."""
    paths = sorted(out.glob("*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def main():
    args = parse_args()
    out = Path(args.out)
    if args.write:
        write_report(read_lines(out), out, args.labels, Path(args.write))
        return
    choose_device("cpu")
    (out / "scores").mkdir(parents=True, exist_ok=True)
    for stage in args.stages:
        known = {name_of(line) for line in read_lines(out)}
        todo = [
            s for s in wanted(stage, read_lines(out))
            if name_of(s) not in known and s["size"] in args.sizes and s["seed"] in args.seeds
        ]  # fmt: skip
        key = lambda s: (s["size"], s["seed"], s["epochs"])  # noqa: E731
        for group in (list(settings) for _, settings in groupby(sorted(todo, key=key), key)):
            train_group(group, args.labels, out)


def train_group(group, labels, out):
    """Train settings that share a bank; appends their lines, in a file of this size and seed."""
    begin = time.perf_counter()
    _, train, _, test = feature_maps(labels, out, group[0]["size"])
    filled, lines = filled_classes(train.labels, test.labels), []
    for setting, scores, truth in run(group, labels, out):
        if setting["stage"] in ("grid", "baselines"):
            np.save(out / "scores" / f"{name_of(setting)}.npy", scores)
        lines.append(json.dumps({**setting, "mAP": mean_ap(scores, truth, filled)}))
    path = out / "{stage}_{size}_{seed}.jsonl".format(**group[0])
    with open(path, "a") as file:
        file.write("\n".join(lines) + "\n")
    print(f"{path.stem}: {len(group)} trainings, {time.perf_counter() - begin:.0f} s", flush=True)


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("labels")
    parser.add_argument("out")
    parser.add_argument("--stages", nargs="+", default=["reference", "choose", "grid", "baselines"])
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--write", metavar="DIR", help="write the report from what is there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
