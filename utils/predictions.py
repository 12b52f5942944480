"""Photos to names, in batches and in order: what predict and infer share."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from datasets.loader import ordered_map
from datasets.transforms import read_photo, to_rgb, transform
from utils.errors import UserError, print_error
from utils.evaluation.calibration import calibrate
from utils.evaluation.metrics import reach


@dataclass
class Prediction:
    """What a model says of one photo."""

    path: str | None  # None: it came as a Pillow image
    labels: list  # names of classes
    scores: dict  # {class: score in 0..1} of all classes, in their order
    width: int  # of the photo itself, in pixels
    height: int
    maps: Any = None  # utils.heatmaps.Maps, where they were asked for


class NoTimes:
    """Stands where a benchmark's clock may: see utils/benchmark_log.py."""

    def start(self):
        pass

    stamp = start

    def end(self, stamp=True):
        pass


def predict_photos(
    score,
    photos,
    described,
    threshold,
    topk=None,
    batch_size=16,
    num_workers=0,
    times=None,
    on_error=print_error,
):
    """Yield a Prediction for each photo that can be read, in order.

    score, photos, batch_size, num_workers and times: see score_photos; score may give Maps instead of
    scores. described: a checkpoint's description or deploy.json, of which classes, img_size and
    temperature count. threshold, topk: see labels_of. on_error: what is done with the UserError of a
    photo that cannot be read, or whose scores are no numbers.
    """
    classes, temperature = described["classes"], described.get("temperature", 1.0)
    for photo, size, found in score_photos(
        score, photos, described["img_size"], batch_size, num_workers, times
    ):
        if isinstance(found, UserError):
            on_error(found)
            continue
        path = None if isinstance(photo, Image.Image) else str(photo)
        maps = None if isinstance(found, np.ndarray) else found
        scores = calibrate(maps.scores if maps else found, temperature)  # (C,)
        if not np.isfinite(scores).all():
            on_error(UserError(f"{path or 'an image'}: the scores are no numbers; take another checkpoint"))
            continue
        named = dict(zip(classes, scores.tolist(), strict=True))
        yield Prediction(path, labels_of(scores, classes, threshold, topk), named, *size, maps)


def labels_of(scores, classes, threshold, topk=None):
    """Names of the classes whose score (C,) reaches the threshold: one for all, one each, or None (any does).

    With topk only the so many best of all classes, the best first, and of equal ones the first class.
    """
    hits = np.broadcast_to(True if threshold is None else reach(scores, threshold), len(classes))
    columns = range(len(classes)) if topk is None else np.argsort(-scores, kind="stable")[:topk]
    return [classes[c] for c in columns if hits[c]]


def score_photos(score, photos, size, batch_size, num_workers=0, times=None):
    """Yield (photo, its own (width, height) in pixels, scores) for each photo, in order.

    score: a function uint8 (B, size, size, 3) -> B rows. photos: an iterable of paths and Pillow
    images. scores: (C,) float32 in 0..1, or the UserError of a photo that cannot be read, whose
    width and height are None. Batches are full but the last one, whatever photos are broken;
    decoded photos wait for it only in numbers that batch_size and num_workers bound. times is told of each
    batch: start, stamp (photos are there), stamp (scores are there), end (they were used).
    """
    times = times or NoTimes()
    waiting, good = [], []
    times.start()
    for photo, own_size, pixels in ordered_map(
        lambda photo: _read(photo, size), photos, num_workers, 2 * batch_size
    ):
        broken = isinstance(pixels, UserError)
        if broken and not waiting:
            yield photo, own_size, pixels
            continue
        waiting.append((photo, own_size, pixels if broken else None))
        good += [] if broken else [pixels]
        if len(good) == batch_size:
            yield from _scored(score, waiting, good, times)
            waiting, good = [], []
            times.start()
    if good:
        yield from _scored(score, waiting, good, times)


def read_pixels(path, size):
    """A photo as every model here sees it: (size, size, 3) uint8. UserError when it cannot be read."""
    return transform(read_photo(path), size)


def _read(photo, size):
    """(photo, its width and height, its pixels or a UserError)."""
    try:
        image = to_rgb(photo) if isinstance(photo, Image.Image) else read_photo(photo)
    except UserError as error:  # reported in its place; the other photos go on
        return photo, (None, None), error
    return photo, image.size, transform(image, size)


def _scored(score, waiting, good, times):
    batch = np.stack(good)  # (B, S, S, 3)
    times.stamp()
    scores = iter(score(batch))  # B rows (C,)
    times.stamp()
    for photo, own_size, error in waiting:
        yield photo, own_size, error or next(scores)
    times.end(stamp=True)
