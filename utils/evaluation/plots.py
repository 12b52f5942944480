"""The plots of a report: each a string, an SVG that stands for itself. Fractions are drawn in percent."""

import io
import re
import warnings
from contextlib import contextmanager

import numpy as np

from utils.errors import printable
from utils.evaluation.curves import thinned
from utils.evaluation.object_size import BINS
from utils.optional import optional

OURS, THEIRS, QUIET = "#0b5cad", "#c2410c", "#8a8f98"  # blue, orange and grey, told apart by all eyes
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "report",  # the same input, the same bytes
    "text.parse_math": False,  # a class name may hold dollars
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, which measures it; browsers may take another
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e5e8",
    "axes.axisbelow": True,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
}
SMALL = (4.2, 3.1)  # inches; on a phone's screen it is drawn about one to one
LARGE = (4.8, 3.8)
TICKS = range(0, 101, 20)


@contextmanager
def drawing(width, height):
    """Yield (matplotlib Figure, list); when the block ends, the list holds the figure's SVG."""
    matplotlib, made = optional("matplotlib"), []
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the reader's browser chooses the font
        figure = optional("matplotlib.figure").Figure((width, height), layout="constrained")
        yield figure, made
        target = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(target, format="svg", metadata=nothing, transparent=False)
    made.append(_shorter(target.getvalue()))


def _shorter(svg):
    """An SVG without head, names of parts and rotations by 0, coordinates to a tenth of a point."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(?<=<g) id="[a-z0-9_.]+"| transform="rotate\(-?0 [^"]*"', "", svg)
    numbers = re.compile(r"(\d\.\d)\d+")
    svg = re.sub(r'\b(d|x|y|transform)="[^"]*"', lambda found: numbers.sub(r"\1", found[0]), svg)
    return re.sub(r">\s+<", "><", svg).replace(" \n", " ")


def short(name, most=20):
    """A class's name as a plot has room for it."""
    name = printable(name)
    return name if len(name) <= most else name[: most - 1] + "…"


def precision_recall_overview(curves):
    """All classes' curves in one plot, over lines of equal F1."""
    with drawing(*LARGE) as (figure, made):
        panel = figure.subplots()
        _equal_f1(panel)
        for curve in curves:
            panel.plot(*_percent(curve), color=QUIET, linewidth=1, alpha=0.7)
        _recall_axes(panel)
    return made[0]


def precision_recall_plot(curve, used, best):
    """One class's curve. used, best: (precision, recall) at the threshold in use and at the best one."""
    with drawing(*SMALL) as (figure, made):
        panel = figure.subplots()
        _equal_f1(panel)
        panel.plot(*_percent(curve), color=OURS)
        for (precision, recall), marker, color, label in (
            (used, "o", THEIRS, "threshold in use"),
            (best, "D", OURS, "best F1"),
        ):
            if np.isfinite(precision) and np.isfinite(recall):
                panel.plot(100 * recall, 100 * precision, marker, color=color, label=label, clip_on=False)
        _recall_axes(panel)
        if panel.get_legend_handles_labels()[0]:
            panel.legend(loc="lower left", fontsize=9)
    return made[0]


def _percent(curve):
    curve = thinned(curve)
    return 100 * curve.recall, 100 * curve.precision


def _equal_f1(panel):
    """Quiet lines along which F1 is equal."""
    for f1 in (20, 40, 60, 80):
        recall = np.linspace(f1 / 2 + 0.5, 100, 30)
        precision = f1 * recall / (2 * recall - f1)
        inside = precision <= 100
        panel.plot(recall[inside], precision[inside], color="#a9aeb6", linewidth=0.9, linestyle=":")
        panel.text(101, f1 / (2 - f1 / 100), f"F1 {f1}", color="#6b7078", fontsize=8, va="center")


def _recall_axes(panel):
    panel.set(xlim=(0, 100), ylim=(0, 102), xticks=TICKS, yticks=TICKS)
    panel.set(xlabel="recall, %", ylabel="precision, %")


def histogram_plot(counts, threshold):
    """Scores of one class: counts (2, bins) of negatives and positives; photos on a scale of tens."""
    edges = np.linspace(0, 1, counts.shape[1] + 1)
    with drawing(*SMALL) as (figure, made):
        panel = figure.subplots()
        panel.stairs(counts[0], edges, fill=True, color="#d5d8dd", baseline=0.5, label="negative")
        panel.stairs(counts[1], edges, color=OURS, linewidth=1.8, baseline=0.5, label="positive")
        panel.axvline(threshold, color=THEIRS, linestyle="--", linewidth=1.2, label="threshold in use")
        _tens(panel, counts.max())
        panel.set(xlim=(0, 1), xlabel="score", ylabel="photos")
        figure.legend(loc="outside upper center", ncols=3, fontsize=9, columnspacing=1, handlelength=1.5)
    return made[0]


def _tens(panel, most):
    """A logarithmic y axis from 0.5 to beyond `most`, with plain numbers."""
    panel.set_yscale("log")
    panel.set_ylim(0.5, 1.5 * max(most, 1))
    ticks = 10 ** np.arange(0, int(np.log10(max(most, 1))) + 1)
    panel.set_yticks(ticks, [f"{tick:,}" for tick in ticks])
    panel.minorticks_off()


def reliability_plot(curve):
    """Fraction of positives against score, and how many labels each point stands on."""
    some = curve.count > 0
    bins = len(curve.count)
    with drawing(*LARGE) as (figure, made):
        above, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
        above.plot((0, 1), (0, 100), color=QUIET, linestyle="--", linewidth=1, label="as scores say")
        above.plot(
            curve.score[some], 100 * curve.positive[some], "o-", color=OURS, markersize=4, label="here"
        )
        above.set(ylim=(0, 102), yticks=TICKS, ylabel="positive, %")
        above.legend(loc="upper left", fontsize=9)
        below.stairs(curve.count, np.linspace(0, 1, bins + 1), fill=True, color=QUIET, baseline=0.5)
        _tens(below, curve.count.max())
        below.set(xlim=(0, 1), xlabel="score", ylabel="labels")
    return made[0]


def co_occurrence_plot(values, classes, change=False):
    """A matrix (C, C) of fractions; with `change` of differences, red for more and blue for less."""
    count = len(classes)
    side = 2.6 + 0.17 * max(count, 8)
    names = [short(name, 14) for name in classes]
    with drawing(side, side - 0.4) as (figure, made):
        panel = figure.subplots()
        colors = (
            optional("matplotlib").colormaps["RdBu_r" if change else "Blues"].with_extremes(bad="#eeeeee")
        )
        image = panel.imshow(100 * values, cmap=colors, vmin=-100 if change else 0, vmax=100, resample=False)
        image.set_interpolation("none")
        size = 9 if count <= 30 else 7
        panel.set_xticks(range(count), names, rotation=90, fontsize=size)
        panel.set_yticks(range(count), names, fontsize=size)
        panel.tick_params(length=0)
        panel.grid(False)
        panel.spines[:].set_visible(False)
        bar = figure.colorbar(image, shrink=0.6, label="points" if change else "% of the row's photos")
        bar.outline.set_visible(False)
    return made[0]


def size_plot(found):
    """AP against object size, {bin: BySize}: classes in grey, their mean in blue."""
    names = list(BINS)
    ap = np.array([np.where(found[name].used, found[name].ap, np.nan) for name in names])  # (bins, C)
    with drawing(*SMALL) as (figure, made):
        panel = figure.subplots()
        panel.plot(100 * ap, color=QUIET, marker=".", linewidth=0.8, alpha=0.7)
        panel.plot([100 * found[name].mean for name in names], color=OURS, marker="o", label="mean")
        panel.set_xticks(range(len(names)), names)
        panel.set(ylim=(0, 102), yticks=TICKS, ylabel="AP, %", xlim=(-0.3, len(names) - 0.7))
        panel.legend(loc="lower right", fontsize=9)
    return made[0]


def difference_plot(classes, difference):
    """AP here minus there with intervals, a row a class in the order of the differences, the mean on top."""
    known = np.flatnonzero(np.isfinite(difference.by_class))
    order = known[np.argsort(difference.by_class[known], kind="stable")]
    low, high = (np.append(ends[order], mean) for ends, mean in zip(
        difference.class_interval, difference.mean_interval, strict=True))  # fmt: skip
    middle = np.append(difference.by_class[order], difference.mean)
    rows = np.arange(len(middle))
    with drawing(LARGE[0], 1.2 + 0.23 * len(rows)) as (figure, made):
        panel = figure.subplots()
        panel.axvline(0, color="black", linewidth=1)
        panel.hlines(rows, 100 * low, 100 * high, color=[QUIET] * len(order) + [OURS], linewidth=2)
        panel.scatter(100 * middle, rows, color=[QUIET] * len(order) + [OURS], s=24, zorder=3)
        panel.set_yticks(rows, [*(short(classes[c]) for c in order), "mAP"], fontsize=9)
        panel.grid(axis="y", visible=False)
        panel.set(xlabel="AP here minus there, points", ylim=(-0.7, len(rows) - 0.3))
    return made[0]
