"""Photos with their labels drawn on them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFont

from utils import fonts
from utils.annotate import BACK, LEAST, annotate, annotator, layout, texts_of
from utils.errors import UserError
from utils.fonts import fitted, font_for, has_letters
from utils.predictions import Prediction

OWN = ImageFont.load_default
WORDS = [f"class{number} 0.50" for number in range(80)]


def prediction(path, labels=("dog",), classes=("cat", "dog", "cow")):
    scores = {name: 1 / (2 + number) for number, name in enumerate(classes)}
    width, height = Image.open(path).size
    return Prediction(str(path), list(labels), scores, width, height)


def save_white(path, size):
    Image.new("RGB", size, "white").save(path)
    return path


def strip_of(path):
    """Number of rows at the lower edge whose left-most pixel is dark."""
    column = np.asarray(Image.open(path).convert("L"))[::-1, 0]
    return int(np.argmin(column < 100)) if column.max() >= 100 else len(column)


# --- the picture


@pytest.mark.parametrize(
    "size", [(500, 375), (333, 500), (3000, 200), (100, 1500), (48, 32), (1, 1), (2400, 1800)]
)
@pytest.mark.parametrize("count", [0, 1, 80])
def test_the_photo_keeps_its_size_and_half_of_itself(tmp_path, size, count):
    path = save_white(tmp_path / "white.png", size)
    classes = [f"class {number}" for number in range(80)]
    annotate(prediction(path, classes[:count], classes), out := tmp_path / "out.jpg", OWN)
    image = Image.open(out)
    assert image.size == size
    assert image.format == "JPEG"
    if min(size) > 40:
        assert 0 < strip_of(out) <= size[1] // 2 + 1
        photo = np.asarray(image)[: size[1] // 2 - 16]  # whole blocks of a JPEG above the strip
        assert (photo >= 250).all()


@pytest.mark.parametrize(("size", "least"), [((500, 375), 16), ((6000, 4000), 200), ((200, 100), LEAST)])
def test_letters_grow_with_the_photo(size, least):
    face, lines = layout(["dog 0.98"], *size, OWN)
    assert face.size >= least
    assert lines == ["dog 0.98"]


def test_many_labels_take_smaller_letters_before_any_is_left_out():
    few, _ = layout(WORDS[:3], 500, 375, OWN)
    face, lines = layout(WORDS[:34], 500, 375, OWN)
    assert LEAST < face.size < few.size
    assert " ".join(lines).split() == " ".join(WORDS[:34]).split()
    face, lines = layout(WORDS, 200, 100, OWN)
    assert face.size == LEAST
    assert lines[0].startswith(WORDS[0])
    assert lines[-1].endswith("...")


def test_letters_are_on_the_strip_and_readable(tmp_path):
    path = save_white(tmp_path / "white.png", (400, 300))
    annotate(prediction(path), out := tmp_path / "out.jpg", OWN)
    strip = np.asarray(Image.open(out).convert("L")).astype(int)[-strip_of(out) + 2 :]
    assert strip.max() > 230  # white letters
    assert abs(np.median(strip) - BACK[0]) < 8  # on dark
    assert 0.005 < (strip > 150).mean() < 0.3


def test_the_best_is_named_first(tmp_path):
    path = save_white(tmp_path / "white.png", (40, 30))
    assert texts_of(prediction(path, ["dog", "cat"])) == ["cat 0.50", "dog 0.33"]
    assert texts_of(prediction(path, [])) == ["none predicted", "best: cat 0.50"]
    assert texts_of(prediction(path, ["a\nb"], ["a\nb"])) == ["a b 0.50"]


def test_a_long_name_is_cut():
    assert fitted("short", 200, OWN(13)) == "short"
    cut = fitted("x" * 500, 200, OWN(13))
    assert cut.startswith("xxx")
    assert cut.endswith("x...")
    assert OWN(13).getlength(cut) <= 200


# --- letters


def test_letters_beyond_ascii(tmp_path):
    path = save_white(tmp_path / "white.png", (400, 300))
    classes = ["狗", "Hündin", "σκύλος", "كلب", "🐕", "a\u0301"]
    with annotator(tmp_path / "out", {str(path): "x"}, classes) as write:
        write(prediction(path, classes, classes))
    assert Image.open(tmp_path / "out/x.jpg").size == (400, 300)


def test_the_first_font_with_all_letters_is_taken(monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    assert font_for("dog")(20).getname() == OWN(20).getname()
    font = font_for("dog Hündin σκύλος собака")
    assert "DejaVu" in font(20).getname()[0]
    assert has_letters(font, "ü") and not has_letters(OWN, "ü")  # noqa: PT018
    assert capsys.readouterr().out == ""


def test_letters_that_no_font_has_are_told(monkeypatch, capsys):
    fonts._say_boxes.cache_clear()
    monkeypatch.setattr(fonts, "_files", lambda: ["no such font.ttf"])
    assert font_for("狗") is OWN
    assert "Noto CJK" in capsys.readouterr().out


# --- files


def test_names_and_folders(tmp_path, capsys):
    paths = [save_white(tmp_path / name, (40, 30)) for name in ("a.png", "b.jpg")]
    names = dict(zip(map(str, paths), ("one/a", "b"), strict=True))
    with annotator(tmp_path / "out", names, ["cat", "dog", "cow"]) as write:
        for path in paths:
            write(prediction(path))
    assert sorted(str(path.relative_to(tmp_path / "out")) for path in tmp_path.glob("out/**/*.*")) == [
        "b.jpg",
        "one/a.jpg",
    ]
    assert capsys.readouterr().out == f"wrote photos with their labels to {tmp_path / 'out'}\n"


def test_a_photo_that_no_jpeg_can_hold(tmp_path):
    path = save_white(tmp_path / "long.png", (65501, 1))
    with pytest.raises(UserError, match="65501 x 1 pixels, too long for a JPEG"):
        annotate(prediction(path), tmp_path / "out.jpg", OWN)
    assert not (tmp_path / "out.jpg").exists()


def test_colours_are_those_of_the_photo(tmp_path):
    image = Image.new("CMYK", (200, 200), (0, 200, 200, 0))
    image.save(path := tmp_path / "cmyk.jpg")
    annotate(prediction(path), out := tmp_path / "out.jpg", OWN)
    difference = np.asarray(Image.open(out), int) - np.asarray(Image.open(path).convert("RGB"), int)
    assert np.abs(difference[:150]).max() < 8
    assert Path(out).stat().st_size < 20_000
