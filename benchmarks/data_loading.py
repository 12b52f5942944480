"""What loading a photo costs on one core: the earlier Paddle port's pipeline against ours, and ours in parts.

python benchmarks/data_loading.py PHOTOS [--size 448] [--rounds 9]     (about five minutes)

PHOTOS is a folder of JPEG files, say VOC2007/JPEGImages. A pipeline goes from files to
batches in the training process, with one worker and without; either has a process of its own,
set up as its train.py sets Paddle up. Costs are milliseconds of processor time a photo, of
that process and its workers, as an epoch goes on; what an epoch costs to start is left out.
All share one core, the photos are in the page cache, the pipelines take turns, and the
median of the rounds counts. The last line is JSON: the costs with one worker, then without.
"""

import argparse
import io
import json
import multiprocessing
import os
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import paddle
from paddle.vision import transforms as seed
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.common import markdown, used_versions  # noqa: E402
from datasets.loader import Loader, photo_rng  # noqa: E402
from datasets.records import Records  # noqa: E402
from datasets.transforms import _random_box, enough_to_crop, read_photo, transform  # noqa: E402
from utils.device import choose_device  # noqa: E402

BATCH, CLASSES = 16, 20
RECIPE = ("randomflip", "resizedcrop")
PASSES = 4  # over the photos, in an epoch that is timed
LARGE = 8  # times as wide and high as a VOC photo: 12 megapixels


class SeedPhotos(paddle.io.Dataset):
    """The earlier port's data set: float32 (3, S, S) tensors by Paddle's transforms of Pillow images."""

    def __init__(self, paths, size, training):
        self.paths = paths
        augment = [seed.RandomHorizontalFlip(), seed.RandomResizedCrop(size, scale=(0.7, 1.0))]
        self.augment = seed.Compose([*(augment if training else []), seed.Resize((size, size))])
        self.transform = seed.Compose([seed.ToTensor(), seed.Normalize([0.0] * 3, [1.0] * 3)])

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        image = Image.open(self.paths[index]).convert("RGB")
        target = paddle.to_tensor([0] * CLASSES)
        return {"img_path": self.paths[index], "target": target, "img": self.transform(self.augment(image))}


def seed_batches(paths, size, training, workers):
    return paddle.io.DataLoader(SeedPhotos(paths, size, training), batch_size=BATCH, num_workers=workers)


def our_batches(paths, size, training, workers):
    records = Records(paths, np.zeros((len(paths), CLASSES), np.int8), [None] * len(paths))
    return Loader(records, size, BATCH, RECIPE if training else (), num_workers=workers).epoch()


def processor_seconds():
    """Of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def pipeline_cost(batches, paths, size, training, workers):
    """Milliseconds a photo: what PASSES more passes over the photos add to an epoch."""
    seconds = []
    for passes in (1, 1 + PASSES):
        begin = processor_seconds()
        for _ in batches(paths * passes, size, training, workers):
            pass
        seconds.append(processor_seconds() - begin)
    return 1000 * (seconds[1] - seconds[0]) / (PASSES * len(paths))


def part_costs(paths, size, rounds):
    """Milliseconds a photo of single operations: name -> median of the rounds."""
    photos = [read_photo(path) for path in paths]
    results = [photo.resize((size, size), Image.Resampling.BILINEAR) for photo in photos]
    boxes = [_random_box(*photo.size, photo_rng(0, 1, k)) for k, photo in enumerate(photos)]
    arrays = [np.asarray(result) for result in results]
    squash = partial(Image.Image.resize, size=(size, size), resample=Image.Resampling.BILINEAR)
    mirror = Image.Transpose.FLIP_LEFT_RIGHT
    parts = {
        "decode": lambda k: read_photo(paths[k]),
        "copy the decoded photo, as convert() would": lambda k: photos[k].copy(),
        "draw (seed, epoch, photo) -> mirrored, box": lambda k: _random_box(500, 375, photo_rng(0, 1, k)),
        "squash the photo": lambda k: squash(photos[k]),
        "crop and squash": lambda k: squash(photos[k].crop(boxes[k])),
        "the same by resize(box=)": lambda k: squash(photos[k], box=boxes[k]),
        "the same by transform(EXTENT)": lambda k: photos[k].transform(
            (size, size), Image.Transform.EXTENT, boxes[k], Image.Resampling.BILINEAR
        ),
        "mirror the photo": lambda k: photos[k].transpose(mirror),
        "mirror the result": lambda k: results[k].transpose(mirror),
        "mirror the array, by a copy of a view": lambda k: arrays[k][:, ::-1].copy(),
        "result to array": lambda k: np.asarray(results[k]),
        "array into a batch": lambda k: np.stack(arrays[k : k + 1]),
        "train, photo kept in memory": lambda k: transform(photos[k], size, RECIPE, photo_rng(0, 1, k)),
    }
    return {name: _median_cost(part, len(paths), rounds) for name, part in parts.items()}


def large_costs(paths, size, rounds):
    """The same of training on four photos of some 12 megapixels, decoded whole and at what suffices."""
    files = [_enlarged(path) for path in paths[:4]]
    enough = enough_to_crop(size, RECIPE)

    def train(enough, k):
        files[k].seek(0)
        return transform(read_photo(files[k], enough=enough), size, RECIPE, photo_rng(0, 1, k))

    parts = {
        "12 megapixels, whole": partial(train, None),
        "12 megapixels, what suffices": partial(train, enough),
    }
    return {name: _median_cost(part, len(files), rounds) for name, part in parts.items()}


def _enlarged(path):
    photo, file = read_photo(path), io.BytesIO()
    large = photo.resize([LARGE * side for side in photo.size], Image.Resampling.BICUBIC)
    large.save(file, "JPEG", quality=90)
    return file


def _median_cost(part, count, rounds):
    costs = []
    for _ in range(rounds):
        begin = time.thread_time()
        for k in range(count):
            part(k)
        costs.append(1000 * (time.thread_time() - begin) / count)
    return statistics.median(costs)


def compare(paths, size, rounds, seed_process, our_process):
    """(training, workers) -> [cost of the seed's, cost of ours]: medians of rounds that take turns."""
    costs = {}
    for _ in range(rounds):
        for case in ((training, workers) for training in (True, False) for workers in (1, 0)):
            pair = [
                process.submit(pipeline_cost, batches, paths, size, *case).result()
                for process, batches in ((seed_process, seed_batches), (our_process, our_batches))
            ]
            costs.setdefault(case, []).append(pair)
    return {case: np.median(pairs, axis=0).tolist() for case, pairs in costs.items()}


def named(costs, workers):
    """The costs with so many workers: {"seed_train", "train", "seed_eval", "eval"}."""
    (seed_train, train), (seed_eval, evaluation) = costs[True, workers], costs[False, workers]
    return {"seed_train": seed_train, "train": train, "seed_eval": seed_eval, "eval": evaluation}


def main():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--size", type=int, default=448)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    paths = sorted(map(str, args.photos.glob("*.jpg")))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # the processes below inherit it
    spawn = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(1, spawn, paddle.set_device, ["cpu"]) as seed_process,
        ProcessPoolExecutor(1, spawn, choose_device, ["cpu"]) as our_process,
    ):
        common = (paths, args.size, args.rounds)
        costs = compare(*common, seed_process, our_process)
        parts = our_process.submit(part_costs, *common).result()
        parts |= our_process.submit(large_costs, *common).result()
    print(f"{len(paths)} photos, {args.size} px, n = {args.rounds} rounds; {used_versions()}\n")
    rows = [
        (
            f"{'training' if training else 'evaluation'}, {workers or 'no'} worker",
            *map("{:.2f}".format, (theirs, ours, theirs / ours)),
        )
        for (training, workers), (theirs, ours) in costs.items()
    ]
    print(markdown(["ms a photo", "seed", "ours", "ratio"], rows))
    print(markdown(["part", "ms a photo"], [(name, f"{cost:.3f}") for name, cost in parts.items()]))
    print(json.dumps({**named(costs, workers=1), "no_worker": named(costs, workers=0)}))


if __name__ == "__main__":
    main()
