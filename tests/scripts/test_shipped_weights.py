"""The weights that ship with the project: an ordinary checkpoint that knows real photos."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import export_model
import infer
import predict
from datasets.spec import VOC_CLASSES
from models.pretrained import load_pretrained
from utils.checkpoint import SHIPPED, load_checkpoint, read_checkpoint
from utils.evaluation.metrics import average_precision
from utils.prepare.prepare_voc import read_objects

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def originals(shared_path):
    """Unaltered VOC 2007 photos: a list of (path, names of what is in it)."""
    voc = shared_path("voc2007-originals") / "VOCdevkit/VOC2007"
    photos = sorted((voc / "JPEGImages").glob("*.jpg"))
    return [
        (str(path), {thing.name for thing in read_objects(voc / "Annotations" / f"{path.stem}.xml")})
        for path in photos
    ]


def test_it_is_small_and_says_what_it_is():
    assert SHIPPED.stat().st_size <= 10_000_000
    tensors, description = read_checkpoint(SHIPPED)
    assert {value.dtype for value in tensors.values()} == {np.dtype("float16")}
    assert tuple(description["classes"]) == VOC_CLASSES
    assert description["metrics"] is None  # nothing was left to measure on
    assert (SHIPPED.parent / "README.md").exists()


@pytest.mark.skipif(not (REPO / ".git").exists(), reason="no git checkout")
def test_a_clone_has_it():
    known = subprocess.run(
        ["git", "ls-files", "data"], cwd=REPO, capture_output=True, text=True
    ).stdout.split()
    assert f"data/weights/{SHIPPED.name}" in known
    assert "data/weights/README.md" in known


def test_predict_takes_it_and_says_so(originals, tmp_path):
    """From another folder, as a user would; the names are right more often than not."""
    table = tmp_path / "scores.json"
    paths = [path for path, _ in originals]
    done = subprocess.run(
        [sys.executable, REPO / "predict.py", "--img_dir", *paths, "--out", table, "--device", "cpu"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0
    assert f"Loading weights from {os.path.relpath(SHIPPED, tmp_path)}" in done.stdout
    assert "these weights ship with the project" in done.stdout
    rows = {row["path"]: row for row in json.loads(table.read_text())}
    scores = np.array([[rows[path]["scores"][name] for name in VOC_CLASSES] for path in paths])
    labels = np.array([[int(name in names) for name in VOC_CLASSES] for _, names in originals])
    best = scores.argmax(axis=1)
    assert labels[np.arange(len(paths)), best].mean() >= 0.7
    assert np.nanmean(average_precision(scores, labels)) >= 0.6


def test_its_trunk_starts_a_training(capsys):
    model, _ = load_checkpoint(SHIPPED)
    other, _ = load_checkpoint(SHIPPED)
    weight = next(iter(other.backbone.parameters()))
    weight.set_value(weight * 0)
    load_pretrained(other.backbone, "efficientnet_lite2", str(SHIPPED))
    assert "trunk weights from" in capsys.readouterr().out
    for own, theirs in zip(model.backbone.parameters(), other.backbone.parameters(), strict=True):
        np.testing.assert_array_equal(own.numpy(), theirs.numpy())


def test_exported_it_gives_the_same_scores(originals, tmp_path):
    def call(module, *argv):
        assert not module.main(module.parse_args([*map(str, argv)]))

    photos = tmp_path / "photos"
    photos.mkdir()
    for path, _ in originals[:6]:
        shutil.copy(path, photos)
    call(export_model, "--model_path", SHIPPED, "--save_dir", tmp_path / "output")
    graph = next(path for path in (tmp_path / "output").iterdir() if path.suffix in (".json", ".pdmodel"))
    graph = tmp_path / "output/model.pdmodel" if graph.name == "deploy.json" else graph
    call(infer, "--model_file", graph, "--input_file", photos, "--out", tmp_path / "infer.json")
    call(predict, "--img_dir", photos, "--out", tmp_path / "predict.json", "--device", "cpu")
    tables = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("infer", "predict")]
    scores = [np.array([list(row["scores"].values()) for row in table]) for table in tables]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-4)
