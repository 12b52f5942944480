"""By how much the definition of AP and the rule for difficult objects move mAP on the same scores.

python benchmarks/ap_definitions.py OUT

OUT is that of recipes/shipped_weights.sh. Prints the tables of docs/results/ap_definitions.md: mAP and AP by
class of the shipped weights' twin on its val split, in percent.
"""

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.common import filled_classes, markdown, used_versions  # noqa: E402
from benchmarks.shipped import score_twin  # noqa: E402
from utils.evaluation.metrics import (  # noqa: E402
    AP_KINDS,
    IGNORED,
    IGNORED_RULES,
    average_precision,
    resolve_ignored,
)


def main():
    spec, train, test, scores = score_twin(Path(sys.argv[1]))
    labels = test.labels
    counts = f"{(labels == 1).sum()} positive labels, {(labels == IGNORED).sum()} ignored"
    print(f"{used_versions()}; {len(labels)} photos, {counts}\n")
    filled, every = filled_classes(train.labels, labels), np.arange(len(spec.classes))
    for classes in (filled, every):
        table = mean_table(scores[:, classes], labels[:, classes])
        print(f"mAP over {len(classes)} classes (in brackets: less the reference's)\n\n{table}")
    print(class_table(spec.classes, scores, labels))


def mean_table(scores, labels):
    """A row for each definition, a column for each rule."""
    means = [
        [
            100 * np.nanmean(average_precision(scores, resolve_ignored(labels, rule), kind))
            for rule in IGNORED_RULES
        ]
        for kind in AP_KINDS
    ]
    rows = [
        [f"`{kind}`", *(f"{mean:.1f} ({mean - means[0][0]:+.1f})" for mean in row)]
        for kind, row in zip(AP_KINDS, means, strict=True)
    ]
    return markdown(["definition", *(f"`--difficult {rule}`" for rule in IGNORED_RULES)], rows)


def class_table(classes, scores, labels):
    """AP by class under each choice alone."""
    choices = [(kind, IGNORED_RULES[0]) for kind in AP_KINDS]
    choices += [(AP_KINDS[0], rule) for rule in IGNORED_RULES[1:]]
    ap = [average_precision(scores, resolve_ignored(labels, rule), kind) for kind, rule in choices]
    rows = [
        [
            name,
            (labels[:, c] == 1).sum(),
            (labels[:, c] == IGNORED).sum(),
            *(f"{100 * of[c]:.1f}" for of in ap),
        ]
        for c, name in enumerate(classes)
    ]
    return markdown(["class", "positive", "ignored", *(f"`{kind}`, {rule}" for kind, rule in choices)], rows)


if __name__ == "__main__":
    main()
