"""Records to batches: photos are decoded by a bounded pool of threads, in order.

Threads suffice: Pillow decodes and resizes outside the interpreter lock. They
start at once, copy nothing, and an unreadable photo surfaces where the batch is
asked for, with 0 workers and with many.
"""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from datasets.transforms import read_photo, transform


@dataclass
class Batch:
    """photos (B, S, S, 3) uint8, or feature maps; labels (B, C) int8; indices (B,): rows of the records."""

    photos: np.ndarray
    labels: np.ndarray
    indices: np.ndarray


class Loader:
    """Batches of a split. `loader.epoch(n)` iterates over all photos once.

    The order (with shuffle) and every random draw derive from (seed, epoch, photo)
    alone, so that `num_workers` changes the speed and nothing else.
    """

    def __init__(self, records, img_size, batch_size, augmentations=(), shuffle=False, seed=0, num_workers=0):
        self.records = records
        self.img_size = img_size
        self.batch_size = batch_size
        self.augmentations = augmentations
        self.shuffle = shuffle
        self.seed = seed
        self.num_workers = num_workers

    def __len__(self):
        return -(-len(self.records) // self.batch_size)  # the last batch may be smaller

    def epoch(self, epoch=0):
        """Yield the batches of one epoch. Raises UserError for a photo that cannot be read."""
        order = epoch_order(len(self.records), self.shuffle, self.seed, epoch)
        photos = ordered_map(
            lambda index: self._photo(index, epoch), order, self.num_workers, ahead=2 * self.batch_size
        )
        for start in range(0, len(order), self.batch_size):
            indices = order[start : start + self.batch_size]
            batch = np.stack([next(photos) for _ in indices])
            yield Batch(batch, self.records.labels[indices], indices)

    def _photo(self, index, epoch):
        image = read_photo(self.records.paths[index], self.records.boxes[index])
        rng = photo_rng(self.seed, epoch, index) if self.augmentations else None
        return transform(image, self.img_size, self.augmentations, rng)


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
