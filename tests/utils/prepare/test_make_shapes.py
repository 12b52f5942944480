"""make_shapes.py: the same seed draws the same pictures, and the labels tell what was drawn."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from utils.errors import UserError
from utils.prepare import make_shapes, shapes
from utils.prepare.shapes import CLASSES, Shape, draw_scene

SCRIPT = Path(make_shapes.__file__)
TRAIN, TEST = 48, 24  # four and two rounds of the twelve classes


def make(out_dir, *options, train=TRAIN, test=TEST, workers=1):
    numbers = ["--train", train, "--test", test, "--workers", workers]
    make_shapes.main(make_shapes.parse_args(["--out_dir", str(out_dir), *map(str, numbers), *options]))
    return out_dir / "VOCdevkit/VOC2007"


def contents(folder):
    """Return {relative path: bytes} of all files under `folder`."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def objects_of(voc, name):
    """Return [(class, difficult, (xmin, ymin, xmax, ymax)), ...] of one annotation."""
    root = ET.parse(voc / f"Annotations/{name}.xml").getroot()
    return [
        (
            thing.findtext("name"),
            int(thing.findtext("difficult")),
            tuple(int(thing.findtext(f"bndbox/{edge}")) for edge in ("xmin", "ymin", "xmax", "ymax")),
        )
        for thing in root.findall("object")
    ]


def ids(voc, split):
    return (voc / f"ImageSets/Main/{split}.txt").read_text().split()


@pytest.fixture(scope="module")
def voc(tmp_path_factory):
    return make(tmp_path_factory.mktemp("shapes"))


@pytest.fixture(scope="module")
def scenes():
    """The shapes of a hundred pictures, [[Shape, ...], ...], and the pictures' short sides."""
    drawn = [draw_scene(3, number, size=96) for number in range(100)]
    return [shapes for _, shapes, _ in drawn], [min(pixels.shape[:2]) for pixels, _, _ in drawn]


def test_the_script_with_two_workers_writes_the_same_bytes(voc, tmp_path):
    numbers = ["--train", str(TRAIN), "--test", str(TEST), "--workers", "2"]
    done = subprocess.run(
        [sys.executable, SCRIPT, "--out_dir", tmp_path / "two", *numbers],
        capture_output=True, text=True, cwd=tmp_path, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.startswith("48 training and 24 test pictures")
    assert done.stdout.count("\n") == 1
    assert contents(tmp_path / "two") == contents(voc.parents[1])


def test_a_picture_does_not_depend_on_how_many_there_are(voc, tmp_path):
    few = make(tmp_path, train=2, test=1)
    for path in ("JPEGImages/000003.jpg", "Annotations/000003.xml"):
        assert (few / path).read_bytes() == (voc / path).read_bytes()


def test_another_seed_draws_other_pictures(voc, tmp_path):
    other = make(tmp_path, "--seed", "1", train=2, test=1)
    for number in (1, 2, 3):
        path = f"JPEGImages/{number:06d}.jpg"
        assert (other / path).read_bytes() != (voc / path).read_bytes()


def test_pictures_are_varied_colour_jpegs_no_longer_than_asked(voc):
    extents = set()
    for path in sorted((voc / "JPEGImages").iterdir()):
        with Image.open(path) as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")
            assert np.asarray(image).std() > 5
            extents.add(image.size)
        root = ET.parse(voc / f"Annotations/{path.stem}.xml").getroot()
        assert root.findtext("filename") == path.name
        written = tuple(int(root.findtext(f"size/{tag}")) for tag in ("width", "height", "depth"))
        assert written == (*image.size, 3)
    assert all(width != height and max(width, height) <= shapes.DEFAULT_SIZE for width, height in extents)
    assert len(extents) > 20
    assert {width > height for width, height in extents} == {True, False}


def test_xml_boxes_are_those_of_the_drawn_masks(voc):
    for number in range(1, 11):
        _, shapes, _ = draw_scene(0, number)
        expected = []
        for shape in shapes:
            rows, columns = np.nonzero(shape.mask >= 0.5)
            box = (columns.min() + 1, rows.min() + 1, columns.max() + 1, rows.max() + 1)  # VOC counts from 1
            expected.append((shape.name, int(shape.difficult()), tuple(map(int, box))))
        assert objects_of(voc, f"{number:06d}") == expected


def test_boxes_lie_inside_the_picture(voc):
    for name in ids(voc, "trainval") + ids(voc, "test"):
        width, height = Image.open(voc / f"JPEGImages/{name}.jpg").size
        for _, _, (xmin, ymin, xmax, ymax) in objects_of(voc, name):
            assert 1 <= xmin < xmax <= width
            assert 1 <= ymin < ymax <= height


def test_the_mask_is_where_the_paint_is():
    canvas = np.full((60, 80, 3), 0.5, np.float32)
    black = (np.zeros(3, np.float32),) * 2
    disc = CLASSES["ball"][0]
    mask, area = shapes._lay(np.random.default_rng(0), canvas, (1, 0), disc, "glow", black, (30, 30), 20, 0)
    assert 0.8 * np.pi * 20**2 * 0.98 <= area <= np.pi * 20**2 * 1.02  # squashed to 80% at most
    assert mask.sum() == pytest.approx(area, rel=1e-4)
    assert (canvas[mask == 1] == 0).all()
    assert (canvas[mask == 0] > 0.1).all()  # the ground, shadowed or not


def test_what_lies_outside_the_picture_counts_as_unseen():
    canvas = np.full((60, 80, 3), 0.5, np.float32)
    grey = (np.ones(3, np.float32),) * 2
    disc = CLASSES["ball"][0]
    mask, area = shapes._lay(np.random.default_rng(0), canvas, (1, 0), disc, "glow", grey, (0, 30), 20, 20)
    shape = Shape("ball", 0.5, area, mask, mask.copy())
    assert shape.visible() == pytest.approx(0.5, abs=0.02)
    assert shape.box()[0] == 0


def test_difficult_means_mostly_hidden():
    mask = np.ones((10, 10), np.float32)
    shape = Shape("ball", 0.3, 100, mask, mask.copy())
    assert shape.visible() == 1
    assert not shape.difficult()
    cover = np.zeros_like(mask)
    cover[:7] = 1
    shapes._hide([shape], cover)
    assert shape.visible() == pytest.approx(0.3)
    assert shape.difficult()
    assert shape.box() == (0, 0, 10, 10)  # of the whole object


def test_scenes_hold_one_to_five_objects_of_very_different_size(scenes):
    drawn, shorts = scenes
    assert set(map(len, drawn)) == {1, 2, 3, 4, 5}
    diameters = [shape.diameter for scene in drawn for shape in scene]
    smallest, largest = shapes.DIAMETERS
    assert smallest <= min(diameters) < 1.2 * smallest
    assert 0.9 * largest < max(diameters) <= largest
    assert largest > 4 * smallest
    for scene, short in zip(drawn, shorts, strict=True):
        for shape in scene:
            left, top, right, bottom = shape.box()
            assert max(right - left, bottom - top) <= 1.3 * shape.diameter * short + 2


def test_objects_hide_others_and_some_are_difficult(scenes):
    drawn = [shape for scene in scenes[0] for shape in scene]
    visible = np.array([shape.visible() for shape in drawn])
    assert visible.min() >= shapes.OMIT_BELOW_VISIBLE
    assert np.mean(visible < 0.9) > 0.1
    assert np.mean(visible > 0.99) > 0.3
    assert 0.01 < np.mean([shape.difficult() for shape in drawn]) < 0.3
    assert all(not all(shape.difficult() for shape in scene) for scene in scenes[0])


def test_a_dozen_pictures_show_every_class(voc):
    for split in ("trainval", "test"):
        counts = Counter(
            name
            for picture in ids(voc, split)
            for name, difficult, _ in objects_of(voc, picture)
            if not difficult
        )
        assert set(counts) == set(CLASSES)
    assert len(CLASSES) >= 12
    assert (voc.parents[1] / "classes.txt").read_text().splitlines() == list(CLASSES)


def test_lists_are_vocs_and_agree_with_the_xml(voc):
    assert ids(voc, "trainval") == [f"{number:06d}" for number in range(1, TRAIN + 1)]
    assert ids(voc, "test") == [f"{number:06d}" for number in range(TRAIN + 1, TRAIN + TEST + 1)]
    assert ids(voc, "train") + ids(voc, "val") == ids(voc, "trainval")
    assert len(ids(voc, "train")) == len(ids(voc, "val"))
    for split in ("trainval", "test"):
        for name in CLASSES:
            expected = []
            for picture in ids(voc, split):
                flags = [difficult for found, difficult, _ in objects_of(voc, picture) if found == name]
                sign = "-1" if not flags else " 0" if all(flags) else " 1"
                expected.append(f"{picture} {sign}")
            assert (voc / f"ImageSets/Main/{name}_{split}.txt").read_text().splitlines() == expected


def test_refuses_to_overwrite(tmp_path):
    kept = tmp_path / "VOCdevkit/mine.txt"
    kept.parent.mkdir()
    kept.write_text("precious")
    with pytest.raises(UserError, match="VOCdevkit exists and is not empty; remove it"):
        make(tmp_path, train=1, test=1)
    assert contents(tmp_path) == {"VOCdevkit/mine.txt": b"precious"}


def test_refuses_a_list_of_other_classes(tmp_path):
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    with pytest.raises(UserError, match="lists other classes"):
        make(tmp_path, train=1, test=1)
    assert contents(tmp_path) == {"classes.txt": b"cat\ndog\n"}


def test_fills_an_empty_folder_beside_other_files(tmp_path):
    (tmp_path / "VOCdevkit").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    make(tmp_path, train=1, test=1)
    assert {path.name for path in tmp_path.iterdir()} == {"VOCdevkit", "classes.txt", "notes.txt"}


@pytest.mark.parametrize("exists", [True, False])
def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch, exists):
    def fail_at_the_third(seed, number, size):
        if number == 3:
            raise OSError(28, "No space left on device")
        return draw_scene(seed, number, size)

    monkeypatch.setattr(make_shapes, "draw_scene", fail_at_the_third)
    out_dir = tmp_path / "out"
    if exists:
        out_dir.mkdir()
    with pytest.raises(UserError, match="No space left on device; free some space"):
        make(out_dir, train=3, test=1)
    assert out_dir.exists() == exists
    assert list(tmp_path.rglob("*")) == ([out_dir] if exists else [])


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--train", "0", "at least 1"),
        ("--test", "-3", "at least 1"),
        ("--workers", "0", "at least 1"),
        ("--train", "1000000", "999999"),
        ("--seed", "-1", "at least 0"),
        ("--size", "32", "at least 64"),
        ("--size", "4000", "at most 1024"),
    ],
)
def test_bad_numbers_are_refused(tmp_path, capsys, option, value, told):
    with pytest.raises((UserError, SystemExit)) as error:
        make(tmp_path / "out", option, value)
    line = str(error.value) if error.type is UserError else capsys.readouterr().err
    assert option in line
    assert told in line
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_told(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UserError, match="cannot write .*out"):
        make(tmp_path / "out", train=1, test=1)
    assert contents(tmp_path) == {"out": b"a file"}


@pytest.mark.skipif(os.name != "posix", reason="folder rights as on Unix")
def test_what_is_written_can_be_read_by_others(voc):
    mask = os.umask(0)
    os.umask(mask)
    for folder in (voc, voc / "JPEGImages", voc.parent):
        assert folder.stat().st_mode & 0o777 == 0o777 & ~mask
