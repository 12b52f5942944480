"""prepare_wider: person for person against plain JSON, in the official form; what can go wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.loader import Loader
from datasets.records import read_records
from datasets.spec import WIDER_CLASSES, load_spec
from tests.utils.prepare.official import ATTRIBUTES, wider_annotations, wider_tree
from utils.errors import UserError
from utils.prepare import prepare_wider

SCRIPT = Path(__file__).resolve().parents[3] / "utils/prepare/prepare_wider.py"


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """WIDER Attribute of 12, 8 and 9 photos; only to be read."""
    return wider_tree(tmp_path_factory.mktemp("wider") / "WIDER", (12, 8, 9))


@pytest.fixture
def tree(tmp_path):
    """WIDER Attribute of 2, 1 and 2 photos, to change."""
    return wider_tree(tmp_path / "WIDER", (2, 1, 2))


@pytest.fixture
def prepare(tmp_path):
    """prepare(folder): run the script's main; the folder that it writes."""

    def run(folder):
        argv = ["--data_path", str(folder), "--out_dir", str(tmp_path / "out")]
        prepare_wider.main(prepare_wider.parse_args(argv))
        return tmp_path / "out"

    return run


def change(tree, how, split="trainval"):
    """Rewrite a split's annotations after how(content)."""
    path = wider_annotations(tree, split)
    content = json.loads(path.read_text())
    how(content)
    path.write_text(json.dumps(content))


@pytest.fixture
def refused(tree, prepare, tmp_path):
    """refused(how, split): the error after how(content) of a split's annotations; nothing is written."""

    def run(how=lambda content: None, split="trainval"):
        change(tree, how, split)
        with pytest.raises(UserError) as stop:
            prepare(tree)
        assert not (tmp_path / "out").exists()
        return str(stop.value)

    return run


def read_plainly(folder, split):
    """[(path, box, {attribute: 1, 0 or -1})], a person after the other: loops over the JSON, nothing else."""
    content = json.loads(wider_annotations(folder, split).read_text())
    return [
        (
            str(folder / "Image" / image["file_name"]),
            target["bbox"],
            {content["attribute_id_map"][str(n)]: value for n, value in enumerate(target["attribute"])},
        )
        for image in content["images"]
        for target in image["targets"]
    ]


# --- labels


@pytest.mark.parametrize(("split", "unspecified"), [("trainval", 0), ("test", 99)])
def test_persons_equal_a_plain_reading(official, prepare, split, unspecified):
    records = json.loads((prepare(official) / f"{split}_wider.json").read_text())
    expected = read_plainly(official, split)
    assert len(records) == len(expected) > 15
    meaning = {1: 1, -1: 0, 0: unspecified}
    for record, (path, box, values) in zip(records, expected, strict=True):
        labels = dict(zip(WIDER_CLASSES, record["target"], strict=True))
        assert (record["img_path"], record["bbox"]) == (path, box)
        assert labels == {name: meaning[value] for name, value in values.items()}
    assert {value for record in records for value in record["target"]} == {0, 1, unspecified}


def test_what_was_written_can_be_read(official, prepare):
    spec, folder = load_spec("wider", prepare(official))
    assert (spec.test_ignored, spec.train_ignored, spec.mean[0], spec.train_aug) == (
        99,
        None,
        0.5,
        ("randomflip",),
    )
    train = read_records(folder / spec.train_file, 14, spec.train_ignored)
    test = read_records(folder / spec.test_file, 14, spec.test_ignored)
    assert (train.labels >= 0).all()
    expected = [list(values.values()) for _, _, values in read_plainly(official, "test")]
    assert np.array_equal(test.labels, np.choose(np.array(expected) + 1, [0, -1, 1]))  # of -1, 0 and 1
    assert load_spec(str(folder))[0].classes == WIDER_CLASSES == ATTRIBUTES


def test_each_person_is_cropped_before_the_photo_is_squashed(official, prepare):
    records = read_records(prepare(official) / "test_wider.json", 14, 99)
    (batch,) = Loader(records, 32, len(records)).epoch()
    partly = 0
    for photo, path, (x, y, w, h) in zip(batch.photos, records.paths, records.boxes, strict=True):
        with Image.open(path) as image:
            sides = (
                max(int(x // 1), 0),
                max(int(y // 1), 0),
                min(-int(-(x + w) // 1), 96),
                min(-int(-(y + h) // 1), 72),
            )
            expected = np.asarray(
                image.convert("RGB").crop(sides).resize((32, 32), Image.Resampling.BILINEAR)
            )
        assert np.array_equal(photo, expected)
        partly += x < 0 or y < 0 or x + w > 96 or y + h > 72
    assert partly > 0


@pytest.mark.parametrize("inner", ["", "wider_attribute_annotation"])
def test_annotations_lie_as_in_the_archive_or_as_in_the_original(tmp_path, prepare, inner):
    prepare(wider_tree(tmp_path / "WIDER", (1, 1, 1), inner=inner))


# --- persons that are not in their photo


@pytest.mark.parametrize(
    "box",
    [
        [96, 10, 5, 5],
        [10, 72.5, 5, 5],
        [-9, 3, 9, 9],
        [3, -9, 9, 8],
        [5, 5, 0, 9],
        [5, 5, 9, -1],
        [5.5, 5, 0, 9],
    ],
)
def test_a_person_outside_the_photo_is_left_out(tree, prepare, capsys, box):
    change(tree, lambda content: content["images"][1]["targets"][0].update(bbox=box))
    records = json.loads((prepare(tree) / "trainval_wider.json").read_text())
    expected = read_plainly(tree, "trainval")
    assert [r["bbox"] for r in records] == [bbox for _, bbox, _ in expected if bbox != box]
    assert len(records) == len(expected) - 1
    assert "warning: 1 persons of trainval left out" in capsys.readouterr().err


def test_persons_on_the_edge_stay(tree, prepare):
    edges = [[95.5, 71.5, 9, 9], [-8.5, -8.5, 9, 9], [-5, -5, 200, 200]]
    for number, box in enumerate(edges):
        change(tree, lambda content, n=number, box=box: content["images"][n]["targets"][0].update(bbox=box))
    records = read_records(prepare(tree) / "trainval_wider.json", 14)
    assert [box for box in records.boxes if box in edges] == edges
    (batch,) = Loader(records, 8, len(records)).epoch()  # which crops them all
    assert batch.photos.shape == (len(records), 8, 8, 3)


# --- what is said


def test_the_script_says_what_it_did(official, tmp_path):
    argv = [sys.executable, SCRIPT, "--data_path", official, "--out_dir", tmp_path / "out"]
    done = subprocess.run([*map(str, argv)], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    persons = read_plainly(official, "trainval")
    values = [value for _, _, person in persons for value in person.values()]
    trainval, test, wrote = done.stdout.splitlines()
    assert trainval == (
        f"trainval: {len(persons)} persons in 20 photos, {values.count(1)} attributes, "
        f"{values.count(0)} more not specified, taken as absent"
    )
    assert test.endswith("more not specified, to be ignored")
    assert wrote.startswith("wrote ")
    assert wrote.endswith("test_wider.json")


def test_other_names_of_attributes_are_told(tree, prepare, capsys):
    change(tree, lambda content: content["attribute_id_map"].update({"4": "tshirt", "0": "male"}))
    prepare(tree)
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.endswith("names attributes otherwise, taken by their place: 'tshirt' for 'tshiirt'\n")


# --- mistakes: one line, nothing written


def person(**values):
    """A change of the annotations: other values of the second photo's first person."""
    return lambda content: content["images"][1]["targets"][0].update(values)


def photo(**values):
    """The same of the second photo."""
    return lambda content: content["images"][1].update(values)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (person(attribute=[1] * 13), "must be a list of 14"),
        (person(attribute=None), "must be a list of 14"),
        (person(attribute=[2] + [0] * 13), "attribute 2 is none of 1, 0 and -1"),
        (person(attribute=[True] + [0] * 13), "attribute True is none of"),
        (person(bbox=[1, 2, 3]), "must be [x, y, width, height]"),
        (person(bbox=[1, 2, 3, float("nan")]), "must be [x, y, width, height]"),
        (person(bbox=[1, 2, 3, 1e300]), "must be [x, y, width, height]"),
        (photo(targets=None), "'targets' must be a list"),
        (photo(targets=["person"]), "must be a list of 14"),
        (photo(file_name=7), "has no file_name"),
        (photo(file_name="/etc/passwd"), "is not a path within the folder Image"),
        (photo(file_name="train/../../secret.jpg"), "is not a path within the folder Image"),
        (photo(file_name=""), "is not a path within the folder Image"),
        (lambda content: content["images"].insert(1, content["images"][0]), "is there twice"),
        (lambda content: content.update(images={}), "'images' must be a list"),
        (lambda content: content.pop("images"), "'images' must be a list"),
        (lambda content: content.pop("attribute_id_map"), "'attribute_id_map' must be"),
        (lambda content: content.update(attribute_id_map={"one": "Male"}), "'attribute_id_map' must be"),
        (lambda content: content["attribute_id_map"].pop("3"), "13 attributes, WIDER has 14"),
        (
            lambda content: content["attribute_id_map"].update({"2": "Hat", "3": "sunglass"}),
            "in another order: 'hat' for 'sunglass'",
        ),
        (lambda content: [image.update(targets=[]) for image in content["images"]], "has no person"),
    ],
)
@pytest.mark.parametrize("split", ["trainval", "test"])
def test_annotations_that_do_not_fit_are_refused(refused, how, said, split):
    really = refused(how, split)
    assert said in really
    assert f"wider_attribute_{split}.json" in really


@pytest.mark.parametrize("text", ["", '{"images": [', "[]", "[" * 100_000, "null", "\x00"])
def test_files_that_are_no_annotations_are_refused(tree, prepare, tmp_path, text):
    wider_annotations(tree, "test").write_text(text)
    with pytest.raises(UserError, match=r"wider_attribute_test\.json .*get the annotations anew"):
        prepare(tree)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("how", ["missing", "empty", "no photo", "a GIF", "a folder"])
def test_photos_that_cannot_be_opened_are_refused(tree, refused, how):
    path = Path(read_plainly(tree, "test")[-1][0])
    path.unlink()
    if how == "a folder":
        path.mkdir()
    elif how == "a GIF":
        Image.new("RGB", (96, 72)).save(path, format="GIF")
    elif how != "missing":
        path.write_bytes(b"" if how == "empty" else b"photo")
    assert refused().startswith(f"cannot read photo {path}: ")


def test_missing_annotations_are_named(tree, refused):
    os.rename(wider_annotations(tree, "test"), tree / "test.json")
    assert refused() == (
        f"{tree / 'Annotations/wider_attribute_test.json'} not found; choose by --data_path the folder of "
        "Annotations and Image"
    )
