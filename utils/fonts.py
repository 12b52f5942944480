"""Letters for pictures, without a package that is there for them alone."""

from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

from utils.optional import optional

FONTS = (  # of the machine, where Pillow's own does not do: it has ASCII alone
    "DejaVuSans.ttf",
    "NotoSansCJK-Regular.ttc",
    "wqy-microhei.ttc",
    "Arial Unicode.ttf",
    "PingFang.ttc",
    "msyh.ttc",
)
UNKNOWN = "\U0010ffff"  # a letter that no font has


def font_for(text):
    """A function from a size in pixels to a font with all letters of `text`.

    Pillow's own where that has them, else the first one here that does; if none does, Pillow's
    own, which draws boxes in their place, and a line says so once.
    """
    fonts = [ImageFont.load_default, *(partial(ImageFont.truetype, name) for name in _files())]
    for font in fonts:
        if has_letters(font, text):
            return font
    _say_boxes()
    return fonts[0]


@cache
def _say_boxes():
    print("no font here has all letters of the names: some are drawn as boxes; install one, like Noto CJK")


def has_letters(font, text):
    """Whether a font (a function of the size) is here and has all letters of `text`."""
    try:
        font = font(20)
    except OSError:
        return False
    box = bytes(font.getmask(UNKNOWN))  # what is drawn for letters that it lacks
    return all(bytes(font.getmask(letter)) != box for letter in set(text))


def fitted(text, width, font):
    """`text`, or as much of its beginning as `width` pixels hold."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."


def _files():
    if find_spec("matplotlib"):  # which brings Latin, Greek and Cyrillic
        yield str(Path(optional("matplotlib").get_data_path(), "fonts/ttf/DejaVuSans.ttf"))
    yield from FONTS
