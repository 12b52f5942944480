"""Photos of one's own: from a CSV to an exported model, and docs/own_data.md command for command."""

import csv
import importlib
import json
import shlex
from pathlib import Path

import numpy as np
import pytest

import export_model
import infer
import predict
import train
import val
from benchmarks.own_data import commands, follow, lay_out
from tests.scripts.conftest import draw_photo
from utils.prepare import prepare_custom

pytest.importorskip("iterstrat", reason="needs iterative-stratification")
CLASSES = ["rotes Ding", "green/thing", "blue thing"]
SMALL = [
    "--model",
    "resnet18",
    "--pretrained",
    "none",
    "--img_size",
    "32",
    "--batch_size",
    "8",
    "--seed",
    "0",
]


def make_photos(folder, count, classes, unknown):
    """Write photos/ and labels.csv, a column a class; every `unknown`th is not known; the labels."""
    (folder / "photos").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = [draw_photo(folder / f"photos/{number}.png", number, rng) for number in range(count)]
    cells = np.array(rows, dtype=object)  # (count, 3)
    cells.ravel()[::unknown] = ""
    with open(folder / "labels.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [
                ["path", *classes],
                *([f"photos/{number}.png", *row] for number, row in enumerate(cells.tolist())),
            ]
        )
    return cells


def call(module, *argv):
    """Run a script in this process, errors as exceptions."""
    return module.main(module.parse_args([*map(str, argv)]))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(folder in which all lies, labels (32, 3) as they were written, the checkpoint) after one epoch."""
    folder = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        cells = make_photos(folder / "mine", 32, CLASSES, unknown=10)
        call(prepare_custom, "mine/labels.csv", "--out_dir", "data/mine", "--test_share", 0.25)
        call(
            train,
            "--dataset",
            "data/mine",
            *SMALL,
            "--total_epoch",
            1,
            "--save_dir",
            "runs",
            "--device",
            "cpu",
        )
    return folder, cells, folder / "runs/resnet18/last.pdparams"


def test_unknown_labels_count_in_no_figure(trained, monkeypatch):
    folder, cells, checkpoint = trained
    monkeypatch.chdir(folder)
    call(val, "--load_from", checkpoint, "--dataset", "data/mine", "--out", "results", "--device", "cpu")
    arrays = np.load("results/scores.npz")
    rows = [int(Path(path).stem) for path in arrays["paths"]]
    expected = np.vectorize(lambda cell: -1 if cell == "" else cell)(cells[rows])
    assert arrays["targets"].tolist() == expected.tolist()
    assert len(rows) == 8
    assert -1 in expected
    results = json.loads(Path("results/metrics.json").read_text())
    assert list(results["ap"]) == CLASSES
    assert results["checkpoint"]["classes"] == CLASSES


def test_photos_kept_for_the_end_are_a_data_set(trained, monkeypatch, capsys):
    """Given train, val and test, the last is evaluated by naming its folder."""
    folder, _, checkpoint = trained
    monkeypatch.chdir(folder)
    rows = list(csv.reader(Path("mine/labels.csv").read_text(encoding="utf-8").splitlines()))
    with open("mine/split.csv", "w", newline="", encoding="utf-8") as file:
        splits = ["split", *(["train"] * 20), *(["val"] * 7), *(["test"] * 5)]
        csv.writer(file).writerows([*row, split] for row, split in zip(rows, splits, strict=True))
    call(prepare_custom, "mine/split.csv", "--out_dir", "data/three")
    for dataset, photos in (("data/three", 7), ("data/three/test", 5)):
        call(val, "--load_from", checkpoint, "--dataset", dataset, "--device", "cpu")
        assert f"{photos} photos of {dataset}, test split" in capsys.readouterr().out


def test_predict_export_and_infer_know_the_classes(trained, monkeypatch):
    folder, _, checkpoint = trained
    monkeypatch.chdir(folder)
    argv = ["--load_from", checkpoint, "--img_dir", "mine/photos", "--out", "scores.json", "--device", "cpu"]
    assert call(predict, *argv, "--dataset", "data/mine") in (0, None)
    call(export_model, "--model_path", checkpoint, "--save_dir", "exported")
    name = next(
        path.name for path in Path("exported").iterdir() if path.name in ("model.json", "model.pdmodel")
    )
    argv = ["--model_file", f"exported/{name}", "--input_file", "mine/photos", "--out", "deployed.json"]
    assert call(infer, *argv) in (0, None)
    ours, deployed = (json.loads(Path(f"{name}.json").read_text()) for name in ("scores", "deployed"))
    assert len(ours) == len(deployed) == 32
    for first, second in zip(ours, deployed, strict=True):
        assert list(first["scores"]) == list(second["scores"]) == CLASSES
        assert first["scores"] == pytest.approx(second["scores"], abs=1e-4)


# --- the document


def test_the_document_has_all_steps():
    scripts = [Path(shlex.split(command)[1]).stem for command in commands()]
    assert scripts == [
        "prepare_custom", "check_dataset", "train", "val", "predict", "export_model", "infer"
    ]  # fmt: skip


def test_its_commands_have_options_that_are_there(monkeypatch):
    for command in commands():
        python, script, *argv = shlex.split(command)
        assert python == "python"
        importlib.import_module(script.removesuffix(".py").replace("/", ".")).parse_args(argv)


@pytest.mark.slow
def test_its_commands_run_as_they_stand_there(tmp_path):
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    lay_out(tmp_path / "here")
    make_photos(tmp_path / "here/my_photos", 24, CLASSES, unknown=10)
    done = follow(tmp_path / "here")
    assert [command for command, *_ in done] == commands()
    assert (tmp_path / "here/output/report/index.html").read_text(encoding="utf-8").count(CLASSES[0]) > 1
    tables = [
        (tmp_path / "here/output" / name).read_text().splitlines() for name in ("scores.csv", "deployed.csv")
    ]
    assert [len(lines) for lines in tables] == [25, 25]
