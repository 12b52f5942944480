"""Records to batches: photos are decoded by a bounded pool of threads, in order.

Threads suffice: Pillow decodes and resizes outside the interpreter lock. They
start at once, copy nothing, and an unreadable photo surfaces where the batch is
asked for, with 0 workers and with many.
"""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from datasets.transforms import enough_to_crop, read_photo, transform


@dataclass
class Batch:
    """photos (B, S, S, 3) uint8, or feature maps; labels (B, C) int8; indices (B,): rows of the records."""

    photos: np.ndarray
    labels: np.ndarray
    indices: np.ndarray


@dataclass(frozen=True)
class Share:
    """Which process of `world` ones a loader is for, and how many batches make a step there."""

    rank: int = 0
    world: int = 1
    accum_steps: int = 1


WHOLE = Share()


class Batches:
    """What the loaders have in common: which rows of the records come when.

    `loader.epoch(n)` gives every row once, in batches; `loader.steps(n)` gives them in
    the steps of the optimizer. The order (with shuffle) derives from (seed, epoch) alone.
    A subclass defines _inputs(rows, epoch), which yields what the model takes for each row.
    """

    def __init__(self, records, batch_size, shuffle=False, seed=0, share=WHOLE):
        self.records = records
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.share = share

    def __len__(self):
        """Steps of an epoch; the last one may be smaller."""
        return -(-len(self.records) // self.step_size)

    @property
    def step_size(self):
        """Photos of a step, in all processes."""
        return self.batch_size * self.share.accum_steps * self.share.world

    def epoch(self, epoch=0):
        """Yield the batches of one epoch; of several processes each has whole batches of its own."""
        order = epoch_order(len(self.records), self.shuffle, self.seed, epoch)
        own = _cut(order, self.batch_size)[self.share.rank :: self.share.world]
        yield from self._batches(own, epoch)

    def steps(self, epoch, first=0):
        """Yield (known, batches) for each step from number `first` on.

        The photos of a step are dealt out to the processes; batches: a list of this one's,
        of batch_size photos at most. known: how many labels of the step are not ignored,
        over the number of processes: losses summed in each process, divided by it and
        averaged over the processes, are the mean over the step. A process for which
        no photo is left gets one whose labels are all ignored.
        """
        order = epoch_order(len(self.records), self.shuffle, self.seed, epoch)
        steps = _cut(order, self.step_size)[first:]
        own = [step[self.share.rank :: self.share.world] for step in steps]
        parts = [
            _cut(rows if len(rows) else step[:1], self.batch_size)
            for step, rows in zip(steps, own, strict=True)
        ]
        batches = self._batches([rows for part in parts for rows in part], epoch)
        for step, rows, part in zip(steps, own, parts, strict=True):
            known = np.count_nonzero(self.records.labels[step] >= 0) / self.share.world
            mine = [next(batches) for _ in part]
            if not len(rows):
                mine[0].labels = np.full_like(mine[0].labels, -1)
            yield known, mine

    def _batches(self, parts, epoch):
        inputs = self._inputs(np.concatenate(parts) if parts else [], epoch)
        for rows in parts:
            yield Batch(np.stack([next(inputs) for _ in rows]), self.records.labels[rows], rows)


class Loader(Batches):
    """Batches of photos (B, S, S, 3) uint8.

    Every random draw derives from (seed, epoch, photo) alone, so that `num_workers`
    changes the speed and nothing else. cache: a RamCache that keeps what was decoded.
    Raises UserError for a photo that cannot be read.
    """

    def __init__(
        self, records, img_size, batch_size, augmentations=(), *, num_workers=0, cache=None, **order
    ):
        super().__init__(records, batch_size, **order)
        self.img_size = img_size
        self.augmentations = augmentations
        self.num_workers = num_workers
        self._decoded = cache.keep(self._decode, len(records)) if cache else self._decode

    def _inputs(self, rows, epoch):
        return ordered_map(
            lambda row: self._photo(row, epoch), rows, self.num_workers, ahead=2 * self.batch_size
        )

    def _photo(self, index, epoch):
        photo = self._decoded(index)
        if not self.augmentations:
            return photo
        return transform(photo, self.img_size, self.augmentations, photo_rng(self.seed, epoch, index))

    def _decode(self, index):
        """What of a photo is the same in each epoch: an image to augment, or else its final pixels."""
        enough = enough_to_crop(self.img_size, self.augmentations)
        image = read_photo(self.records.paths[index], self.records.boxes[index], enough)
        return image if self.augmentations else transform(image, self.img_size)


def _cut(rows, size):
    """Rows in pieces of `size`, the last one perhaps smaller."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def epoch_order(count, shuffle, seed, epoch):
    """Rows in the order in which an epoch takes them, (count,)."""
    rows = np.arange(count)
    return np.random.default_rng((seed, epoch)).permutation(rows) if shuffle else rows


def photo_rng(seed, epoch, index):
    """What an epoch draws for one photo, whoever asks and when."""
    return np.random.default_rng((seed, epoch, index))


def ordered_map(function, items, num_workers, ahead):
    """Yield function(item) for each item, in order, computed by threads at most `ahead` items early."""
    if num_workers == 0:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(num_workers)
    waiting = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
