"""prepare_voc: real photos, label for label; small trees of our own for what can go wrong (fault 13)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.records import read_records
from datasets.spec import VOC_CLASSES, load_spec
from utils.errors import UserError
from utils.prepare import prepare_voc
from utils.prepare.voc_xml import SIDES

REPO = Path(__file__).resolve().parents[3]
SCRIPT = REPO / "utils/prepare/prepare_voc.py"
ORIGINALS = REPO.parent / "shared/voc2007-originals/VOCdevkit"

PERSON_WITH_PARTS = (
    "<object><name>person</name><difficult>0</difficult>"
    "<part><name>head</name></part><part><object><name>dog</name></object></part></object>"
)


def xml_of(*objects):
    """An annotation of objects (name, difficult); difficult None leaves the tag out."""
    inner = ""
    for name, difficult in objects:
        tag = "" if difficult is None else f"<difficult>{difficult}</difficult>"
        inner += f"<object><name>{name}</name>{tag}</object>"
    return f"<annotation>{inner}</annotation>"


class Tree:
    """A VOC tree that a test builds in a folder."""

    def __init__(self, folder, year="2007"):
        self.devkit = folder / "VOCdevkit"
        self.voc = self.devkit / f"VOC{year}"
        self.out = folder / "out"
        for part in ("Annotations", "JPEGImages", "ImageSets/Main"):
            (self.voc / part).mkdir(parents=True)

    def photo(self, photo_id, *objects, xml=None, suffix=".jpg"):
        """Add a photo (its bytes are never read) and its annotation."""
        self.xml(photo_id).write_text(xml or xml_of(*objects), encoding="utf-8")
        (self.voc / "JPEGImages" / f"{photo_id}{suffix}").write_bytes(b"photo")

    def xml(self, photo_id):
        return self.voc / "Annotations" / f"{photo_id}.xml"

    def list(self, name, text):
        (self.voc / "ImageSets/Main" / f"{name}.txt").write_bytes(text.encode("utf-8"))

    def run(self, *options):
        """Call main in this process."""
        argv = ["--data_path", str(self.devkit), "--out_dir", str(self.out), *options]
        prepare_voc.main(prepare_voc.parse_args(argv))

    def records(self, name="trainval_voc07.json"):
        return json.loads((self.out / name).read_text(encoding="utf-8"))

    def labels(self, name="trainval_voc07.json"):
        """{id: target} of a label file that was written."""
        return {Path(record["img_path"]).stem: record["target"] for record in self.records(name)}

    def written(self):
        """Names of all files in the out folder, hidden ones too."""
        return sorted(os.listdir(self.out)) if self.out.exists() else []


@pytest.fixture
def tree(tmp_path):
    """Two photos for training, one for testing."""
    made = Tree(tmp_path)
    made.photo("000001", ("dog", 0), ("person", 1))
    made.photo("000002", ("cat", 0))
    made.photo("000003", ("dog", 1), ("cat", 1), ("cat", 0))
    made.list("trainval", "000001\n000002\n")
    made.list("test", "000003\n")
    return made


def vector(filler=-1, **labels):
    """A VOC target: `filler` but for the classes named."""
    return [labels.get(name, filler) for name in VOC_CLASSES]


# --- the real photos


def official_labels(split):
    """{id: [-1/0/1 a class]} read from the CLASS_SPLIT.txt files, not by the code under test."""
    lists = ORIGINALS / "VOC2007/ImageSets/Main"
    ids = (lists / f"{split}.txt").read_text().split()
    columns = []
    for name in VOC_CLASSES:
        words = (lists / f"{name}_{split}.txt").read_text().split()
        columns.append(dict(zip(words[::2], map(int, words[1::2]), strict=True)))
    return {photo_id: [column[photo_id] for column in columns] for photo_id in ids}


@pytest.mark.skipif(not ORIGINALS.is_dir(), reason=f"real VOC2007 photos are not at {ORIGINALS}")
@pytest.mark.parametrize(("split", "count"), [("trainval", 29), ("test", 5)])
def test_real_labels_equal_the_official_lists(tmp_path, capsys, split, count):
    prepare_voc.main(
        prepare_voc.parse_args(["--data_path", str(ORIGINALS), "--out_dir", str(tmp_path / "out")])
    )
    records = json.loads((tmp_path / f"out/{split}_voc07.json").read_text())
    official = official_labels(split)
    if split == "trainval":
        official = {photo_id: [int(label == 1) for label in row] for photo_id, row in official.items()}
    assert len(records) == count
    assert {Path(record["img_path"]).stem: record["target"] for record in records} == official
    assert all(Path(record["img_path"]).is_file() for record in records)
    told = capsys.readouterr()
    assert f"{count * 20} of {count * 20} labels found in ImageSets/Main agree" in told.out
    assert told.err == ""


# --- labels


def test_training_and_test_targets(tree):
    tree.run()
    assert tree.labels() == {"000001": vector(0, dog=1), "000002": vector(0, cat=1)}
    assert tree.labels("test_voc07.json") == {"000003": vector(-1, dog=0, cat=1)}


@pytest.mark.parametrize(
    ("flags", "label"), [([1], 0), ([1, 1], 0), ([0], 1), ([1, 0], 1), ([0, 1], 1), ([None], 1), ([], -1)]
)
def test_a_class_is_difficult_only_if_all_its_objects_are(tree, flags, label):
    tree.photo("000003", *(("bus", flag) for flag in flags))
    tree.run()
    assert tree.labels("test_voc07.json")["000003"] == vector(-1, bus=label)


@given(
    objects=st.lists(st.tuples(st.sampled_from("abcd"), st.booleans(), st.none())),
    classes=st.permutations("abcde"),
)
def test_target_of_equals_its_definition(objects, classes):
    expected = []
    for name in classes:
        flags = [difficult for other, difficult, _ in objects if other == name]
        expected.append(-1 if not flags else 0 if all(flags) else 1)
    assert prepare_voc.target_of(objects, classes) == expected


def test_parts_of_a_person_are_no_objects(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text(f"<annotation>{PERSON_WITH_PARTS}</annotation>")
    assert prepare_voc.read_objects(path) == [("person", False, None)]


def test_names_and_flags_may_stand_between_blanks(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text(xml_of(("\n dog ", " 1\n"), ("cat", ""), ("bus", "True")))
    assert prepare_voc.read_objects(path) == [("dog", True, None), ("cat", False, None), ("bus", True, None)]


def test_a_photo_without_objects_keeps_its_record(tree):
    tree.photo("000002")
    tree.photo("000003")
    tree.run()
    assert tree.labels()["000002"] == vector(0)
    assert tree.labels("test_voc07.json")["000003"] == vector(-1)


# --- boxes


def boxed(name, *sides, difficult=0):
    """An <object> with a <bndbox> of the sides given, which may be any text."""
    inner = "".join(f"<{tag}>{side}</{tag}>" for tag, side in zip(SIDES, sides, strict=False))
    return f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>{inner}</bndbox></object>"


def test_boxes_are_written_with_their_classes(tree):
    dog, cat = boxed("dog", 1, 1, 1, 1), boxed("cat", 11, 21, 30, 60, difficult=1)
    tree.photo("000001", xml=f"<annotation>{dog}{cat}</annotation>")
    tree.run()
    dog, cat = VOC_CLASSES.index("dog"), VOC_CLASSES.index("cat")
    first, second = tree.records()
    assert first["objects"] == [
        {"class": dog, "bbox": [0, 0, 1, 1], "difficult": 0},
        {"class": cat, "bbox": [10, 20, 20, 40], "difficult": 1},
    ]
    assert "objects" not in second  # its XML has no boxes
    records = read_records(tree.out / "trainval_voc07.json", 20)
    assert records.objects == [[(dog, (0, 0, 1, 1), False), (cat, (10, 20, 20, 40), True)], None]


def test_numbers_of_a_box_may_have_decimals(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text(f"<annotation>{boxed('dog', 45.70000076293945, 1, ' 50.5 ', 3.0)}</annotation>")
    assert prepare_voc.read_objects(path) == [("dog", False, [44.7, 0, 5.8, 3])]


@pytest.mark.parametrize(
    "sides",
    [
        (),
        (1, 2, 3),
        (1, 2, 3, ""),
        (1, 2, 3, "x"),
        (1, 2, 3, "nan"),
        (1, 2, 3, "inf"),
        (1, 2, 3, "1e300"),
        (-5, 2, 3, 4),
        (4, 2, 3, 4),
        (1, 5, 3, 4),
    ],
)
def test_a_photo_with_a_box_that_is_none_keeps_its_labels(tree, capsys, sides):
    good = boxed("dog", 1, 2, 3, 4)
    tree.photo("000001", xml=f"<annotation>{good}{boxed('cat', *sides)}</annotation>")
    tree.photo("000002", xml=f"<annotation>{good}</annotation>")
    tree.run()
    assert tree.labels() == {"000001": vector(0, dog=1, cat=1), "000002": vector(0, dog=1)}
    assert ["objects" in record for record in tree.records()] == [False, True]
    said = capsys.readouterr().err
    assert (
        said
        == f"warning: 1 photos of trainval hold an object without a valid box, first {tree.xml('000001')}\n"
    )


def test_a_photo_without_objects_has_none(tree):
    tree.photo("000001")
    tree.run()
    assert tree.records()[0]["objects"] == []


# --- lists and names


def test_ids_of_any_kind(tree):
    ids = ["2008_000002", "photo 1", "photo", "père noël", "日本", "a  b", "7"]
    for photo_id in ids:
        tree.photo(photo_id, ("dog", 0))
    tree.list("trainval", "".join(f"{photo_id}\n" for photo_id in ids))
    tree.run()
    assert list(tree.labels()) == sorted(ids)


@pytest.mark.parametrize(
    "text",
    [
        "000001  1\n000002 -1\n",
        "000001\r\n000002\r\n",
        "\ufeff000001\n\n  \n000002",
        "000002  0 12\n000001 +1 2 3",
    ],
)
def test_lists_with_labels_blank_lines_crlf_and_bom(tree, text):
    tree.list("trainval", text)
    tree.run()
    assert list(tree.labels()) == ["000001", "000002"]


def test_several_ids_in_one_line_are_refused_not_dropped(tree):
    tree.list("trainval", "000001 000002\n")
    with pytest.raises(UserError, match="000001 000002.xml not found"):
        tree.run()


def test_repeated_ids_count_once_and_are_reported(tree, capsys):
    tree.list("trainval", "000002\n000001\n000002\n000002  1\n")
    tree.run()
    assert list(tree.labels()) == ["000001", "000002"]
    assert "warning: 2 lines of split trainval repeat an id" in capsys.readouterr().err


def test_trainval_is_train_and_val_where_it_has_no_list(tree):
    (tree.voc / "ImageSets/Main/trainval.txt").unlink()
    tree.list("train", "000002\n")
    tree.list("val", "000001\n")
    tree.list("cat_val", "000001 1\n")
    tree.run()
    assert list(tree.labels()) == ["000001", "000002"]


def test_photos_in_both_splits_are_reported(tree, capsys):
    tree.list("test", "000003\n000001\n")
    tree.run()
    assert "warning: 1 photos are in trainval and in test, first 000001" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".jpeg", ".png", ".JPG", ".JPEG", ".PNG"])
def test_other_suffixes_of_photos(tree, suffix):
    (tree.voc / "JPEGImages/000001.jpg").rename(tree.voc / f"JPEGImages/000001{suffix}")
    tree.run()
    assert tree.records()[0]["img_path"] == str(tree.voc / f"JPEGImages/000001{suffix}")


def test_a_relative_data_path_stays_relative(tree, monkeypatch):
    monkeypatch.chdir(tree.devkit.parent)
    prepare_voc.main(prepare_voc.parse_args(["--data_path", "VOCdevkit/"]))
    records = json.loads(Path("data/voc07/trainval_voc07.json").read_text())
    assert records[0]["img_path"] == "VOCdevkit/VOC2007/JPEGImages/000001.jpg"


@pytest.mark.parametrize(("year", "short"), [("2012", "12"), ("mine", "mine")])
def test_file_names_follow_year_and_splits(tmp_path, year, short):
    tree = Tree(tmp_path, year)
    tree.photo("a", ("dog", 0))
    tree.photo("b", ("cat", 0))
    tree.list("train", "a")
    tree.list("val", "b")
    tree.run("--year", year, "--train_split", "train", "--test_split", "val")
    assert tree.written() == ["classes.json", f"train_voc{short}.json", f"val_voc{short}.json"]
    spec, folder = load_spec(str(tree.out))
    assert (spec.train_file, spec.test_file) == (f"train_voc{short}.json", f"val_voc{short}.json")
    assert (spec.classes, spec.test_ignored) == (VOC_CLASSES, 0)


@pytest.mark.parametrize(
    ("name", "options", "tag"),
    [
        ("VOC2007", [], "voc07"),
        ("VOC2007", ["--year", "2007"], "voc07"),
        ("VOC2012", [], "voc12"),
        ("VOCmine", [], "vocmine"),
        ("VOC", [], "VOC"),
        ("my photos", [], "my photos"),
    ],
)
def test_data_path_is_of_vocs_layout_itself(tree, monkeypatch, name, options, tag):
    tree.devkit = tree.voc.rename(tree.devkit / name)
    tree.run(*options)
    assert tree.written() == ["classes.json", f"test_{tag}.json", f"trainval_{tag}.json"]
    assert tree.labels(f"test_{tag}.json") == {"000003": vector(dog=0, cat=1)}
    first = tree.records(f"trainval_{tag}.json")[0]
    assert first["img_path"] == str(tree.devkit / "JPEGImages/000001.jpg")
    spec, folder = load_spec(str(tree.out))
    assert len(read_records(folder / spec.train_file, 20)) == 2

    monkeypatch.chdir(tree.devkit)  # the name is the folder's, not "."
    prepare_voc.main(prepare_voc.parse_args(["--data_path", "."]))
    assert sorted(os.listdir(f"data/{tag}")) == tree.written()


def test_the_folder_of_the_year_comes_before_what_holds_it(tree):
    (tree.devkit / "Annotations").mkdir()
    tree.run()
    assert tree.labels("test_voc07.json") == {"000003": vector(dog=0, cat=1)}


def test_no_test_split(tree):
    (tree.voc / "ImageSets/Main/test.txt").unlink()
    tree.run("--test_split", "none")
    assert tree.written() == ["classes.json", "trainval_voc07.json"]
    assert tree.records("classes.json") == {
        "classes": list(VOC_CLASSES),
        "train": "trainval_voc07.json",
        "test": None,
        "ignored": 0,
    }


# --- classes


def test_classes_found_in_the_listed_photos(tree):
    tree.photo("000003", ("zebra", 0))
    tree.photo("000009", ("lion", 0))  # in no list
    tree.run("--classes", "auto")
    assert tree.records("classes.json")["classes"] == ["cat", "dog", "person", "zebra"]
    assert tree.labels("test_voc07.json")["000003"] == [-1, -1, -1, 1]


def test_classes_of_a_file(tree, tmp_path):
    names = tmp_path / "names.txt"
    names.write_bytes(b"\xef\xbb\xbfperson\r\n\r\n cat\r\ndog\r\n")
    tree.run("--classes", str(names))
    assert tree.records("classes.json")["classes"] == ["person", "cat", "dog"]
    assert tree.labels() == {"000001": [0, 0, 1], "000002": [0, 1, 0]}


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "no class"), (b"dog\ncat\ndog", "one twice"), (b"\xff\xfe", "UTF-8"), (None, "cannot read")],
)
def test_class_files_that_do_not_fit(tree, tmp_path, content, message):
    if content is not None:
        (tmp_path / "names.txt").write_bytes(content)
    assert_refused(tree, "names.txt", message, "--classes", str(tmp_path / "names.txt"))


def test_an_accent_is_one_whichever_way_it_is_written(tree, tmp_path):
    (tmp_path / "names.txt").write_text("ba\u0308r\ncat\ndog\nperson", encoding="utf-8")
    tree.photo("000003", ("b\u00e4r", 0), ("ba\u0308r", 1))
    tree.run("--classes", str(tmp_path / "names.txt"))
    assert tree.records("classes.json")["classes"] == ["b\u00e4r", "cat", "dog", "person"]
    assert tree.labels("test_voc07.json")["000003"] == [1, -1, -1, -1]


def test_names_found_that_look_alike_are_told(tree, capsys):
    tree.photo("000003", ("Cat", 0))
    tree.run("--classes", "auto")
    assert "warning: classes 'Cat' and 'cat' look like one, spelled in two ways\n" in capsys.readouterr().err


def test_a_name_that_no_data_set_may_have(tree):
    tree.photo("000003", ("wild\u00a0cat", 0))
    assert_refused(tree, "wild", "characters that can be printed", "--classes", "auto")


def test_auto_without_any_object(tree):
    for photo_id in ("000001", "000002", "000003"):
        tree.photo(photo_id)
    assert_refused(tree, "--classes auto", "no class", "--classes", "auto")


def test_unknown_class_names_the_file_and_its_neighbours(tree):
    tree.photo("000002", ("cat", 0), ("aeroplan", 0))
    assert_refused(tree, str(tree.xml("000002")), r"unknown class 'aeroplan' \(near it: aeroplane")


# --- what is missing or broken


def assert_refused(tree, named, message, *options):
    """main raises one UserError line that names the file and says what; nothing is written."""
    before = tree.written()
    with pytest.raises(UserError, match=message) as caught:
        tree.run(*options)
    assert named in str(caught.value)
    assert tree.written() == before


def test_missing_devkit(tree):
    tree.devkit = tree.devkit.parent / "nowhere"
    assert_refused(tree, str(tree.devkit), "give --data_path the VOCdevkit folder")


def test_another_year_than_the_folders_own(tree):
    tree.devkit = tree.voc
    said = f"{tree.voc} itself holds Annotations: to take these, leave out --year"
    assert_refused(tree, f"folder {tree.voc / 'VOC2012'} not found", said, "--year", "2012")
    tree.devkit = tree.voc.rename(tree.voc.parent / "mine")
    assert_refused(tree, f"folder {tree.devkit / 'VOC2007'} not found", "leave out --year", "--year", "2007")


def test_other_years_are_listed(tree):
    (tree.devkit / "VOC2010").mkdir()
    assert_refused(tree, "VOC2012", "holds VOC2007, VOC2010", "--year", "2012")


@pytest.mark.parametrize("part", ["Annotations", "JPEGImages", "ImageSets/Main"])
def test_missing_folder(tree, part):
    (tree.voc / part).rename(tree.voc / "elsewhere")
    said = "unpack the whole VOC archive again"
    if part == "ImageSets/Main":
        said += ", or without lists take prepare_custom.py"
    assert_refused(tree, f"folder {tree.voc / part} not found", f"{said}$")


def test_missing_list(tree):
    tree.list("cat_trainval", "000001 1")
    assert_refused(tree, "Main/other.txt", "lists there: test, trainval$", "--test_split", "other")


def test_missing_photo(tree):
    (tree.voc / "JPEGImages/000003.jpg").unlink()
    assert_refused(tree, str(tree.voc / "JPEGImages/000003.jpg"), "split test lists it")


@pytest.mark.parametrize("line", ["000002", "000002  1"])
def test_missing_xml(tree, line):
    tree.xml("000002").unlink()
    tree.list("trainval", f"000001\n{line}\n")
    assert_refused(tree, str(tree.xml("000002")), "split trainval lists it")


def test_a_line_longer_than_a_file_name(tree):
    tree.list("trainval", "x" * 5000)
    assert_refused(tree, "x.xml", "not found")


BOMB = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><annotation>&b;</annotation>'
EXTERNAL = '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><annotation>&e;</annotation>'


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("<annotation><object>", "not valid XML"),
        (" ", "not valid XML"),
        ('<?xml version="1.0" encoding="nonsense"?><annotation/>', "not valid XML"),
        ('<?xml version="1.0" encoding="shift_jis"?><annotation/>', "not valid XML"),
        (BOMB, "defines XML entities"),
        (EXTERNAL, "defines XML entities"),
        ("<html/>", "root is <html>"),
        ("<annotation><object><difficult>0</difficult></object></annotation>", "want a name"),
        (xml_of(("dog", "perhaps")), "'dog', difficult 'perhaps'"),
    ],
)
def test_xml_that_does_not_fit(tree, xml, message):
    tree.photo("000002", xml=xml)
    assert_refused(tree, str(tree.xml("000002")), message)


@pytest.mark.parametrize("text", ["", "\n \r\n\n"])
@pytest.mark.parametrize("split", ["trainval", "test"])
def test_empty_split(tree, split, text):
    tree.list(split, text)
    assert_refused(tree, f"{split}.txt", "lists no photo")


def test_a_list_that_is_not_text(tree):
    (tree.voc / "ImageSets/Main/test.txt").write_bytes("000003".encode("utf-16"))
    assert_refused(tree, "test.txt", "not UTF-8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--test_split", "trainval"), "both 'trainval'"),
        (("--train_split", "../Main/trainval"), "is a path"),
        (("--year", "2007/../VOC2007"), "is a path"),
    ],
)
def test_names_that_make_no_file_names(tree, options, message):
    assert_refused(tree, options[1], message, *options)


# --- writing


def test_old_files_stay_when_the_input_is_broken(tree):
    tree.run()
    before = {name: (tree.out / name).read_bytes() for name in tree.written()}
    tree.photo("000001", ("bus", 0))
    tree.photo("000003", xml="<annotation>")
    assert_refused(tree, "000003.xml", "not valid XML")
    assert {name: (tree.out / name).read_bytes() for name in tree.written()} == before


@pytest.mark.parametrize("blocked", ["trainval_voc07.json", "test_voc07.json"])
def test_no_file_is_replaced_when_the_disk_is_full(tree, monkeypatch, blocked):
    tree.run()
    before = {name: (tree.out / name).read_bytes() for name in tree.written()}
    tree.photo("000001", ("bus", 0))
    tree.photo("000003", ("bus", 0))
    write_text = Path.write_text

    def full(path, text, **options):
        write_text(path, text[:10], **options)
        if blocked in path.name:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert_refused(tree, blocked, "No space left")
    assert {name: (tree.out / name).read_bytes() for name in tree.written()} == before


def test_a_second_run_gives_the_same_bytes(tree):
    tree.run()
    before = {name: (tree.out / name).read_bytes() for name in tree.written()}
    tree.list("trainval", "000002\n000001\n")
    tree.run()
    assert {name: (tree.out / name).read_bytes() for name in tree.written()} == before
    assert sorted(before) == ["classes.json", "test_voc07.json", "trainval_voc07.json"]


def test_every_listed_xml_is_read_once_and_no_other(tree, monkeypatch):
    tree.xml("unlisted").write_text("broken")
    ids = [f"{number:06d}" for number in range(100, 1600)]
    for photo_id in ids:
        tree.photo(photo_id, ("dog", 0))
    tree.list("trainval", "\n".join(ids))
    read, read_objects = [], prepare_voc.read_objects
    monkeypatch.setattr(
        prepare_voc, "read_objects", lambda path: read.append(path.stem) or read_objects(path)
    )
    tree.run()
    assert sorted(read) == ["000003", *ids]
    assert list(tree.labels()) == ids


# --- VOC's own lists


def test_disagreement_with_the_lists_is_reported(tree, capsys):
    tree.list("dog_trainval", "000001 -1\n000002 -1\n")  # the XML says 1, -1
    tree.list("person_trainval", "000001  0\r\n000002 -1\r\n999999  1\r\n")  # right; one photo is not ours
    tree.list("cat_trainval", "000001  1\n000002  0\n")  # the XML says -1, 1
    tree.list("sofa_trainval", "000001  x\n000002\n")  # no label; none given
    tree.list("dog_test", "000003 0\n")
    tree.run()
    told = capsys.readouterr()
    assert told.err.splitlines() == [
        "warning: 4 labels of trainval differ from ImageSets/Main/CLASS_*.txt (XML/list): "
        "000001 cat -1/1, 000002 cat 1/0, 000001 dog 1/-1"
    ]
    assert "3 of 7 labels found in ImageSets/Main agree" in told.out
    assert "1 of 1 labels found" in told.out
    assert tree.labels() == {"000001": vector(0, dog=1), "000002": vector(0, cat=1)}


def test_the_report_counts(tree, capsys):
    tree.run()
    told = capsys.readouterr().out
    assert "trainval: 2 photos, 2 labels, 1 more of difficult objects only; 0 of 0 labels" in told
    assert "test: 1 photos, 1 labels, 1 more of difficult objects only" in told
    assert str(tree.out / "test_voc07.json") in told


# --- as a user runs it


def run_command(*options, cwd):
    return subprocess.run(
        [sys.executable, SCRIPT, *options], cwd=cwd, capture_output=True, text=True, timeout=60
    )


def test_command_makes_the_files(tree):
    done = run_command("--data_path", "VOCdevkit", cwd=tree.devkit.parent)
    assert (done.returncode, done.stderr) == (0, "")
    made = sorted(path.name for path in (tree.devkit.parent / "data/voc07").iterdir())
    assert made == ["classes.json", "test_voc07.json", "trainval_voc07.json"]


@pytest.mark.parametrize("fault", ["folder", "xml", "split"])
def test_command_ends_with_one_line(tree, fault):
    if fault == "xml":
        tree.photo("000001", xml="<annotation>")
    if fault == "split":
        tree.list("test", "")
    data_path = "nowhere" if fault == "folder" else "VOCdevkit"
    done = run_command("--data_path", data_path, cwd=tree.devkit.parent)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not (tree.devkit.parent / "data").exists()


def test_paddle_is_not_needed():
    code = "import sys, utils.prepare.prepare_voc; sys.exit('paddle' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPO, timeout=60).returncode == 0
