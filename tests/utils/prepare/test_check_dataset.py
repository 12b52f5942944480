"""A sound data set passes; each thing that can be wrong with one is found, told, and dropped by --fix."""

import io
import json
import os
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from datasets.records import Records
from datasets.records import read_split as read_for_training
from datasets.spec import VOC_CLASSES, WIDER_CLASSES, load_spec
from datasets.transforms import FORMATS, UNREADABLE
from utils.errors import run_script
from utils.prepare import check_dataset
from utils.prepare.label_checks import Split, check_names
from utils.prepare.photo_checks import check_photos
from utils.prepare.photo_facts import Facts, facts_of

CLASSES = ["bird", "horse", "lorry"]


class DataSet:
    """Eight photos of noise for training, four for testing, below the current folder."""

    def __init__(self):
        os.makedirs("photos")
        self.about = {"classes": list(CLASSES), "train": "train.json", "test": "test.json", "ignored": 99}
        self.train = [self.photo(f"{number}.jpg", number) for number in range(8)]
        self.test = [self.photo(f"{number}.jpg", number) for number in range(8, 12)]

    def photo(self, name, number, size=(60, 45), mode="RGB", **options):
        """Write a photo that shows what follows from its number; its record."""
        cells = np.random.default_rng(number).integers(0, 256, (9, 12, 3), dtype=np.uint8)
        image = Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC).convert(mode)
        image.save(f"photos/{name}", **options)
        return {"img_path": f"photos/{name}", "target": [int(number % 3 == column) for column in range(3)]}

    def write(self):
        os.makedirs("labels", exist_ok=True)
        for name, content in (("classes", self.about), ("train", self.train), ("test", self.test)):
            with open(f"labels/{name}.json", "w", encoding="utf-8") as file:
                json.dump(content, file)


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return DataSet()


@pytest.fixture
def check(data, capsys):
    """check(*options): write the data set, run the script; (exit code, findings, standard output, error)."""

    def run(*options):
        data.write()
        argv = ["labels", "--json", "found.json", *options]
        with pytest.raises(SystemExit) as stop:
            run_script(check_dataset.main, lambda: check_dataset.parse_args(argv))
        said = capsys.readouterr()
        findings = []
        if os.path.exists("found.json"):
            with open("found.json", encoding="utf-8") as file:
                findings = json.load(file)["findings"]
        return stop.value.code, findings, said.out, said.err

    return run


def test_a_sound_data_set(check, data):
    code, findings, out, err = check()
    assert (code, findings, err) == (0, [], "")
    assert out.splitlines() == [
        "train: 8 records in labels/train.json, 8 photos, mostly around 60 x 45; "
        "8 positive labels, 0.0% ignored",
        "test: 4 records in labels/test.json, 4 photos, mostly around 60 x 45; "
        "4 positive labels, 0.0% ignored",
        "positives of each class, train / test:",
        "  bird: 3 / 1",
        "  horse: 3 / 1",
        "  lorry: 2 / 2",
        "0 errors, 0 warnings",
    ]
    with open("found.json", encoding="utf-8") as file:
        found = json.load(file)
    assert found["splits"]["test"] == {
        "file": "labels/test.json",
        "records": 4,
        "photos": 4,
        "positives": {"bird": 1, "horse": 1, "lorry": 2},
        "ignored": 0,
        "modes": {"RGB": 4},
    }


# --- what is wrong, one thing at a time: a fault is put in and its finding named


def truncated(data):
    path = data.train[2]["img_path"]
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) - 40)
    return "error", "photo", "train", [2], "1 photos cannot be read: photos/2.jpg (image file is truncated"


def no_photo(data):
    with open(data.test[0]["img_path"], "w") as file:
        file.write("<html>moved</html>")
    return (
        "error",
        "photo",
        "test",
        [0],
        "1 photos cannot be read: photos/8.jpg (it is no JPEG",
    )


def bomb(data):
    Image.new("1", (20_000, 10_000)).save("photos/3.jpg", format="PNG")
    return "error", "photo", "train", [3], "photos/3.jpg (it has more than 89478485 pixels"


def missing(data):
    os.unlink(data.train[1]["img_path"])
    return "error", "record", "train", [1], "1 records are wrong: record 1: no photo photos/1.jpg"


def label_length(data):
    data.train[4]["target"] = [1, 0]
    return "error", "record", "train", [4], "record 4: 2 targets for 3 classes"


def target_value(data):
    data.train[4]["target"] = [1, 0, 7]
    return "error", "record", "train", [4], "record 4: target 7; allowed are"


def leak_by_name(data):
    data.train.append(data.test[1])
    return "error", "leak", "train", [8], "1 photos are in the test split too, first photos/9.jpg"


def leak_by_bytes(data):
    shutil.copy("photos/9.jpg", "photos/copy.jpg")
    data.train.insert(0, {"img_path": "photos/copy.jpg", "target": [1, 0, 0]})
    return "error", "leak", "train", [0], "1 photos are in the test split under another name: photos/copy.jpg"


def leak_by_look(data):
    Image.open("photos/9.jpg").resize((90, 66)).save("photos/copy.jpg", quality=60)
    data.train.append({"img_path": "photos/copy.jpg", "target": [1, 0, 0]})
    return "warning", "near_leak", "test", [1], "photos/9.jpg like photos/copy.jpg"


def near(data):
    Image.open("photos/3.jpg").save("photos/copy.png")
    data.train.append({"img_path": "photos/copy.png", "target": [1, 0, 0]})
    return "warning", "near", "train", [3, 8], "2 photos look like another one of the split: photos/"


def twin(data):
    shutil.copy("photos/3.jpg", "photos/copy.jpg")
    data.train.append({"img_path": "photos/copy.jpg", "target": data.train[3]["target"]})
    return (
        "warning",
        "twin",
        "train",
        [3, 8],
        "2 photos are in the split under another name too: photos/3.jpg, ",
    )


def torn(data):
    shutil.copy("photos/3.jpg", "photos/copy.jpg")
    data.train.append({"img_path": "photos/copy.jpg", "target": [0, 1, 1]})
    return (
        "warning",
        "torn",
        "train",
        [3, 8],
        "2 photos are in the split under another name, with other labels",
    )


def repeated(data):
    data.test.append(data.test[0])
    return "warning", "repeated", "test", [4], "1 records repeat a photo: photos/8.jpg"


def repeated_with_other_labels(data):
    data.test.append({**data.test[1], "target": [1, 1, 99]})
    return "warning", "torn", "test", [4], "1 records repeat a photo, with other labels: photos/9.jpg"


def no_positive(data):
    for record in data.test:
        record["target"][1] = 0
    return "error", "no_positive", "test", [], "1 of 3 classes never occur: horse"


def all_ignored(data):
    data.test[3]["target"] = [99, 99, 99]
    data.test[0]["target"] = [1, 1, 1]
    return (
        "warning",
        "all_ignored",
        "test",
        [3],
        "1 records have ignored labels only and teach nothing, first ",
    )


def cmyk(data):
    data.photo("5.jpg", 5, mode="CMYK")
    return "warning", "mode", "train", [5], "1 photos are of mode CMYK: photos/5.jpg"


def sixteen_bits(data):
    grey = np.random.default_rng(5).integers(0, 2**16, (45, 60)).astype(np.uint16)
    Image.fromarray(grey).save("photos/5.jpg", format="PNG")
    return "warning", "mode", "train", [5], "1 photos are of mode I;16: photos/5.jpg"


def palette(data):
    data.photo("5.jpg", 5, mode="P", format="PNG")
    return "warning", "mode", "train", [5], "1 photos are of mode P: photos/5.jpg"


def tiny(data):
    data.photo("5.jpg", 5, size=(40, 31))
    return "warning", "size", "train", [5], "1 photos are under 32 pixels wide or high: photos/5.jpg"


def long(data):
    data.photo("5.jpg", 5, size=(320, 32))
    return "warning", "size", "train", [5], "1 photos are 10 times as long as wide and will be squashed"


def crop_outside(data):
    data.train[6]["bbox"] = [60, 0, 10, 10]
    return "error", "box", "train", [6], "1 boxes lie outside their photos: photos/6.jpg"


def crop_sticks_out(data):
    data.train[6]["bbox"] = [50, 10, 12, 10]
    return "warning", "box_cut", "train", [6], "1 boxes stick out of photos: photos/6.jpg"


def object_sticks_out(data):
    data.train[6]["objects"] = [{"class": 0, "bbox": [2, 36, 5, 11], "difficult": 0}]
    return "warning", "object_box", "train", [6], "1 photos have objects outside: photos/6.jpg"


def absolute(data):
    data.train[0]["img_path"] = os.path.abspath("photos/0.jpg")
    return "warning", "absolute", "train", [0], "1 paths are absolute: /"


def above(data):
    data.train[0]["img_path"] = "photos/../photos/0.jpg"
    return "warning", "above", "train", [0], "1 paths lead upwards (..): photos/../photos/0.jpg"


def two_spellings(data):
    data.about["classes"] = ["bird", "Bird", "lorry"]
    return "warning", "names", "", [], "look like one, spelled in two ways"


def another_spelling(data):
    data.about["classes"] = ["bird", "horse", "aeroplan"]
    return "warning", "names", "", [], "class 'aeroplan': elsewhere it is spelled 'aeroplane'"


FAULTS = [
    truncated, no_photo, bomb, missing, label_length, target_value, leak_by_name, leak_by_bytes, leak_by_look,
    near, twin, torn, repeated, repeated_with_other_labels, no_positive, all_ignored,
    cmyk, sixteen_bits, palette, tiny, long,
    crop_outside, crop_sticks_out, object_sticks_out, absolute, above, two_spellings, another_spelling,
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_found_and_told_and_nothing_else(check, data, fault):
    level, kind, split, rows, message = fault(data)
    code, findings, out, _ = check()
    assert [(f["level"], f["check"], f["split"], f["rows"]) for f in findings] == [(level, kind, split, rows)]
    assert message in findings[0]["message"]
    where = f"{split}: " if split else ""
    assert f"{level}: {where}{findings[0]['message']}" in out.splitlines()
    assert out.splitlines()[-1] == ("1 errors, 0 warnings" if level == "error" else "0 errors, 1 warnings")
    assert code == (level == "error")


DROPPED = (
    truncated, no_photo, bomb, missing, label_length, target_value, leak_by_name, leak_by_bytes, crop_outside,
    all_ignored,
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_fix_drops_what_is_broken_and_keeps_all_else(check, data, fault):
    _, _, split, rows, _ = fault(data)
    data.write()
    before = label_files()
    _, _, out, _ = check("--fix", "new/fixed")
    assert label_files() == before
    sound = {"train": data.train, "test": data.test}
    if fault in DROPPED:
        sound[split] = [record for row, record in enumerate(sound[split]) if row not in rows]
    for name, records in sound.items():
        assert json.loads(Path(f"new/fixed/{name}.json").read_text()) == records
        count = len(getattr(data, name)) - len(records)
        assert f"new/fixed/{name}.json: {len(records)} records, {count} left out" in out
    spec, folder = load_spec("new/fixed")
    assert (spec.classes, spec.test_ignored) == (tuple(data.about["classes"]), 99)
    paths = [record["img_path"] for record in sound["train"]]
    assert read_for_training(spec, folder, "train").paths == paths
    code = check_dataset.main(check_dataset.parse_args(["new/fixed"]))
    assert code == (fault is no_positive)


def label_files():
    return {path.name: path.read_bytes() for path in Path("labels").iterdir()}


def test_many_faults_at_once(check, data):
    for fault in (truncated, missing, label_length, leak_by_name, cmyk, crop_outside):
        fault(data)
    code, findings, out, _ = check("--fix", "fixed")
    assert code == 1
    assert [f["level"] for f in findings] == ["error"] * 4 + ["warning"]
    assert sorted(row for f in findings if f["level"] == "error" for row in f["rows"]) == [1, 2, 4, 6, 8]
    assert "fixed/train.json: 4 records, 5 left out" in out


def test_examples_are_few(check, data):
    for record in data.train:
        os.unlink(record["img_path"])
    code, findings, out, _ = check()
    assert code == 1
    assert "8 records are wrong: record 0: no photo photos/0.jpg" in out
    remedy = "; paths count from the folder in which you start the script"  # is said once
    assert f"photos/0.jpg{remedy}, record 1: no photo photos/1.jpg, record 2: " in out
    assert "and 5 more" in out
    assert "record 3" not in out
    assert findings[0]["rows"] == list(range(8))


def test_persons_of_one_photo(check, data):
    """Records that crop one photo in several ways are no repetition; of a photo the first is named."""
    data.train += [{**data.train[3], "bbox": [x, 0, 20, 20]} for x in (0, 10)]
    assert check()[1] == []
    Image.open("photos/3.jpg").save("photos/copy.png")
    data.train += [
        {"img_path": "photos/copy.png", "target": [1, 0, 0], "bbox": [x, 0, 9, 9]} for x in (0, 10)
    ]
    assert [(f["check"], f["rows"]) for f in check()[1]] == [("near", [3, 10])]


# --- options


def test_photos_that_all_look_alike_take_little_memory_to_check():
    """A camera that stands still: 2 million pairs, of which tables would take 200 MB."""
    rows = range(2000)
    facts = {
        str(row): Facts(None, "RGB", (60, 45), bytes(divmod(row, 256)), np.ones(256, bool)) for row in rows
    }
    records = Records([*facts], np.ones((2000, 1), np.int8), [None] * 2000)
    split = Split("train", None, [{"img_path": path, "target": [1]} for path in facts], [*rows], records)
    tracemalloc.start()
    finding, *more = check_photos([split], facts)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (finding.check, finding.rows, more) == ("near", tuple(rows), [])
    assert finding.message.endswith("split: 0 like 1, 1 like 0, 2 like 0 and 1997 more")
    assert most < 40e6


def test_names(check, data):
    with open("names.txt", "w", encoding="utf-8") as file:
        file.write("Bird\nhorse\n\ntruck\n")
    code, findings, _, _ = check("--names", "names.txt")
    assert code == 1
    assert [f["message"] for f in findings] == [
        "class 'bird' is unknown; the nearest known name is 'Bird'",
        "class 'lorry' is unknown",
    ]
    assert check("--names", "labels")[0] == 0
    assert "class 'lorry' is unknown" in check("--names", "voc07")[2]


def test_names_that_are_a_built_in_data_sets_own_are_not_doubted():
    assert check_names(VOC_CLASSES, dict.fromkeys(VOC_CLASSES, 100) | {"car": 1}) == []
    assert check_names(["cat", "dogs", "trains"], {"cat": 9, "dogs": 9, "trains": 9}) == []  # mostly unknown
    both = ["cat", "motorbike", "motorbikes"]
    assert check_names(both, dict.fromkeys(both, 9)) == []


def test_one_split_alone(check, data):
    data.about["test"] = None
    code, findings, out, _ = check("--fix", "fixed")
    assert (code, findings) == (0, [])
    assert "\n  bird: 3\n" in out
    assert sorted(os.listdir("fixed")) == ["classes.json", "train.json"]
    with open("fixed/classes.json", encoding="utf-8") as file:
        assert json.load(file)["test"] is None


def test_fix_keeps_label_files_of_one_name_apart(check, data):
    data.write()
    for split in ("train", "test"):
        os.makedirs(f"labels/{split}")
        shutil.copy(f"labels/{split}.json", f"labels/{split}/all.json")
        data.about[split] = f"{split}/all.json"
    assert check("--fix", "fixed")[0] == 0
    assert sorted(os.listdir("fixed")) == ["classes.json", "test.json", "train.json"]
    assert json.loads(Path("fixed/train.json").read_text()) == data.train
    spec, folder = load_spec("fixed")
    assert len(read_for_training(spec, folder, "test")) == 4


def test_built_in_data_set_and_another_folder(data, capsys):
    data.write()
    os.rename("labels/train.json", "labels/trainval_wider.json")
    os.rename("labels/test.json", "labels/test_wider.json")
    os.unlink("labels/classes.json")
    assert check_dataset.main(check_dataset.parse_args(["wider", "--data_dir", "labels"])) == 1
    assert "12 records are wrong" not in capsys.readouterr().out


@pytest.mark.parametrize("given", [["wider", "--data_dir", "labels"], ["labels"]])
def test_it_says_how_to_use_what_was_mended(data, capsys, given):
    """A built-in data set under its own name: its normalisation, augmentation and rules go with that."""
    truncated(data)
    data.about["classes"] = list(WIDER_CLASSES)
    for record in data.train + data.test:
        record["target"] += [0] * 11
    data.write()
    assert check_dataset.main(check_dataset.parse_args([*given, "--fix", "fixed"])) == 1
    *_, options = capsys.readouterr().out.rstrip().rpartition("use it with ")
    dataset, *data_dir = options.split()[1::2]
    spec, folder = load_spec(dataset, *data_dir)
    assert folder == Path("fixed")
    assert spec.train_file == "train.json"
    before = load_spec(given[0], "labels")[0]
    assert (spec.mean, spec.train_aug, spec.step_size) == (before.mean, before.train_aug, before.step_size)
    assert spec.ignored_is_negative_in_precision == (given[0] == "wider")


def mistakes():
    return {
        "no data set": (["nowhere"], "unknown data set 'nowhere'"),
        "no label file": (["labels"], "no label file labels/train.json"),
        "no split": (["labels"], "neither a train nor a test split"),
        "fix in place": (["labels", "--fix", "labels"], "--fix labels exists and is not empty"),
        "fix a file": (["labels", "--fix", "labels/train.json"], "--fix labels/train.json exists"),
        "json in place": (["labels", "--json", "labels/train.json"], "is a file of the data set"),
        "names missing": (
            ["labels", "--names", "nothing.txt"],
            "cannot read --names nothing.txt: No such file",
        ),
        "names empty": (["labels", "--names", "/dev/null"], "--names /dev/null holds no name"),
    }


@pytest.mark.parametrize("case", mistakes())
def test_a_mistake_is_one_line_and_nothing_is_written(data, capsys, case):
    argv, message = mistakes()[case]
    if case == "no split":
        data.about.update(train=None, test=None)
    data.write()
    if case == "no label file":
        os.unlink("labels/train.json")
    before = sorted(os.listdir(".")), label_files()
    with pytest.raises(SystemExit) as stop:
        run_script(check_dataset.main, lambda: check_dataset.parse_args(argv))
    assert stop.value.code == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert message in said.err
    assert said.err.count("\n") == 1
    assert (sorted(os.listdir(".")), label_files()) == before


def test_what_is_wrong_is_told_where_nothing_is_left_to_fix(data, capsys):
    data.test = data.test[:1] + [{"img_path": 7}]
    os.unlink(data.test[0]["img_path"])
    data.write()
    before = sorted(os.listdir(".")), label_files()
    argv = ["labels", "--json", "found.json", "--fix", "new"]
    with pytest.raises(SystemExit) as stop:
        run_script(check_dataset.main, lambda: check_dataset.parse_args(argv))
    out, err = capsys.readouterr()
    assert (stop.value.code, err) == (
        2,
        "error: --fix: no record of labels/test.json is sound; correct it by hand\n",
    )
    with open("found.json", encoding="utf-8") as file:
        findings = json.load(file)["findings"]
    assert sorted(row for f in findings if f["level"] == "error" for row in f["rows"]) == [0, 1]
    assert all(f"error: test: {f['message']}" in out for f in findings if f["level"] == "error")
    os.unlink("found.json")
    assert (sorted(os.listdir(".")), label_files()) == before  # no folder new


# --- photos that are cut off: what the quick decoding accepts is what the whole one does


def encoded(kind):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8))
    options = {"JPEG progressive": dict(progressive=True), "PNG": {}, "WEBP": {}, "BMP": {}, "JPEG": {}}[kind]
    file = io.BytesIO()
    image.resize((240, 180)).save(file, kind.split()[0], **options)
    return file.getvalue()


def readable(path):
    try:
        with Image.open(path, formats=FORMATS) as image:
            image.load()
    except UNREADABLE:
        return False
    return True


@pytest.mark.parametrize("kind", ["JPEG", "JPEG progressive", "PNG", "WEBP", "BMP"])
@given(data=st.data())
def test_truncated_and_changed_photos(tmp_path_factory, kind, data):
    raw = bytearray(encoded(kind))
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(raw) - 1), st.integers(0, 255)), max_size=3)
    ):
        raw[place] = value
    path = tmp_path_factory.mktemp("cut") / "photo"
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    assert (facts_of(path).error is None) == readable(path)
