"""Heat maps as pictures: in the photo's geometry, true to the numbers, readable, one file for each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from models.csra import MAX, MHA, attend_at_test_time
from tests.utils.colour_model import CLASSES, PIXELS, SIZE, colour_model, save_coloured
from utils import heatmap_pictures
from utils.errors import UserError
from utils.fonts import fitted
from utils.heatmap_files import SHEET, HeatmapFolder, choose_classes, file_names
from utils.heatmap_pictures import TILE, limit_of, overlay, panel, photo_tiles, upsample
from utils.heatmaps import score_maps
from utils.predictions import read_pixels

GREY = Image.new("RGB", (280, 70), (128, 128, 128))


def maps_of(path, model=None):
    return score_maps(model or colour_model(), read_pixels(path, SIZE)[None], PIXELS)[0]


def redness(image):
    pixels = np.asarray(image, dtype=int)
    return pixels[..., 0] - pixels[..., 2]


# --- geometry


@pytest.mark.parametrize(
    ("size", "box"),
    [((280, 70), (200, 10, 40, 10)), ((70, 280), (10, 200, 10, 40)), ((91, 63), (0, 54, 13, 9))],
)
def test_the_peak_lies_on_the_object_in_the_photos_own_geometry(tmp_path, size, box):
    """Wide, tall, and at an edge. The box is one cell of the map: the drawn peak is at its middle."""
    maps = maps_of(save_coloured(tmp_path / "a.png", size, box))
    drawn = upsample(maps.summed_score()[0], *size)
    assert drawn.shape == size[::-1]
    y, x = np.unravel_index(drawn.argmax(), drawn.shape)
    left, top, width, height = box
    assert left <= x < left + width
    assert top <= y < top + height
    picture = overlay(Image.new("RGB", size), maps.summed_score()[0])
    assert picture.size == size
    y, x = np.argwhere(redness(picture) == redness(picture).max()).mean(axis=0)
    assert left <= x < left + width
    assert top <= y < top + height


@pytest.mark.parametrize("size", [(700, 1), (1, 700)])
def test_a_line_of_pixels_is_drawn(tmp_path, size):
    path = save_coloured(tmp_path / "a.png", size, (0, 0, 1, 1))
    heatmaps = HeatmapFolder(tmp_path / "maps", CLASSES, ["all"])
    written = heatmaps.add(path, "a", maps_of(path))
    heatmaps.close()
    assert len(written) == len(CLASSES)
    assert (tmp_path / "maps/sheet_1.jpg").exists()


@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    factors=st.tuples(*[st.sampled_from([1, 3, 5, 9, 31])] * 2),
    seed=st.integers(0, 99),
)
def test_the_drawn_map_is_the_score_map_at_the_centres_of_cells(shape, factors, seed):
    values = np.random.default_rng(seed).normal(0, 5, shape).astype("float32")
    drawn = upsample(values, shape[1] * factors[1], shape[0] * factors[0])
    centres = drawn[factors[0] // 2 :: factors[0], factors[1] // 2 :: factors[1]]
    np.testing.assert_allclose(centres, values, rtol=1e-5, atol=1e-5)
    assert drawn.max() <= values.max() + 1e-5  # nothing is invented beyond them
    assert drawn.min() >= values.min() - 1e-5


def test_between_two_centres_it_is_linear():
    drawn = upsample(np.array([[0.0, 10.0]]), 20, 1)[0]
    np.testing.assert_allclose(drawn[:5], 0, atol=1e-5)
    np.testing.assert_allclose(drawn[5:15], np.arange(0.5, 10), atol=1e-4)
    np.testing.assert_allclose(drawn[15:], 10, atol=1e-5)


@pytest.mark.parametrize("num_heads", [1, 4])
@pytest.mark.parametrize("factor", [(9, 23), (31, 3)])
def test_the_logit_is_in_the_drawn_maps(num_heads, factor):
    """base + lambda * attention, from what stands at the centres of the cells of the drawn maps."""
    heads, x = MHA(num_heads, 0.3, 6, 3), np.random.default_rng(0).normal(size=(1, 6, 5, 7))
    maps = score_maps(heads, x.astype("float32"), None)[0]
    for c in range(3):
        logit = 0
        for h, T in enumerate(maps.temperatures):
            drawn = upsample(maps.score[h, c], 7 * factor[1], 5 * factor[0]).astype("float64")
            score = drawn[factor[0] // 2 :: factor[0], factor[1] // 2 :: factor[1]]  # (5, 7)
            share = np.exp(T * (score - score.max())) if T != MAX else score == score.max()
            logit += score.mean() + maps.lam * (share * score).sum() / share.sum()
        assert logit == pytest.approx(maps.logits[c], abs=1e-4)


# --- colours


def test_red_is_for_blue_against_and_nothing_leaves_the_photo():
    picture = np.asarray(overlay(GREY, np.array([[4.0, 0.0, -4.0]])))
    for_it, none, against = picture[35, 20], picture[35, 140], picture[35, 260]
    assert for_it[0] > 200 > 60 > for_it[2]
    assert np.abs(none.astype(int) - 128).max() < 10  # half a pixel from where the map is 0
    assert against[2] > 200 > 60 > against[0]


def test_attention_grows_from_nothing():
    picture = np.asarray(overlay(GREY, np.array([[0.0, 0.5, 1.0]]), attention=True), dtype=int)
    assert picture[35, 20].tolist() == [128, 128, 128]
    changed = np.abs(picture - 128).sum(axis=2)[35]
    assert changed[140] > 0
    assert changed[260] > 150


def test_a_limit_makes_pictures_comparable():
    weak, strong = np.full((2, 2), 1.0), np.full((2, 2), 4.0)
    assert redness(overlay(GREY, weak, 4.0)).max() < redness(overlay(GREY, strong, 4.0)).min()
    own = np.asarray(overlay(GREY, weak))
    np.testing.assert_array_equal(own, np.asarray(overlay(GREY, strong)))
    np.testing.assert_array_equal(own, np.asarray(overlay(GREY, strong, 2.0)))  # beyond it: its colour


def test_a_map_of_zeros_is_drawn_as_the_photo():
    assert limit_of(np.zeros((2, 2))) == 1
    np.testing.assert_array_equal(np.asarray(overlay(GREY, np.zeros((2, 2)))), np.asarray(GREY))


def test_the_photo_itself_is_not_changed():
    photo = Image.new("RGB", (30, 20), (10, 200, 30))
    overlay(photo, np.ones((2, 2)))
    assert photo.getcolors() == [(600, (10, 200, 30))]


# --- panels


@pytest.fixture
def said(monkeypatch):
    """The lines that pictures say, in order."""
    lines = []
    monkeypatch.setattr(
        "utils.heatmap_pictures.fitted",
        lambda text, width, font: lines.append(text) or fitted(text, width, font),
    )
    return lines


def test_a_panel_says_score_logit_and_heads(tmp_path, said):
    path = save_coloured(tmp_path / "a.png", (280, 70), (200, 10, 40, 10))
    maps = maps_of(path)
    picture = panel(Image.open(path), maps, 0, "red")
    base, att = maps.base[:, 0].sum(), maps.att[:, 0].sum()
    assert base + 0.5 * att == pytest.approx(maps.logits[0], abs=1e-5)
    text = "\n".join(said)
    assert "red" in said
    assert f"score {maps.scores[0]:.3f}, lambda 0.5, heads T 1, T max\n" in text
    assert f"logit {maps.logits[0]:.2f} = base {base:.2f} + lambda * attention {att:.2f}" in text
    assert f"T max: base {maps.base[1, 0]:.2f}, att. {maps.att[1, 0]:.2f}" in text
    assert len([line for line in said if line.endswith("attention")]) == 2
    assert picture.width == pytest.approx(3 * TILE, abs=50)


def test_a_panel_of_averaged_heads_adds_up(said):
    x = np.random.default_rng(0).normal(size=(1, 6, 5, 7)).astype("float32")
    maps = score_maps(attend_at_test_time(MHA(1, 0, 6, 3), 0.3, 4), x, None)[0]
    panel(GREY, maps, 1, "cat")
    (logit,) = [line for line in said if line.startswith("logit")]
    parts = [float(part) for part in logit.split() if part.strip("-").replace(".", "").isdigit()]
    assert parts[0] == pytest.approx(parts[1] + 0.3 * parts[2], abs=0.02)
    assert any("averaged" in line for line in said)


def test_a_calibrated_score_is_told_from_the_sigmoid(said):
    x = np.random.default_rng(0).normal(size=(1, 6, 5, 7)).astype("float32")
    maps = score_maps(MHA(1, 0.3, 6, 3), x, None)[0]
    panel(GREY, maps, 1, "cat", score=0.875)
    assert any(f"score 0.875 (sigmoid of the logit: {maps.scores[1]:.3f})" in line for line in said)


@pytest.mark.parametrize("size", [(3000, 40), (40, 3000), (1, 1), (4, 900)])
def test_photos_of_any_form_fit_their_panel(tmp_path, size):
    path = save_coloured(tmp_path / "a.png", size, (0, 0, 1, 1))
    picture = panel(Image.open(path), maps_of(path), 0, "red")
    assert picture.width < 1000
    assert picture.height < 1000


# --- files


def test_classes_are_chosen_by_name_or_all_or_as_predicted():
    classes = ["dog", "cat", "dining table"]
    assert choose_classes(["predicted"], classes) == ([], True)
    assert choose_classes(["dining table", "dog", "dog"], classes) == ([0, 2], False)
    assert choose_classes(["all"], classes) == ([0, 1, 2], False)
    assert choose_classes(["cat", "predicted"], classes) == ([1], True)
    assert choose_classes(["all"], ["all", "dog"]) == ([0], False)  # a class of that name


@pytest.mark.parametrize(
    ("name", "said"),
    [("dgo", "did you mean dog?"), ("predict", "did you mean predicted?"), ("zzz", "dog, cat")],
)
def test_an_unknown_class_is_refused_before_anything_is_written(tmp_path, name, said):
    with pytest.raises(UserError) as error:
        HeatmapFolder(tmp_path / "maps", ["dog", "cat"], ["cat", name])
    assert f"'{name}'" in str(error.value)
    assert said in str(error.value)
    assert not (tmp_path / "maps").exists()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "maps").touch()
    with pytest.raises(UserError, match="is a file"):
        HeatmapFolder(tmp_path / "maps", CLASSES)


@given(st.lists(st.text(max_size=70), max_size=8, unique=True))
def test_names_of_files_are_safe_and_different(classes):
    names = file_names(classes)
    assert len({name.casefold() for name in names}) == len(classes)
    for name in names:
        assert name
        assert all(c.isalnum() or c in "_-" for c in name)
        assert len(name) < 100


def test_names_that_differ_in_case_or_signs_alone_stay_apart():
    assert file_names(["a/b", "a b", "A b", "../x", "a b_1"]) == ["a_b", "a_b_1", "A_b_2", "_x", "a_b_1_4"]


@pytest.fixture
def photo(tmp_path):
    path = save_coloured(tmp_path / "a.png", (280, 70), (200, 10, 40, 10), (0, 0, 40, 10))
    return path, maps_of(path)


def written(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_predicted_classes_are_written_the_highest_first(tmp_path, photo):
    folder = HeatmapFolder(tmp_path / "maps", CLASSES)
    scores = np.array([0.6, 0.9], "float32")
    paths = folder.add(*photo[:1], "sub/a", photo[1], scores, scores >= 0.5)
    assert [path.name for path in paths] == ["a.green.jpg", "a.red.jpg"]
    folder.add(photo[0], "b", photo[1], scores, scores >= 0.7)
    folder.add(photo[0], "c", photo[1], scores, scores >= 0.95)
    folder.close()
    assert written(tmp_path / "maps") == ["b.green.jpg", "sheet_1.jpg", "sub/a.green.jpg", "sub/a.red.jpg"]
    for path in (tmp_path / "maps").rglob("*.jpg"):
        with Image.open(path) as image:
            image.load()


def test_named_classes_are_written_for_each_photo(tmp_path, photo):
    folder = HeatmapFolder(tmp_path / "maps", CLASSES, ["green"])
    folder.add(photo[0], "a", photo[1], predicted=[True, False])
    assert written(tmp_path / "maps") == ["a.green.jpg"]


def test_a_photo_without_a_prediction_is_in_the_sheet_and_says_so(photo, said):
    tiles = photo_tiles(Image.open(photo[0]), photo[1], [], CLASSES, np.array([0.25, 0.125]), "a.png")
    assert len(tiles) == 1
    assert said == ["a.png", "none predicted; red 0.250"]


def test_sheets_are_written_as_they_fill_and_no_more_is_held(tmp_path, photo):
    folder = HeatmapFolder(tmp_path / "maps", CLASSES, ["all"])
    held = []
    for number in range(SHEET):  # of 3 tiles each
        folder.add(photo[0], f"{number}", photo[1])
        held.append(sum(map(len, folder.groups)))
    folder.close()
    assert max(held) <= SHEET
    sheets = [name for name in written(tmp_path / "maps") if name.startswith("sheet")]
    assert sheets == ["sheet_1.jpg", "sheet_2.jpg", "sheet_3.jpg"]
    sizes = [Image.open(tmp_path / "maps" / name).size for name in sheets]
    assert len(set(sizes)) == 1


def test_a_photo_of_many_classes_takes_several_sheets(tmp_path):
    maps = score_maps(MHA(1, 0.3, 6, 40), np.ones((1, 6, 2, 2), "float32"), None)[0]
    path = save_coloured(tmp_path / "a.png", (60, 40), (0, 0, 9, 9))
    folder = HeatmapFolder(tmp_path / "maps", [f"class {n}" for n in range(40)], ["all"])
    folder.add(path, "a", maps)
    folder.close()
    names = written(tmp_path / "maps")
    assert [name for name in names if name.startswith("sheet")] == ["sheet_1.jpg", "sheet_2.jpg"]
    assert len(names) == 42


def test_letters_come_from_a_font_that_has_them(monkeypatch):
    """Names beyond Latin, Greek and Cyrillic: another font of the machine, where there is one."""
    asked = []
    other = heatmap_pictures._other
    monkeypatch.setattr(heatmap_pictures, "_other", lambda text: asked.append(text) or other("a"))
    for text in ("cat, é.jpg", "собака", "γάτα"):
        heatmap_pictures._font(text)
    assert asked == []
    heatmap_pictures._font("猫 1")
    assert asked == [" 1猫"]
