"""Photo-like scenes of textured shapes: twelve classes, drawn from a seed and a number."""

import colorsys
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

DEFAULT_SIZE = 192  # twice the 96 pixels of a quick training: a random crop still finds detail
OVERSAMPLE = 4  # outlines are drawn this much larger and averaged, so that edges are soft
OBJECT_COUNTS = (0.2, 0.25, 0.25, 0.18, 0.12)  # chance of 1, 2, ... 5 objects in a picture
DIAMETERS = (0.22, 0.9)  # of an object, relative to the picture's short side
DIFFICULT_BELOW_VISIBLE = 0.4  # objects of which less is seen are difficult
CLEAR_DIAMETER = 0.35  # at least, of one object in each picture
OMIT_BELOW_VISIBLE = 0.1  # what is all but hidden gets no label

# Outlines: [(points (n, 2) in the unit square -1..1, y down, 1 to fill or 0 to cut out), ...].


def _polar(radius, n=96):
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([np.sin(angle), -np.cos(angle)], axis=1) * np.reshape(radius(angle), (-1, 1))


def _box(x0, y0, x1, y1):
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def _curve(x, y, n=96):
    t = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([x(t), y(t)], axis=1)


def _disc(radius, x=0.0, y=0.0):
    return _polar(lambda a: radius + 0 * a) + (x, y)


STAR = _polar(lambda a: np.where(np.arange(10) % 2, 0.55, 1.0), 10)
ARROW = np.array([(-1, -0.45), (0, -0.45), (0, -0.95), (1, 0), (0, 0.95), (0, 0.45), (-1, 0.45)])
COG = _polar(lambda a: 0.87 + np.clip(0.4 * np.sin(9 * a), -0.13, 0.13), 180)
HEART = _curve(
    lambda t: np.sin(t) ** 3,
    lambda t: -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 16,
)
DROP = _curve(lambda t: 0.95 * np.sin(t) * np.sin(t / 2) ** 1.5, lambda t: -np.cos(t))
LEAF = _curve(np.cos, lambda t: 0.65 * np.sign(np.sin(t)) * np.abs(np.sin(t)) ** 1.5)

# Textures: (u, v) in the outline's unit square, a frequency near 1 and a phase -> share of the
# second colour, 0..1. All are soft waves: hard edges would flicker at the size of a pixel.


def _wave(x, sharp=2.5):
    return np.clip(0.5 + sharp * np.sin(x), 0, 1)


TEXTURES = {
    "wedges": lambda u, v, f, p: _wave(3 * np.arctan2(v, u) + p),
    "glow": lambda u, v, f, p: np.clip(1.3 * np.hypot(u, v) ** f, 0, 1),
    "lifebuoy": lambda u, v, f, p: _wave(4 * np.arctan2(v, u) + p),
    "checks": lambda u, v, f, p: np.clip(0.5 + 4 * np.sin(9 * f * u + p) * np.sin(9 * f * v + p), 0, 1),
    "mortar": lambda u, v, f, p: np.maximum(
        np.clip(4 * np.cos(9 * f * v) - 2.4, 0, 1),
        np.clip(6 * np.cos(4.5 * f * u + np.pi * (np.sin(4.5 * f * v) > 0)) - 4.6, 0, 1),
    ),
    "chevrons": lambda u, v, f, p: _wave(8 * f * (u + 0.8 * np.abs(v)) + p),
    "veins": lambda u, v, f, p: np.maximum(
        np.clip(1.5 - 22 * np.abs(v), 0, 1), np.clip(4 * np.cos(14 * f * (u - np.abs(v)) + p) - 3, 0, 1)
    ),
    "craters": lambda u, v, f, p: np.clip(2 * np.sin(7 * f * u + p) * np.sin(8 * f * v + 2 * p) - 0.4, 0, 1),
    "brushed": lambda u, v, f, p: (
        0.5 + 0.3 * np.sin(2 * np.arctan2(v, u) + p) + 0.2 * np.sin(40 * np.hypot(u, v))
    ),
    "dots": lambda u, v, f, p: np.clip(3 * np.cos(10 * f * u + p) * np.cos(10 * f * v + p) - 1, 0, 1),
    "gloss": lambda u, v, f, p: np.clip(
        1.5 * np.exp(-9 * ((u + 0.25) ** 2 + (v - 0.2) ** 2)) + 0.3 * v, 0, 1
    ),
    "bands": lambda u, v, f, p: _wave(7 * f * v + p),
}

PLAIN = ("glow", "gloss", "craters", "bands")  # of things of no class

# name: (outline, typical texture, two typical colours as hue, saturation, value)
CLASSES = {
    "ball": ([(_disc(1), 1)], "wedges", (0.00, 0.95, 0.90), (0.00, 0.03, 0.98)),
    "star": ([(STAR, 1)], "glow", (0.155, 0.95, 0.98), (0.14, 0.95, 0.90)),
    "ring": ([(_disc(1), 1), (_disc(0.52), 0)], "lifebuoy", (0.60, 0.90, 0.92), (0.15, 0.85, 0.97)),
    "cross": ([(_box(-0.36, -1, 0.36, 1), 1), (_box(-1, -0.36, 1, 0.36), 1)], "checks",
              (0.36, 0.90, 0.80), (0.36, 0.85, 0.10)),
    "brick": ([(_box(-1, -0.55, 1, 0.55), 1)], "mortar", (0.00, 0.10, 0.08), (0.10, 0.03, 0.99)),
    "arrow": ([(ARROW, 1)], "chevrons", (0.07, 0.97, 0.98), (0.05, 0.95, 0.50)),
    "leaf": ([(LEAF, 1), (_box(0.9, -0.05, 1.2, 0.05), 1)], "veins", (0.27, 0.95, 0.55), (0.25, 0.90, 0.85)),
    "moon": ([(_disc(1), 1), (_disc(0.75, 0.6, -0.1), 0)], "craters", (0.71, 0.90, 0.92), (0.14, 0.30, 0.99)),
    "gear": ([(COG, 1), (_disc(0.34), 0)], "brushed", (0.47, 0.85, 0.85), (0.47, 0.80, 0.40)),
    "heart": ([(HEART, 1)], "dots", (0.93, 0.90, 0.95), (0.95, 0.08, 0.99)),
    "drop": ([(DROP, 1)], "gloss", (0.53, 0.95, 0.98), (0.53, 0.10, 0.99)),
    "mug": ([(_disc(0.5, 0.5), 1), (_disc(0.3, 0.55), 0), (_box(-0.85, -0.9, 0.55, 0.9), 1)], "bands",
            (0.83, 0.85, 0.75), (0.82, 0.15, 0.98)),
}  # fmt: skip


@dataclass
class Shape:
    """A drawn object; masks are (height, width) shares of each pixel, 0..1."""

    name: str
    diameter: float  # relative to the picture's short side
    area: float  # in pixels, with what lies outside the picture
    mask: np.ndarray  # the object inside the picture, hidden parts too
    seen: np.ndarray  # what is not hidden by a later thing

    def box(self):
        """Return (left, top, right, bottom) in pixels, the last two exclusive."""
        rows, columns = np.flatnonzero((self.mask >= 0.5).any(1)), np.flatnonzero((self.mask >= 0.5).any(0))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1

    def visible(self):
        """Return the share of the object that can be seen, 0..1."""
        return float(self.seen.sum() / self.area)

    def difficult(self):
        return self.visible() < DIFFICULT_BELOW_VISIBLE


def draw_scene(seed, number, size=DEFAULT_SIZE):
    """Draw picture `number`; return (pixels (H, W, 3) uint8, [Shape, ...], JPEG quality)."""
    rng = np.random.default_rng([seed, number])
    canvas = _background(rng, size)  # (H, W, 3) float32, 0..1
    short = min(canvas.shape[:2])
    angle = rng.uniform(0, 2 * math.pi)
    light = math.cos(angle), math.sin(angle)  # where it comes from, the same for all things
    for _ in range(rng.integers(2, 6)):
        _lay(rng, canvas, light, *_distractor(rng, canvas, 0.35))
    shapes, places = [], []
    count = 1 + rng.choice(len(OBJECT_COUNTS), p=OBJECT_COUNTS)
    names = rng.choice(list(CLASSES), count).tolist()
    diameters = rng.uniform(*DIAMETERS, count).tolist()
    # the foremost object is well seen, and takes turns: a dozen pictures show every class
    names[-1], diameters[-1] = list(CLASSES)[number % len(CLASSES)], max(diameters[-1], CLEAR_DIAMETER)
    for name, diameter in zip(names, diameters, strict=True):
        radius = diameter * short / 2
        centre = _place(rng, canvas, radius, places)
        mask, area = _lay(rng, canvas, light, *_object(rng, name), centre, radius, radius)
        _hide(shapes, mask)
        shapes.append(Shape(name, diameter, area, mask, mask.copy()))
    for _ in range(rng.integers(0, 4)):
        mask, _ = _lay(rng, canvas, light, *_distractor(rng, canvas, 0.15))
        _hide(shapes, mask)
    shapes = [shape for shape in shapes if shape.visible() >= OMIT_BELOW_VISIBLE]
    return _expose(rng, canvas), shapes, int(rng.integers(60, 96))


def _background(rng, size):
    """Return a lit ground (H, W, 3): gradient, blotches, and often boards, gravel or a horizon."""
    long = int(round(size * rng.uniform(0.83, 1)))
    height, width = int(long * rng.uniform(0.62, 0.85)), long
    if rng.random() < 0.35:
        height, width = width, height
    y, x = np.mgrid[:height, :width].astype(np.float32) / long
    angle, period = rng.uniform(0, 2 * math.pi), rng.uniform(30, 90)
    cos, sin = math.cos(angle), math.sin(angle)
    along = x * cos + y * sin
    share = 0.5 + 0.5 * along + rng.uniform(0.2, 1.0) * _blotches(rng, height, width, 4)
    share += rng.uniform(0.1, 0.6) * _blotches(rng, height, width, 24)
    if rng.random() < 0.3:  # boards or cloth
        share += rng.uniform(0.1, 0.3) * _wave(period * (y * cos - x * sin))
    if rng.random() < 0.4:  # gravel or grass
        share += rng.uniform(0.4, 1.0) * _blotches(rng, height, width, 64)
    hue, saturation, value = rng.random(), rng.uniform(0.02, 0.14), rng.uniform(0.4, 0.8)
    near = _colour(rng, (hue, saturation, value), 0.05)
    far = _colour(rng, (hue, saturation, value * rng.uniform(0.7, 0.95)), 0.1)
    canvas = _mix(near, far, np.clip(share, 0, 1))
    if rng.random() < 0.4:  # a wall behind a table, the sky above a field
        wall = _colour(rng, (rng.random(), rng.uniform(0.02, 0.14), rng.uniform(0.4, 0.8)), 0.05)
        above = np.clip(long / 3 * (rng.uniform(0.15, 0.5) - y + rng.normal(0, 0.06) * x), 0, 1)[..., None]
        canvas += above * (wall * (0.85 + 0.3 * y[..., None]) - canvas) * 0.85
    return canvas


def _object(rng, name):
    """Return (outline, texture, two colours) of an object of class `name`."""
    outline, texture, first, second = CLASSES[name]
    if rng.random() < 0.04:  # typical is not always
        texture = str(rng.choice(list(TEXTURES)))
    return outline, texture, (_colour(rng, first, 0.012), _colour(rng, second, 0.012))


def _distractor(rng, canvas, largest):
    """Return a thing of no class: (outline, texture, colours, centre, radius, depth in pixels)."""
    short = min(canvas.shape[:2])
    if rng.random() < 0.5:  # a bent stroke: twig, cable, straw
        t, thick = np.linspace(-1, 1, 16), rng.uniform(0.02, 0.08)
        bend = rng.uniform(-0.6, 0.6) * t**2 + rng.uniform(-0.3, 0.3) * t**3
        points = np.stack([np.r_[t, t[::-1]], np.r_[bend - thick, (bend + thick)[::-1]]], axis=1)
        radius = short * rng.uniform(0.1, 1.5 * largest)
        depth = 2 * thick * radius
    else:  # a pebble or a shard, never round: that would be a ball
        corners = int(rng.integers(3, 8))
        reach = rng.permutation(np.r_[0.4, 1, rng.uniform(0.4, 1, corners - 2)])
        smooth = np.interp(np.linspace(0, corners, 49)[:-1], np.arange(corners + 1), np.r_[reach, reach[0]])
        points = _polar(lambda a: smooth, 48) if rng.random() < 0.6 else _polar(lambda a: reach, corners)
        radius = depth = short * rng.uniform(0.02, 0.5 * largest)
    hsv = rng.random(), rng.uniform(0.02, 0.2), rng.uniform(0.25, 0.8)
    colours = _colour(rng, hsv, 0.02), _colour(rng, hsv, 0.1)
    centre = rng.uniform(0, 1, 2) * canvas.shape[1::-1]
    return [(points, 1)], str(rng.choice(PLAIN)), colours, centre, radius, depth


def _place(rng, canvas, radius, places):
    """Return a centre (x, y) that overlaps `places` little, and note it there.

    Only two tries: some objects shall hide others. The centre keeps half a radius
    from the edge, so that most of the object is in the picture.
    """
    edge = np.array([canvas.shape[1], canvas.shape[0]])
    tries = rng.uniform(0.5 * radius, edge - 0.5 * radius, (2, 2))
    overlap = [sum(max(0, radius + r - np.hypot(*(c - p))) for p, r in places) for c in tries]
    centre = tries[int(np.argmin(overlap))]
    places.append((centre, radius))
    return centre


def _lay(rng, canvas, light, outline, texture, colours, centre, radius, depth):
    """Paint one thing with its shadow on `canvas`, in place.

    `depth`, in pixels, sets how far bevel and shadow reach; `light` is (x, y) towards the lamp.
    Returns (mask inside the picture (H, W), whole area in pixels).
    """
    turn, squash = rng.normal(0, 0.5), rng.uniform(0.8, 1)  # mostly upright, a little foreshortened
    cos, sin, mirror = math.cos(turn), math.sin(turn), 1 - 2 * int(rng.integers(2))
    matrix = radius * np.array([[cos * mirror, -sin * squash], [sin * mirror, cos * squash]])
    polygons = [(points @ matrix.T + centre, fill) for points, fill in outline]
    left, top, tile = _stencil(polygons, pad=3 + int(0.3 * depth))  # room for the shadow
    soft = np.asarray(tile.filter(ImageFilter.GaussianBlur(1 + 0.08 * depth)), np.float32) / 255
    mask = np.asarray(tile, np.float32) / 255  # (h, w), as soft and all that follows

    y = np.arange(top + 0.5, top + len(mask), dtype=np.float32)[:, None] - float(centre[1])
    x = np.arange(left + 0.5, left + mask.shape[1], dtype=np.float32) - float(centre[0])
    (a, b), (c, d) = np.linalg.inv(matrix).tolist()
    u, v = a * x + b * y, c * x + d * y  # where a pixel lies on the outline's unit square
    share = TEXTURES[texture](u, v, rng.uniform(0.8, 1.25), rng.uniform(0, 2 * math.pi))
    down, across = np.gradient(soft)  # bevelled edges, and a slope
    shade = 1 - 0.22 * depth * (across * light[0] + down * light[1])
    shade += rng.uniform(0, 0.25) * (u * light[0] + v * light[1])
    paint = _mix(*colours, share) * np.clip(shade, 0.3, 1.6)[..., None]

    height, width = canvas.shape[:2]
    inside = np.s_[max(top, 0) : max(top + len(mask), 0), max(left, 0) : max(left + mask.shape[1], 0)]
    crop = np.s_[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
    reach = rng.uniform(0.05, 0.2) * depth
    away = round(-light[1] * reach), round(-light[0] * reach)
    canvas[inside] *= 1 - rng.uniform(0.2, 0.6) * np.roll(soft, away, (0, 1))[crop][..., None]
    canvas[inside] += mask[crop][..., None] * (paint[crop] - canvas[inside])
    whole = np.zeros((height, width), np.float32)
    whole[inside] = mask[crop]
    return whole, float(mask.sum())


def _stencil(polygons, pad):
    """Return (left, top, "L" image of what `polygons` cover, with `pad` pixels around)."""
    corners = np.concatenate([points for points, _ in polygons])
    left, top = (np.floor(corners.min(0)) - pad).astype(int).tolist()
    right, bottom = (np.ceil(corners.max(0)) + pad).astype(int).tolist()
    image = Image.new("L", ((right - left) * OVERSAMPLE, (bottom - top) * OVERSAMPLE))
    draw = ImageDraw.Draw(image)
    for points, fill in polygons:
        draw.polygon(((points - (left, top)) * OVERSAMPLE).ravel().tolist(), fill=255 * fill)
    return left, top, image.reduce(OVERSAMPLE)


def _hide(shapes, mask):
    for shape in shapes:
        shape.seen *= 1 - mask


def _expose(rng, canvas):
    """Take the photo: colour of the light, exposure, vignette, blur and noise; uint8."""
    height, width = canvas.shape[:2]
    y = np.arange(height, dtype=np.float32)[:, None] / height - rng.random()
    x = np.arange(width, dtype=np.float32) / width - rng.random()
    lit = rng.uniform(0.8, 1.1) * (1.1 - rng.uniform(0.1, 0.3) * np.hypot(x, y))  # (H, W)
    cast = rng.normal(255, 8, 3).astype(np.float32)
    image = Image.fromarray(np.clip(canvas * lit[..., None] * cast, 0, 255).astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.9)))
    noise = rng.standard_normal(canvas.shape, np.float32) * rng.uniform(1, 5)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def _blotches(rng, height, width, cells):
    """Return smooth noise (height, width), about -0.5..0.5, with `cells` cells across."""
    grid = Image.fromarray(rng.uniform(-0.5, 0.5, (cells, cells)).astype(np.float32))
    return np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC))


def _colour(rng, hsv, spread):
    hue, saturation, value = rng.normal(hsv, (spread, 0.06, 0.07))
    return np.array(
        colorsys.hsv_to_rgb(hue % 1, np.clip(saturation, 0, 1), np.clip(value, 0.05, 1)), np.float32
    )


def _mix(first, second, share):
    """Blend two colours (3,) by share (h, w); returns (h, w, 3) float32."""
    return first + (second - first) * share.astype(np.float32)[..., None]
