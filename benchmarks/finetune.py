"""All layers trained on real photos: does this code learn what the original learns?

python benchmarks/finetune.py LABELS OUT                        (two hours on two cores; can go on)
python benchmarks/finetune.py LABELS OUT --write docs/results     (finetune.md and finetune.jsonl)

EfficientNet-Lite0 from its ImageNet weights at 224 px, the recipe of the main job, 8 epochs, two seeds.
LABELS holds the label files of the photos (utils/prepare/prepare_voc.py). The lambda = 0 runs are
then given attention at test time, as val.py --test_time_lam does it.
"""

import argparse
import copy
import json
import platform
import subprocess
import sys
from contextlib import redirect_stdout
from datetime import date
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.common import filled_classes, map_draws, markdown, mean_ap, used_versions  # noqa: E402
from datasets.features import FeatureLoader  # noqa: E402
from datasets.records import read_split  # noqa: E402
from datasets.spec import load_spec  # noqa: E402
from models.csra import TEMPERATURES, attend_at_test_time  # noqa: E402
from utils.checkpoint import load_checkpoint  # noqa: E402
from utils.device import choose_device  # noqa: E402
from utils.evaluation.bootstrap import draws, interval  # noqa: E402
from utils.evaluation.metrics import average_precision  # noqa: E402
from utils.features import cached_features  # noqa: E402
from utils.scoring import score_split  # noqa: E402

SIZE, EPOCHS, SEEDS, LAMBDAS = 224, 8, (0, 1), (0.1, 0)
EVALUATED = {0: (1, 2, 4, 8), 1: (8,)}  # seed -> epochs; each takes the trunk once over all photos
ORIGINAL = {  # lambda -> mAP12 of the original code after each epoch, seed 0
    0.1: (44.2, 54.4, 57.4, 59.2, 60.1, 60.4, 60.8, 61.1),
    0: (43.6, 53.5, 57.2, 58.2, 58.6, 58.8, 59.3, 59.3),
}
TEST_TIME = (0, 0.1, 0.2, 0.3, 0.5, 1.0)


def folder_of(out, lam, seed):
    return out / f"lam{lam}_seed{seed}/efficientnet_lite0"


def train_all(labels, out):
    """The four trainings, one after the other; a training that is whole is left alone."""
    for seed in SEEDS:
        for lam in LAMBDAS:
            if (folder_of(out, lam, seed) / f"epoch_{EPOCHS}.pdparams").exists():
                continue
            command = ["train.py", "--dataset", labels, "--model", "efficientnet_lite0", "--img_size", SIZE,
                       "--lam", lam, "--seed", seed, "--total_epoch", EPOCHS, "--tranval", False,
                       "--resume", "auto", "--save_dir", folder_of(out, lam, seed).parent]  # fmt: skip
            subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, check=True)


def evaluate(out, lam, seed, epoch, test, filled):
    """A line of one epoch: mAP12; at the end AP by class and, for lambda 0, with attention at test time."""
    with redirect_stdout(sys.stderr):
        model, description = load_checkpoint(folder_of(out, lam, seed) / f"epoch_{epoch}.pdparams")
        find = (model.backbone, description["normalization"], test, SIZE, out / "features")
        (maps,) = cached_features(*find, workers=2)
    loader = FeatureLoader(test, maps, batch_size=64)
    scores = score_split(model.classifier, loader, None)
    line = {"lam": lam, "seed": seed, "epoch": epoch, "mAP12": mean_ap(scores, test.labels, filled)}
    if epoch == EPOCHS:
        line["ap"] = np.nan_to_num(100 * average_precision(scores, test.labels)).round(2).tolist()
        np.save(out / f"scores_lam{lam}_seed{seed}.npy", scores)
    if epoch == EPOCHS and lam == 0:
        line["test_time"] = {
            f"{heads} {weight}": mean_ap(attended(model, loader, weight, heads), test.labels, filled)
            for heads in TEMPERATURES for weight in TEST_TIME
        }  # fmt: skip
    return line


def attended(model, loader, lam, heads):
    return score_split(attend_at_test_time(copy.copy(model.classifier), lam, heads), loader, None)


def write(lines, out, folder, test, filled, classes):
    """finetune.md and finetune.jsonl."""
    at = {(line["lam"], line["seed"], line["epoch"]): line for line in lines}
    ends = {lam: [at[lam, seed, EPOCHS] for seed in SEEDS if (lam, seed, EPOCHS) in at] for lam in LAMBDAS}
    epochs = range(1, EPOCHS + 1)
    curve = []
    for lam in LAMBDAS:
        curve.append([lam, "original, seed 0", *ORIGINAL[lam]])
        curve += [[lam, f"here, seed {s}", *(cell(at, lam, s, epoch) for epoch in epochs)] for s in SEEDS]
    last = {lam: np.mean([end["mAP12"] for end in ends[lam]]) for lam in LAMBDAS}
    scores = {
        lam: [np.load(out / f"scores_lam{lam}_seed{end['seed']}.npy") for end in ends[lam]] for lam in LAMBDAS
    }

    times = draws(len(test))
    first, second = (
        np.mean([map_draws(s, test.labels, filled, times) for s in scores[lam]], axis=0) for lam in LAMBDAS
    )
    low, high = interval(first - second)
    by_class = [
        [classes[c], int((test.labels[:, c] == 1).sum())]
        + [f"{np.mean([end['ap'][c] for end in ends[lam]]):.1f}" for lam in LAMBDAS]
        for c in filled
    ]
    tested = [
        [
            h,
            *(
                f"{np.mean([end['test_time'][f'{h} {weight}'] for end in ends[0]]):.1f}"
                for weight in TEST_TIME
            ),
        ]
        for h in TEMPERATURES
    ]
    text = PAGE.format(
        today=date.today(), machine=platform.machine(), used=used_versions(), photos=len(test),
        classes=", ".join(classes[c] for c in filled),
        curve=markdown(["lambda", "", *(f"epoch {epoch}" for epoch in epochs)], curve),
        last=", ".join(
            f"lambda {lam}: {last[lam]:.1f}, n = {len(ends[lam])} (original {ORIGINAL[lam][-1]})"
            for lam in LAMBDAS
        ),
        gain=f"{last[0.1] - last[0]:+.1f}", low=f"{low:+.1f}", high=f"{high:+.1f}",
        by_class=markdown(["class", "positives", *(f"lambda {lam}" for lam in LAMBDAS)], by_class),
        tested=markdown(["temperatures", *(f"lambda {w}" for w in TEST_TIME)], tested),
    )  # fmt: skip
    (folder / "finetune.md").write_text(text, encoding="utf-8")
    (folder / "finetune.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def cell(at, lam, seed, epoch):
    return f"{at[lam, seed, epoch]['mAP12']:.1f}" if (lam, seed, epoch) in at else ""


PAGE = """# All layers trained on real photos

`python benchmarks/finetune.py LABELS OUT`, {today}, two shared {machine} cores (one a run), no GPU; {used}.
EfficientNet-Lite0 from its ImageNet weights, 224 px, H = 1, the recipe of the main job (batch 16, learning
rate 0.01, heads x10, warm-up 2 epochs, x0.1 after 4), 8 epochs, 1,637 training photos; evaluated on {photos}
photos. Real VOC 2012 photos, shrunk and skewed to animals: **no VOC results.** mAP12: mean AP in percent over
{classes}; difficult objects ignored. Lines: [finetune.jsonl](finetune.jsonl).

## Beside the original

The original PyTorch code (head, augmentation, schedule, metric) with this trunk, these photos, this recipe:

{curve}
After the last epoch, mean over seeds: {last}.
Gain of lambda 0.1: {gain} points, 95 % interval over photos {low} to {high} (bootstrap, 1,000 draws).

## By class, last epoch, mean over seeds

{by_class}
## Attention at test time

The lambda = 0 runs with residual attention added at test time, no training (`val.py --test_time_lam L
--test_time_heads H`; the paper's "four lines"), mean over seeds:

{tested}"""


def main():
    args = parse_args()
    out = Path(args.out)
    choose_device("cpu")
    spec, home = load_spec(args.labels)
    train, test = (read_split(spec, home, split) for split in ("train", "test"))
    filled, path = filled_classes(train.labels, test.labels), out / "lines.jsonl"
    if args.write:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        write(lines, out, Path(args.write), test, filled, spec.classes)
        return
    train_all(args.labels, out)
    lines = [
        evaluate(out, lam, seed, epoch, test, filled)
        for seed in SEEDS for lam in LAMBDAS for epoch in EVALUATED[seed]
    ]  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("labels")
    parser.add_argument("out")
    parser.add_argument("--write", metavar="DIR", help="write the page from what is there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
