"""Feature maps instead of photos: batches for training the heads on a frozen trunk."""

from datasets.loader import Batches, photo_rng
from datasets.transforms import draw_flip


class FeatureLoader(Batches):
    """Batches of cached feature maps; its photos come in the order in which a Loader's come.

    plain, mirrored: (N, D, h, w) float16 arrays, the maps of the photos of `records` as
    they are and mirrored left to right. With `mirrored` each photo is mirrored in half
    of the epochs, those in which augmentation "randomflip" of a Loader mirrors it.
    """

    def __init__(self, records, plain, mirrored=None, *, batch_size, **order):
        super().__init__(records, batch_size, **order)
        self.plain = plain
        self.mirrored = mirrored

    def _inputs(self, rows, epoch):
        return (self._map(row, epoch) for row in rows)

    def _map(self, index, epoch):
        flip = self.mirrored is not None and draw_flip(photo_rng(self.seed, epoch, index))
        return (self.mirrored if flip else self.plain)[index]
