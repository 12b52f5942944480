"""Feature maps instead of photos: batches for training the heads on a frozen trunk."""

import numpy as np

from datasets.loader import Batch, epoch_order, photo_rng
from datasets.transforms import draw_flip


class FeatureLoader:
    """Batches of cached feature maps; used as a Loader, and its photos come in the same order.

    plain, mirrored: (N, D, h, w) float16 arrays, the maps of the photos of `records` as
    they are and mirrored left to right. With `mirrored` each photo is mirrored in half
    of the epochs, those in which augmentation "randomflip" of a Loader mirrors it.
    """

    def __init__(self, records, plain, mirrored=None, *, batch_size, shuffle=False, seed=0):
        self.records = records
        self.plain = plain
        self.mirrored = mirrored
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed

    def __len__(self):
        return -(-len(self.records) // self.batch_size)

    def epoch(self, epoch=0):
        """Yield the batches of one epoch."""
        order = epoch_order(len(self.records), self.shuffle, self.seed, epoch)
        for start in range(0, len(order), self.batch_size):
            indices = order[start : start + self.batch_size]
            maps = np.stack([self._map(index, epoch) for index in indices])  # (B, D, h, w)
            yield Batch(maps, self.records.labels[indices], indices)

    def _map(self, index, epoch):
        flip = self.mirrored is not None and draw_flip(photo_rng(self.seed, epoch, index))
        return (self.mirrored if flip else self.plain)[index]
