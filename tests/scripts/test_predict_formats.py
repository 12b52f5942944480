"""What predict and infer print and write: formats, the best labels, photos with labels; use from Python."""

import copy
import csv
import io
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import export_model
import infer
import predict
from utils import predictions
from utils.checkpoint import SHIPPED, load_checkpoint
from utils.errors import UserError
from utils.photos import find_photos

REPO = Path(__file__).resolve().parents[2]
DEMO = REPO / "utils/demo_images"
DOG = "000009.jpg"  # the only one of DEMO in which the shipped weights see something
TELLING = ("text", "json", "jsonl", "csv")


SIZE = ["--img_size", "224"]


@pytest.fixture(scope="module")
def loaded_once():
    """load_checkpoint and open_engine that do each thing once; what the tests look at comes after them."""
    load, engine = cache(load_checkpoint), cache(infer.open_engine)
    return lambda *given: (load(*given)[0], copy.deepcopy(load(*given)[1])), engine


@pytest.fixture(autouse=True)
def _quick(monkeypatch, loaded_once):
    monkeypatch.chdir(REPO)
    monkeypatch.setattr(predict, "load_checkpoint", loaded_once[0])
    monkeypatch.setattr(infer, "open_engine", loaded_once[1])


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The model file of the shipped weights, exported."""
    folder = tmp_path_factory.mktemp("exported")
    argv = ["--model_path", str(SHIPPED), "--save_dir", str(folder), *SIZE]
    export_model.main(export_model.parse_args(argv))
    return next(path for path in map(folder.joinpath, ("model.json", "model.pdmodel")) if path.exists())


@pytest.fixture(params=["predict", "infer"])
def call(request, exported, capsys):
    """A function: run predict or infer on photos in this process; (exit code, standard output, error)."""

    def run(photos, *options):
        given = {
            "predict": (predict, "--device", "cpu", *SIZE, "--img_dir"),
            "infer": (infer, "--model_file", exported, "--use_gpu", "no", "--input_file"),
        }
        module, *argv = given[request.param]
        capsys.readouterr()
        code = module.main(module.parse_args([*map(str, argv), *map(str, photos), *map(str, options)]))
        said = capsys.readouterr()
        return code, said.out, said.err

    run.checkpoint = str(exported) if request.param == "infer" else os.path.relpath(SHIPPED, REPO)
    run.script, run.shipped = request.param, os.path.relpath(SHIPPED)
    return run


def rows_of(text, form):
    """Rows of standard output or of a file as dicts with the entries of JSON."""
    if form == "json":
        return json.loads(text)
    if form == "jsonl":
        return [json.loads(line) for line in text.splitlines()]
    table = csv.DictReader(io.StringIO(text))
    classes = table.fieldnames[2:-5]
    return [
        {
            "path": row["path"],
            "labels": row["labels"].split(";") if row["labels"] else [],
            "scores": {name: float(row[name]) for name in classes},
            "width": int(row["width"]),
            "height": int(row["height"]),
            "threshold": float(row["threshold"]) if row["threshold"] else None,
            "img_size": int(row["img_size"]),
            "checkpoint": row["checkpoint"],
        }
        for row in table
    ]


# --- formats


def test_text_is_the_seed_s(call):
    """To the byte; notes stand before the photos, on standard output."""
    code, out, err = call(["utils/demo_images"])
    lines = {
        "predict": "utils/demo_images/000004.jpg prediction: \n"
        "utils/demo_images/000009.jpg prediction: dog,\n"
        "utils/demo_images/000010.jpg prediction: \n",
        "infer": "utils/demo_images/000004.jpg\tprediction: \n\n"
        "utils/demo_images/000009.jpg\tprediction: \ndog,\n"
        "utils/demo_images/000010.jpg\tprediction: \n\n",
    }[call.script]
    first = {
        "predict": f"Loading weights from {call.checkpoint}\n"
        "no --load_from: these weights ship with the project; README.md beside them says what they know\n"
        "utils/demo_images/000001.jpg ",
        "infer": "Inference model(CSRAefficientnet_lite2)...\nengine: ",
    }[call.script]
    assert code == 0
    assert out.startswith(first)
    assert lines in out
    assert out.count("prediction: ") == 6
    assert "wrote" not in out


@pytest.mark.parametrize("form", TELLING[1:])
def test_other_formats_hold_rows_alone_and_files_hold_the_same(call, tmp_path, form):
    code, out, err = call([DEMO], "--format", form, "--out", tmp_path / f"x.{form}")
    assert code == 0
    assert "engine: " in err or "Loading weights from " in err
    assert f"wrote {tmp_path / f'x.{form}'}\n" in err
    assert (tmp_path / f"x.{form}").read_text(encoding="utf-8") == out
    rows = rows_of(out, form)
    model, description = predict.load_checkpoint(call.shipped, *[None] * 4, 224, None)
    expected = list(predict.predict_images(model, description, DEMO))
    assert len(rows) == len(expected) == 6
    for row, photo in zip(rows, expected, strict=True):
        scores = row.pop("scores")
        assert list(scores) == description["classes"]
        assert list(scores.values()) == pytest.approx(list(photo.scores.values()), abs=1e-4)
        assert row == {
            "path": photo.path,
            "labels": ["dog"] if DOG in photo.path else [],
            "width": Image.open(photo.path).width,
            "height": Image.open(photo.path).height,
            "threshold": 0.5,
            "img_size": 224,
            "checkpoint": call.checkpoint,
        }


@pytest.mark.parametrize("form", TELLING[1:])
def test_without_a_photo_that_can_be_read_it_is_still_of_its_form(call, tmp_path, form):
    (tmp_path / "b.jpg").write_bytes(b"no photo")
    code, out, err = call([tmp_path], "--format", form, "--out", tmp_path / f"x.{form}")
    assert code == 1
    assert rows_of(out, form) == []
    assert rows_of((tmp_path / f"x.{form}").read_text(), form) == []
    assert f"error: cannot read photo {tmp_path / 'b.jpg'}" in err


def test_names_that_are_no_text(call, tmp_path):
    names = [b"caf\xe9.jpg", b"two\nlines.jpg", b"=1+1.jpg"]
    for name in names:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write((DEMO / DOG).read_bytes())
    _, out, _ = call([tmp_path], "--format", "json", "--out", tmp_path / "x.csv")
    paths = [os.fsencode(row["path"]) for row in json.loads(out)]
    assert paths == sorted(os.path.join(os.fsencode(tmp_path), name) for name in names)
    table = rows_of((tmp_path / "x.csv").read_text(encoding="utf-8"), "csv")
    assert [Path(row["path"]).name for row in table] == ["=1+1.jpg", "caf\\udce9.jpg", "two\nlines.jpg"]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_only_rows_as_the_shell_sees_it(exported, form):
    """Also what Paddle itself says goes elsewhere."""
    argv = {
        "jsonl": ["infer.py", "--model_file", exported, "--input_file"],
        "csv": ["predict.py", *SIZE, "--img_dir"],
    }[form]
    done = subprocess.run(
        [sys.executable, *argv, DEMO / DOG, DEMO / "000001.jpg", "--format", form],
        cwd=REPO,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0, done.stderr
    assert [Path(row["path"]).name for row in rows_of(done.stdout, form)] == ["000001.jpg", DOG]


def test_reader_of_rows_goes_away(tmp_path):
    """As in `predict.py --format jsonl ... | head -1`: no traceback, nothing half written."""
    process = subprocess.Popen(
        [
            sys.executable,
            REPO / "predict.py",
            "--img_dir",
            DEMO,
            "--format",
            "jsonl",
            "--out",
            "x.json",
            "--batch_size",
            "1",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    json.loads(process.stdout.readline())
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 141
    assert "Traceback" not in said
    assert "error" not in said
    assert list(tmp_path.iterdir()) == []


def test_infer_goes_on_with_rows(exported, tmp_path, capsys, monkeypatch, stop_after):
    """--format prints what is done now; the file holds all of it, as without an interruption."""
    argv = ["--model_file", exported, "--input_file", DEMO, "--format", "json", "--out", tmp_path / "x.jsonl"]

    def run(*options):
        capsys.readouterr()
        assert infer.main(infer.parse_args([*map(str, argv), *options])) == 0
        return json.loads(capsys.readouterr().out)

    assert len(run()) == 6
    whole = (tmp_path / "x.jsonl").read_bytes()
    (tmp_path / "x.jsonl").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(predictions, "labels_of", stop_after(3, predictions.labels_of))
        with pytest.raises(KeyboardInterrupt):
            run()
    assert [path.name for path in tmp_path.iterdir()] == ["x.jsonl.part-0-1"]
    assert [Path(row["path"]).name for row in run("--resume")] == [DOG, "000010.jpg", "000018.jpg"]
    assert (tmp_path / "x.jsonl").read_bytes() == whole
    assert run("--resume") == []  # it is complete


# --- the best labels


@pytest.mark.parametrize("count", [1, 3, 100])
def test_topk(call, count):
    for row in rows_of(
        call([DEMO / DOG, DEMO / "000001.jpg"], "--format", "json", "--topk", count)[1], "json"
    ):
        best = sorted(row["scores"], key=row["scores"].get, reverse=True)
        assert row["labels"] == best[:count]
        assert row["threshold"] is None


def test_topk_with_a_threshold(call, tmp_path):
    options = ["--format", "json", "--topk", 2, "--threshold", 0.03]
    rows = rows_of(call([DEMO], *options)[1], "json")
    assert {len(row["labels"]) for row in rows} == {0, 1, 2}
    for row in rows:
        best = sorted(row["scores"], key=row["scores"].get, reverse=True)[:2]
        assert row["labels"] == [name for name in best if row["scores"][name] >= 0.03]
        assert row["threshold"] == 0.03


def test_topk_as_text(call):
    labels = re.search(f"{DOG}\\s+prediction: \n?(.*)", call([DEMO / DOG], "--topk", 2)[1])[1]
    assert labels.startswith("dog,")
    assert labels.count(",") == 2


# --- photos with labels


def test_annotated(call, tmp_path):
    photos = tmp_path / "photos"
    for name, size in (("a/one.png", (90, 300)), ("b/one.png", (400, 300))):
        (photos / name).parent.mkdir(parents=True)
        Image.open(DEMO / DOG).resize(size).save(photos / name)
    code, out, _ = call([photos], "--annotated", tmp_path / "named")
    assert code == 0
    assert f"wrote photos with their labels to {tmp_path / 'named'}\n" in out
    assert sorted(str(path.relative_to(tmp_path / "named")) for path in tmp_path.glob("named/*/*")) == [
        "a/one.jpg",
        "b/one.jpg",
    ]
    for name in ("a/one", "b/one"):
        drawn, photo = (Image.open(path) for path in (tmp_path / f"named/{name}.jpg", photos / f"{name}.png"))
        assert drawn.size == photo.size
        upper = (0, 0, photo.width, photo.height // 2)
        difference = np.asarray(drawn.crop(upper), int) - np.asarray(photo.convert("RGB").crop(upper), int)
        assert np.abs(difference).mean() < 5


def test_photos_are_not_overwritten(tmp_path, ends_with_2):
    Image.open(DEMO / DOG).save(tmp_path / "a.jpg")
    before = (tmp_path / "a.jpg").read_bytes()
    argv = ["--img_dir", tmp_path / "a.jpg", "--annotated"]
    assert "holds photos that are read" in ends_with_2(predict, *argv, tmp_path)
    assert "is a file" in ends_with_2(predict, *argv, tmp_path / "a.jpg")
    same = [tmp_path / "x", "--heatmap", tmp_path / "y/../x"]
    assert "--heatmap and --annotated name the same folder" in ends_with_2(predict, *argv, *same)
    assert (tmp_path / "a.jpg").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]


def test_a_mistake_leaves_standard_output_empty(tmp_path, exported, capsys):
    (tmp_path / "x.json.part-0-1").write_text("{}\n")
    given = ["--format", "json", "--out", tmp_path / "x.json"]
    mistakes = [
        (infer, ["--model_file", exported, "--input_file", DEMO, *given], "interrupted run"),
        (
            predict,
            ["--img_dir", DEMO, "--heatmap", tmp_path / "x", "--heatmap_classes", "?", *given],
            "'[?]'",
        ),
        (
            predict,
            ["--img_dir", DEMO, "--format", "json", "--out", tmp_path / "x.json.part-0-1/y.csv"],
            "y.csv",
        ),
    ]
    for module, argv, told in mistakes:
        with pytest.raises(UserError, match=told):
            module.main(module.parse_args([*map(str, argv)]))
        assert capsys.readouterr().out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["x.json.part-0-1"]


def test_everything_at_once(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    argv = ["--img_dir", DEMO / DOG, *SIZE, "--format", "csv", "--out", tmp_path / "x.jsonl", "--topk", 2]
    argv += ["--heatmap", tmp_path / "maps", "--annotated", tmp_path / "named", "--device", "cpu"]
    assert predict.main(predict.parse_args([*map(str, argv)])) == 0
    (row,) = rows_of(capsys.readouterr().out, "csv")
    assert json.loads((tmp_path / "x.jsonl").read_text()) == row
    maps = {path.name for path in (tmp_path / "maps").iterdir()}
    assert maps == {"sheet_1.jpg", *(f"000009.{name}.jpg" for name in row["labels"])}
    assert [path.name for path in (tmp_path / "named").iterdir()] == [DOG]


# --- from Python


def test_the_example_of_the_readme_runs_as_it_is_written():
    codes = [
        re.findall(r"```python\n(.*?)```", (REPO / name).read_text(encoding="utf-8"), re.DOTALL)
        for name in ("README.md", "README_CN.md")
    ]
    assert codes[0] == codes[1]
    (code,) = [block for block in codes[0] if "predict_images" in block]
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        [path, "['dog']" if DOG in path else "[]"] for path in find_photos(["utils/demo_images"])
    ]


def test_photos_from_anywhere(tmp_path):
    model, description = load_checkpoint(SHIPPED, img_size=224)
    path = DEMO / DOG
    given = [Image.open(path), DEMO, str(path)]
    found = list(predict.predict_images(model, description, given, batch_size=8))
    assert [photo.path for photo in found] == [None, *find_photos([DEMO]), str(path)]
    assert found[0].scores == pytest.approx(found[-1].scores, abs=1e-6)
    (one,) = predict.predict_images(model, description, path, topk=1, maps=True)
    assert one.labels == ["dog"]
    assert one.scores == pytest.approx(found[-1].scores, abs=1e-6)
    assert one.maps.summed_score().shape[0] == len(description["classes"])
    errors = []
    gone = predict.predict_images(model, description, [tmp_path / "gone.jpg", path], on_error=errors.append)
    assert [photo.path for photo in gone] == [str(path)]
    assert "gone.jpg" in str(errors[0])
    with pytest.raises(TypeError, match="not ndarray"):
        list(predict.predict_images(model, description, [np.zeros((4, 4, 3))]))


def test_the_model_s_own_thresholds_count_from_python():
    model, description = load_checkpoint(SHIPPED, img_size=224)
    description["threshold"] = [0.0 if name in ("cat", "train") else 1.0 for name in description["classes"]]
    (photo,) = predict.predict_images(model, description, DEMO / DOG)
    assert photo.labels == ["cat", "train"]
    (photo,) = predict.predict_images(model, description, DEMO / DOG, threshold=0.5)
    assert photo.labels == ["dog"]
