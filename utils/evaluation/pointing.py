"""The pointing game: does a class's map look at the objects of that class? On plain arrays.

Zhang et al., "Top-down Neural Attention by Excitation Backprop", ECCV 2016, count how often a map's
maximum falls on an object. Wang et al., "Score-CAM", CVPR workshops 2020, measure the share of a
map's energy in the boxes. Here neither has a tolerance around a box, and difficult objects count.

A map (h, w) covers the whole photo of width W and height H: cell (r, c) lies from c W/w to
(c+1) W/w and r H/h to (r+1) H/h. Boxes: (x, y, width, height) in pixels.
"""

from typing import NamedTuple

import numpy as np


class Pair(NamedTuple):
    """One photo and one class that is in it, M maps."""

    photo: int  # row of the records
    column: int  # of the class
    hit: np.ndarray  # (M,) bool: the maximum lies in a box
    energy: np.ndarray  # (M,) share of the positive scores that lies in boxes; NaN where none is positive
    attention: np.ndarray  # (M,) share of the attention that lies in boxes
    area: float  # share of the photo that lies in boxes: what a random point hits
    centre: bool  # whether the centre of the photo lies in a box
    largest: float  # share of the photo that the largest box covers
    objects: int  # number of boxes


def play(photo, column, score, attention, boxes, size):
    """The Pair of one class in one photo.

    score, attention: M maps (M, h, w); boxes: those of the class, one or more; size: (W, H).
    The maximum (the first of equal ones) points at the centre of its cell.
    """
    count, h, w = score.shape
    inside = coverage(boxes, size, (h, w))  # (h, w)
    row, column_of_cell = np.divmod(score.reshape(count, -1).argmax(axis=1), w)  # (M,), (M,)
    x, y = (column_of_cell + 0.5) / w * size[0], (row + 0.5) / h * size[1]
    positive = np.maximum(score, 0).astype(float)
    total = positive.sum(axis=(1, 2))  # (M,)
    energy = np.full(count, np.nan)
    np.divide((positive * inside).sum(axis=(1, 2)), total, out=energy, where=total > 0)
    areas = [coverage([box], size, (1, 1)).item() for box in boxes]
    return Pair(
        photo,
        column,
        _in_a_box(x, y, boxes),
        energy,
        (attention * inside).sum(axis=(1, 2)),
        float(inside.mean()),
        bool(_in_a_box(size[0] / 2, size[1] / 2, boxes)),
        max(areas),
        len(boxes),
    )


def coverage(boxes, size, shape):
    """The share of each cell that lies in the union of the boxes: (h, w) float64, 0..1, exact."""
    (width, height), (h, w) = size, shape
    sides = np.array([(x, y, x + dx, y + dy) for x, y, dx, dy in boxes], dtype=float)  # (K, 4)
    cut_x = np.unique([*np.linspace(0, width, w + 1), *sides[:, [0, 2]].clip(0, width).ravel()])
    cut_y = np.unique([*np.linspace(0, height, h + 1), *sides[:, [1, 3]].clip(0, height).ravel()])
    x, y = (cut_x[1:] + cut_x[:-1]) / 2, (cut_y[1:] + cut_y[:-1]) / 2  # no box or cell ends between two cuts
    area = np.outer(np.diff(cut_y), np.diff(cut_x)) * _in_a_box(x[None, :], y[:, None], boxes)
    found = np.zeros(shape)
    rows, columns = (y * h / height).astype(int), (x * w / width).astype(int)
    np.add.at(found, (rows[:, None], columns[None, :]), area)
    return found * h * w / (width * height)


def _in_a_box(x, y, boxes):
    return np.any([(x >= x0) & (x < x0 + dx) & (y >= y0) & (y < y0 + dy) for x0, y0, dx, dy in boxes], axis=0)


def pointing_figures(pairs, classes, maps):
    """What a list of Pairs comes to, as plain numbers for JSON; shares are 0..1.

    maps: names of the M maps. hit, energy and attention are means over pairs (energy: over
    those with a positive score, None if there is none), mean_hit is the mean over classes; by class
    the first map counts.
    """
    of_class = {name: [p for p in pairs if p.column == c] for c, name in enumerate(classes)}
    by_class = {name: _figures(some, 0) for name, some in of_class.items() if some}
    return {
        "photos": len({pair.photo for pair in pairs}),
        "pairs": len(pairs),
        "maps": {
            name: {
                **_figures(pairs, m),
                "mean_hit": _mean([_mean([p.hit[m] for p in some]) for some in of_class.values() if some]),
            }
            for m, name in enumerate(maps)
        },
        "random": _mean([pair.area for pair in pairs]),
        "centre": _mean([pair.centre for pair in pairs]),
        "classes": by_class,
    }


def _figures(pairs, m):
    energy = [pair.energy[m] for pair in pairs if not np.isnan(pair.energy[m])]
    return {
        "pairs": len(pairs),
        "hit": _mean([pair.hit[m] for pair in pairs]),
        "energy": _mean(energy) if energy else None,
        "attention": _mean([pair.attention[m] for pair in pairs]),
        "random": _mean([pair.area for pair in pairs]),
        "centre": _mean([pair.centre for pair in pairs]),
    }


def _mean(values):
    return float(np.mean(values))


def pointing_lines(figures):
    """Lines to read, in percent."""
    lines = [
        f"Pointing game: {figures['pairs']} labels of {figures['photos']} photos; in boxes of the class, %:",
        f"{'map':>8} {'maximum':>8} {'energy':>7} {'attention':>9}",
    ]
    for name, found in figures["maps"].items():
        energy = "none" if found["energy"] is None else f"{100 * found['energy']:.1f}"
        lines.append(f"{name:>8} {100 * found['hit']:8.1f} {energy:>7} {100 * found['attention']:9.1f}")
    lines.append(
        f"a random point {100 * figures['random']:.1f}, the centre {100 * figures['centre']:.1f}; "
        "maximum by class: "
        + ", ".join(f"{name} {100 * found['hit']:.1f}" for name, found in figures["classes"].items())
    )
    return lines
