"""YOLO's text files: the usual layouts, boxes in pixels, names; what does not fit is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.errors import UserError
from utils.prepare.yolo_text import class_names, images_of, label_files, read_object, read_yolo_folder

NAMES = ["pump", "valve", "no"]
SIZE = (200, 100)


@pytest.fixture
def tree(tmp_path, make_photo):
    """tree({label file: text}, names file or None): write them with a photo of 200 x 100 each."""

    def make(texts, names="classes.txt"):
        for number, (name, text) in enumerate(texts.items()):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            photo = images_of(path, tmp_path) if "labels" in path.parts else path.parent
            photo.mkdir(parents=True, exist_ok=True)
            make_photo(photo / f"{path.stem}.jpg", *SIZE, seed=number)
        if names:
            (tmp_path / names).write_text("\n".join(NAMES) + "\n\n")
        return tmp_path

    return make


LAYOUTS = {
    "beside": ("a.txt", "b.txt", {"a": ("a.jpg", None), "b": ("b.jpg", None)}),
    "flat": ("labels/a.txt", "labels/b.txt", {"a": ("images/a.jpg", None), "b": ("images/b.jpg", None)}),
    "below": (
        "labels/train/a.txt",
        "labels/val/b.txt",
        {"a": ("images/train/a.jpg", "train"), "b": ("images/val/b.jpg", "val")},
    ),
    "above": (
        "train/labels/a.txt",
        "valid/labels/b.txt",
        {"a": ("train/images/a.jpg", "train"), "b": ("valid/images/b.jpg", "val")},
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tree, layout):
    first, second, expected = LAYOUTS[layout]
    folder = tree({first: "1 0.5 0.5 0.2 0.4\n0 0.25 0.5 0.5 1\n", second: "\n"})
    source = read_yolo_folder(folder)
    assert (source.classes, source.notes) == (NAMES, [])
    a, b = source.photos
    assert [(photo.img_path, photo.split) for photo in (a, b)] == [
        (str(folder / path), split) for path, split in (expected["a"], expected["b"])
    ]
    assert (a.present, b.present, a.unknown) == ({"pump", "valve"}, set(), set())
    assert a.objects == [("valve", [80, 30, 40, 40], False), ("pump", [0, 0, 100, 100], False)]
    assert b.objects == []


def test_a_folder_of_labels_itself_and_photos_elsewhere(tree, make_photo, tmp_path):
    folder = tree({"labels/a.txt": "0 0.5 0.5 1 1"}, "labels/classes.txt")
    assert read_yolo_folder(folder) == read_yolo_folder(folder / "labels")
    (tmp_path / "elsewhere").mkdir()
    make_photo("elsewhere/a.png", 10, 10)
    (photo,) = read_yolo_folder(folder, tmp_path / "elsewhere").photos
    assert photo.img_path == f"{tmp_path}/elsewhere/a.png"
    assert photo.objects == [("pump", [0, 0, 10, 10], False)]


def test_photos_without_text_are_told(tree, make_photo):
    folder = tree({"labels/a.txt": ""})
    make_photo("images/more.jpg")
    (note,) = read_yolo_folder(folder).notes
    assert note == f"1 photos have no annotation file and are left out, first {folder}/images/more.jpg"


@given(st.lists(st.integers(0, 40), min_size=4, max_size=4))
def test_boxes_are_in_pixels(sides):
    """Against the arithmetic the other way round: a box of the photo, as YOLO writes it, comes back."""
    left, top, width, height = sides[0], sides[1], sides[2] + 1, sides[3] + 1
    shares = ((left + width / 2) / 200, (top + height / 2) / 100, width / 200, height / 100)
    name, box, difficult = read_object(["2", *map(repr, shares)], NAMES, SIZE, "here")
    assert (name, difficult) == ("no", False)
    assert box == pytest.approx([left, top, width, height])
    x, y = np.array([left, left + width, left]) / 200, np.array([top, top + height / 2, top + height]) / 100
    outline = np.stack([x, y], axis=1).ravel().tolist()
    assert read_object(["2", *map(repr, outline)], NAMES, SIZE, "here")[1] == pytest.approx(box)


@pytest.mark.parametrize(
    "shares", ["0.5 0.5 0 0.5", "0.5 0.5 1.2 0.5", "nan 0.5 0.1 0.1", "-0.1 0.5 0.1 0.1"]
)
def test_a_label_needs_no_valid_box(tree, shares):
    folder = tree({"a.txt": f"0 {shares}", "b.txt": "1 0.5 0.5 1 1"})
    source = read_yolo_folder(folder)
    assert [photo.present for photo in source.photos] == [{"pump"}, {"valve"}]
    assert source.photos[0].objects is None
    assert source.notes == [
        f"1 photos have an object without a valid box and get no boxes, first {folder}/a.txt"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("3 0.5 0.5 1 1", "line 1: class 3; there are 3 names, for 0 to 2"),
        ("0 0.5 0.5 1 1\n\n-1 0.5 0.5 1 1", "line 3: class -1"),
        ("0 0.5 0.5 1", "line 1: 3 numbers after the class"),
        ("0 0.5 0.5 1 1 0.9", "line 1: 5 numbers after the class"),
        ("0", "line 1: 0 numbers after the class"),
        ("pump 0.5 0.5 1 1", "'pump 0.5 0.5 1 1' is no class number and a box"),
        ("0.0 0.5 0.5 1 1", "is no class number and a box"),
        ("0 a b c d", "is no class number and a box"),
    ],
)
def test_lines_that_are_none_are_refused(tree, text, said):
    with pytest.raises(UserError) as stop:
        read_yolo_folder(tree({"labels/a.txt": text}))
    assert said in str(stop.value)
    assert "labels/a.txt" in str(stop.value)


def test_a_text_without_photo_is_named(tree):
    folder = tree({"labels/a.txt": ""})
    (folder / "images/a.jpg").unlink()
    with pytest.raises(UserError, match=r"a\.txt: no photo of that name in .*images, .*labels; .*--photos"):
        read_yolo_folder(folder)


def test_a_photo_that_cannot_be_read_is_named(tree):
    folder = tree({"labels/a.txt": ""})
    (folder / "images/a.jpg").write_bytes(b"no photo")
    with pytest.raises(UserError, match=r"cannot read photo .*a\.jpg"):
        read_yolo_folder(folder)


# --- names


@pytest.mark.parametrize(
    "text",
    [
        "names: [pump, valve, no]",
        "path: ../x\nnc: 3\nnames:\n  0: pump\n  2: no\n  1: valve\n",
        "names:\n- pump\n- 'valve'\n- no\n",
    ],
)
def test_names_of_a_description(tree, text):
    pytest.importorskip("yaml")
    folder = tree({"train/labels/a.txt": "2 0.5 0.5 1 1"}, None)
    (folder / "data.yaml").write_text(text)
    assert class_names(folder) == class_names(folder / "train") == NAMES
    assert read_yolo_folder(folder).photos[0].present == {"no"}


@pytest.mark.parametrize(
    "text",
    ["", "names: 5", "names: []", "nc: 3", "names: {0: a, 2: b}", "names: [[a]]", "names: [a, '']",
     "names: [a", "[" * 2000, "a: &a [x, x]\nb: &b [*a, *a]\nnames: [*b]"],
)  # fmt: skip
def test_descriptions_without_names_are_refused(tree, text):
    pytest.importorskip("yaml")
    folder = tree({"labels/a.txt": ""}, None)
    (folder / "data.yaml").write_text(text)
    with pytest.raises(UserError, match=r"data\.yaml"):
        read_yolo_folder(folder)


def test_without_names_it_says_what_is_missing(tree):
    with pytest.raises(UserError, match=r"no classes\.txt \(one class a line\) or data\.yaml"):
        read_yolo_folder(tree({"labels/a.txt": ""}, None))
    folder = tree({"labels/a.txt": ""}, None)
    (folder / "classes.txt").write_text("pump\n\nvalve\n")
    with pytest.raises(UserError, match="want a list of class names, one for each number"):
        read_yolo_folder(folder)


def test_files_that_are_no_labels_are_left_alone(tree):
    folder = tree({"labels/a.txt": "", "labels/train/b.txt": ""})
    (folder / "README.roboflow.txt").write_text("words")
    (folder / "labels/classes.txt").write_text("pump\n")
    (folder / "images/a.txt").write_text("words")
    assert [path.name for path in label_files(folder)] == ["a.txt", "b.txt"]
