"""How a photo becomes an array: the one place for training, evaluation and deployment."""

import math
import os
import stat
import warnings

import numpy as np
from PIL import Image, ImageEnhance, UnidentifiedImageError

from utils.errors import UserError

UNREADABLE = (OSError, ValueError, SyntaxError, AssertionError)  # what Pillow raises for broken files
FORMATS = ("JPEG", "PNG", "BMP", "WEBP")
MOST_PIXELS = 89_478_485  # 256 MB in RGB; a file of some KB can say that it holds more
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # open_photo refuses, in one line
TOO_MANY = f"it has more than {MOST_PIXELS} pixels; make it smaller"
AUGMENTATIONS = ("randomflip", "resizedcrop", "colorjitter")
SCALE = (0.7, 1.0)  # share of the photo's area that resizedcrop keeps
RATIO = (3 / 4, 4 / 3)  # its width : height
JITTER = 0.5  # brightness, contrast and colour vary by this much


def open_photo(file):
    """A Pillow image of one of FORMATS, a context manager; its pixels are not decoded yet.

    file: a path, or a file that is open. Raises one of UNREADABLE, also for more than MOST_PIXELS.
    """
    if isinstance(file, (str, os.PathLike)) and stat.S_ISFIFO(os.stat(file).st_mode):
        raise ValueError("it is a pipe")  # opening it would wait for ever
    try:
        image = Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError:  # Pillow's own limit is twice ours
        raise ValueError(TOO_MANY) from None
    if image.width * image.height > MOST_PIXELS:
        image.close()
        raise ValueError(TOO_MANY)
    return image


def read_photo(path, box=None, enough=None):
    """Open a photo as a Pillow image in RGB, whatever its mode; EXIF rotation is ignored.

    box = (x, y, width, height) in pixels keeps that part, clipped to the photo.
    enough: a shorter side of so many pixels suffices (see enough_to_crop); a JPEG file without
    box is then decoded at 1/2, 1/4 or 1/8 of its size if that leaves as many.
    Raises UserError naming the path when it cannot be read.
    """
    try:
        with open_photo(path) as image:
            if enough and box is None:
                image.draft(None, (enough, enough))  # of other formats: does nothing
            image = _to_rgb(image)
    except UNREADABLE as error:
        raise UserError(f"cannot read photo {path}: {why_unreadable(error)}") from None
    return image if box is None else _crop(image, box, path)


def photo_size(path, remedy=""):
    """(width, height) of a photo in pixels, from its header; UserError naming path and remedy without one."""
    try:
        with open_photo(path) as image:
            return image.size
    except UNREADABLE as error:
        raise UserError(f"cannot read photo {path}: {why_unreadable(error)}{remedy}") from None


def why_unreadable(error):
    """One of UNREADABLE in words."""
    if isinstance(error, UnidentifiedImageError):
        return f"it is no {', '.join(FORMATS)} file"
    return getattr(error, "strerror", None) or str(error).strip() or "it is damaged"


def to_rgb(image):
    """A Pillow image of any mode as read_photo gives photos; UserError when its file cannot be decoded."""
    try:
        return _to_rgb(image)
    except UNREADABLE as error:
        raise UserError(f"cannot read an image: {why_unreadable(error)}") from None


def transform(image, size, augmentations=(), rng=None):
    """A Pillow image in RGB -> uint8 (size, size, 3).

    Without augmentations: squashed to a square, Pillow bilinear; this is the evaluation
    transform. With names of AUGMENTATIONS: drawn from `rng`, a NumPy generator,
    in the reference's order flip, colour, crop.
    """
    flip = "randomflip" in augmentations and draw_flip(rng)
    if "colorjitter" in augmentations:
        image = _color_jitter(image, rng)
    if "resizedcrop" in augmentations:
        left, top, right, bottom = _random_box(*image.size, rng)
        if flip:  # drawn in the mirrored photo; the mirroring itself waits for fewer pixels
            left, right = image.width - right, image.width - left
        image = image.crop((left, top, right, bottom))  # resize(box=...) would blend in what lies outside
    image = image.resize((size, size), Image.Resampling.BILINEAR)
    if flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(image)  # (S, S, 3)


def enough_to_crop(size, augmentations):
    """What read_photo may take for `enough` before transform(..., size, augmentations), in pixels.

    A photo with so long a shorter side is not enlarged, whatever the draw. Without
    augmentations None: evaluation decodes every photo at its full size.
    """
    if not augmentations:
        return None
    return math.ceil(size / math.sqrt(SCALE[0] * RATIO[0])) if "resizedcrop" in augmentations else size


def draw_flip(rng):
    """Whether a photo is mirrored; the first draw for it."""
    return rng.random() < 0.5


def _to_rgb(image):
    if image.mode == "RGB":
        image.load()
        return image  # convert() would copy it
    if image.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion would clip it to white
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def clipped(box, size):
    """What of a box (x, y, width, height) lies in a photo of `size`: whole pixels (left, top, right, bottom).

    None when nothing does, as of a box without area.
    """
    x, y, width, height = box
    left, top = max(math.floor(x), 0), max(math.floor(y), 0)
    right, bottom = min(math.ceil(x + width), size[0]), min(math.ceil(y + height), size[1])
    there = min(width, height) > 0 and left < right and top < bottom
    return (left, top, right, bottom) if there else None


def _crop(image, box, path):
    part = clipped(box, image.size)
    if part is None:
        raise UserError(f"the box {list(box)} lies outside photo {path} of {image.width} x {image.height}")
    return image.crop(part)


def _random_box(width, height, rng):
    """A part of the photo (left, top, right, bottom), drawn as torchvision's RandomResizedCrop draws it."""
    for _ in range(10):
        area = width * height * rng.uniform(*SCALE)
        ratio = math.exp(rng.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
            return left, top, left + w, top + h
    w = min(width, round(height * RATIO[1]))  # no luck, as with panoramas: the largest central part
    h = min(height, round(width / RATIO[0]))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def _color_jitter(image, rng):
    """Brightness, contrast and colour, each by a factor of 0.5..1.5, in random order."""
    enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for index in rng.permutation(len(enhancers)):
        image = enhancers[index](image).enhance(rng.uniform(1 - JITTER, 1 + JITTER))
    return image
