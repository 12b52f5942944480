"""prepare_custom: the same truth in every form gives the same label files; what is said and refused."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.records import read_split
from datasets.spec import load_spec
from utils.errors import UserError, run_script
from utils.prepare import check_dataset, prepare_custom

pytest.importorskip("iterstrat", reason="needs iterative-stratification")
CLASSES = ["pump", "valve", "großer Tank"]
SIZE = (60, 40)
NOTHING = "warning: no photo is kept for the evaluation: train.py needs --tranval False\n"
WORDS = {1: "1", 0: "0", 99: ""}


class Photos:
    """40 photos of noise and the truth of them, below the current folder.

    targets: {name: [1, 0 or 99 (unknown) a class]}; boxes: {name: [(class, x, y, width, height)]}, of which
    the targets follow where nothing is unknown.
    """

    def __init__(self):
        rng = np.random.default_rng(0)
        os.makedirs("own/photos")
        self.boxes, self.targets = {}, {}
        for number in range(40):
            name = f"photo {number:02}.jpg"
            self.draw(f"own/photos/{name}", number)
            count = int(rng.integers(0, 4))
            corners = rng.integers(0, (40, 20), (count, 2)).tolist()
            sides = rng.integers(2, (20, 20), (count, 2)).tolist()
            columns = rng.integers(0, 3, count).tolist()
            things = zip(columns, corners, sides, strict=True)
            self.boxes[name] = [(column, *corner, *side) for column, corner, side in things]
            self.targets[name] = [int(column in columns) for column in range(3)]

    def draw(self, path, number, **options):
        """A photo that shows what follows from its number."""
        cells = np.random.default_rng(number).integers(0, 256, (9, 12, 3), dtype=np.uint8)
        Image.fromarray(cells).resize(SIZE, Image.Resampling.BICUBIC).save(path, **options)

    def forget(self):
        """Some labels become unknown."""
        rng = np.random.default_rng(1)
        for target in self.targets.values():
            target[:] = [99 if rng.random() < 0.1 else value for value in target]

    def names(self, name, value):
        return [CLASSES[column] for column, known in enumerate(self.targets[name]) if known == value]


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Photos()


@pytest.fixture
def run(data, capfd):
    """run(IN, *options): the script; (exit code, standard output, standard error)."""

    def call(*argv):
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            run_script(prepare_custom.main, lambda: prepare_custom.parse_args([*argv, "--out_dir", "made"]))
        said = capfd.readouterr()
        return stop.value.code or 0, said.out, said.err

    return call


@pytest.fixture
def refused(run):
    """refused(IN, *options): its one line of error; nothing was written."""

    def call(*argv):
        before = sorted(Path().rglob("*"))
        code, out, error = run(*argv)
        assert (code, out) == (2, "")
        assert error.startswith("error: ")
        assert error.count("\n") == 1
        assert sorted(Path().rglob("*")) == before
        return error

    return call


def read(folder="made"):
    """({name of a photo: target}, {name: objects}, [names in test]) of a data set's two label files."""
    about = json.loads(Path(folder, "classes.json").read_text())
    targets, objects, splits = {}, {}, {}
    for split in ("train", "test"):
        splits[split] = [] if about[split] is None else json.loads(Path(folder, about[split]).read_text())
        for record in splits[split]:
            name = Path(record["img_path"]).name
            assert os.path.isfile(record["img_path"])
            assert name not in targets
            targets[name], objects[name] = record["target"], record.get("objects")
    return targets, objects, [Path(record["img_path"]).name for record in splits["test"]]


# --- writers of every form


def write_list(data, split=None):
    rows = [["path", "labels", "unknown", *(["split"] if split else [])]]
    for name in data.targets:
        lists = [";".join(data.names(name, value)) for value in (1, 99)]
        rows.append([f"photos/{name}", *lists, *([split[name]] if split else [])])
    Path("own/list.csv").write_text("".join(",".join(row) + "\n" for row in rows))
    return "own/list.csv"


def write_columns(data):
    rows = [["path", *CLASSES], *([f"photos/{n}", *(WORDS[v] for v in t)] for n, t in data.targets.items())]
    Path("own/columns.csv").write_text("".join(",".join(row) + "\n" for row in rows))
    return "own/columns.csv"


def write_lines(data, name="own/lines.jsonl"):
    lines = [
        {"path": f"photos/{name}", "labels": data.names(name, 1), "unknown": data.names(name, 99)}
        for name in data.targets
    ]
    Path(name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return name


def write_coco(data):
    names = list(data.boxes)
    flat = [(image, *box) for image, name in enumerate(names) for box in data.boxes[name]]
    content = {
        "images": [{"id": n, "file_name": f"photos/{name}", "width": 60} for n, name in enumerate(names)],
        "annotations": [
            {"id": n, "image_id": image, "category_id": column + 5, "bbox": list(box)}
            for n, (image, column, *box) in enumerate(flat)
        ],
        "categories": [{"id": column + 5, "name": name} for column, name in enumerate(CLASSES)],
    }
    Path("own/coco.json").write_text(json.dumps(content))
    return "own/coco.json"


def write_voc(data):
    os.mkdir("own/Annotations")
    for name, boxes in data.boxes.items():
        text = "".join(
            f"<object><name>{CLASSES[column]}</name><bndbox><xmin>{x + 1}</xmin><ymin>{y + 1}</ymin>"
            f"<xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox></object>"
            for column, x, y, w, h in boxes
        )
        Path("own/Annotations", f"{Path(name).stem}.xml").write_text(f"<annotation>{text}</annotation>")
    os.rename("own/photos", "own/JPEGImages")
    return "own"


def write_yolo(data):
    os.mkdir("own/labels")
    for name, boxes in data.boxes.items():
        text = "".join(
            f"{column} {(x + w / 2) / 60:.6f} {(y + h / 2) / 40:.6f} {w / 60:.6f} {h / 40:.6f}\n"
            for column, x, y, w, h in boxes
        )
        Path("own/labels", f"{Path(name).stem}.txt").write_text(text)
    Path("own/classes.txt").write_text("\n".join(CLASSES))
    os.rename("own/photos", "own/images")
    return "own"


TABLES = {"list": write_list, "columns": write_columns, "lines": write_lines}
BOXES = {"coco": write_coco, "voc": write_voc, "yolo": write_yolo}


# --- labels


@pytest.mark.parametrize("form", TABLES)
def test_tables_become_label_files(data, run, form):
    data.forget()
    options = [] if form == "columns" else ["--classes", *CLASSES]
    code, _, err = run(TABLES[form](data), *options)
    assert (code, err) == (0, "")
    targets, objects, test = read()
    assert targets == data.targets
    assert set(objects.values()) == {None}
    assert len(test) == 8
    about = json.loads(Path("made/classes.json").read_text())
    assert about["classes"] == CLASSES
    assert (about["ignored"], about["train_ignored"]) == (99, 99)


@pytest.mark.parametrize("form", BOXES)
def test_boxes_become_label_files(data, run, form):
    code, _, err = run(BOXES[form](data), *(["--classes", *CLASSES] if form == "voc" else []))
    assert (code, err) == (0, "")
    targets, objects, test = read()
    assert targets == data.targets
    found = {n: [(o["class"], *o["bbox"], o["difficult"]) for o in objects[n]] for n in objects}
    assert found == {name: [(*box, 0) for box in boxes] for name, boxes in data.boxes.items()}
    assert len(test) == 8


def test_what_was_made_is_what_training_reads(data, run):
    data.forget()
    run(write_columns(data))
    spec, folder = load_spec("made")
    for split in ("train", "test"):
        records = read_split(spec, folder, split)
        expected = [[{99: -1}.get(v, v) for v in data.targets[Path(path).name]] for path in records.paths]
        assert records.labels.tolist() == expected
    assert check_dataset.main(check_dataset.parse_args(["made"])) == 0


def test_classes_stand_in_the_annotations_order_or_as_text_is_sorted(data, run):
    for written, expected in (
        (write_columns(data), CLASSES),
        (write_coco(data), CLASSES),
        (write_list(data), sorted(CLASSES)),
    ):
        run(written)
        assert load_spec("made")[0].classes == tuple(expected)


def test_classes_may_stand_in_a_file(data, run):
    Path("names.txt").write_text("\ufeffvalve\n\npump\ngroßer Tank\nnever\n")
    code, out, err = run(write_list(data), "--classes", "names.txt")
    assert code == 0
    assert load_spec("made")[0].classes == ("valve", "pump", "großer Tank", "never")
    assert "  never: 0 / 0\n" in out
    assert "warning: train split: 1 of 4 classes never occur: never\n" in err
    targets, *_ = read()
    assert targets["photo 03.jpg"] == [data.targets["photo 03.jpg"][c] for c in (1, 0, 2)] + [0]


def test_json_lines_may_be_called_json(data, run):
    assert run(write_lines(data, "own/lines.json"))[0] == 0
    assert read()[0] == {n: [t[2], t[0], t[1]] for n, t in data.targets.items()}


def test_photos_lie_elsewhere(data, run):
    written = write_columns(data)
    shutil.move("own/photos", "photos")
    assert run(written, "--photos", ".")[0] == 0
    assert read()[0] == data.targets
    assert all(
        record["img_path"].startswith("photos/") for record in json.loads(Path("made/test.json").read_text())
    )


# --- splits


def test_a_seed_gives_the_same_files(data, run):
    written = write_columns(data)
    texts = set()
    for options in ([], [], ["--seed", "1"]):
        run(written, *options)
        texts.add(Path("made/test.json").read_text())
    assert len(texts) == 2


def test_the_share_may_be_another(data, run):
    written = write_columns(data)
    run(written, "--test_share", "0.5")
    assert len(read()[2]) == 20
    shutil.rmtree("made")
    code, out, err = run(written, "--test_share", "0")
    assert (code, read()[2], err) == (0, [], NOTHING)
    assert "40 train (all, by --test_share 0)" in out
    assert load_spec("made")[0].test_file is None


def test_copies_and_photos_that_look_alike_stay_on_one_side(data, run):
    for number in range(20):  # in other quality, twice in the same bytes
        name = f"photo {number:02}"
        data.draw(f"own/photos/{name} small.jpg", number, quality=60)
        shutil.copy(f"own/photos/{name}.jpg", f"own/photos/{name} copy.jpg")
        for kind in ("small", "copy"):
            data.targets[f"{name} {kind}.jpg"] = list(data.targets[f"{name}.jpg"])
    code, out, err = run(write_columns(data))
    assert code == 0
    assert [line.split(":")[1] for line in err.splitlines()] == [" train split", " test split"]  # same bytes
    assert err.count("under another name too") == 2
    assert "60 photos look like others, in 20 groups, each on one side" in out
    test = read()[2]
    sides = [{f"photo {n:02}{kind}.jpg" in test for kind in ("", " small", " copy")} for n in range(20)]
    assert all(len(side) == 1 for side in sides)
    assert abs(len(test) - 0.2 * 80) <= 4
    assert check_dataset.main(check_dataset.parse_args(["made"])) == 0


def test_a_split_that_is_given_is_kept(data, run):
    split = {name: ("train", "val", "TEST")[number % 3] for number, name in enumerate(data.targets)}
    code, out, err = run(write_list(data, split), "--classes", *CLASSES)
    assert (code, err) == (0, "")
    assert "14 train, 13 val, 13 test (as the annotations say)" in out
    targets, _, evaluated = read()
    assert [name for name in targets if name not in evaluated] == [n for n in split if split[n] == "train"]
    assert evaluated == [n for n in split if split[n] == "val"]
    kept, _, test = read("made/test")
    assert [*kept] == test == [n for n in split if split[n] == "TEST"]
    assert targets | kept == data.targets
    assert load_spec("made/test")[0].classes == load_spec("made")[0].classes


@pytest.mark.parametrize(("names", "files"), [(("train", "val"), "val"), (("train", "test"), "test")])
def test_two_splits_are_given(data, run, names, files):
    split = {name: names[number % 4 == 0] for number, name in enumerate(data.targets)}
    run(write_list(data, split))
    spec = load_spec("made")[0]
    assert (spec.train_file, spec.test_file) == ("train.json", f"{files}.json")
    assert len(read()[2]) == 10
    assert not Path("made/test").exists()


def test_one_split_is_given(data, run):
    code, _, err = run(write_list(data, dict.fromkeys(data.targets, "train")))
    assert (code, read()[2]) == (0, [])
    assert NOTHING in err
    shutil.rmtree("made")
    run(write_list(data, dict.fromkeys(data.targets, "test")))
    assert (load_spec("made")[0].train_file, len(read()[2])) == (None, 40)


def test_a_photo_in_both_given_splits_is_told(data, run):
    shutil.copy("own/photos/photo 00.jpg", "own/photos/copy.jpg")
    data.targets["copy.jpg"] = list(data.targets["photo 00.jpg"])
    split = {name: "train" if name.startswith("photo") else "test" for name in data.targets}
    code, _, err = run(write_list(data, split))
    assert code == 0
    assert (
        "warning: train split: 1 photos are in the test split under another name: own/photos/photo 00.jpg"
        in err
    )


def test_photos_in_two_of_three_given_splits_are_told_by_the_splits_own_names(data, run):
    """The same bytes, or another size of what is shown."""
    split = {name: ("train", "val", "test")[number % 3] for number, name in enumerate(data.targets)}
    copies = {"photo 00.jpg": "val", "photo 01.jpg": "test", "photo 03.jpg": "test"}
    for name, where in copies.items():
        shutil.copy(f"own/photos/{name}", f"own/photos/copy of {name}")
        data.targets[f"copy of {name}"], split[f"copy of {name}"] = list(data.targets[name]), where
    data.draw("own/photos/small.jpg", 4, quality=30)  # as photo 04, of val
    data.targets["small.jpg"], split["small.jpg"] = list(data.targets["photo 04.jpg"]), "test"
    code, _, err = run(write_list(data, split))
    assert code == 0
    place, other = "own/photos/photo", "split under another name"
    assert sorted(err.splitlines()) == [
        "warning: test split: 1 photos of the test split look like one of the val split: "
        f"own/photos/small.jpg like {place} 04.jpg",
        f"warning: train split: 1 photos are in the test {other}: {place} 03.jpg",
        f"warning: train split: 1 photos are in the val {other}: {place} 00.jpg",
        f"warning: val split: 1 photos are in the test {other}: {place} 01.jpg",
    ]


def test_one_class_with_one_positive(data, run):
    for number, name in enumerate(data.targets):
        data.targets[name] = [int(number == 7), 0, 99]
    code, out, err = run(write_columns(data))
    assert code == 0
    assert "  valve: 0 / 0\n" in out
    assert ", 40 unknown\n" in out
    assert "train split: 2 of 3 classes never occur: valve, großer Tank" in err
    assert "test split: " in err


def test_two_photos_are_enough(run):
    Path("few.csv").write_text("own/photos/photo 00.jpg,a;b\nown/photos/photo 01.jpg,b\n")
    code, out, _ = run("few.csv")
    assert code == 0
    assert (
        "few.csv: 2 photos, 2 classes, 3 labels, 0 unknown; 0 photos without a label\n1 train, 1 test" in out
    )


# --- what is said


def test_the_script_says_what_it_did(data, run):
    data.forget()
    code, out, err = run(write_columns(data))
    values = np.array([*data.targets.values()])
    first, second, _, *rows, wrote = out.splitlines()
    assert first == (
        f"own/columns.csv: 40 photos, 3 classes, {(values == 1).sum()} labels, {(values == 99).sum()} "
        f"unknown; {(~(values == 1).any(axis=1)).sum()} photos without a label"
    )
    assert second == "32 train, 8 test (stratified by labels, seed 0)"
    in_test = np.isin([*data.targets], read()[2])
    for column, (name, row) in enumerate(zip(CLASSES, rows, strict=True)):
        train, test = ((values[side, column] == 1).sum() for side in (~in_test, in_test))
        unknown = (values[:, column] == 99).sum()
        assert row == f"  {name}: {train} / {test}" + (f", {unknown} unknown" if unknown else "")
    assert wrote == "wrote made/train.json, made/test.json, made/classes.json"
    assert (code, err) == (0, "")


def test_names_spelled_in_two_ways_are_told(data, run):
    Path("own/list.csv").write_text(
        "".join(f"photos/{n},{'pump' if i % 2 else 'Pump'};valve\n" for i, n in enumerate(data.targets))
    )
    code, _, err = run("own/list.csv")
    assert code == 0
    assert "warning: classes 'Pump' and 'pump' look like one, spelled in two ways\n" in err


@pytest.mark.parametrize("form", [*TABLES, *BOXES])
def test_an_accent_is_one_whichever_way_it_is_written(data, run, form):
    """As one character or as two, of which no reader shows which: not two classes."""
    source = ({**TABLES, **BOXES}[form])(data)
    paths = [path for path in Path("own").rglob("*") if path.suffix in (".csv", ".jsonl", ".json", ".xml")]
    for path in paths or [Path("own/classes.txt")]:
        path.write_text(path.read_text().replace("valve", "va\u0301lve"))
    code, _, err = run(source, "--classes", *CLASSES[:1], "v\u00e1lve", *CLASSES[2:])
    assert (code, err) == (0, "")
    targets, _, _ = read()
    if form in BOXES:
        assert {name for name, target in targets.items() if target[1]} == {
            name for name, boxes in data.boxes.items() if any(box[0] == 1 for box in boxes)
        }
    else:
        assert targets == data.targets


def test_labels_with_something_else_than_a_semicolon_between_them_are_told(data, run):
    Path("own/list.csv").write_text(
        "".join(f'photos/{n},"{"pump, valve" if i % 2 else "valve"}"\n' for i, n in enumerate(data.targets))
    )
    code, _, err = run("own/list.csv")
    assert code == 0
    assert err == "warning: class 'pump, valve' looks like several; tables want ; between labels\n"


# --- mistakes: one line, nothing written


def test_an_unknown_class_is_named_with_the_nearest(data, refused):
    error = refused(write_list(data), "--classes", "pump", "Valve", "großer Tank")
    assert (
        "class 'valve' is unknown; the nearest known name is 'Valve'; correct it or add it to --classes"
        in error
    )
    error = refused(write_list(data), "--classes", "großer Tank")
    assert "class 'valve' is unknown; also unknown: pump; correct it" in error
    assert "own/list.csv, line " in error


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["pump", "valve", "pump", "großer Tank"], "class 'pump' is there twice"),
        (["pump", "valve", "großer Tank", "a\x1b[31mb"], "must be of characters that can be printed"),
        (["pump", "valve", "großer Tank", " "], "must be of characters that can be printed"),
        (["names.txt"], "cannot read names.txt"),
    ],
)
def test_class_names_that_are_none(data, refused, names, said):
    assert said in refused(write_list(data), "--classes", *names)


def test_odd_class_names_in_the_annotations(data, refused):
    Path("own/list.csv").write_text("photos/photo 00.jpg,a\x07b\n")
    assert r"class 'a\x07b': a name must be of characters that can be printed" in refused("own/list.csv")
    Path("names.txt").write_text("\n")
    assert "--classes names.txt holds no name" in refused("own/list.csv", "--classes", "names.txt")
    Path("own/list.csv").write_text("photos/photo 00.jpg,\n")
    assert "no photo has a label, and no class is named; give --classes" in refused("own/list.csv")


def test_photos_that_are_missing_or_broken_are_counted(data, refused):
    written = write_columns(data)
    Path("own/photos/photo 05.jpg").unlink()
    Path("own/photos/photo 07.jpg").unlink()
    assert (
        "2 of 40 photos not found: own/photos/photo 05.jpg, own/photos/photo 07.jpg; say with --photos"
        in refused(written)
    )
    for name in ("05", "07"):
        Path(f"own/photos/photo {name}.jpg").write_bytes(b"GIF89a")
    assert "2 of 40 photos cannot be read: own/photos/photo 05.jpg (" in refused(written)


@pytest.mark.parametrize(
    ("written", "there"),
    [
        ("photos/PHOTO 05.jpg", "own/photos/photo 05.jpg"),
        ("photos/photo 05", "own/photos/photo 05.jpg"),
        ("photos\\photo 05.jpg", "own/photos/photo 05.jpg"),
        ("photos/Mu\u0308ller.jpg", "own/photos/M\u00fcller.jpg"),
        ("photos/photo 5.jpg", None),
        ("photo 05.jpg", None),
    ],
)
def test_a_name_that_is_written_otherwise_than_the_photo_is_called(data, refused, written, there):
    Path("own/photos/photo 06.jpg").rename("own/photos/M\u00fcller.jpg")
    Path("own/list.csv").write_text(f"path,labels\n{written},pump\n", encoding="utf-8")
    hint = f"{there} is there: write names as the folder has them" if there else "say with --photos DIR"
    error = refused("own/list.csv")
    assert f"1 of 1 photos not found: own/{written}; {hint}" in error


@pytest.mark.parametrize(
    "name", ["photos/photo 03.jpg", "./photos//photo 03.jpg", "photos/x/../photo 03.jpg"]
)
def test_a_photo_that_is_there_twice(data, refused, name):
    path = write_columns(data)
    os.mkdir("own/photos/x")
    with open(path, "a") as file:
        file.write(f"{name},1,0,1\n")
    said = f"photo {Path('own', name)} is at {path}, line 5 already"
    assert f"{path}, line 42: {said}" in refused(path)


def test_a_photo_that_is_there_twice_once_by_its_whole_path(data, refused):
    path = write_columns(data)
    with open(path, "a") as file:
        file.write(f"{os.path.abspath('own/photos/photo 03.jpg')},1,0,1\n")
    assert f"line 42: photo {os.path.abspath('own')}" in refused(path)


def test_a_link_to_a_photo_is_a_photo_of_its_own(data, run):
    path = write_columns(data)
    os.symlink("photo 03.jpg", "own/photos/link.jpg")
    with open(path, "a") as file:
        file.write("photos/link.jpg,1,0,1\n")
    assert run(path)[0] == 0


def test_photos_that_are_all_alike(data, refused):
    for number in (1, 2):
        shutil.copy("own/photos/photo 00.jpg", f"own/photos/photo 0{number}.jpg")
    Path("own/list.csv").write_text("".join(f"photos/photo 0{n}.jpg,a\n" for n in range(3)))
    assert "3 photos, all alike, cannot be split" in refused("own/list.csv")


def test_a_split_of_some_photos_alone(data, refused):
    split = dict.fromkeys(data.targets, "train") | {"photo 02.jpg": "", "photo 09.jpg": ""}
    assert "own/list.csv, line 4: no split, as 2 of 40 photos, though others have one" in refused(
        write_list(data, split)
    )


@pytest.mark.parametrize(
    ("make", "path", "said"),
    [
        (None, "none.csv", "none.csv is not there; IN is a .csv"),
        (None, "own", "own holds no VOC XML and no text files of YOLO; IN is a .csv"),
        ("own/labels.xlsx", "own/labels.xlsx", "own/labels.xlsx: what is it? IN is a .csv"),
        ("own/labels", "own/labels", "what is it?"),
        ("own/list.csv", "own/list.csv", "own/list.csv is empty"),
        ("own/list.json", "own/list.json", "own/list.json is not valid JSON"),
    ],
)
def test_what_is_none_of_the_forms(data, refused, make, path, said):
    if make:
        Path(make).write_text("")
    assert said in refused(path)


def test_xml_and_text_in_one_folder(data, refused):
    write_voc(data)
    Path("own/photo 00.txt").write_text("")
    assert "own holds VOC's XML and text files as well" in refused("own")


def test_a_folder_of_photos_that_is_none(data, refused):
    assert "--photos nowhere is no folder" in refused(write_columns(data), "--photos", "nowhere")


def test_files_of_somebody_else_are_not_replaced(data, run, refused):
    written = write_coco(data)
    os.mkdir("made")
    os.rename(written, "made/train.json")
    assert "made/train.json is there and not of an earlier run" in refused(
        "made/train.json", "--photos", "own"
    )
    Path("made/classes.json").write_text('{"classes": ["a"], "train": "train.json"}')
    assert "made/train.json is there and not of an earlier run" in refused(
        "made/train.json", "--photos", "own"
    )
    shutil.rmtree("made")
    written = write_columns(data)
    assert [run(written)[0], run(written)[0]] == [0, 0]


def test_annotations_are_not_replaced_by_what_is_made_of_them(data, run):
    """Put under the name of one of an earlier run's label files, into its folder."""
    assert run(write_columns(data))[0] == 0
    os.replace(write_coco(data), "made/test.json")
    before = Path("made/test.json").read_text()
    for name in ("made/test.json", "made/../made/test.json"):
        code, _, err = run(name, "--photos", "own")
        assert code == 2
        assert "made/test.json is what labels are read from; choose another --out_dir" in err
    assert Path("made/test.json").read_text() == before


def test_what_an_earlier_run_left_is_told(data, run):
    """With all three splits given, then with none: made/test would evaluate on photos that train now."""
    names = {photo: ("train", "val", "test")[number % 3] for number, photo in enumerate(data.targets)}
    for split, said in ((names, []), (None, ["made/val.json, made/test/test.json of an earlier run may"])):
        code, _, err = run(write_list(data, split))
        told = [line for line in err.splitlines() if "earlier run" in line]
        assert code == 0
        assert len(told) == len(said)
        assert all(part in line for part, line in zip(said, told, strict=True))


@pytest.mark.parametrize("form", ["voc", "yolo"])
def test_hidden_files_are_nobodys_labels(data, run, form):
    """macOS leaves ._NAME on disks of others, notebooks .ipynb_checkpoints."""
    source, photos = BOXES[form](data), Path("own", {"voc": "JPEGImages", "yolo": "images"}[form])
    labels = Path("own", {"voc": "Annotations", "yolo": "labels"}[form])
    os.mkdir(labels / ".ipynb_checkpoints")
    for path in sorted(labels.glob("photo 0*")):
        (labels / f"._{path.name}").write_bytes(b"\x00\x05\x16\x07\xff")
        (labels / ".ipynb_checkpoints" / path.name).write_bytes(b"\xff")
    (photos / "._photo 00.jpg").write_bytes(b"\x00\x05\x16\x07")
    code, _, err = run(source)
    assert (code, err) == (0, "")
    assert set(read()[0]) == set(data.boxes)


@pytest.mark.parametrize("form", ["voc", "yolo"])
def test_two_photos_of_one_name_are_told(data, run, form):
    """It may be the other one that the labels are of."""
    source, photos = BOXES[form](data), Path("own", {"voc": "JPEGImages", "yolo": "images"}[form])
    data.draw(photos / "photo 03.png", 99)
    code, _, err = run(source)
    assert code == 0
    assert f"1 photos have no annotation file and are left out, first {photos}/photo 03.png\n" in err


class Killed(BaseException):
    """What a kill is to a test."""


@pytest.mark.parametrize("renamed", range(3))
def test_a_killed_run_leaves_no_mixture_with_the_one_before(data, run, refused, monkeypatch, renamed):
    """Labels in the order of other classes are no worse than none."""
    written, replace, done = write_list(data), os.replace, []

    def replace_or_die(*names):
        if len(done) == renamed:
            raise Killed
        done.append(replace(*names))

    assert run(written)[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace_or_die)
        with pytest.raises(Killed):
            run(written, "--classes", *CLASSES)
    with pytest.raises(UserError, match="unknown data set 'made'"):
        load_spec("made")
    assert "train.json is there and not of an earlier run that ended" in run(written)[2]
    os.unlink("made/train.json")
    os.unlink("made/test.json")
    assert run(written)[0] == 0


@pytest.mark.parametrize("share", ["1", "-0.1", "nan", "much"])
def test_a_share_that_is_none(share, capsys):
    with pytest.raises(SystemExit) as stop:
        prepare_custom.parse_args(["a.csv", "--out_dir", "made", "--test_share", share])
    assert stop.value.code == 2
    assert "is not a number of 0 to 0.9" in capsys.readouterr().err


def test_it_says_so_when_the_package_is_absent(data, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "iterstrat.ml_stratifiers", None)
    assert "pip install iterative-stratification" in refused(write_columns(data))
