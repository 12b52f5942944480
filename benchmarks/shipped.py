"""What the shipped weights know: the tables of data/weights/README.md.

python benchmarks/shipped.py OUT

OUT is that of recipes/shipped_weights.sh, which runs this: it holds the twin, its label files and the
feature maps of its val split. Prints markdown: AP, precision and recall by class, mAP with intervals over
photos, AP by object size.
"""

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.common import filled_classes, map_draws, markdown, mean_ap  # noqa: E402
from benchmarks.object_size import object_sizes  # noqa: E402
from datasets.features import FeatureLoader  # noqa: E402
from datasets.records import read_split  # noqa: E402
from datasets.spec import load_spec  # noqa: E402
from utils.checkpoint import load_checkpoint  # noqa: E402
from utils.device import choose_device  # noqa: E402
from utils.evaluation.bootstrap import draws, interval  # noqa: E402
from utils.evaluation.metrics import IGNORED, THRESHOLD, average_precision  # noqa: E402
from utils.evaluation.object_size import BINS, ap_by_size  # noqa: E402
from utils.features import cached_features  # noqa: E402
from utils.scoring import score_split  # noqa: E402


def main():
    spec, train, test, scores = score_twin(Path(sys.argv[1]))
    labels = test.labels
    filled, every = filled_classes(train.labels, test.labels), np.arange(len(spec.classes))
    times = draws(len(labels))
    print(class_table(spec.classes, train, scores, labels))
    for name, classes in (
        (f"{len(filled)} classes with 15 positives or more in both", filled),
        ("all", every),
    ):
        low, high = interval(map_draws(scores, labels, classes, times))
        print(f"mAP over {name}: {mean_ap(scores, labels, classes):.1f} ({low:.1f} to {high:.1f})")
    sizes = ap_by_size(scores, labels, object_sizes(test.paths, spec.classes), filled)
    rows = [
        [f"{low:.0%} to {min(high, 1):.0%}", sizes[name].counted, f"{100 * sizes[name].mean:.1f}"]
        for name, (low, high) in BINS.items()
    ]
    print("\n" + markdown(["share of the photo", "positives", "AP"], rows))


def open_twin(out, checkpoint="twin/efficientnet_lite2/last.pdparams"):
    """(spec, records of train, heads, loader of the feature maps of val) of the twin.

    checkpoint: a path from `out`; another one with the same trunk may be named.
    """
    choose_device("cpu")
    spec, home = load_spec("voc07", out / "labels_twin")
    train, test = (read_split(spec, home, split) for split in ("train", "test"))
    model, description = load_checkpoint(out / checkpoint)
    find = (model.backbone, description["normalization"], test, description["img_size"])
    (maps,) = cached_features(*find, out / "twin/features")
    return spec, train, model.classifier, FeatureLoader(test, maps, batch_size=64)


def score_twin(out, *checkpoint):
    """(spec, records of train, records of val, scores of val (N, C) float32) of the twin; see open_twin."""
    spec, train, heads, loader = open_twin(out, *checkpoint)
    return spec, train, loader.records, score_split(heads, loader, None)


def class_table(classes, train, scores, labels):
    """Positives, AP, and precision and recall at the threshold, by class."""
    ap, rows = average_precision(scores, labels), []
    for c, name in enumerate(classes):
        counted, positive = labels[:, c] != IGNORED, labels[:, c] == 1
        said = (scores[:, c] >= THRESHOLD) & counted
        hits = (said & positive).sum()
        rows.append(
            [
                name,
                (train.labels[:, c] == 1).sum(),
                positive.sum(),
                f"{100 * ap[c]:.1f}",
                f"{100 * hits / said.sum():.0f}" if said.any() else "none said",
                f"{100 * hits / positive.sum():.0f}",
            ]
        )
    return markdown(["class", "positives in train", "in val", "AP", "precision", "recall"], rows)


if __name__ == "__main__":
    main()
