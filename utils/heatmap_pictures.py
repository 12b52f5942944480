"""Pictures of score maps and attention: colours over a photo, in the photo's own geometry.

Scores run from blue (negative) over the grey photo (0) to red (positive); attention from the grey
photo (0) over violet to yellow. Each picture says at which value the colour is full.
"""

from functools import cache, partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from utils.fonts import fitted, font_for, has_letters
from utils.heatmaps import temperature_name
from utils.optional import optional

SCORE, ATTENTION = "bwr", "plasma"  # colormaps of matplotlib
OPACITY = 0.75  # of the colour at a map's limit; it falls to 0 with the root of the value
TILE = 240  # pixels; photos are scaled to it, longer side, for panels and contact sheets
GAP = 8
LINE = 17  # height of a line of text
BAR = (90, 9)  # width and height of a scale of colours
COLUMNS = 5  # of a contact sheet


def upsample(values, width, height):
    """A map (h, w) as the photo has it: (height, width) float32, bilinear.

    The photo was squashed to the square that the model saw, so cell (r, c) covers the
    photo's part from c/w to (c+1)/w of its width and r/h to (r+1)/h of its height. At the centre
    of a cell stands that cell's own value; beyond the outermost centres nothing is invented.
    """
    image = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def limit_of(values):
    """The largest absolute value of a map, or of several: what is drawn in full colour."""
    return float(np.abs(values).max()) or 1.0


def overlay(image, values, limit=None, attention=False):
    """A photo (Pillow, RGB) with a map (h, w) over it: an RGB image of the photo's own size.

    Scores: -limit is blue, 0 leaves the photo (in grey) as it is, limit is red. With `attention`
    values run from 0 to limit. limit: limit_of(values) unless given; what is beyond it
    gets the colour of the limit.
    """
    drawn = upsample(values, *image.size) / (limit or limit_of(values))  # (H, W)
    return _blend(image, drawn, attention)


def _blend(image, drawn, attention):
    """Colours of `drawn` (H, W), in -1..1, over an image of that size."""
    drawn = np.clip(drawn, 0 if attention else -1, 1)
    colormap = optional("matplotlib").colormaps[ATTENTION if attention else SCORE]
    color = 255 * colormap(drawn if attention else (drawn + 1) / 2)[..., :3]  # (H, W, 3)
    grey = np.asarray(image.convert("L"))[..., None]  # (H, W, 1): the colours are the map's alone
    alpha = OPACITY * np.sqrt(np.abs(drawn))[..., None]
    return Image.fromarray(np.round((1 - alpha) * grey + alpha * color).astype(np.uint8))


def panel(image, maps, column, name, score=None):
    """All that a logit is made of, one picture: photo, sum over the heads, each head, with numbers.

    image: Pillow, RGB; maps: utils.heatmaps.Maps; column: the class; name: the class's; score: what
    is said of it, in 0..1 (the sigmoid of the logit unless given).
    """
    image = scaled(image, TILE)
    heads, columns = len(maps.temperatures), max(3, len(maps.temperatures))
    limit, all_maps = limit_of(maps.score[:, column]), "sum of the heads" if heads > 1 else "score map"
    tiles = [
        tile(image, ["photo"]),
        _score_tile(image, maps.summed_score()[column], [all_maps]),
        _attention_tile(image, maps.mean_attention()[column], ["attention" + ", mean" * (heads > 1)]),
    ]
    if heads > 1:  # else the sum is the head
        tiles += [None] * (columns - 3)
        for h, T in enumerate(maps.temperatures):
            base, att = maps.base[h, column], maps.att[h, column]
            said = [f"{temperature_name(T)}: base {base:.2f}, att. {att:.2f}"]
            tiles.append(_score_tile(image, maps.score[h, column], said, limit))
        tiles += [None] * (columns - heads)
        for h, T in enumerate(maps.temperatures):
            tiles.append(
                _attention_tile(image, maps.attention[h, column], [f"{temperature_name(T)}: attention"])
            )
    return _titled(grid(tiles, columns), [name, *_equation(maps, column, score)])


def _equation(maps, column, score):
    """Score and logit of a class in words; the numbers add up."""
    base, att = (maps.factor * each[:, column].sum() for each in (maps.base, maps.att))
    plain = maps.scores[column]
    said = f"score {plain if score is None else score:.3f}"
    if score is not None and abs(score - plain) > 0.0005:  # a temperature was tuned
        said += f" (sigmoid of the logit: {plain:.3f})"
    heads = ", ".join(map(temperature_name, maps.temperatures))
    averaged = ", averaged" if maps.factor != 1 else ""
    return [
        f"{said}, lambda {maps.lam:g}, heads {heads}{averaged}",
        f"logit {maps.logits[column]:.2f} = base {base:.2f} + lambda * attention {att:.2f}",
    ]


def scaled(image, side):
    """A Pillow image, its longer side `side` pixels, the other at least 1."""
    ratio = side / max(image.size)
    return image.resize([max(1, round(each * ratio)) for each in image.size], Image.Resampling.BICUBIC)


def photo_tiles(image, maps, columns, classes, scores, name):
    """Tiles of one photo for a contact sheet: the photo, then the sum of each class's score maps."""
    image = scaled(image, TILE)
    best = int(np.argmax(scores))
    said = [] if len(columns) else [f"none predicted; {classes[best]} {scores[best]:.3f}"]
    tiles = [tile(image, [name, *said])]
    for c in columns:
        tiles.append(_score_tile(image, maps.summed_score()[c], [f"{classes[c]} {scores[c]:.3f}"]))
    return tiles


def contact_sheet(groups):
    """One picture of several photos: groups of tiles (see photo_tiles), each in one row if it fits."""
    tiles = []
    for group in groups:
        left = -len(tiles) % COLUMNS  # of the row
        tiles += [None] * left * (len(group) > left) + group
    return grid(tiles, COLUMNS)


def tile(image, lines, bar=None):
    """An image, lines of text below it, cut where they are too long, and a scale of colours."""
    made = Image.new("RGB", (TILE, image.height + LINE * 2 + 4), "white")
    made.paste(image, ((TILE - image.width) // 2, 0))
    write = ImageDraw.Draw(made)
    for number, line in enumerate(lines):
        font = _font(line)
        write.text((0, image.height + 2 + number * LINE), fitted(line, TILE, font), "black", font)
    if bar:
        made.paste(bar, (0, image.height + 2 + LINE))
    return made


def _score_tile(image, values, lines, limit=None):
    limit = limit or limit_of(values)
    return tile(image=overlay(image, values, limit), lines=lines, bar=_scale(-limit, limit, False))


def _attention_tile(image, values, lines):
    limit = limit_of(values)
    return tile(image=overlay(image, values, limit, True), lines=lines, bar=_scale(0, limit, True))


def _scale(low, high, attention):
    """Low and high with the colours between them."""
    made = Image.new("RGB", (TILE, LINE), "white")
    write, font, x = ImageDraw.Draw(made), _font("0"), 0
    write.text((x, 0), f"{low:.3g}", "black", font)
    x += int(write.textlength(f"{low:.3g}", font)) + 6
    ramp = np.tile(np.linspace(0 if attention else -1, 1, BAR[0]), (BAR[1], 1))
    made.paste(_blend(Image.new("RGB", BAR, "white"), ramp, attention), (x, 5))
    write.text((x + BAR[0] + 6, 0), f"{high:.3g}", "black", font)
    return made


def grid(tiles, columns):
    """Tiles of one width (None: a gap) in rows as high as their highest; they stand on its lower edge."""
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    heights = [max(each.height for each in row if each) for row in rows]
    width = max(map(len, rows)) * (TILE + GAP) + GAP
    made = Image.new("RGB", (width, sum(heights) + GAP * (len(rows) + 1)), "white")
    bottom = 0
    for row, height in zip(rows, heights, strict=True):
        bottom += GAP + height
        for column, each in enumerate(row):
            if each:
                made.paste(each, (GAP + column * (TILE + GAP), bottom - each.height))
    return made


def _titled(image, lines):
    made = Image.new("RGB", (image.width, image.height + GAP + LINE * len(lines) + 6), "white")
    made.paste(image, (0, made.height - image.height))
    write = ImageDraw.Draw(made)
    for number, line in enumerate(lines):
        font = _font(line, 16, bold=True) if number == 0 else _font(line)
        top = GAP + number * LINE + (4 if number else 0)
        write.text((GAP, top), fitted(line, image.width - 2 * GAP, font), "black", font)
    return made


def _font(text, size=13, bold=False):
    """DejaVu Sans, which comes with matplotlib (Latin, Greek, Cyrillic), or another one that has `text`."""
    dejavu = partial(_dejavu, bold)
    known = text.isascii() or has_letters(dejavu, text)
    return dejavu(size) if known else _other("".join(sorted({*text})))(size)


@cache
def _dejavu(bold, size):
    fonts = Path(optional("matplotlib").get_data_path(), "fonts/ttf")
    return ImageFont.truetype(str(fonts / f"DejaVuSans{'-Bold' if bold else ''}.ttf"), size)


_other = cache(font_for)  # which looks through the fonts of the machine
