"""Pictures of score maps: colours over a photo, in the photo's own geometry.

Scores run from blue (negative) over nothing to red (positive); attention from nothing over violet to yellow.
"""

import numpy as np
from PIL import Image

from utils.optional import optional

SCORE, ATTENTION = "bwr", "plasma"  # colormaps of matplotlib
OPACITY = 0.75  # of the colour at a map's limit; it falls to 0 with the value


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
    return Image.fromarray(_blend(image, drawn, attention))


def _blend(image, drawn, attention):
    grey = np.asarray(image.convert("L"), dtype=np.float32)[..., None]  # (H, W, 1): colours are the map's
    color = _colors(drawn, attention)  # (H, W, 3)
    alpha = OPACITY * np.clip(np.abs(drawn), 0, 1)[..., None]
    return np.round((1 - alpha) * grey + alpha * color).astype(np.uint8)


def _colors(drawn, attention):
    colormap = optional("matplotlib").colormaps[ATTENTION if attention else SCORE]
    share = drawn if attention else (drawn + 1) / 2
    return colormap(np.clip(share, 0, 1))[..., :3].astype(np.float32) * 255
