"""COCO's form with own categories, and VOC's XML: labels and boxes against the plain truth."""

import json
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.errors import UserError
from utils.prepare.box_readers import read_coco_file, read_voc_folder
from utils.prepare.prepare_voc import target_of
from utils.prepare.voc_xml import read_objects

NAMES = {7: "pump house", 2: "valve", 30: "Rohr"}
OBJECTS = st.lists(
    st.tuples(
        st.sampled_from(sorted(NAMES)), st.lists(st.integers(1, 40), min_size=4, max_size=4), st.booleans()
    ),
    max_size=4,
)


def write_coco(folder, photos, **changed):
    """photos: {id: (file name, [(category id, box, crowd)])}."""
    annotations = [(number, *thing) for number, (_, things) in photos.items() for thing in things]
    content = {
        "images": [{"id": number, "file_name": name} for number, (name, _) in photos.items()],
        "categories": [{"id": number, "name": name} for number, name in NAMES.items()],
        "annotations": [
            {"id": row, "image_id": image, "category_id": category, "bbox": box, "iscrowd": int(crowd)}
            for row, (image, category, box, crowd) in enumerate(annotations)
        ],
    }
    (folder / "own.json").write_text(json.dumps(content | changed))
    return folder / "own.json"


@given(st.dictionaries(st.integers(0, 99), OBJECTS, min_size=1, max_size=5))
def test_own_categories_in_cocos_form(tmp_path_factory, things):
    folder = tmp_path_factory.mktemp("coco")
    truth = {number: (f"in/{number}.jpg", found) for number, found in things.items()}
    source = read_coco_file(write_coco(folder, truth))
    assert source.classes == ["valve", "pump house", "Rohr"]  # in the order of ids
    assert source.notes == []
    assert [photo.img_path for photo in source.photos] == [f"{folder}/in/{n}.jpg" for n in sorted(truth)]
    for photo, number in zip(source.photos, sorted(truth), strict=True):
        assert photo.present == {NAMES[category] for category, *_ in things[number]}
        assert photo.unknown == set()
        assert photo.objects == [(NAMES[category], box, crowd) for category, box, crowd in things[number]]


def test_categories_of_one_name_are_one_class_and_told(tmp_path):
    """Of two supercategories, or with a blank behind one."""
    categories = [{"id": number, "name": name} for number, name in ((2, "valve"), (7, "cat "), (30, "cat"))]
    photos = {1: ("a.jpg", [(30, [0, 0, 9, 9], False)]), 2: ("b.jpg", [(7, [0, 0, 9, 9], False)])}
    source = read_coco_file(write_coco(tmp_path, photos, categories=categories))
    assert source.classes == ["valve", "cat"]
    assert [photo.present for photo in source.photos] == [{"cat"}, {"cat"}]
    assert source.notes == ["several categories of one name are one class each: cat"]


def test_a_photo_has_boxes_when_all_of_its_objects_have(tmp_path):
    photos = {
        1: ("a.jpg", [(7, [1, 1, 5, 5], False), (2, [1, 1, 0, 5], False)]),
        2: ("b.jpg", [(2, [0, 0, 9, 9], False)]),
    }
    first, second = read_coco_file(write_coco(tmp_path, photos)).photos
    assert (first.present, first.objects) == ({"pump house", "valve"}, None)
    assert second.objects == [("valve", [0, 0, 9, 9], False)]
    (note,) = read_coco_file(write_coco(tmp_path, photos)).notes
    assert note.startswith("1 photos have an object without a valid box")
    assert note.endswith("own.json, image 1")


def test_images_may_name_their_split_and_photos_lie_elsewhere(tmp_path):
    images = [{"id": n, "file_name": f"{n}.jpg", "split": split} for n, split in enumerate(("val", "train"))]
    path = write_coco(tmp_path, {}, images=images)
    found = read_coco_file(path, tmp_path / "photos").photos
    assert [(photo.img_path, photo.split) for photo in found] == [
        (f"{tmp_path}/photos/0.jpg", "val"),
        (f"{tmp_path}/photos/1.jpg", "train"),
    ]


def test_own_categories_need_no_pycocotools(tmp_path, monkeypatch):
    for module in ("pycocotools", "pycocotools.coco"):
        monkeypatch.setitem(sys.modules, module, None)
    assert len(read_coco_file(write_coco(tmp_path, {1: ("a.jpg", [])})).photos) == 1


def test_what_is_not_cocos_form_is_refused(tmp_path):
    with pytest.raises(UserError, match="'images' must be a list of one or more"):
        read_coco_file(write_coco(tmp_path, {}))
    with pytest.raises(UserError, match="of category 5, which is not there"):
        read_coco_file(write_coco(tmp_path, {1: ("a.jpg", [(5, [1, 1, 5, 5], False)])}))
    with pytest.raises(UserError, match="image 1: split 'x' is none of"):
        read_coco_file(write_coco(tmp_path, {}, images=[{"id": 1, "file_name": "a.jpg", "split": "x"}]))


# --- VOC's XML


def write_xml(path, things):
    """things: (name, (xmin, ymin, xmax, ymax) or None, difficult)."""
    text = "".join(
        f"<object><name>{name}</name><difficult>{int(difficult)}</difficult>"
        + ("" if box is None else "<bndbox>{}</bndbox>".format("".join(f"<{s}>{v}</{s}>" for s, v in zip(
            ("xmin", "ymin", "xmax", "ymax"), box, strict=True))))
        + "</object>"
        for name, box, difficult in things
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<annotation><filename>other.jpg</filename>{text}</annotation>")


@pytest.fixture
def voc(tmp_path, make_photo):
    """A folder of three XML files, and their photos as `place` says."""

    def make(place, xml="Annotations"):
        write_xml(tmp_path / xml / "a b.xml", [("cat", (1, 2, 5, 6), False), ("dog", (2, 2, 4, 4), True)])
        write_xml(tmp_path / xml / "empty.xml", [])
        write_xml(tmp_path / xml / "c.xml", [("dog", None, True), ("dog", (1, 1, 3, 3), False)])
        (tmp_path / place).mkdir(exist_ok=True)
        for number, name in enumerate(("a b.JPG", "empty.png", "c.jpeg")):
            make_photo(f"{place}/{name}", seed=number)
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("place", "xml", "given", "photos"),
    [
        ("JPEGImages", "Annotations", ".", None),
        ("JPEGImages", "Annotations", "Annotations", None),
        ("Annotations", "Annotations", "Annotations", None),
        (".", ".", ".", None),
        ("pictures", "xml", "xml", "pictures"),
    ],
)
def test_a_folder_of_xml(voc, place, xml, given, photos):
    folder = voc(place, xml)
    source = read_voc_folder(folder / given, photos and folder / photos)
    assert source.classes is None
    found = {photo.img_path: (photo.present, photo.unknown, photo.objects) for photo in source.photos}
    assert found == {
        str(folder / place / "a b.JPG"): (
            {"cat"}, {"dog"}, [("cat", [0, 1, 5, 5], False), ("dog", [1, 1, 3, 3], True)]),
        str(folder / place / "empty.png"): (set(), set(), []),
        str(folder / place / "c.jpeg"): ({"dog"}, set(), None),
    }  # fmt: skip
    assert [photo.split for photo in source.photos] == [None] * 3
    assert [note.split(",")[0] for note in source.notes] == [
        "1 photos have an object without a valid box and get no boxes"
    ]


def test_photos_without_xml_and_lists_are_told(voc, make_photo):
    folder = voc("JPEGImages")
    make_photo("JPEGImages/more.jpg")
    make_photo("JPEGImages/zebra.jpg")
    (folder / "ImageSets/Main").mkdir(parents=True)
    notes = read_voc_folder(folder).notes
    assert f"2 photos have no annotation file and are left out, first {folder}/JPEGImages/more.jpg" in notes
    assert f"prepare_voc.py --data_path {folder} --classes auto" in notes[-1]


def test_of_two_photos_of_one_name_the_first_counts(voc, make_photo):
    folder = voc("JPEGImages")
    make_photo("JPEGImages/c.png")
    assert [photo.img_path for photo in read_voc_folder(folder).photos][1] == f"{folder}/JPEGImages/c.jpeg"


def test_an_xml_without_photo_is_named(voc):
    folder = voc("JPEGImages")
    (folder / "JPEGImages/c.jpeg").unlink()
    with pytest.raises(
        UserError, match=r"c\.xml: no photo of that name in .*Annotations, .*JPEGImages; .*--photos"
    ):
        read_voc_folder(folder)


def test_labels_are_those_of_prepare_voc(tmp_path, make_photo):
    """Difficult objects alone: 0 there, which evaluation ignores, and unknown here."""
    rng, names = np.random.default_rng(0), ["a", "b", "c"]
    (tmp_path / "photos").mkdir()
    for number in range(30):
        things = [
            (str(rng.choice(names)), (1, 1, 2, 2), rng.random() < 0.5) for _ in range(rng.integers(0, 4))
        ]
        write_xml(tmp_path / f"{number:02}.xml", things)
        make_photo(f"{number:02}.jpg", seed=number)
    seen = set()
    for number, photo in enumerate(read_voc_folder(tmp_path).photos):
        ours = [1 if n in photo.present else 0 if n in photo.unknown else -1 for n in names]
        assert ours == target_of(read_objects(tmp_path / f"{number:02}.xml"), names)
        seen.update(ours)
    assert seen == {1, 0, -1}
