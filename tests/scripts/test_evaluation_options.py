"""What val.py tells beyond figures: definitions, thresholds, comparison, the report as a page."""

import csv
import json
import re

import numpy as np
import paddle
import pytest

import predict
import val
from models import build_model
from utils.checkpoint import save_checkpoint
from utils.evaluation.report import SIX

CLASSES = ["red", "green", "blue"]


def call(module, *argv):
    return module.main(module.parse_args([*map(str, argv), "--device", "cpu"]))


@pytest.fixture(scope="module")
def weights(shapes, tmp_path_factory):
    """A checkpoint of drawn weights that knows the classes of `shapes`."""
    description = {
        **{"model": "resnet18", "num_heads": 2, "lam": 0.5, "num_cls": 3, "classes": CLASSES},
        **{"img_size": 64, "dataset": str(shapes), "data_dir": None},
        "normalization": {"mean": [0, 0, 0], "std": [1, 1, 1]},
    }
    paddle.seed(1)  # whatever was drawn before: not with all weights do halves miss a positive
    path = tmp_path_factory.mktemp("weights") / "drawn.pdparams"
    save_checkpoint(path, build_model("resnet18", 3, 2, 0.5), description)
    return path


def _recall(said, heading):
    """CR of the figures that stand below a heading that val.py prints."""
    return float(re.search(r"CR: ([\d.]+)", said[said.index(heading) :])[1])


def metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_definitions_and_rules_change_the_figures(shapes, weights, tmp_path, capsys):
    for name, options in {"a": [], "b": ["--ap", "voc07_11point"]}.items():
        call(val, "--load_from", weights, "--out", tmp_path / name, *options)
    assert [metrics(tmp_path / name)["ap_definition"] for name in "ab"] == ["area", "voc07_11point"]
    assert metrics(tmp_path / "a")["mAP"] != metrics(tmp_path / "b")["mAP"]


@pytest.mark.parametrize("suffix", ["json", "pdparams"])
def test_what_was_tuned_is_used(shapes, weights, tmp_path, capsys, suffix):
    tuned = tmp_path / f"tuned.{suffix}"
    options = ["--tune_thresholds", "recall=1", "--tune_temperature", "--tuned", tuned]
    call(val, "--load_from", weights, *options)
    said = capsys.readouterr().out
    assert "thresholds for recall=1: red" in said
    cut = {name: _recall(said, name) for name in ("tuned on (other photos", "on the other half")}
    assert cut["tuned on (other photos"] == 1 > cut["on the other half"]
    use = ["--load_from", weights, "--thresholds", tuned] if suffix == "json" else ["--load_from", tuned]
    call(val, *use, "--out", tmp_path / "out")
    found = metrics(tmp_path / "out")
    assert found["CR"] == 1
    assert len(found["threshold"]) == 3
    assert found["temperature"] != 1
    call(predict, *use, "--img_dir", shapes / "photos", "--out", tmp_path / "scores.json")
    for row in json.loads((tmp_path / "scores.json").read_text()):
        limits = dict(zip(CLASSES, found["threshold"], strict=True))
        assert row["labels"] == [name for name in CLASSES if row["scores"][name] >= limits[name]]


def test_a_temperature_changes_no_label(weights, tmp_path, capsys):
    """Thresholds that are not tuned with it move along: they were found for scores without it."""
    argv = ["--load_from", weights]
    call(val, *argv, "--tune_thresholds", "f1", "--tuned", tmp_path / "first.json")
    argv += ["--thresholds", tmp_path / "first.json"]
    call(val, *argv, "--tune_temperature", "--tuned", tmp_path / "both.json")
    first, both = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("first", "both"))
    assert both["temperature"] != 1
    assert both["threshold"] != first["threshold"]
    for name in ("first", "both"):
        argv[-1] = tmp_path / f"{name}.json"
        call(val, *argv, "--out", tmp_path / name)
    a, b = (metrics(tmp_path / name) for name in ("first", "both"))
    assert [a[name] for name in ("mAP", *SIX)] == [b[name] for name in ("mAP", *SIX)]


def test_thresholds_of_attention_at_test_time_do_not_go_into_a_model_without(weights, tmp_path, ends_with_2):
    argv = [val, "--load_from", weights, "--test_time_lam", "0.2", "--tune_thresholds", "f1", "--tuned"]
    assert "give a .json" in ends_with_2(*argv, tmp_path / "x.pdparams")


def test_mistakes_of_the_user(weights, tmp_path, ends_with_2):
    argv = [val, "--load_from", weights]
    assert "--tuned FILE" in ends_with_2(*argv, "--tune_thresholds", "f1")
    assert "--tuned needs" in ends_with_2(*argv, "--tuned", tmp_path / "x.json")
    assert "no thresholds of its own" in ends_with_2(*argv, "--thresholds")
    assert "none of f1" in ends_with_2(*argv, "--tune_thresholds", "f2")
    assert "holds none" in ends_with_2(*argv, "--pointing_game")
    assert "cannot read" in ends_with_2(*argv, "--compare", tmp_path / "metrics.json")


def test_boxes_are_asked_for_before_photos_are_scored(weights, monkeypatch, ends_with_2):
    monkeypatch.setattr(val, "score_split", lambda *_: pytest.fail("scored"))
    assert "holds none" in ends_with_2(val, "--load_from", weights, "--pointing_game")


def test_a_temperature_at_its_limit_is_told(weights, tmp_path, monkeypatch, capsys):
    wrong = 0

    def scores(model, loader, *_):
        said = loader.records.labels == 1
        said[:wrong] ^= True  # of that many photos all labels
        return np.where(said, 0.6, 0.4).astype("float32")

    monkeypatch.setattr(val, "score_split", scores)
    argv = ["--load_from", weights, "--tune_temperature", "--tuned", tmp_path / "t.json"]
    call(val, *argv)
    said = capsys.readouterr()
    assert "temperature: 0.0500" in said.out
    assert "that is the limit" in said.err
    wrong = 2
    call(val, *argv)
    assert "limit" not in capsys.readouterr().err


def test_heat_maps_of_predict(shapes, weights, tmp_path, ends_with_2):
    argv = ["--load_from", weights, "--img_dir", shapes / "photos"]
    assert "needs --heatmap" in ends_with_2(predict, *argv, "--heatmap_classes", "green")
    argv += ["--heatmap", tmp_path / "maps"]
    assert "did you mean green" in ends_with_2(predict, *argv, "--heatmap_classes", "gren")
    assert not (tmp_path / "maps").exists()
    call(predict, *argv, "--heatmap_classes", "green")
    assert len(list((tmp_path / "maps").glob("*.green.jpg"))) == 24
    assert (tmp_path / "maps/sheet_1.jpg").exists()


@pytest.fixture
def report(shapes, weights, tmp_path, capsys):
    """The folder of a report, compared with another run."""
    call(val, "--load_from", weights, "--out", tmp_path / "other")
    other = tmp_path / "other/metrics.json"
    call(val, "--load_from", weights, "--report", tmp_path / "report", "--compare", other)
    assert "the interval includes 0" in capsys.readouterr().out  # the same run
    return tmp_path / "report"


def test_numbers_behind_the_report(report):
    rows = list(csv.DictReader((report / "classes.csv").read_text().splitlines()))
    assert [next(iter(row.values())) for row in rows] == CLASSES
    assert json.loads((report / "curves.json").read_text())


def test_the_report_is_a_page_that_sorts_and_filters(report, web_page):
    web_page.goto((report / "index.html").as_uri())
    table = web_page.locator("#classes")
    names = table.locator("tbody tr:visible th")
    button = table.locator("thead th button").nth(1)
    column = table.locator("tbody tr:visible td:nth-child(2)")
    button.focus()
    web_page.keyboard.press("Enter")
    first = [float(text.split()[0].replace(",", "")) for text in column.all_inner_texts()]
    web_page.keyboard.press("Enter")
    second = [float(text.split()[0].replace(",", "")) for text in column.all_inner_texts()]
    assert sorted(first) in (first, first[::-1])
    assert second == first[::-1]
    assert sorted(names.all_inner_texts()) == sorted(CLASSES)
    web_page.fill("#search", "gre")
    assert names.all_inner_texts() == ["green"]
    assert web_page.locator("img").count() > 3
    web_page.set_viewport_size({"width": 390, "height": 800})
    assert web_page.evaluate("document.documentElement.scrollWidth") <= 390
    assert all(image.get_attribute("alt") for image in web_page.locator("img").all())
