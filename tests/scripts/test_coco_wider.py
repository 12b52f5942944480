"""COCO and WIDER Attribute from official archives in small to predictions: prepare, train, val, predict."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import predict
import train
import val
from datasets.spec import COCO_CLASSES, SPECS, WIDER_CLASSES
from tests.utils.prepare.official import NAMES, coco_tree, wider_annotations, wider_tree
from utils.checkpoint import read_checkpoint
from utils.prepare import prepare_coco, prepare_wider
from utils.training_data import training_augmentations

SMALL = ["--model", "resnet18", "--pretrained", "none", "--img_size", "64", "--batch_size", "8"]
ORIGINAL = ["--num_heads", "6", "--lam", "0.5"]  # of the original's commands for COCO
THRESHOLD = {"coco": 0.01, "wider": 0.1}  # after one epoch few scores reach 0.5
FOUR = ("CP", "CR", "OP", "OR")


def call(module, *argv):
    """Run a script in this process, errors as exceptions."""
    return module.main(module.parse_args([*map(str, argv), "--device", "cpu"]))


def train_once(dataset, *options):
    """One epoch on the CPU; the folder of the run."""
    call(train, "--dataset", dataset, *SMALL, "--total_epoch", 1, "--save_dir", f"runs/{dataset}", *options)
    return Path(f"runs/{dataset}/resnet18").resolve()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with Dataset/COCO2014, Dataset/WIDER and the label files that are made of them in data/."""
    folder = tmp_path_factory.mktemp("prepared")
    coco_tree(folder / "Dataset/COCO2014", counts=(24, 12), categories=(1, 3, 18, 62, 90))
    wider_tree(folder / "Dataset/WIDER", (6, 2, 6))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for script in (prepare_coco, prepare_wider):
            script.main(script.parse_args([]))
    return folder


@pytest.fixture(scope="module")
def runs(prepared):
    """{data set: (its checkpoint's description, metrics.json of val, scores.npz, folder of the run)}."""
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(prepared)
        for dataset, options in (("coco", ORIGINAL), ("wider", ["--lam", "0.3", "--lr", "0.05"])):
            run = train_once(dataset, *options)
            given = ["--load_from", run / "last.pdparams", "--threshold", THRESHOLD[dataset]]
            call(val, *given, "--out", f"results/{dataset}")
            results = json.loads(Path(f"results/{dataset}/metrics.json").read_text())
            scores = dict(np.load(f"results/{dataset}/scores.npz"))
            made[dataset] = read_checkpoint(run / "last.pdparams")[1], results, scores, run
    yield made
    shutil.rmtree(prepared / "runs")


def counted(predicted, positive):
    """FOUR figures of the original's cal_PR.py, counted anew from (N, C) bool; CR of classes in it."""
    hits = (predicted & positive).sum(axis=0)
    named, there = np.maximum(predicted.sum(axis=0), 1), positive.sum(axis=0)
    known = there > 0
    cp, cr = np.mean(hits / named), np.mean(hits[known] / there[known])
    op, or_ = hits.sum() / named.sum(), hits.sum() / there.sum()
    return cp, cr, op, or_


# --- COCO


def test_coco_is_trained_and_evaluated(runs):
    description, results, scores, home = runs["coco"]
    assert description["classes"] == list(COCO_CLASSES)
    assert (description["dataset"], description["num_heads"], description["lam"]) == ("coco", 6, 0.5)
    assert description["normalization"] == {"mean": [0, 0, 0], "std": [1, 1, 1]}
    assert scores["scores"].shape == scores["targets"].shape == (10, 80)  # 2 of 12 have no annotation
    assert 0 < results["mAP"] <= 1
    first = json.loads((home / "log.jsonl").read_text().splitlines()[0])
    assert first["photos"] == 20


def test_coco_has_figures_of_the_three_best_labels(runs, capsys, prepared, monkeypatch):
    _, results, arrays, home = runs["coco"]
    monkeypatch.chdir(prepared)
    call(val, "--load_from", home / "last.pdparams", "--threshold", 0)
    told = capsys.readouterr().out
    assert told.count("top-3 ") == 2  # per class, over all labels
    scores, targets = arrays["scores"], arrays["targets"]
    best = np.zeros(scores.shape, bool)
    np.put_along_axis(best, np.argsort(-scores, axis=1, kind="stable")[:, :3], True, axis=1)
    figures = counted(best & (scores >= THRESHOLD["coco"]), targets == 1)
    assert [results["top3"][name] for name in FOUR] == pytest.approx(figures)
    assert 0 < results["top3"]["OR"] < results["OR"]


def test_coco_predictions_have_its_names(runs, prepared, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(prepared)
    photos = sorted(Path("Dataset/COCO2014/val2014").iterdir())[:3]
    out = ["--out", tmp_path / "scores.json", "--threshold", 0.0]
    assert call(predict, "--load_from", runs["coco"][3] / "last.pdparams", "--img_dir", *photos, *out) == 0
    told = capsys.readouterr().out
    assert all(name.replace(" ", "_") in told for name in NAMES.values())
    found = json.loads((tmp_path / "scores.json").read_text())
    assert all(str(photo) in json.dumps(found) for photo in photos)


# --- WIDER Attribute


def test_wider_is_trained_on_persons(runs, prepared):
    description, results, scores, home = runs["wider"]
    assert description["classes"] == list(WIDER_CLASSES)
    assert description["normalization"] == {"mean": [0.5] * 3, "std": [0.5] * 3}
    first = json.loads((home / "log.jsonl").read_text().splitlines()[0])
    content = json.loads(wider_annotations(prepared / "Dataset/WIDER").read_text())
    assert first["photos"] == sum(len(image["targets"]) for image in content["images"])
    args = train.parse_args(["--dataset", "wider"])
    assert tuple(training_augmentations(args, SPECS["wider"])) == ("randomflip",)
    assert "top3" not in results
    assert scores["targets"].shape[1] == 14


def test_wider_leaves_out_what_is_not_specified(runs, prepared):
    _, results, arrays, _ = runs["wider"]
    content = json.loads(wider_annotations(prepared / "Dataset/WIDER", "test").read_text())
    said = np.array([target["attribute"] for image in content["images"] for target in image["targets"]])
    scores, targets = arrays["scores"], arrays["targets"]
    assert np.array_equal(targets == -1, said == 0)
    assert np.array_equal(targets == 1, said == 1)
    known = [average_precision(scores[said[:, c] != 0, c], said[said[:, c] != 0, c] == 1) for c in range(14)]
    assert results["mAP"] == pytest.approx(np.nanmean(known))
    assert (scores[said == 0] >= THRESHOLD["wider"]).any()
    figures = counted(scores >= THRESHOLD["wider"], said == 1)  # what is not specified counts as absent here
    assert [results[name] for name in FOUR] == pytest.approx(figures)


def test_wider_is_tuned_under_the_rule_that_measures_it(runs, prepared, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(prepared)
    argv = ["--load_from", runs["wider"][3] / "last.pdparams"]
    goal = ["--tune_thresholds", "f1", "--tuned", tmp_path / "t.json", "--report", tmp_path / "report"]
    call(val, *argv, *goal)
    said = capsys.readouterr().out
    tuned_on, held_out = (
        said[said.index(f"\n{start}") :].splitlines()[2:4] for start in ("with", "tuned on")
    )
    call(val, *argv, "--thresholds", tmp_path / "t.json")
    assert tuned_on == capsys.readouterr().out.splitlines()[2:4] != held_out
    limits = json.loads((tmp_path / "t.json").read_text())["threshold"]
    rows = csv.DictReader((tmp_path / "report/classes.csv").read_text().splitlines())
    assert limits == pytest.approx([float(row["best_threshold"]) for row in rows], rel=1e-5)
    assert (
        "left out of AP, negative in precision and recall (" in (tmp_path / "report/index.html").read_text()
    )


def average_precision(scores, positive):
    """The mean of the precisions at each positive, as the original's cal_mAP.py; NaN without any."""
    order = np.argsort(-scores, kind="stable")
    hits = positive[order]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return precision[hits].mean() if hits.any() else np.nan


@pytest.mark.slow
def test_wider_with_a_trunk_of_the_paper(prepared, monkeypatch, save_dir, capsys):
    monkeypatch.chdir(prepared)
    options = ["--model", "vit_b16", "--lam", 0.3, "--img_size", 32, "--save_dir", save_dir]
    call(train, "--dataset", "wider", *SMALL, "--total_epoch", 1, *options)
    call(val, "--load_from", save_dir / "vit_b16/last.pdparams", "--batch_size", 8)
    assert "of wider, test split, 32 px" in capsys.readouterr().out


# --- mistakes


@pytest.mark.parametrize("dataset", ["coco", "wider"])
def test_without_label_files_the_script_is_named(dataset, ends_with_2, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = ends_with_2(train, "--dataset", dataset, *SMALL)
    assert (
        f"data/{dataset}/{SPECS[dataset].train_file}; make it with utils/prepare/prepare_{dataset}.py" in text
    )
    assert list(tmp_path.iterdir()) == []


def test_label_files_of_another_data_set_are_refused(prepared, ends_with_2, monkeypatch, save_dir):
    monkeypatch.chdir(prepared)
    text = ends_with_2(train, "--dataset", "wider", "--data_dir", "data/coco", *SMALL, "--save_dir", save_dir)
    assert "has other classes than wider" in text
    text = ends_with_2(train, "--dataset", "coco", *SMALL, "--num_cls", 81, "--save_dir", save_dir)
    assert "coco has 80 classes" in text
    assert not save_dir.exists()


def test_a_photo_that_went_missing_is_named(prepared, ends_with_2, monkeypatch, tmp_path, save_dir):
    shutil.copytree(prepared / "Dataset/WIDER", tmp_path / "Dataset/WIDER")
    shutil.copytree(prepared / "data/wider", tmp_path / "data/wider")
    monkeypatch.chdir(tmp_path)
    path = json.loads(Path("data/wider/test_wider.json").read_text())[0]["img_path"]
    Path(path).unlink()
    text = ends_with_2(train, "--dataset", "wider", *SMALL, "--save_dir", save_dir)
    assert f"data/wider/test_wider.json, record 0: no photo {path}" in text
    assert not save_dir.exists()


def test_a_box_outside_its_photo_is_named(prepared, ends_with_2, monkeypatch, tmp_path, save_dir):
    monkeypatch.chdir(prepared)
    records = json.loads(Path("data/wider/trainval_wider.json").read_text())
    records[3]["bbox"] = [500, 500, 10, 10]
    for name in ("classes", "test_wider"):
        shutil.copy(f"data/wider/{name}.json", tmp_path)
    (tmp_path / "trainval_wider.json").write_text(json.dumps(records))
    options = ["--data_dir", tmp_path, "--save_dir", save_dir]
    text = ends_with_2(train, "--dataset", "wider", *SMALL, *options)
    assert f"the box [500, 500, 10, 10] lies outside photo {records[3]['img_path']} of 96 x 72" in text
