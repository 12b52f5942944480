"""Photos with their labels and scores drawn on them, in the photo's own geometry."""

from contextlib import contextmanager
from itertools import count
from pathlib import Path

from PIL import ImageDraw

from datasets.transforms import read_photo
from utils.errors import UserError, printable
from utils.files import write_saved
from utils.fonts import fitted, font_for

SHARE = 0.055  # of the shorter side: size of the letters
LEAST = 12  # pixels: letters are not smaller, however many labels there are
MOST = 0.5  # of the photo's height: as much is hidden at most
GAP = "     "  # between two labels
BACK, FRONT = (24, 24, 24), (255, 255, 255)
LARGEST_JPEG = 65500  # pixels a side


@contextmanager
def annotator(folder, names, classes):
    """Yield a function that draws one utils.predictions.Prediction and writes it to `folder`, see annotate.

    names: {path: name of its file without suffix}, see utils.photos.output_names.
    """
    font = font_for("".join(classes))
    yield lambda photo: annotate(photo, Path(folder, f"{names[photo.path]}.jpg"), font)
    print(f"wrote photos with their labels to {folder}")


def annotate(photo, out, font):
    """Write a photo with what was predicted on a strip at its lower edge, a JPEG of the photo's own size.

    photo: a utils.predictions.Prediction; font: a function from a size in pixels to a font.
    Raises UserError when the photo cannot be read any more or `out` not be written.
    """
    if max(photo.width, photo.height) > LARGEST_JPEG:
        size = f"{photo.width} x {photo.height}"
        raise UserError(f"--annotated: {photo.path} is {size} pixels, too long for a JPEG; leave it out")
    image = read_photo(photo.path)
    draw_strip(image, texts_of(photo), font)
    write_saved(out, lambda file: image.save(file, "JPEG", quality=90, subsampling=0))


def texts_of(photo):
    """What is said of a Prediction: "dog 0.98", ..., the highest score first."""
    shown = sorted(photo.labels, key=photo.scores.get, reverse=True)
    texts = [printable(f"{name} {photo.scores[name]:.2f}") for name in shown]
    if not texts:
        best = max(photo.scores, key=photo.scores.get)
        texts = ["none predicted", printable(f"best: {best} {photo.scores[best]:.2f}")]
    return texts


def draw_strip(image, texts, font):
    """Draw texts, side by side in as many lines as they need, on a dark strip at an image's lower edge."""
    face, lines = layout(texts, *image.size, font)
    ascent, descent = face.getmetrics()
    step, edge = ascent + descent, face.size // 2
    top = image.height - step * len(lines) - edge
    write = ImageDraw.Draw(image)
    write.rectangle((0, top, image.width, image.height), fill=BACK)
    for number, line in enumerate(lines):
        write.text((edge, top + edge // 2 + number * step), line, FRONT, face)


def layout(texts, width, height, font):
    """(font, lines): letters as large as fit; what does not fit even at LEAST is left out, "..." for it."""
    for smaller in count():
        size = max(LEAST, round(SHARE * min(width, height) * 0.9**smaller))
        face = font(size)
        lines = wrapped(texts, width - size, face)
        room = max(1, int((MOST * height - size) / sum(face.getmetrics())))
        if len(lines) <= room:
            return face, lines
        if size == LEAST:
            return face, [*lines[: room - 1], fitted(f"{lines[room - 1]}{GAP}...", width - size, face)]


def wrapped(texts, width, font):
    """Lines of texts with GAP between them; one that is longer than `width` pixels is cut."""
    lines = []
    for text in texts:
        longer = GAP.join([*lines[-1:], text])
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(fitted(text, width, font))
    return lines
