"""Label files and data sets: what their labels mean, and a clear word on everything that is wrong."""

import json
import re
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datasets.records import Records, read_records, read_split
from datasets.spec import COCO_CLASSES, SPECS, VOC_CLASSES, WIDER_CLASSES, classes_apart, load_spec
from datasets.transforms import read_photo
from utils.errors import UserError, printable


@pytest.fixture
def write(tmp_path):
    """write(value, name): put JSON into tmp_path, return the path."""

    def put(value, name="split.json"):
        (tmp_path / name).write_text(value if isinstance(value, str) else json.dumps(value))
        return tmp_path / name

    return put


def vector(count, **values):
    """A target of `count` negatives but for places like c3=1."""
    filler = values.pop("filler", 0)
    target = [filler] * count
    for place, value in values.items():
        target[int(place[1:])] = value
    return target


# --- labels


def test_voc_training_labels(tmp_path, write, make_photo):
    photo = make_photo("a.jpg")
    write([{"img_path": photo, "target": vector(20, c3=1)}], "trainval_voc07.json")
    records = read_split(SPECS["voc07"], tmp_path, "train")
    assert records.paths == [photo]
    assert records.labels.tolist() == [vector(20, c3=1)]
    assert records.labels.dtype == np.int8
    assert records.boxes == [None]


def test_voc_test_labels_leave_the_difficult_out(tmp_path, write, make_photo):
    write([{"img_path": make_photo("a.jpg"), "target": vector(20, filler=-1, c3=1, c5=0)}], "test_voc07.json")
    labels = read_split(SPECS["voc07"], tmp_path, "test").labels
    assert labels.tolist() == [vector(20, c3=1, c5=-1)]


@pytest.mark.parametrize(("split", "unspecified"), [("trainval", 0), ("test", -1)])
def test_wider_labels_leave_the_unspecified_out_of_evaluation(
    tmp_path, write, make_photo, split, unspecified
):
    record = {"img_path": make_photo("a.jpg"), "target": vector(14, c0=1, c1=99), "bbox": [1, 2.5, 3, 4]}
    write([record], f"{split}_wider.json")
    records = read_split(SPECS["wider"], tmp_path, "train" if split == "trainval" else "test")
    assert records.labels.tolist() == [vector(14, c0=1, c1=unspecified)]
    assert records.boxes == [[1, 2.5, 3, 4]]


def test_coco_has_nothing_to_ignore(tmp_path, write, make_photo):
    write([{"img_path": make_photo("a.jpg"), "target": vector(80, c7=1)}], "val_coco2014.json")
    assert read_split(SPECS["coco"], tmp_path, "test").labels.tolist() == [vector(80, c7=1)]


def test_records_stay_in_the_order_of_the_file(write, make_photo):  # fault 26
    photos = [make_photo(f"{name}.jpg") for name in "cab"]
    records = read_records(write([{"img_path": p, "target": [i % 2, 1]} for i, p in enumerate(photos)]), 2)
    assert isinstance(records, Records)
    assert len(records) == 3
    assert records.paths == photos
    assert records.labels.tolist() == [[0, 1], [1, 1], [0, 1]]


# --- objects

THING = {"class": 1, "bbox": [0, 2.5, 3, 4], "difficult": 1}


def test_objects_are_read_where_they_are_known(write, make_photo):
    good = {"img_path": make_photo("a.jpg"), "target": [1, 0]}
    several = [THING, {"class": 0, "bbox": [5, 6, 7, 8], "difficult": 0}]
    path = write([{**good, "objects": several}, good, {**good, "objects": []}, {**good, "objects": None}])
    records = read_records(path, 2)
    assert records.objects == [[(1, (0, 2.5, 3, 4), True), (0, (5, 6, 7, 8), False)], None, [], None]
    assert records.boxes == [None] * 4
    assert records.labels.tolist() == [[1, 0]] * 4


def test_records_made_without_objects_know_of_none():
    assert Records(["a", "b"], np.zeros((2, 1), "int8"), [None] * 2).objects == [None, None]


# --- broken label files


@pytest.mark.parametrize("text", ["", "{", '[{"img_path": ', "\x00", "[" * 100_000])
def test_a_file_that_is_no_json_is_named(write, text):
    path = write(text)
    with pytest.raises(UserError, match=f"{re.escape(str(path))} is not valid JSON"):
        read_records(path, 2)


@pytest.mark.parametrize("value", [[], {}, 3, None, {"img_path": "a", "target": [1]}])
def test_a_file_without_a_list_of_records_is_named(write, value):
    path = write(value)
    with pytest.raises(UserError, match=f"{re.escape(str(path))} must hold a list"):
        read_records(path, 2)


@pytest.mark.parametrize(
    ("dataset", "script"), [("voc07", "prepare_voc"), ("coco", "prepare_coco"), ("wider", "prepare_wider")]
)
def test_a_missing_file_is_named_with_what_makes_it(tmp_path, dataset, script):
    spec, folder = load_spec(dataset, tmp_path)
    with pytest.raises(UserError) as error:
        read_split(spec, folder, "test")
    assert str(error.value) == (
        f"no label file {tmp_path / spec.test_file}; make it with utils/prepare/{script}.py, or say where "
        "with --data_dir"
    )
    with pytest.raises(UserError, match=r"gone.json; the scripts of utils/prepare"):
        read_records(tmp_path / "gone.json", 2)


def test_a_folder_in_place_of_a_file_is_named(tmp_path):
    with pytest.raises(UserError, match=re.escape(str(tmp_path))):
        read_records(tmp_path, 2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"img_path": None}, "img_path"),
        ({"img_path": 7}, "img_path"),
        ({"img_path": "gone.jpg"}, "no photo gone.jpg"),
        ({"img_path": "nul\0.jpg"}, "no photo"),
        ({"img_path": "x" * 5000}, "no photo"),
        ({"img_path": "."}, "no photo"),
        ({"target": None}, "no targets for 2 classes"),
        ({"target": "10"}, "no targets for 2 classes"),
        ({"target": []}, "0 targets for 2 classes"),
        ({"target": [1, 0, 1]}, "3 targets for 2 classes"),
        ({"target": [1, 2]}, "target 2"),
        ({"target": [1, -2]}, "target -2"),
        ({"target": [1, 0.5]}, "target 0.5"),
        ({"target": [1, 1.0]}, "target 1.0"),
        ({"target": [1, True]}, "target True"),
        ({"target": [1, "1"]}, "target '1'"),
        ({"target": [1, None]}, "target None"),
        ({"target": [1, [1]]}, r"target \[1\]"),
        ({"target": [1, 10**30]}, "target 1000"),
        ({"bbox": 5}, "bbox 5"),
        ({"bbox": {}}, "bbox {}"),
        ({"bbox": [1, 2, 3]}, "bbox"),
        ({"bbox": [1, 2, 3, "4"]}, "bbox"),
        ({"bbox": [1, 2, 3, True]}, "bbox"),
        ({"bbox": [1, 2, 3, None]}, "bbox"),
        ({"bbox": [1, 2, 3, float("nan")]}, "bbox"),
        ({"bbox": [1, 2, 3, float("inf")]}, "bbox"),
        ({"bbox": [1, 2, 3, 4], "objects": []}, "leave one of them out"),
        ({"objects": 5}, "objects 5 must be a list"),
        ({"objects": {}}, "objects {} must be a list"),
        ({"objects": [THING, 5]}, "object 5 must be"),
        ({"objects": [None]}, "object None must be"),
        ({"objects": [{**THING, "class": 2}]}, r"'class': 2, .* must be {\"class\": 0 to 1"),
        ({"objects": [{**THING, "class": -1}]}, "'class': -1"),
        ({"objects": [{**THING, "class": "dog"}]}, "'class': 'dog'"),
        ({"objects": [{**THING, "class": True}]}, "'class': True"),
        ({"objects": [{**THING, "difficult": 2}]}, "'difficult': 2"),
        ({"objects": [{"class": 1, "bbox": [1, 2, 3, 4]}]}, "must be"),
        ({"objects": [{"class": 1, "difficult": 0}]}, "must be"),
        ({"objects": [{**THING, "bbox": [1, 2, 3]}]}, "must be"),
        ({"objects": [{**THING, "bbox": [1, 2, 0, 4]}]}, "must be"),
        ({"objects": [{**THING, "bbox": [1, 2, 3, -4]}]}, "must be"),
        ({"objects": [{**THING, "bbox": [1, 2, 3, float("nan")]}]}, "must be"),
    ],
)
def test_a_record_that_is_wrong_is_named(write, make_photo, change, said):
    good = {"img_path": make_photo("a.jpg"), "target": [1, 0]}
    path = write([good, {**good, **change}])
    with pytest.raises(UserError, match=f"^{re.escape(str(path))}, record 1: .*{said}"):
        read_records(path, 2)


@pytest.mark.parametrize("record", [None, 3, "a.jpg", [], {}])
def test_a_record_of_another_kind_is_named(write, record):
    path = write([record])
    with pytest.raises(UserError, match=f"^{re.escape(str(path))}, record 0: .*img_path"):
        read_records(path, 2)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, 2**64, -(10**30)])
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["PHOTO", "gone.jpg"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
NEARLY_OBJECTS = st.fixed_dictionaries(
    {
        "class": st.integers(-1, 2) | JSON,
        "bbox": st.lists(st.integers(-1, 9) | JSON, min_size=4, max_size=4),
        "difficult": st.integers(0, 1) | JSON,
    }
)
NEARLY_RECORDS = st.fixed_dictionaries(
    {
        "img_path": st.just("PHOTO") | JSON,
        "target": st.lists(st.sampled_from([-1, 0, 1, 99]) | JSON, max_size=3),
    },
    optional={
        "bbox": st.lists(st.integers() | st.floats() | JSON, min_size=3, max_size=5) | JSON,
        "objects": st.lists(NEARLY_OBJECTS | JSON, max_size=2) | JSON,
    },
)


@example(value=[{"img_path": "PHOTO", "target": [1, 0], "bbox": [0, 0, 2**64, 4]}], ignored=None)
@settings(max_examples=200)
@given(value=JSON | st.lists(NEARLY_RECORDS | JSON, max_size=3), ignored=st.sampled_from([None, 0, 99]))
def test_any_json_gives_records_or_a_users_error(tmp_path_factory, value, ignored):
    folder = tmp_path_factory.getbasetemp()
    (folder / "photo.jpg").touch()
    text = json.dumps(value).replace('"PHOTO"', json.dumps(str(folder / "photo.jpg")))
    (folder / "any.json").write_text(text)
    try:
        records = read_records(folder / "any.json", 2, ignored)
    except UserError as error:
        said = str(error)
    else:
        said = "any.json"
        assert records.labels.shape == (len(records), 2)
        assert set(np.unique(records.labels)) <= {-1, 0, 1}
        assert len(records.paths) == len(records.boxes) == len(records.objects) == len(records) > 0
    assert "any.json" in said


@pytest.mark.parametrize("box", [[0, 0, 2**64, 4], [1e308, 0, 1e308, 4], [0.5, 0, 10**400, 4]])
def test_a_box_of_giant_numbers_is_clipped_or_refused(write, make_photo, box):
    path = write([{"img_path": make_photo("a.jpg"), "target": [1, 0], "bbox": box}])
    with suppress(UserError):
        records = read_records(path, 2)
        read_photo(records.paths[0], records.boxes[0])


# --- data sets


def test_the_built_in_data_sets():
    assert list(SPECS) == ["voc07", "coco", "wider"]
    assert [len(spec.classes) for spec in SPECS.values()] == [20, 80, 14]
    assert [len(set(spec.classes)) for spec in SPECS.values()] == [20, 80, 14]
    assert (VOC_CLASSES[0], VOC_CLASSES[14], VOC_CLASSES[19]) == ("aeroplane", "person", "tvmonitor")
    assert (COCO_CLASSES[0], COCO_CLASSES[79]) == ("person", "toothbrush")
    assert (WIDER_CLASSES[0], WIDER_CLASSES[13]) == ("Male", "stripe")
    assert [spec.step_size for spec in SPECS.values()] == [4, 5, 5]
    assert [spec.mean[0] for spec in SPECS.values()] == [0, 0, 0.5]
    assert [spec.std[0] for spec in SPECS.values()] == [1, 1, 0.5]


def test_a_built_in_data_set_and_its_folder(tmp_path):
    spec, folder = load_spec("voc07")
    assert spec is SPECS["voc07"]
    assert folder.as_posix() == "data/voc07"
    assert load_spec("voc07", str(tmp_path)) == (SPECS["voc07"], tmp_path)


@pytest.mark.parametrize("name", ["voc12", "VOC07", "", "x" * 300, "nul\0"])
def test_an_unknown_data_set_lists_the_valid_names(name):  # fault 9
    with pytest.raises(UserError) as error:
        load_spec(name)
    assert printable(f"'{name}'") in str(error.value)
    assert all(valid in str(error.value) for valid in ("voc07", "coco", "wider", "classes.json"))


def test_a_folder_with_classes_is_a_data_set(tmp_path, write, make_photo):
    write({"classes": ["disc", "star"], "train": "a.json", "test": "b.json", "ignored": 0}, "classes.json")
    write([{"img_path": make_photo("a.jpg"), "target": [0, 1]}], "a.json")
    write([{"img_path": make_photo("b.jpg"), "target": [0, -1]}], "b.json")
    spec, folder = load_spec(str(tmp_path))
    assert spec.classes == ("disc", "star")
    assert (spec.step_size, spec.train_aug) == (4, ("randomflip", "resizedcrop"))
    assert folder == tmp_path
    assert read_split(spec, folder, "train").labels.tolist() == [[0, 1]]
    assert read_split(spec, folder, "test").labels.tolist() == [[-1, 0]]


@pytest.mark.parametrize(
    ("given", "labels"), [(99, [[1, -1], [0, 0]]), (-1, [[1, 0], [0, -1]]), (None, [[1, 0], [0, 0]])]
)
def test_a_folder_may_have_training_labels_that_nobody_gave(tmp_path, write, make_photo, given, labels):
    """`train_ignored` is for the training split alone, `ignored` for the test split."""
    about = {"classes": ["disc", "star"], "train": "a.json", "test": "a.json", "ignored": 0}
    write({**about, "train_ignored": given}, "classes.json")
    write([{"img_path": make_photo("a.jpg"), "target": target} for target in ([1, 99], [0, -1])], "a.json")
    spec, folder = load_spec(str(tmp_path))
    assert read_split(spec, folder, "train").labels.tolist() == labels
    assert read_split(spec, folder, "test").labels.tolist() == [[1, 0], [-1, 0]]


def test_the_built_in_data_sets_train_on_every_label(tmp_path, write):
    assert {spec.train_ignored for spec in SPECS.values()} == {None}
    write({"classes": list(VOC_CLASSES), "train_ignored": 99}, "classes.json")
    assert load_spec("voc07", str(tmp_path))[0].train_ignored == 99


def test_label_files_of_a_folder_may_lie_elsewhere(tmp_path, write):
    write({"classes": ["disc"], "train": "a.json", "test": "b.json"}, "classes.json")
    assert load_spec(str(tmp_path), "elsewhere")[1].as_posix() == "elsewhere"


def test_a_folder_that_moved_is_found_by_its_new_place(tmp_path, write):
    write({"classes": ["disc"], "train": "a.json", "test": "b.json"}, "classes.json")
    spec, folder = load_spec("where/it/was", str(tmp_path))
    assert spec.classes == ("disc",)
    assert folder == tmp_path


def test_classes_beside_built_in_label_files_name_other_files(tmp_path, write):
    write(
        {"classes": list(VOC_CLASSES), "train": "train_voc12.json", "test": "val_voc12.json"}, "classes.json"
    )
    spec, _ = load_spec("voc07", str(tmp_path))
    assert (spec.train_file, spec.test_file) == ("train_voc12.json", "val_voc12.json")
    assert spec.test_ignored == 0
    assert spec.classes == VOC_CLASSES


@pytest.mark.parametrize(
    ("ours", "theirs", "shown"),
    [
        ("abc", "xbc", ["3: a, ...", "3: x, ..."]),
        ("abc", "acb", ["3: ..., b, ...", "3: ..., c, ..."]),
        ("abc", "abx", ["3: ..., c", "3: ..., x"]),
        ("abc", "ab", ["3: ..., c", "2: ..., b"]),
        ("a", "ab", ["1: a", "2: ..., b"]),
    ],
)
def test_where_two_lists_of_classes_part(ours, theirs, shown):
    assert classes_apart(list(ours), tuple(theirs)) == shown


def test_classes_beside_built_in_label_files_must_be_the_same(tmp_path, write):
    path = write({"classes": list(VOC_CLASSES[::-1])}, "classes.json")
    with pytest.raises(UserError) as error:
        load_spec("voc07", str(tmp_path))
    assert f"{path} has other classes than voc07" in str(error.value)
    assert f"--dataset {tmp_path}" in str(error.value)


@pytest.mark.parametrize("dataset", ["voc07", None])
def test_a_data_set_may_have_no_test_split(tmp_path, write, dataset):
    write({"classes": list(VOC_CLASSES), "train": "a.json", "test": None}, "classes.json")
    spec, folder = load_spec(dataset or str(tmp_path), str(tmp_path))
    with pytest.raises(UserError, match=f"{re.escape(str(tmp_path))} has no test split"):
        read_split(spec, folder, "test")


def test_no_name_for_the_label_files_means_no_such_split(tmp_path, write):
    write({"classes": ["disc"]}, "classes.json")
    with pytest.raises(UserError, match="has no train split"):
        read_split(*load_spec(str(tmp_path)), "train")


@pytest.mark.parametrize(
    "content",
    [
        "not JSON",
        [],
        {},
        {"classes": []},
        {"classes": None},
        {"classes": 5},
        {"classes": True},
        {"classes": "disc"},
        {"classes": {"disc": 1}},
        {"classes": ["disc", "disc"]},
        {"classes": ["disc", 3]},
        {"classes": [["disc"]]},
        {"classes": ["disc"], "train": 5},
        {"classes": ["disc"], "test": ["b.json"]},
        {"classes": ["disc"], "ignored": "0"},
        {"classes": ["disc"], "ignored": [0]},
        {"classes": ["disc"], "ignored": 1},
        {"classes": ["disc"], "train_ignored": "0"},
        {"classes": ["disc"], "train_ignored": False},
        {"classes": ["disc"], "train_ignored": 1},
    ],
    ids=str,
)
def test_broken_classes_are_named(tmp_path, write, content):
    path = write(content, "classes.json")
    with pytest.raises(UserError, match=re.escape(str(path))):
        load_spec(str(tmp_path))
