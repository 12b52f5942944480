"""The report of an evaluation by val.py, and the comparison of two runs in words."""

from datetime import date

import numpy as np

from datasets.transforms import photo_size
from utils.errors import printable
from utils.evaluation.about import about_run
from utils.evaluation.bootstrap import DRAWS, draws_of_photos
from utils.evaluation.compare import difference, verdict
from utils.evaluation.page import Evaluation, write_report
from utils.mistakes import picture_source


def compare_lines(scores, labels, paths, other, kind):
    """What mAP another run (compare.Other) has on the same photos, and the interval of the difference."""
    found = difference(scores, other.scores, labels, draws_of_photos(paths), kind)
    low, high = found.mean_interval
    said = other.metrics.get("ap_definition", kind)
    note = "" if said == kind else f" (AP {kind}, its file says {printable(str(said))})"
    if np.isnan(found.mean):
        return [f"mAP of {other.path}: none; {verdict(low, high)}"]
    return [
        f"mAP of {other.path}: {found.mAP:4f}{note}; difference {100 * found.mean:+.2f} points, "
        f"95 % interval {100 * low:+.2f} to {100 * high:+.2f} ({DRAWS} draws of {len(set(paths))} photos)",
        verdict(low, high),
    ]


def report_run(folder, model, description, spec, records, scores, figures, results, other=None):
    """Write the report of a split to `folder`: see utils.evaluation.page.write_report.

    scores (N, C) of `records`; figures of metrics.evaluate; results: what val.py writes to metrics.json.
    """
    about = about_run(results) | {"date": date.today().isoformat()}
    if spec.ignored_is_negative_in_precision and figures["ignored"]:
        said = f"left out of AP, negative in precision and recall ({figures['ignored']} labels)"
        about["difficult or unknown"] = said
    known = any(objects is not None for objects in records.objects)
    run = Evaluation(
        scores,
        records.labels,
        list(spec.classes),
        figures,
        about,
        records.paths,
        records.objects if known else None,
        [photo_size(path) for path in records.paths] if known else None,
        spec.ignored_is_negative_in_precision,
    )
    write_report(folder, run, picture_source(model, description, records), other)
