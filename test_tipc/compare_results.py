"""Check the numbers that TIPC's steps wrote: each call makes one check and ends with 1 when it fails.

Did the loss fall?         compare_results.py --train_log RUN/log.jsonl
Is val's mAP the log's?    compare_results.py --train_log RUN/log.jsonl --metrics EVAL/metrics.json
Are the scores the same?   compare_results.py --gt_file predict.json --log_file infer.json --atol 1e-4
"""

import json
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as `python test_tipc/compare_results.py`

import numpy as np

from utils.errors import UserError, run_script
from utils.files import read_json
from utils.options import Parser, number

SAME_MAP = 1e-6  # the evaluation is the same calculation twice
SAME_SCORE = 1e-4  # dynamic and static graph in fp32


def main(args):
    if args.train_log and args.metrics:
        passed, line = same_figures(read_log(args.train_log)[-1], read_json(args.metrics))
    elif args.train_log:
        passed, line = loss_fell(read_log(args.train_log))
    elif args.gt_file and args.log_file:
        passed, line = same_scores(read_scores(args.gt_file), read_scores(args.log_file), args.atol)
    else:
        raise UserError("nothing to compare; give --train_log, or --gt_file and --log_file")
    print(f"{'passed' if passed else 'failed'}: {line}")
    return 0 if passed else 1


def loss_fell(epochs):
    """(passed, line): whether the last epoch's loss lies below the first's."""
    if len(epochs) < 2:
        return False, "one epoch: whether the loss falls needs two"
    first, last = epochs[0]["loss"], epochs[-1]["loss"]
    return last < first, f"loss {first:.5f} in epoch 1, {last:.5f} in epoch {len(epochs)}"


def same_figures(epoch, metrics):
    """(passed, line): whether val's mAP and number of photos are those that training logged."""
    logged = epoch["metrics"] or {}
    line = f"mAP {metrics.get('mAP')} of {metrics.get('photos')} photos by val, " + (
        f"{logged.get('mAP')} of {logged.get('photos')} in the log of epoch {epoch['epoch']}"
    )
    if not all(isinstance(figures.get("mAP"), float) for figures in (logged, metrics)):
        return False, line
    same = math.isclose(logged["mAP"], metrics["mAP"], rel_tol=0, abs_tol=SAME_MAP)
    return same and logged["photos"] == metrics["photos"], line


def same_scores(expected, found, atol):
    """(passed, line): whether two {path: {class: score}} agree within atol.

    Where the expected scores are the same for all photos within atol, a model that does
    not look at the photo would pass: that is a failure, too.
    """
    for path, scores in expected.items():
        if list(found.get(path, ())) != list(scores):
            return False, f"{path}: {'other classes' if path in found else 'no scores'}"
    if len(found) > len(expected):
        return False, f"{len(found)} photos where {len(expected)} were expected"
    want = np.array([list(scores.values()) for scores in expected.values()])  # (N, C)
    have = np.array([list(found[path].values()) for path in expected])
    spread, difference = float(np.ptp(want, axis=0).max()), np.abs(have - want)
    if not spread > atol:
        return False, f"the expected scores differ by {spread:.1e} between photos: no evidence at {atol:.0e}"
    photo, column = np.unravel_index(difference.argmax(), difference.shape)  # a NaN counts as the largest
    path = list(expected)[photo]
    return bool(difference.max() <= atol), (
        f"{len(want)} photos, largest difference {difference.max():.1e} (allowed {atol:.0e}) at {path}, "
        f"{list(expected[path])[column]}: {want[photo, column]:.6f} expected, {have[photo, column]:.6f} found"
    )


def read_log(path):
    """The epochs of a training's log.jsonl, oldest first."""
    try:
        lines = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
        epochs = [line for line in lines if {"epoch", "loss", "metrics"} <= set(line)]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"cannot read {path}: {error}") from None
    if not epochs:
        raise UserError(f"{path} holds no epoch; it must be the log.jsonl of a training")
    return epochs


def read_scores(path):
    """{photo: {class: score}} of what predict.py or infer.py wrote with --out FILE.json."""
    try:
        scores = {entry["path"]: entry["scores"] for entry in read_json(path)}
        for row in scores.values():
            np.array(list(row.values()), dtype=float)
    except (AttributeError, LookupError, TypeError, ValueError):
        scores = {}
    if not scores:
        raise UserError(f"{path} holds no scores; it must be what predict.py or infer.py --out wrote")
    return scores


def parse_args(argv=None):
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--train_log", metavar="FILE", help="log.jsonl of a training")
    add("--metrics", metavar="FILE", help="metrics.json of val.py --out")
    add("--gt_file", metavar="FILE", help="expected scores: predict.py --out FILE.json")
    add("--log_file", metavar="FILE", help="scores to check: infer.py --out FILE.json")
    add("--atol", type=number(0), default=SAME_SCORE, help="allowed difference of scores (%(default)s)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_script(main, parse_args)
