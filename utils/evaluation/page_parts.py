"""What the template of a report names: numbers in words, rows of tables, pictures as addresses."""

import base64
import io
import os
from urllib.parse import quote

import numpy as np

from utils.errors import printable
from utils.evaluation import plots
from utils.evaluation.about import about_run
from utils.evaluation.bootstrap import DRAWS
from utils.evaluation.compare import verdict
from utils.evaluation.curves import confusions
from utils.evaluation.metrics import IGNORED
from utils.evaluation.object_size import BINS, LEAST
from utils.evaluation.report_data import ENOUGH

RULES = ("AP", "difficult or unknown")  # of about_run: both runs' figures are made by ours
SIDE, QUALITY = 160, 75  # of thumbnails: pixels at most, of JPEG
SAFE = " !$&'()*+,-./:;=?@[]^_`{|}~"  # what an SVG in an address may hold as it is
DASH = "–"  # where there is no figure


def percent(value, digits=1):
    """0.985 -> 98.5; a dash for NaN."""
    return DASH if np.isnan(value) else f"{100 * value:.{digits}f}"


def points(value):
    """0.012 -> +1.2, with the sign; a dash for NaN."""
    return DASH if np.isnan(value) else f"{round(100 * value, 1) + 0:+.1f}".replace("-", "−")


def score(value):
    """A score or threshold with three digits; a dash for NaN."""
    return DASH if np.isnan(value) else f"{value:.3f}"


def key(value):
    """What a cell is sorted by; nothing for NaN."""
    return "" if np.isnan(value) else f"{value:.9g}"


def context(run, numbers, shown, other):
    """What the template names."""
    names = [printable(name) for name in run.classes]
    return {
        "title": printable(run.title),
        "tiles": _tiles(run, numbers),
        "about": _said(run.about),
        "count": f"{len(set(run.paths)):,}",
        "draws": f"{DRAWS:,}",
        "enough": ENOUGH,
        "least": LEAST,
        "mAP": _number(run.figures["mAP"]),
        "ece": numbers.ece,
        "known_labels": f"{(run.labels != IGNORED).sum():,}",
        "bins": len(numbers.reliability.count),
        "reliability": _reliability_rows(numbers.reliability),
        "confusions": _confusion_rows(run, numbers, names),
        "sizes": _size_rows(numbers.by_size),
        "plots": _plots(run, numbers),
        "rows": [_class_row(run, numbers, names, shown, c) for c in range(len(names))],
        "with_pictures": bool(shown),
        "other": _comparison(numbers, other, names, run) if other else None,
    }


def _number(value):
    return np.nan if value is None else value


def _said(about):
    return [(printable(str(name)), printable(str(text))) for name, text in about.items()]


def _tiles(run, numbers):
    """The headline: name, value, note."""
    figures, many = run.figures, numbers.many
    tiles = [("mAP, %", percent(_number(figures["mAP"])), _range(numbers.mAP_interval))]
    if many.any() and not many.all():
        mean = percent(numbers.ap[many].mean())
        note = f"{ENOUGH}+ positives {_range(numbers.many_interval)}"
        tiles.append((f"mAP, {many.sum()} classes", mean, note))
    tiles += [(f"{name}, %", percent(figures[name]), "") for name in ("CP", "CR", "CF1", "OP", "OR", "OF1")]
    ignored = f"{figures['ignored']:,} labels ignored" if figures["ignored"] else ""
    tiles += [("ECE, points", percent(numbers.ece, 2), ""), ("photos", f"{figures['photos']:,}", ignored)]
    return [dict(zip(("name", "value", "note"), tile, strict=True)) for tile in tiles]


def _range(ends):
    low, high = ends
    return (
        "" if np.isnan(low) else f"95 %: {percent(low)} to {percent(high)}".replace(" ", "\N{NO-BREAK SPACE}")
    )


def _plots(run, numbers):
    change = numbers.predicted - numbers.labelled
    made = {
        "overview": plots.precision_recall_overview(numbers.curves),
        "reliability": plots.reliability_plot(numbers.reliability),
        "labelled": plots.co_occurrence_plot(numbers.labelled, run.classes),
        "change": plots.co_occurrence_plot(change, run.classes, change=True),
    }
    if numbers.by_size:
        made["sizes"] = plots.size_plot(numbers.by_size)
    return {name: _svg_address(svg) for name, svg in made.items()}


def _svg_address(svg):
    return f"data:image/svg+xml,{quote(svg, safe=SAFE)}"


def _jpeg_address(image):
    image = image.convert("RGB")
    image.thumbnail((SIDE, SIDE))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def _class_row(run, numbers, names, shown, c):
    """A class: its row of the table and its section."""
    used, best = (
        {name: value[c] for name, value in each._asdict().items()} for each in (numbers.used, numbers.best)
    )
    points_of = [(each["precision"], each["recall"]) for each in (used, best)]
    curve, threshold = numbers.curves[c], used["threshold"]
    false, missed = ([_photo(run, names, shown, row, c) for row in rows] for rows in numbers.mistakes[c])
    return {
        "number": c,
        "name": names[c],
        "positives": run.figures["positives"][c],
        "few": "no" if numbers.many[c] else "yes",
        "ap": numbers.ap[c],
        "low": numbers.ap_interval[0][c],
        "high": numbers.ap_interval[1][c],
        "used": used,
        "best": best,
        "curve": _svg_address(plots.precision_recall_plot(curve, *points_of)) if len(curve.recall) else None,
        "histogram": _svg_address(plots.histogram_plot(numbers.histograms[:, c], threshold)),
        "mistakes": false,
        "misses": missed,
    }


def _photo(run, names, shown, row, c):
    """A photo of a class's section."""
    path, labels = printable(run.paths[row]), run.labels[row]
    images = shown.get((row, c))
    return {
        "path": path,
        "name": os.path.basename(path),
        "class_name": names[c],
        "score": score(run.scores[row, c]),
        "labels": [names[i] for i in np.flatnonzero(labels == 1)],
        "ignored": [names[i] for i in np.flatnonzero(labels == IGNORED)],
        "images": [_jpeg_address(image) for image in images] if images else None,
    }


def _reliability_rows(curve):
    ends = np.linspace(0, 1, len(curve.count) + 1)
    return [
        {
            "low": f"{low:.2f}",
            "high": f"{high:.2f}",
            "count": f"{int(count):,}",
            "score": mean,
            "positive": share,
        }
        for low, high, mean, share, count in zip(ends[:-1], ends[1:], *curve, strict=True)
    ]


def _confusion_rows(run, numbers, names):
    positives = run.figures["positives"]
    return [
        {
            "of": names[i],
            "photos": positives[i],
            "also": names[j],
            "labelled": numbers.labelled[i, j],
            "predicted": numbers.predicted[i, j],
        }
        for i, j in confusions(numbers.labelled, numbers.predicted, positives, ENOUGH)
    ]


def _size_rows(by_size):
    rows = []
    for name, size in (by_size or {}).items():
        low, high = (min(end, 1) for end in BINS[name])
        rows.append({"name": name, "share": f"{low:.0%} to {high:.0%}", "classes": size.used.sum(),
                     "positives": size.counted, "mean": size.mean})  # fmt: skip
    return rows


def _many(numbers):
    """The comparison over the classes with enough positives; None where these are all or none."""
    many = numbers.many
    if many.all() or not many.any():
        return None
    there, gap, (low, high) = numbers.difference.of(many)
    return {
        "count": many.sum(),
        "here": numbers.ap[many].mean(),
        "there": there,
        "gap": gap,
        "low": low,
        "high": high,
        "verdict": verdict(low, high),
    }


def _comparison(numbers, other, names, run):
    """The other run, and a row a class that has an AP."""
    about = about_run(other.metrics)
    about |= {name: run.about.get(name, "") for name in RULES if name in about}
    gaps = numbers.difference
    low, high = gaps.class_interval
    known = np.flatnonzero(~np.isnan(gaps.by_class))
    rows = [
        {"name": names[c], "positives": run.figures["positives"][c], "ap": numbers.ap[c], "there": gaps.ap[c],
         "gap": gaps.by_class[c], "low": low[c], "high": high[c],
         "beyond": "no" if low[c] <= 0 <= high[c] else "yes"}
        for c in known
    ]  # fmt: skip
    return {
        "many": _many(numbers),
        "path": printable(other.path),
        "about": _said(about),
        "mAP": gaps.mAP,
        "mean": gaps.mean,
        "mean_interval": gaps.mean_interval,
        "verdict": verdict(*gaps.mean_interval),
        "tested": len(known),
        "by_chance": f"{round(0.05 * len(known), 1):g}",
        "rows": rows,
        "plot": _svg_address(plots.difference_plot(run.classes, gaps)),
    }
