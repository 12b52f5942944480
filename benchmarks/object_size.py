"""How large a class's objects are in a photo, from VOC's XML, and AP by that size."""

from pathlib import Path

import numpy as np
from defusedxml.ElementTree import parse

from utils.evaluation.metrics import IGNORED, average_precision

BINS = {"small": (0, 0.05), "medium": (0.05, 0.2), "large": (0.2, 1.01)}  # share of the photo's area


def object_sizes(paths, classes):
    """(N, C): share of the photo that the largest box of a class covers; difficult ones do not count."""
    sizes = np.zeros((len(paths), len(classes)))
    column = {name: c for c, name in enumerate(classes)}
    for row, path in enumerate(map(Path, paths)):
        root = parse(path.parents[1] / "Annotations" / f"{path.stem}.xml").getroot()
        area = float(root.findtext("size/width")) * float(root.findtext("size/height"))
        for item in root.findall("object"):
            if item.findtext("difficult") == "1":
                continue
            x0, y0, x1, y1 = (
                float(item.findtext(f"bndbox/{end}")) for end in ("xmin", "ymin", "xmax", "ymax")
            )
            c = column[item.findtext("name")]
            sizes[row, c] = max(sizes[row, c], (x1 - x0) * (y1 - y0) / area)
    return sizes


def ap_by_size(scores, labels, sizes, classes, least=5):
    """{bin: (mean AP in percent, positives)}: positives of one size against all negatives.

    Means are over those of `classes` (columns) that have `least` positives of that size.
    """
    found = {}
    for name, (low, high) in BINS.items():
        inside = (sizes >= low) & (sizes < high)
        only = np.where((labels == 1) & ~inside, IGNORED, labels)
        used = [c for c in classes if (only[:, c] == 1).sum() >= least]
        ap = average_precision(scores[:, used], only[:, used])
        found[name] = (100 * float(ap.mean()), int((only[:, used] == 1).sum()))
    return found
