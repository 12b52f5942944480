"""What H and lambda do on real photos: heads on a frozen EfficientNet-Lite0, several seeds a setting.

python benchmarks/ablation.py LABELS OUT                (train what is not there yet; some hours on two cores)
python benchmarks/ablation.py LABELS OUT --share 0/2    (one of two processes that share the work)
python benchmarks/ablation.py LABELS OUT --write docs/results     (ablation.md, ablation.png, ablation.jsonl)

LABELS holds the label files of the photos (utils/prepare/prepare_voc.py). OUT takes the feature maps,
one JSON line a training, and its scores; a second start goes on where the first one ended. Heads see
photos and their mirror images; SGD with momentum, cosine decay, batch 64. Stages: "reference" (the settings
in which the original was measured), "choose" (learning rate and epochs for each H, at 224 px on a part of the
training split), "grid" (H x lambda x seed x size at what was chosen), "baselines" (a plain linear
layer; one head with scaled logits). Processes that share the work must all be through with "choose"
before one begins "grid": give --stages.
"""

import argparse
import json
import math
import sys
import time
from contextlib import redirect_stdout
from functools import lru_cache, partial
from io import StringIO
from pathlib import Path
from zlib import crc32

import numpy as np
import paddle
from paddle import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.filled import filled_classes, mean_ap  # noqa: E402
from datasets.features import FeatureLoader  # noqa: E402
from datasets.records import Records, read_split  # noqa: E402
from datasets.spec import load_spec  # noqa: E402
from models import build_model, normalization_of  # noqa: E402
from models.csra import MHA  # noqa: E402
from utils.device import choose_device  # noqa: E402
from utils.features import cached_features  # noqa: E402
from utils.scoring import score_split  # noqa: E402
from utils.training import HEAD_LR, make_optimizer, train_epoch  # noqa: E402

MODEL = "efficientnet_lite0"
SIZES = (224, 320)  # pixels
HEADS = (1, 2, 4, 6, 8)
LAMBDAS = (0, 0.1, 0.2, 0.3, 0.5, 1.0)
SEEDS = (0, 1, 2)
BATCH = 64
CHOICE = ((0.3, 5), (0.1, 10), (0.3, 10), (1.0, 10))  # learning rate and epochs
REFERENCE = dict(lr=0.3, epochs=10)  # in which the original was measured
STEEP = 0.5  # a lambda from which on the seed decides much under the original's settings
ORIGINAL = {  # size -> (H, lambda) -> mAP of the original head, one seed
    224: {(1, 0): 59.1, (1, 0.1): 60.3, (1, 0.3): 60.1, (1, 1.0): 44.0, (2, 0.2): 63.2,
          (4, 0): 60.9, (4, 0.1): 62.1, (4, 0.5): 50.0},
    320: {(1, 0): 56.7, (1, 0.1): 59.3, (1, 0.3): 62.2, (1, 1.0): 48.6, (2, 0.2): 69.5,
          (4, 0): 65.5, (4, 0.1): 67.7, (4, 0.5): 58.8},
}  # fmt: skip


class Scaled(nn.Layer):
    """One head without attention whose logits are multiplied: what H heads do beside attention."""

    def __init__(self, dim, classes, scale):
        super().__init__()
        self.head, self.scale = MHA(1, 0, dim, classes), scale

    def forward(self, x):
        return self.scale * self.head(x)


def make_head(kind, dim, classes):
    """kind: ("csra", H, lambda), ("scaled", factor), or ("linear",): mean pooling, bias, free norm."""
    if kind[0] == "csra":
        return MHA(kind[1], kind[2], dim, classes)
    if kind[0] == "scaled":
        return Scaled(dim, classes, kind[1])
    return nn.Sequential(nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(dim, classes))


def pooled(records, plain, mirrored):
    """The same with means over positions, (N, D, 1, 1): all that a head without attention uses."""
    return records, plain.mean(axis=(2, 3), keepdims=True), mirrored


def cosine(peak, done, steps, iteration):
    """The rate of a step that falls from `peak` to 0 over `steps`, of which `done` were in earlier epochs."""
    return peak * (1 + math.cos(math.pi * (done + iteration) / steps)) / 2


def train_head(kind, train, test, lr, epochs, seed):
    """Train one head; returns its scores (N, C) of the test photos."""
    if kind[0] != "csra" or kind[2] == 0:
        train, test = pooled(*train), pooled(*test)
    paddle.seed(seed)
    _, plain, _ = test
    head = make_head(kind, plain.shape[1], test[0].labels.shape[1])
    loader = FeatureLoader(*train[:2], batch_size=BATCH, shuffle=True, seed=seed)
    steps = epochs * len(loader)
    optimizer = make_optimizer(head, momentum=0.9, weight_decay=1e-4)
    for epoch in range(epochs):
        rate = partial(cosine, lr / HEAD_LR, epoch * len(loader), steps)
        with redirect_stdout(StringIO()):
            train_epoch(head, loader, optimizer, rate, None, epoch, len(loader))
    return score_split(head, FeatureLoader(*test[:2], batch_size=BATCH), None)


@lru_cache(1)
def feature_maps(labels, out, size):
    """{"train", "test"}: (records, maps of photos, maps of their mirror images or None), maps in memory."""
    spec, folder = load_spec(labels)
    model = build_model(MODEL, len(spec.classes), pretrained="imagenet")
    model.eval()
    normalization, splits = normalization_of(model, spec), {}
    for split, views in (("train", ["plain", "mirrored"]), ("test", ["plain"])):
        records = read_split(spec, folder, split)
        maps = cached_features(
            model.backbone, normalization, records, size, out / "features", views, workers=2
        )
        splits[split] = (records, *(view.astype(np.float32) for view in maps), *[None] * (2 - len(views)))
    return splits


def doubled(records, plain, mirrored, rows=slice(None)):
    """Photos and mirror images as one split: (records, maps, None)."""
    maps = np.concatenate([plain[rows], mirrored[rows]])
    labels = np.concatenate([records.labels[rows]] * 2)
    return Records([None] * len(maps), labels, None), maps, None


def parts_of_train(records):
    """Rows of the training split to fit on and to choose on (a fifth), told apart by the photo's name."""
    chosen = np.array([crc32(Path(path).name.encode()) % 5 == 0 for path in records.paths])
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def settings(stage, done):
    """The trainings of a stage, as dicts that name them. done: lines of those that are finished."""
    if stage == "reference":
        return [
            dict(stage=stage, size=size, kind=("csra", H, lam), seed=seed, **REFERENCE)
            for size in SIZES for H, lam in ORIGINAL[size]
            for seed in (SEEDS if lam >= STEEP else SEEDS[:1])
        ]  # fmt: skip
    if stage == "choose":
        return [
            dict(stage=stage, size=SIZES[0], kind=("csra", H, lam), seed=0, lr=lr, epochs=epochs)
            for H in HEADS for lam in (0, 0.2) for lr, epochs in CHOICE
        ]  # fmt: skip
    kinds = [("csra", H, lam) for H in HEADS for lam in LAMBDAS]
    if stage == "baselines":
        kinds = [("linear",), *(("scaled", factor) for factor in HEADS[1:])]
    chosen = chosen_settings(done)
    return [
        dict(stage=stage, size=size, kind=kind, seed=seed, **chosen[heads_of(kind)])
        for size in SIZES for kind in kinds for seed in SEEDS
    ]  # fmt: skip


def heads_of(kind):
    """Whose learning rate a kind takes: its own H, or that of as many heads as its scale."""
    return 1 if kind[0] == "linear" else kind[1]


def chosen_settings(done):
    """{H: {"lr", "epochs"}}, the best mean over lambda on the chosen part of the training split."""
    found = {}
    for line in done:
        if line["stage"] == "choose":
            by = found.setdefault(line["kind"][1], {})
            by.setdefault((line["lr"], line["epochs"]), []).append(line["mAP"])
    best = {H: max(by, key=lambda setting, by=by: np.mean(by[setting])) for H, by in found.items()}
    return {H: dict(lr=lr, epochs=epochs) for H, (lr, epochs) in best.items()}


def run(setting, labels, out):
    """Train and evaluate one setting; writes its scores, returns its line."""
    begin = time.perf_counter()
    splits = feature_maps(labels, out, setting["size"])
    test, rows, rest = splits["test"], slice(None), None
    if setting["stage"] == "choose":
        rows, rest = parts_of_train(splits["train"][0])
        records, plain, _ = splits["train"]
        test = (Records([records.paths[i] for i in rest], records.labels[rest], None), plain[rest], None)
    train = doubled_cached(labels, out, setting["size"], setting["stage"] == "choose")
    scores = train_head(setting["kind"], train, test, setting["lr"], setting["epochs"], setting["seed"])
    filled = filled_classes(splits["train"][0].labels, splits["test"][0].labels)
    if setting["stage"] != "choose":
        np.save(out / "scores" / f"{name_of(setting)}.npy", scores.astype(np.float32))
    return {**setting, "mAP": mean_ap(scores, test[0].labels, filled), "seconds": time.perf_counter() - begin}


@lru_cache(1)
def doubled_cached(labels, out, size, part):
    train = feature_maps(labels, out, size)["train"]
    return doubled(*train, parts_of_train(train[0])[0] if part else slice(None))


def name_of(setting):
    """One word for a setting, the same in every run."""
    kind = "_".join(map(str, setting["kind"]))
    return "{stage}_{size}_{word}_lr{lr}_e{epochs}_s{seed}".format(word=kind, **setting)


def read_lines(out):
    return [
        json.loads(line) for path in sorted(out.glob("*.jsonl")) for line in path.read_text().splitlines()
    ]


def main():
    args = parse_args()
    out = Path(args.out)
    if args.write:
        from benchmarks.ablation_report import write_report

        return write_report(read_lines(out), out, args.labels, Path(args.write))
    choose_device("cpu")
    (out / "scores").mkdir(parents=True, exist_ok=True)
    share, shares = map(int, args.share.split("/"))
    for stage in args.stages:
        for number, setting in enumerate(settings(stage, read_lines(out))):
            known = {name_of(line) for line in read_lines(out)}
            if number % shares != share or name_of(setting) in known:
                continue
            line = run(setting, args.labels, out)
            with open(out / f"share_{share}.jsonl", "a") as file:
                file.write(json.dumps(line) + "\n")
            print(name_of(line), f"{line['mAP']:.2f}", f"{line['seconds']:.0f} s", flush=True)
    return None


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("labels")
    parser.add_argument("out")
    parser.add_argument("--share", default="0/1", help="K/N: the K-th of N processes")
    parser.add_argument("--stages", nargs="+", default=["reference", "choose", "grid", "baselines"])
    parser.add_argument("--write", metavar="DIR", help="write the report from what is there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
