"""Photos to names, in batches and in order: what predict and infer share."""

import csv
import json

import numpy as np

from datasets.loader import ordered_map
from datasets.transforms import read_photo, transform
from utils.errors import UserError
from utils.files import atomic_path
from utils.rows import cell, path_cell


class NoTimes:
    """Stands where a benchmark's clock may: see utils/benchmark_log.py."""

    def start(self):
        pass

    stamp = start

    def end(self, stamp=True):
        pass


def score_photos(score, photos, size, batch_size, num_workers=0, times=None):
    """Yield (path, scores) for each photo, in order.

    score: a function uint8 (B, size, size, 3) -> (B, C). scores: (C,) float32 in 0..1, or the
    UserError of a photo that cannot be read. Batches are full but the last one, whatever
    photos are broken; decoded photos wait for it only in numbers that batch_size and
    num_workers bound. times is told of each batch: start, stamp (photos are there), stamp
    (scores are there), end (they were used).
    """
    times = times or NoTimes()
    pixels = ordered_map(lambda path: _read(path, size), photos, num_workers, 2 * batch_size)
    waiting, good = [], []
    times.start()
    for path, photo in zip(photos, pixels, strict=True):
        if isinstance(photo, UserError) and not waiting:
            yield path, photo
            continue
        waiting.append((path, photo))
        good += [] if isinstance(photo, UserError) else [photo]
        if len(good) == batch_size:
            yield from _scored(score, waiting, good, times)
            waiting, good = [], []
            times.start()
    if good:
        yield from _scored(score, waiting, good, times)


def read_pixels(path, size):
    """A photo as every model here sees it: (size, size, 3) uint8. UserError when it cannot be read."""
    return transform(read_photo(path), size)


def _read(path, size):
    try:
        return read_pixels(path, size)
    except UserError as error:  # reported in its place; the other photos go on
        return error


def _scored(score, waiting, good, times):
    batch = np.stack(good)  # (B, S, S, 3)
    times.stamp()
    scores = iter(score(batch))  # B rows (C,)
    times.stamp()
    for path, photo in waiting:
        yield path, photo if isinstance(photo, UserError) else next(scores)
    times.end(stamp=True)


def labels_of(scores, classes, threshold):
    """Names of the classes whose score reaches the threshold, one for all or one each."""
    return [name for name, hit in zip(classes, scores >= np.asarray(threshold), strict=True) if hit]


def write_predictions(out, predictions, classes):
    """All scores as JSON (a list of path, labels, scores by name) or CSV (path, labels, a column a class).

    predictions: an iterable of (path, labels, scores as a list), of which one is held at a time.
    """
    with (
        atomic_path(out) as temporary,
        open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        if out.suffix == ".json":
            file.write("[")
            for number, (name, labels, scores) in enumerate(predictions):
                row = {"path": name, "labels": labels, "scores": dict(zip(classes, scores, strict=True))}
                file.write((",\n " if number else "\n ") + json.dumps(row, ensure_ascii=False))
            file.write("\n]\n")
        else:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["path", "labels", *map(cell, classes)])
            rows.writerows(
                [path_cell(path), ";".join(map(cell, labels)), *scores]
                for path, labels, scores in predictions
            )
    print(f"wrote {out}")
