"""Draw training runs: loss, learning rate and mAP against the epoch, several runs in one picture.

python utils/plot_log.py checkpoint/resnet101 checkpoint/resnet101.1 --out curves.png

RUN is the folder of a run or its log.jsonl. A dashed line is the mAP of the averaged weights.
"""

import argparse
import json
import math
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import utils  # noqa: F401  # isort: skip (first: it tells what is not installed)
import numpy as np

from utils.errors import UserError, run_script
from utils.files import write_saved
from utils.optional import optional
from utils.options import Parser

LOG = "log.jsonl"
RATE = "learning rate of the trunk"
TITLES = ("loss", RATE, "mAP")


def picture(text):
    """The name of a picture to write."""
    if Path(text).suffix != ".png":
        raise argparse.ArgumentTypeError(f"'{text}' must end in .png")
    return text


def parse_args(argv=None):
    parser = Parser(__doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folder of a run, or its log.jsonl")
    parser.add_argument(
        "--out", default="curves.png", type=picture, help="the picture (default: %(default)s)"
    )
    return parser.parse_args(argv)


def main(args):
    names = run_names(args.runs)
    logs = {name: read_log(run) for name, run in zip(names, args.runs, strict=True)}
    plot_runs(logs, args.out)
    print(f"wrote {args.out}: " + ", ".join(f"{len(lines)} epochs of {name}" for name, lines in logs.items()))


def run_names(runs):
    """A name for each run: that of its folder, with as many folders above it as tell the runs apart."""
    parts = [_home(run).parts for run in runs]
    for count in range(1, max(map(len, parts)) + 1):
        names = [Path(*part[-count:]).as_posix() for part in parts]
        if len(set(names)) == len(names):
            return names
    twice = next(run for run, part in zip(runs, parts, strict=True) if parts.count(part) > 1)
    raise UserError(f"{twice} is given twice; give each run once")


def _home(run):
    path = Path(os.path.abspath(run))
    return path.parent if path.name == LOG else path.with_suffix("") if path.suffix == ".jsonl" else path


def read_log(run):
    """The lines of a run's log that stand for an epoch, as dicts, from its folder or log.jsonl.

    A last line that a kill cut off is left out. Raises UserError when there is no log, a
    line is none of a log, or none is an epoch's.
    """
    path = Path(run, LOG) if os.path.isdir(run) else Path(run)
    try:
        *whole, _ = path.read_text(encoding="utf-8").split("\n")  # what follows the last end is cut off
    except (OSError, ValueError):
        raise UserError(f"no log of a run at {path}; give a run's folder, with its {LOG}") from None
    lines = []
    for number, text in enumerate(whole, 1):
        try:
            line = json.loads(text)
            if line.get("loss") is not None:
                figures_of(line)
                lines.append(line)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
            raise UserError(f"{path}, line {number}, is none of a run's log; give one of train.py") from None
    if not lines:
        raise UserError(f"{path} has no whole epoch yet; let the run go on, or leave it out")
    return lines


def figures_of(line):
    """What is drawn of an epoch's line: epoch, loss, learning rate, mAP, mAP of the averaged weights; floats.

    NaN for an mAP that is not there.
    """
    mAPs = [(line.get(key) or {}).get("mAP") for key in ("metrics", "metrics_averaged")]
    values = (line["epoch"], line["loss"], line["lr"], *mAPs)
    return [math.nan if value is None else float(value) for value in values]


def plot_runs(logs, out):
    """Write the picture of `logs`, {name: lines as of read_log}, to the file `out`, whole or not at all.

    Needs matplotlib (UserError without) and no display.
    """
    figure = optional("matplotlib.figure").Figure((12, 4), dpi=120, layout="constrained")
    panels = figure.subplots(1, 3)
    few = len(logs) <= 10
    colors = optional("matplotlib").colormaps["tab10" if few else "turbo"]
    for number, (name, lines) in enumerate(logs.items()):
        epoch, *curves, averaged = np.array([figures_of(line) for line in lines]).T
        style = {"color": colors(number if few else number / (len(logs) - 1)), "marker": "."}
        for panel, values in zip(panels, curves, strict=True):
            panel.plot(epoch, values, label=name, **style)
        if not np.isnan(averaged).all():
            panels[2].plot(epoch, averaged, label=f"{name}, averaged weights", linestyle="--", **style)
    for panel, title in zip(panels, TITLES, strict=True):
        _finish(panel, title)
    _legend(figure, panels[2].lines)
    write_saved(out, lambda file: figure.savefig(file, format="png"))


def can_draw():
    """Whether there is a Matplotlib that works."""
    try:
        return bool(optional("matplotlib.figure"))
    except UserError:
        return False


def draw_run(folder):
    """Write the picture of a run to curves.png in its folder, as train.py does after each epoch."""
    plot_runs({Path(folder).name: read_log(folder)}, Path(folder) / "curves.png")


def _finish(panel, title):
    """Title, axes and scale."""
    epochs, values = (
        np.concatenate(data) for data in zip(*(line.get_data() for line in panel.lines), strict=True)
    )
    panel.set(title=title, xlabel="epoch", xlim=(epochs.min() - 0.5, epochs.max() + 0.5))
    panel.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    panel.grid(alpha=0.3)
    if title == RATE and (values > 0).all():
        panel.set_yscale("log")  # it falls tenfold again and again
    if np.isnan(values).all():
        panel.text(0.5, 0.5, "not evaluated", transform=panel.transAxes, ha="center")
        panel.set_yticks([])


def _legend(figure, lines):
    """The runs below the panels, in as many columns as their names allow; the figure grows by the rows."""
    labels = [line.get_label() for line in lines]
    columns = max(1, 120 // (max(map(len, labels)) + 10))
    figure.set_figheight(figure.get_figheight() + 0.22 * math.ceil(len(labels) / columns))
    legend = figure.legend(lines, labels, loc="outside lower center", ncols=columns, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)  # a name may hold dollars


if __name__ == "__main__":
    run_script(main, parse_args)
