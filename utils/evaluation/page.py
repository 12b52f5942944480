"""The report of a run: index.html, one page that needs nothing else, and the numbers behind it.

check_report(folder) before the work of scoring, write_report(folder, Evaluation(...), pictures, other) after.
"""

import base64
import hashlib
from pathlib import Path

import numpy as np

from utils.evaluation.page_parts import context, key, percent, points, score
from utils.evaluation.report_data import Evaluation, classes_csv, curves_json, gather
from utils.files import staged, write_all
from utils.optional import optional

__all__ = ["Evaluation", "check_report", "write_report"]
HERE = Path(__file__).parent


def check_report(folder):
    """UserError unless the packages of a report are there and `folder` can be written."""
    for package in ("matplotlib", "jinja2"):
        optional(package)
    with staged(folder):
        pass


def write_report(folder, run, pictures=None, other=None):
    """Write index.html, classes.csv and curves.json to `folder`, all or none; returns the page's path.

    run: an Evaluation. pictures: None, or a function from a list of (row of a photo, column of a class)
    to {(row, column): (photo, heat map)}, Pillow images, of those that can be shown.
    other: None, or another run on the same photos (compare.read_other).
    """
    numbers = gather(run, other)
    wanted = [(row, c) for c, lists in enumerate(numbers.mistakes) for rows in lists for row in rows]
    shown = pictures(wanted) if pictures else {}
    page = _render(context(run, numbers, shown, other))
    folder = Path(folder)
    index = folder / "index.html"
    others = {"classes.csv": classes_csv(run, numbers), "curves.json": curves_json(run, numbers)}
    write_all({index: page, **{folder / name: text for name, text in others.items()}})
    print(f"wrote {index} ({index.stat().st_size / 1e6:.1f} MB)")
    return index


def _render(content):
    """The page as text: template, style and script of this folder, which the policy names by their hashes."""
    jinja2 = optional("jinja2")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"percent": percent, "points": points, "score": score, "key": key}
    environment.tests["known"] = lambda value: not np.isnan(value)
    template, style, script = (
        (HERE / f"page.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")
    )
    hashes = {"style_hash": _hash(style), "script_hash": _hash(script)}
    return environment.from_string(template).render(style=style, script=script, **hashes, **content)


def _hash(text):
    """What a content security policy calls an inline style or script."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
