"""The page of benchmarks/ablation.py: tables, figure and what the gain is made of."""

import json
import platform
from datetime import date

import numpy as np

from benchmarks.ablation_plan import BATCH, HEADS, LAMBDAS, ORIGINAL, SIZES, chosen_settings, name_of
from benchmarks.common import filled_classes, map_draws, markdown, mean_ap, used_versions
from benchmarks.object_size import object_sizes
from datasets.records import read_split
from datasets.spec import load_spec
from utils.evaluation.bootstrap import draws, interval
from utils.evaluation.metrics import average_precision
from utils.evaluation.object_size import BINS, ap_by_size

DRAWS = 500  # of the bootstrap


def write_report(lines, out, labels, folder):
    """Write ablation.md, ablation.png and ablation.jsonl to `folder` from the lines of all trainings."""
    spec, home = load_spec(labels)
    train, test = (read_split(spec, home, split) for split in ("train", "test"))
    filled = filled_classes(train.labels, test.labels)
    lines = [line for line in lines if line["stage"] in ("reference", "choose", "grid", "baselines")]
    scores = Scores(lines, out)
    table = {
        (line["size"], *key_of(line)): [other["mAP"] for other in lines if same(other, line)]
        for line in lines
        if line["stage"] in ("grid", "baselines")
    }
    parts = [
        HEAD.format(
            today=date.today(), machine=platform.machine(), used=used_versions(), batch=BATCH,
            classes=", ".join(spec.classes[c] for c in filled), n=len(filled),
            train=len(train), test=len(test),
        ),
        reference_table(lines),
        chosen_text(chosen_settings(lines), table),
        *(grid_table(table, size) for size in SIZES),
        FIGURE,
        baseline_table(table),
        gains(table, scores, test, filled),
        class_table(table, scores, test, filled, spec.classes),
        size_table(table, scores, test, filled, spec.classes),
    ]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ablation.md").write_text("\n".join(parts), encoding="utf-8")
    (folder / "ablation.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    draw(table, folder / "ablation.png")


HEAD = """# Heads, lambda and resolution on real photos

`python benchmarks/ablation.py LABELS OUT`, {today}, two shared {machine} cores, no GPU; {used}.
EfficientNet-Lite0 with its ImageNet weights, frozen; CSRA heads on its maps of {train} photos and their
mirror images, evaluated on {test} photos: real VOC 2012 photos, shrunk and skewed to animals (official train
and val split). **These are no VOC results.** mAP12: mean AP in percent over the {n} classes with at least 15
positives in both splits ({classes}), difficult objects ignored. Batch {batch}, SGD 0.9, weight decay 1e-4,
cosine decay to 0 step by step; the figures are those after the last epoch. Every training, one JSON line:
[ablation.jsonl](ablation.jsonl).
"""
REFERENCE = """## Beside the original

The original head was measured on the same maps: learning rate 0.3, 10 epochs, cosine decay, one seed. Here
the same settings (the rate falls after each epoch, not after each step), seeds from 0 on.

"""
GRID = """## The grid

Learning rate and length (at most 10 epochs) were chosen for each H at 224 px on a fifth of the training
photos, as the mean over lambda 0 and 0.2: {said}.
Mean and standard deviation over seeds: {seeds}.
"""
FIGURE = """![mAP12 against lambda for each number of heads](ablation.png)

Bars: standard deviation over seeds. Dashed: the plain linear layer.
"""
GAINS = """## What the gain is made of

Differences of mAP12, means over seeds; 95 % intervals over photos (bootstrap, {draws} draws of {photos}
photos, both sides on the same draws). H and lambda are the best of the tables above: that choice is
optimistic.

"""
BY_SIZE = """## By object size, {size} px

Size: share of the photo that the largest box of the class covers. AP of the positives of one size against
all negatives, mean over the classes with at least 5 of them.

"""


class Scores:
    """Scores (N, C) of the trainings, read from OUT when asked for."""

    def __init__(self, lines, out):
        self.lines, self.out = lines, out

    def of(self, size, *kind):
        """The scores of all seeds of a setting, a list."""
        lines = [line for line in self.lines if line["stage"] in ("grid", "baselines")]
        mine = [line for line in lines if (line["size"], *key_of(line)) == (size, *kind)]
        return [np.load(self.out / "scores" / f"{name_of(line)}.npy") for line in mine]


def key_of(line):
    return tuple(line["kind"])


def same(a, b):
    return all(a[name] == b[name] for name in ("stage", "size", "kind"))


def reference_table(lines):
    """Ours beside the original's under its settings."""
    rows = []
    for size in SIZES:
        for (H, lam), original in ORIGINAL[size].items():
            about = ("reference", size, ["csra", H, lam])
            mine = [x["mAP"] for x in lines if (x["stage"], x["size"], x["kind"]) == about]
            rows.append([size, H, lam, f"{original:.1f}", ", ".join(f"{value:.1f}" for value in mine)])
    return REFERENCE + markdown(["size", "H", "lambda", "original", "here"], rows)


def chosen_text(chosen, table):
    """What was chosen, and how many seeds the tables below stand on."""
    said = "; ".join(f"H={H}: {s['lr']}, {s['epochs']} epochs" for H, s in sorted(chosen.items()))
    seeds = ", ".join(f"{len(table[size, 'csra', 1, 0])} at {size} px" for size in SIZES)
    return GRID.format(said=said, seeds=seeds)


def grid_table(table, size):
    best = max((key for key in table if key[0] == size), key=lambda key: np.mean(table[key]))
    rows = [
        [H, *(spread(table[size, "csra", H, lam], best == (size, "csra", H, lam)) for lam in LAMBDAS)]
        for H in HEADS
    ]
    return f"{size} px:\n\n" + markdown(["H", *(f"lambda {lam}" for lam in LAMBDAS)], rows)


def spread(values, bold=False):
    text = f"{np.mean(values):.1f}" + (f" ± {deviation(values):.1f}" if len(values) > 1 else "")
    return f"**{text}**" if bold else text


def deviation(values):
    """Standard deviation over seeds; 0 where there is one."""
    return np.std(values, ddof=1) if len(values) > 1 else 0.0


def baseline_table(table):
    names = {
        ("linear",): "mean pooling, linear layer with bias, rows of free norm",
        ("csra", 1, 0): "one head, lambda 0",
        **{("scaled", factor): f"the same, logits times {factor}" for factor in HEADS[1:]},
    }
    rows = [[name, *(spread(table[(size, *kind)]) for size in SIZES)] for kind, name in names.items()]
    return "## Without attention\n\n" + markdown(["head", *(f"{size} px" for size in SIZES)], rows)


def best_of(table, size, kinds):
    return max(kinds, key=lambda kind: np.mean(table[(size, *kind)]))


def gains(table, scores, test, filled):
    """What each step of the way from the plain baseline gains, with intervals over photos."""
    flat = [("csra", H, 0) for H in HEADS]
    with_attention = [("csra", H, lam) for H in HEADS for lam in LAMBDAS if lam]
    steps, ends = [], {}
    for size in SIZES:
        single = best_of(table, size, [("csra", 1, lam) for lam in LAMBDAS if lam])
        heads = best_of(table, size, flat)
        best = ends[size] = best_of(table, size, with_attention)
        steps += [
            ("norm and bias", size, ("linear",), size, ("csra", 1, 0)),
            ("attention alone, H = 1", size, ("csra", 1, 0), size, single),
            ("more heads without attention (scale)", size, ("csra", 1, 0), size, heads),
            ("one head, scaled alike", size, ("csra", 1, 0), size, ("scaled", max(heads[1], 2))),
            ("attention at the best H", size, ("csra", best[1], 0), size, best),
        ]
    steps += [
        ("resolution, without attention", SIZES[0], ("csra", 1, 0), SIZES[1], ("csra", 1, 0)),
        ("resolution, with attention", SIZES[0], ends[SIZES[1]], SIZES[1], ends[SIZES[1]]),
    ]
    rows = []
    for name, size_a, a, size_b, b in steps:
        gain, low, high = difference(scores.of(size_a, *a), scores.of(size_b, *b), test.labels, filled)
        rows.append([name, said(size_a, a), said(size_b, b), f"{gain:+.1f}", f"{low:+.1f} to {high:+.1f}"])
    columns = ["step", "from", "to", "gain", "interval"]
    return GAINS.format(draws=DRAWS, photos=len(test)) + markdown(columns, rows)


def said(size, kind):
    if kind[0] == "csra":
        return f"{size} px, H = {kind[1]}, lambda {kind[2]}"
    return f"{size} px, " + (
        "linear layer" if kind[0] == "linear" else f"H = 1, lambda 0, logits x {kind[1]}"
    )


def difference(a, b, labels, filled):
    """(gain, low, high) of mAP12 from scores a to scores b, lists over seeds."""
    times = draws(len(labels), DRAWS)
    before, after = (np.mean([map_draws(s, labels, filled, times) for s in each], axis=0) for each in (a, b))
    gain = np.mean([mean_ap(s, labels, filled) for s in b]) - np.mean([mean_ap(s, labels, filled) for s in a])
    return gain, *interval(after - before)


def class_table(table, scores, test, filled, classes):
    """AP by class at the larger size: without attention, one head with, and the best."""
    size = SIZES[-1]
    kinds = compared(table, size)
    ap = [np.mean([average_precision(s, test.labels) for s in scores.of(size, *kind)], 0) for kind in kinds]
    rows = [
        [classes[c], (test.labels[:, c] == 1).sum(), *(f"{100 * values[c]:.1f}" for values in ap)]
        for c in filled
    ]
    columns = ["class", "positives", *(said(size, kind) for kind in kinds)]
    return f"## By class, {size} px\n\n" + markdown(columns, rows)


def size_table(table, scores, test, filled, classes):
    """AP against the size of the objects."""
    size, sizes = SIZES[-1], object_sizes(test.paths, classes)
    kinds = compared(table, size)
    found = [[ap_by_size(s, test.labels, sizes, filled) for s in scores.of(size, *kind)] for kind in kinds]
    rows = [
        [
            f"{name}: {low:.0%} to {min(high, 1):.0%}",
            found[0][0][name].counted,
            *(f"{100 * np.mean([one[name].mean for one in many]):.1f}" for many in found),
        ]
        for name, (low, high) in BINS.items()
    ]
    columns = ["largest box", "positives", *(said(size, kind) for kind in kinds)]
    return BY_SIZE.format(size=size) + markdown(columns, rows)


def compared(table, size):
    best = best_of(table, size, [("csra", H, lam) for H in HEADS for lam in LAMBDAS if lam])
    single = best_of(table, size, [("csra", 1, lam) for lam in LAMBDAS if lam])
    return [("csra", 1, 0), single, ("csra", best[1], 0), best]


def draw(table, path):
    """The figure: a panel a size, a line for each H."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(SIZES), figsize=(10, 4), sharey=True, layout="constrained")
    for panel, size in zip(panels, SIZES, strict=True):
        for H in HEADS:
            values = [table[size, "csra", H, lam] for lam in LAMBDAS]
            means, deviations = np.mean(values, axis=1), [deviation(one) for one in values]
            panel.errorbar(LAMBDAS, means, deviations, marker="o", capsize=2, label=f"H = {H}")
        panel.axhline(np.mean(table[size, "linear"]), color="grey", linestyle="--")
        panel.set(title=f"{size} px", xlabel="lambda")
    panels[0].set_ylabel("mAP12, %")
    panels[0].legend()
    figure.savefig(path, dpi=120)
