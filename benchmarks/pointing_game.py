"""The pointing game: the score maps of CSRA against those of the average-pool baseline, on real boxes.

python benchmarks/pointing_game.py OUT [SUFFIX ...]

OUT is that of recipes/shipped_weights.sh, and holds in twin0/ a training that differs from the twin in
--lam 0 alone. SUFFIX: both again under other names, twinSUFFIX and twin0SUFFIX, of other seeds. Prints the
tables of docs/results/pointing_game.md: the maximum of a class's map and its energy in boxes of the class,
over all positive labels of the val photos, and the difference with its interval over photos.
"""

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.common import filled_classes, markdown, used_versions  # noqa: E402
from benchmarks.shipped import open_twin  # noqa: E402
from utils.evaluation.bootstrap import DRAWS, draws, interval  # noqa: E402
from utils.evaluation.object_size import BINS  # noqa: E402
from utils.heatmaps import temperature_name  # noqa: E402
from utils.pointing_game import pairs_of_split  # noqa: E402

RUNS = {"CSRA": "twin", "baseline": "twin0"}
HIT = "maximum in a box"
MEASURES = {HIT: "hit", "energy in boxes": "energy", "attention in boxes": "attention"}  # fields of a Pair


def main():
    out, suffixes = Path(sys.argv[1]), ["", *sys.argv[2:]]
    for suffix in suffixes:
        played = {}
        for name, folder in RUNS.items():
            spec, train, heads, loader = open_twin(out, f"{folder}{suffix}/efficientnet_lite2/last.pdparams")
            played[name] = pairs_of_split(heads, loader, None)
        photos, filled = len(loader.records), filled_classes(train.labels, loader.records.labels)
        labels = f"{len(played['CSRA'])} labels of {len({pair.photo for pair in played['CSRA']})} photos"
        print(f"{used_versions()}; {labels}; runs twin{suffix}, twin0{suffix}\n")
        print(difference_table(played, filled, photos))
        if not suffix:
            print(map_table(played, photos, ["sum", *(temperature_name(h.T) for h in heads.multi_head)]))
            print(size_table(played, photos))
            print(class_table(played, spec.classes, photos))


def compared(played, measure, times, groups=None, keep=lambda pair: True, m=0):
    """Cells of one of MEASURES in percent: CSRA, baseline, their difference with its interval over photos.

    m: the map, 0 for the sum of the heads. groups: columns of classes, for the mean of their means; None:
    the mean over labels. keep: which pairs count. Both runs play the same pairs and are drawn together.
    """
    means = []
    for pairs in played.values():
        kept = [pair for pair in pairs if keep(pair)]
        values = 100 * np.array([getattr(pair, MEASURES[measure])[m] for pair in kept], float)  # (P,)
        weights = times[:, [pair.photo for pair in kept]] * ~np.isnan(values)  # (1 + n, P)
        columns = np.array([pair.column for pair in kept])
        each = [columns == c for c in groups] if groups is not None else [np.ones(len(kept), bool)]
        with np.errstate(invalid="ignore"):  # a draw without a label of a class: it is left out there
            mean = [weights[:, g] @ np.nan_to_num(values[g]) / weights[:, g].sum(axis=1) for g in each]
        means.append(np.nanmean(mean, axis=0))  # (1 + n,)
    (csra, *_), (baseline, *_) = means
    low, high = interval((means[0] - means[1])[1:])
    return [f"{csra:.1f}", f"{baseline:.1f}", f"{csra - baseline:+.1f} ({low:+.1f} to {high:+.1f})"]


def plain_and_draws(photos):
    """Weights of the photos: each once, then those of the draws, (1 + n, N)."""
    return np.concatenate([np.ones((1, photos), np.uint16), draws(photos)])


def difference_table(played, filled, photos):
    """A row a measure, over labels and over the classes that are filled."""
    times, rows = plain_and_draws(photos), []
    for measure in MEASURES:
        rows.append([measure, "all labels", *compared(played, measure, times)])
        rows.append([measure, f"mean of {len(filled)} classes", *compared(played, measure, times, filled)])
    return markdown(["in percent", "over", *RUNS, f"difference ({DRAWS} paired draws)"], rows)


def map_table(played, photos, maps):
    """A row a map, the sum and each head, over all labels."""
    times = plain_and_draws(photos)
    rows = [[name, *compared(played, HIT, times, m=m)] for m, name in enumerate(maps)]
    for measure in list(MEASURES)[1:]:
        for m, row in enumerate(rows):
            row += compared(played, measure, times, m=m)[:2]
    columns = [f"{measure}, {run}" for measure in MEASURES for run in RUNS]
    return markdown(["map", *columns[:2], "difference", *columns[2:]], rows)


def size_table(played, photos):
    """Maximum in a box by the share of the photo that the largest box of the class covers."""
    times, rows = plain_and_draws(photos), []
    for low, high in BINS.values():
        of_size = [pair for pair in played["CSRA"] if low <= pair.largest < high]
        share = f"{low:.0%} to {min(high, 1):.0%}"
        cells = compared(played, HIT, times, keep=lambda pair, low=low, high=high: low <= pair.largest < high)
        rows.append([share, len(of_size), *cells, *references(of_size)])
    rows.append(["all", len(played["CSRA"]), *compared(played, HIT, times), *references(played["CSRA"])])
    return markdown(["largest box", "labels", *RUNS, "difference", "random point", "centre"], rows)


def class_table(played, classes, photos):
    """Maximum in a box by class."""
    times, rows = plain_and_draws(photos), []
    for c, name in enumerate(classes):
        of_class = [pair for pair in played["CSRA"] if pair.column == c]
        cells = compared(played, HIT, times, [c])
        rows.append([name, len(of_class), *cells, *references(of_class)])
    return markdown(["class", "labels", *RUNS, "difference", "random point", "centre"], rows)


def references(pairs):
    """Cells of what points hit that look at no photo: a random one, and the centre."""
    return [f"{100 * np.mean([getattr(pair, key) for pair in pairs]):.1f}" for key in ("area", "centre")]


if __name__ == "__main__":
    main()
