"""prepare_coco: label for label against plain JSON, in the official form; what can go wrong."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datasets.records import read_records
from datasets.spec import COCO_CLASSES, load_spec
from tests.utils.prepare.official import NAMES, coco_tree, instances_of
from utils.errors import UserError
from utils.prepare import coco_json, prepare_coco
from utils.prepare.coco_json import box_of
from utils.prepare.label_files import is_box, records_text

SCRIPT = Path(__file__).resolve().parents[3] / "utils/prepare/prepare_coco.py"
pytest.importorskip("pycocotools.coco", reason="needs pycocotools")


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """COCO 2014 of 40 and 20 photos; only to be read."""
    return coco_tree(tmp_path_factory.mktemp("coco") / "COCO2014", counts=(40, 20))


@pytest.fixture
def tree(tmp_path):
    """COCO 2014 of 6 and 4 photos, to change."""
    return coco_tree(tmp_path / "COCO2014", counts=(6, 4))


@pytest.fixture
def prepare(tmp_path):
    """prepare(folder, *options): run the script's main; the folder that it writes."""

    def run(folder, *options):
        argv = ["--data_path", str(folder), "--out_dir", str(tmp_path / "out"), *options]
        prepare_coco.main(prepare_coco.parse_args(argv))
        return tmp_path / "out"

    return run


@pytest.fixture
def refused(tree, prepare, tmp_path):
    """refused(change, split): the error after change(content) of a split's annotations; nothing written."""

    def run(change=lambda content: None, split="train"):
        path = instances_of(tree, split)
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
        with pytest.raises(UserError) as stop:
            prepare(tree)
        assert not (tmp_path / "out").exists()
        return str(stop.value)

    return run


def read_plainly(folder, split, year="2014", keep_empty=False):
    """{file name: (names of the classes, boxes by name)} of a split: loops over the JSON, nothing else."""
    content = json.loads(instances_of(folder, split, year).read_text())
    name_of = {category["id"]: category["name"] for category in content["categories"]}
    photos = {}
    for image in content["images"]:
        names, boxes = set(), []
        for annotation in content["annotations"]:
            if annotation["image_id"] == image["id"]:
                name = name_of[annotation["category_id"]].replace(" ", "_")
                names.add(name)
                boxes.append((name, annotation["bbox"], annotation["iscrowd"]))
        if names or keep_empty:
            photos[image["file_name"]] = names, sorted(boxes)
    return photos


def as_names(records):
    """The records of a label file in the form of read_plainly."""
    found = {}
    for record in records:
        names = {name for name, value in zip(COCO_CLASSES, record["target"], strict=True) if value}
        boxes = [(COCO_CLASSES[o["class"]], o["bbox"], o["difficult"]) for o in record["objects"]]
        found[os.path.basename(record["img_path"])] = names, sorted(boxes)
    return found


# --- labels


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("options", [(), ("--keep_empty",)])
def test_labels_equal_a_plain_reading(official, prepare, split, options):
    records = json.loads((prepare(official, *options) / f"{split}_coco2014.json").read_text())
    expected = read_plainly(official, split, keep_empty=bool(options))
    assert as_names(records) == expected
    assert (
        len(records)
        == len(expected)
        == {"train": 40, "val": 20}[split] - (0 if options else (40, 20)[split == "val"] // 6)
    )
    assert {value for record in records for value in record["target"]} == {0, 1}


def test_classes_stand_in_the_order_of_category_ids(official, prepare):
    assert [NAMES[number].replace(" ", "_") for number in sorted(NAMES)] == list(COCO_CLASSES)
    content = json.loads(instances_of(official).read_text())
    image = content["images"][0]
    ids = {a["category_id"] for a in content["annotations"] if a["image_id"] == image["id"]}
    (target,) = [
        record["target"]
        for record in json.loads((prepare(official) / "train_coco2014.json").read_text())
        if record["img_path"].endswith(image["file_name"])
    ]
    assert [column for column, value in enumerate(target) if value] == sorted(map(sorted(NAMES).index, ids))


def test_records_stand_in_the_order_of_image_ids(official, prepare):
    records = json.loads((prepare(official) / "train_coco2014.json").read_text())
    ids = [int(re.search(r"_(\d{12})\.jpg", record["img_path"])[1]) for record in records]
    assert ids == sorted(ids)


def test_the_order_of_categories_in_the_file_does_not_matter(tree, prepare):
    before = (prepare(tree) / "train_coco2014.json").read_text()
    content = json.loads(instances_of(tree).read_text())
    content["categories"].reverse()
    instances_of(tree).write_text(json.dumps(content))
    assert (prepare(tree) / "train_coco2014.json").read_text() == before


def test_a_crowd_counts_and_its_box_is_difficult(tree, prepare):
    content = json.loads(instances_of(tree).read_text())
    first = content["images"][0]["id"]
    ours = [a for a in content["annotations"] if a["image_id"] == first]
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] != first] + ours[:1]
    ours[0].update(category_id=18, iscrowd=1, bbox=[1, 2, 3.5, 4])
    instances_of(tree).write_text(json.dumps(content))
    records = as_names(json.loads((prepare(tree) / "train_coco2014.json").read_text()))
    assert records[content["images"][0]["file_name"]] == ({"dog"}, [("dog", [1, 2, 3.5, 4], 1)])


def test_what_was_written_can_be_read(official, prepare):
    out = prepare(official)
    for dataset, data_dir in (("coco", out), (str(out), None)):
        spec, folder = load_spec(dataset, data_dir)
        assert spec.classes == COCO_CLASSES
        assert (spec.test_ignored, spec.train_ignored) == (None, None)
        for name, count in ((spec.train_file, 34), (spec.test_file, 17)):
            records = read_records(folder / name, 80)
            assert len(records) == len([things for things in records.objects if things]) == count
            assert (records.labels >= 0).all()
    assert load_spec("coco", out)[0].top3


def test_2017_has_names_and_a_folder_of_its_own(tmp_path, prepare, monkeypatch):
    tree = coco_tree(tmp_path / "COCO2017", "2017", (8, 4))
    monkeypatch.chdir(tmp_path)
    prepare_coco.main(prepare_coco.parse_args(["--data_path", "COCO2017", "--year", "2017"]))
    records = json.loads(Path("data/coco17/train_coco2017.json").read_text())
    assert as_names(records) == read_plainly(tree, "train", "2017")
    assert all(re.fullmatch(r"COCO2017/train2017/\d{12}\.jpg", record["img_path"]) for record in records)
    spec, _ = load_spec("coco", "data/coco17")
    assert (spec.train_file, spec.test_file, spec.step_size) == (
        "train_coco2017.json",
        "val_coco2017.json",
        5,
    )
    assert load_spec("coco")[0].train_file == "train_coco2014.json"


def test_photos_may_lie_in_images_as_in_the_original(tmp_path, prepare):
    tree = coco_tree(tmp_path / "COCO2014", counts=(3, 3), inner="images")
    records = json.loads((prepare(tree) / "val_coco2014.json").read_text())
    assert {os.path.dirname(record["img_path"]) for record in records} == {str(tree / "images/val2014")}


# --- boxes


def test_a_photo_with_an_empty_box_has_labels_and_no_objects(tree, prepare, capsys):
    """Two boxes of the real train split have no height."""
    content = json.loads(instances_of(tree).read_text())
    flat = content["annotations"][0]
    flat["bbox"][3] = 0.0
    instances_of(tree).write_text(json.dumps(content))
    records = json.loads((prepare(tree) / "train_coco2014.json").read_text())
    without = [record for record in records if "objects" not in record]
    assert [record["img_path"].endswith(f"{flat['image_id']:012}.jpg") for record in without] == [True]
    assert without[0]["target"][sorted(NAMES).index(flat["category_id"])] == 1
    assert "warning: 1 photos of train2014 have an annotation without a valid box" in capsys.readouterr().err


SIDES = st.lists(st.floats(-9, 9) | st.integers(-9, 9), min_size=4, max_size=4)


@given(SIDES | st.lists(st.floats() | st.integers(), max_size=5) | st.none() | st.text())
@example([1, 2, 3, -4])
@example([1, 2, 0.004, 4])
def test_a_box_is_four_numbers_with_an_area_or_none(value):
    box = box_of({"bbox": value})
    if box is not None:
        assert all(abs(a - b) <= 0.005 for a, b in zip(box, value, strict=True))
        assert is_box(box)
        assert box[2] > 0
        assert box[3] > 0
        assert json.loads(records_text([box])) == [box]
    elif is_box(value):
        assert min(value[2:]) <= 0.005


def test_outlines_are_dropped_while_reading(official):
    coco = coco_json.read_coco(instances_of(official))
    assert coco.anns
    assert not any("segmentation" in annotation for annotation in coco.anns.values())


# --- what is said


def test_the_script_says_what_it_did(official, tmp_path):
    argv = [sys.executable, SCRIPT, "--data_path", official, "--out_dir", tmp_path / "out"]
    done = subprocess.run([*map(str, argv)], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    content = json.loads(instances_of(official).read_text())
    crowds = sum(annotation["iscrowd"] for annotation in content["annotations"])
    labels = sum(len(names) for names, _ in read_plainly(official, "train").values())
    train, val, wrote = done.stdout.splitlines()  # and nothing of pycocotools
    assert train == (
        f"train2014: 34 photos, {labels} labels of {len(content['annotations'])} annotations, {crowds} of "
        "them crowds; 6 photos without annotation left out"
    )
    assert val.startswith("val2014: 17 photos, ")
    assert wrote.startswith("wrote ")
    assert wrote.endswith("val_coco2014.json")
    assert crowds > 0


def test_it_says_so_when_pycocotools_is_absent(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    assert refused().endswith("not installed: pip install pycocotools")


def test_bytes_of_a_name_that_are_no_text_become_escapes():
    name = os.fsdecode(b"photo\xff\xe9.jpg")
    text = records_text([{"img_path": name, "note": "Grüße"}])
    assert '"photo\\udcff\\udce9.jpg"' in text
    assert json.loads(text.encode()) == [{"img_path": name, "note": "Grüße"}]


# --- mistakes: one line, nothing written


def item(name, number=0, /, **values):
    """A change of the annotations: other values in one item of a list."""
    return lambda content: content[name][number].update(values)


def twice(name):
    """A change: the last item of a list stands there again."""
    return lambda content: content[name].append(content[name][-1])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (twice("images"), "'images' has id"),
        (twice("annotations"), "'annotations' has id"),
        (twice("categories"), "'categories' has id 90 twice"),
        (item("annotations", image_id=987654321), "of image 987654321, which is not there"),
        (item("annotations", category_id=12), "of category 12, which is not there"),
        (item("annotations", category_id="18"), "item 0 of 'annotations' must have id (number)"),
        (item("annotations", image_id=[1]), "item 0 of 'annotations' must have"),
        (item("images", 1, file_name=None), "item 1 of 'images' must have"),
        (item("images", id=True), "item 0 of 'images' must have"),
        (item("images", file_name="../../secret.jpg"), "is not the name of a file"),
        (item("categories", 0, name="human"), "'human' in place of 'person'"),
        (item("categories", 0, name="fire\nhydrant"), "in place of 'person'"),
        (lambda content: content["categories"].pop(), "79 categories are not COCO's 80: 'no more' in place"),
        (lambda content: content["categories"].append({"id": 91, "name": "hat"}), "'hat' in place of 'no"),
        (lambda content: content.pop("images"), "'images' must be a list of one or more"),
        (lambda content: content.update(annotations={}), "'annotations' must be a list"),
        (lambda content: content.update(categories=[]), "'categories' must be a list of one or more"),
        (lambda content: content["annotations"].clear(), "no photo with an annotation; give --keep_empty"),
    ],
)
@pytest.mark.parametrize("split", ["train", "val"])
def test_annotations_that_do_not_fit_are_refused(refused, change, said, split):
    really = refused(change, split)
    assert said in really
    assert f"instances_{split}2014.json" in really


def test_photos_that_are_there_twice_are_refused(refused):
    def same_file(content):
        content["images"][1]["file_name"] = content["images"][0]["file_name"]

    assert "names 1 photos more than once" in refused(same_file)


@pytest.mark.parametrize(
    "text", ["", "{", '{"images": [', "[]", "[" * 100_000, '"text"', "null", '{"images": [{]}']
)
def test_files_that_are_no_annotations_are_refused(tree, prepare, tmp_path, text):
    instances_of(tree, "val").write_text(text)
    with pytest.raises(UserError, match=r"instances_val2014\.json .*get the annotations anew"):
        prepare(tree)
    assert not (tmp_path / "out").exists()


def test_a_file_cut_off_is_refused(tree, prepare, tmp_path):
    path = instances_of(tree)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match="is not valid JSON"):
        prepare(tree)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="is not valid JSON"):
        prepare(tree)
    path.unlink()
    with pytest.raises(UserError, match="cannot read .*: No such file"):
        prepare(tree)
    assert not (tmp_path / "out").exists()


def test_missing_photos_are_counted(tree, refused):
    content = json.loads(instances_of(tree).read_text())
    named = {annotation["image_id"] for annotation in content["annotations"]}
    photos = sorted(image["file_name"] for image in content["images"] if image["id"] in named)
    for name in photos[1:3]:
        (tree / "train2014" / name).unlink()
    assert refused() == (
        f"2 of {len(photos)} photos not found, first {tree / 'train2014' / photos[1]}; unpack them again"
    )


def test_a_missing_photo_without_annotation_matters_with_keep_empty_alone(tree, prepare):
    content = json.loads(instances_of(tree).read_text())
    named = {annotation["image_id"] for annotation in content["annotations"]}
    (empty,) = [image["file_name"] for image in content["images"] if image["id"] not in named]
    (tree / "train2014" / empty).unlink()
    prepare(tree)
    with pytest.raises(UserError, match="1 of 6 photos not found"):
        prepare(tree, "--keep_empty")


def test_a_missing_folder_is_named(tree, prepare, refused):
    (tree / "val2014").rename(tree / "val")
    assert refused() == f"folder {tree / 'val2014'} not found; choose by --data_path and --year"
    with pytest.raises(UserError, match="folder .*train2017 not found"):
        prepare(tree, "--year", "2017")


def test_two_years_are_not_mixed_in_one_folder(tmp_path, tree, prepare):
    prepare(tree)
    out = prepare(tree)  # the same year again is no mistake
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(
        UserError, match=r"of other label files \(train: train_coco2014.json\); choose another"
    ):
        prepare(coco_tree(tmp_path / "COCO2017", "2017", (3, 3)), "--year", "2017")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_another_year_is_refused(capsys):
    with pytest.raises(SystemExit):
        prepare_coco.parse_args(["--year", "2015"])
    assert capsys.readouterr().err.startswith("error: argument --year: invalid choice: '2015'")
