"""Which photos show the same: a perceptual hash, and all pairs of photos whose hashes are close.

The hash (pHash) is the sign of the photo's lowest frequencies. It survives other sizes, JPEG
qualities and brightness, not cutting off a tenth, nor mirroring: docs/results/check_dataset.md has
how far each moves it, and that of 5 million pairs of different VOC photos none is closer than 80 bits.
"""

import numpy as np
from PIL import Image

SIDE = 64  # the photo is squashed to so many pixels; enough for Image.draft("L", (SIDE, SIDE))
LOW = 16  # frequencies across and down: LOW * LOW bits
CLOSE = 56  # bits that may differ between two photos that show the same
FLAT = 2.0  # standard deviation of grey values under which a photo has no structure to compare
ROWS = 512  # of the table of distances at a time

_COSINES = np.cos(np.pi / (2 * SIDE) * np.arange(LOW)[:, None] * (2 * np.arange(SIDE) + 1), dtype=np.float32)


def fingerprint(image):
    """A Pillow image of any mode -> (256,) bool, or None for a photo without structure."""
    small = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    grey = np.asarray(small, np.float32)  # (64, 64)
    if grey.std() < FLAT:
        return None
    low = (_COSINES @ grey @ _COSINES.T).ravel()  # the discrete cosine transform, (256,)
    return low > np.median(low)


def near_rows(fingerprints, close=CLOSE):
    """Yield (i, numbers j > i) of fingerprints that differ in at most `close` bits, for each i with any.

    None is near nothing. All pairs are compared, as a product of matrices: some 0.3 s for 5,000 on one core.
    Where all photos look alike, the pairs of 10,000 would take gigabytes: they are not kept.
    """
    rows = np.array([row for row, bits in enumerate(fingerprints) if bits is not None], dtype=int)
    bits = np.array([fingerprints[row] for row in rows], dtype=bool).reshape(len(rows), LOW * LOW)
    signs = np.where(bits, np.float32(1), np.float32(-1))  # (N, 256)
    for start in range(0, len(rows), ROWS):
        alike = signs[start : start + ROWS] @ signs[start:].T  # 256 - 2 x the bits that differ
        near = np.triu(alike >= LOW * LOW - 2 * close, 1)
        for row in np.flatnonzero(near.any(axis=1)):
            yield int(rows[start + row]), rows[start + np.flatnonzero(near[row])]


def groups(count, near):
    """What of 0..count-1 hangs together: (count,) int, the least member of the group.

    near: (i, what hangs together with it: one number or several), ...
    """
    leader = np.arange(count)

    def leader_of(row):
        while leader[row] != row:
            leader[row] = leader[leader[row]]
            row = leader[row]
        return row

    for row, others in near:
        for other in np.unique(leader[others]):  # few, however many the others are
            low, high = sorted((leader_of(row), leader_of(other)))
            leader[high] = low
    return np.array([leader_of(row) for row in range(count)], dtype=int)
