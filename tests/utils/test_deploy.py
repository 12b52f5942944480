"""deploy.json is checked before anything relies on it."""

import json

import pytest

from utils.deploy import describe, find_model, read_deploy
from utils.errors import UserError
from utils.thresholds import choose_thresholds

DESCRIPTION = {
    "model": "resnet18",
    "num_heads": 1,
    "lam": 0.1,
    "num_cls": 2,
    "classes": ["cat", "dog"],
    "img_size": 64,
    "normalization": {"mean": [0, 0, 0], "std": [1, 1, 1]},
}


@pytest.fixture
def folder(tmp_path):
    """A folder with model.json, model.pdiparams and their deploy.json."""
    files = [tmp_path / "model.json", tmp_path / "model.pdiparams"]
    for file in files:
        file.write_bytes(b"x" * 10)
    change(tmp_path, describe(DESCRIPTION, "best.pdparams", "fp32", files, {"paddle": "3"}))
    return tmp_path


def change(folder, content):
    (folder / "deploy.json").write_text(content if isinstance(content, str) else json.dumps(content))


def test_what_is_written_can_be_read(folder):
    content = read_deploy(folder / "model.json", folder / "model.pdiparams")
    assert content["classes"] == ["cat", "dog"]
    assert content["threshold"] == 0.5
    assert content["versions"] == {"paddle": "3"}


def test_weights_may_lie_elsewhere(folder):
    (folder / "more").mkdir()
    (folder / "model.pdiparams").rename(folder / "more/model.pdiparams")
    assert read_deploy(folder / "model.json", folder / "more/model.pdiparams")["num_cls"] == 2


def test_files_are_known_by_their_content(folder):
    """Two trainings give files of one size: --resume must tell them apart."""
    before = read_deploy(folder / "model.json")["files"]
    (folder / "model.pdiparams").write_bytes(b"y" * 10)
    files = [folder / "model.json", folder / "model.pdiparams"]
    after = describe(DESCRIPTION, "best.pdparams", "fp32", files, {})["files"]
    assert before["model.json"] == after["model.json"]
    assert before["model.pdiparams"] != after["model.pdiparams"]


def test_a_checkpoint_s_thresholds_and_temperature_are_kept(folder):
    own = {"threshold": [0.3, 0.7], "temperature": 1.6}
    content = describe({**DESCRIPTION, **own}, "best.pdparams", "fp32", [], {})
    change(folder, {**content, "files": json.loads((folder / "deploy.json").read_text())["files"]})
    content = read_deploy(folder / "model.json")
    assert (content["threshold"], content["temperature"]) == ([0.3, 0.7], 1.6)
    assert choose_thresholds(None, "", content, ["cat", "dog"]) == ([0.3, 0.7], 1.6)
    assert not any("temperature" in step for step in content["inside_the_model"])
    assert "temperature" in content["after_the_model"][0]


def test_a_file_of_old_has_no_temperature(folder):
    content = json.loads((folder / "deploy.json").read_text())
    assert content.pop("temperature") == 1
    change(folder, content)
    assert choose_thresholds(None, None, read_deploy(folder / "model.json"), ["cat", "dog"]) == (0.5, 1)


def test_a_file_that_is_no_json_is_told_what_to_do(folder):
    change(folder, "{")
    with pytest.raises(UserError, match="export the model again"):
        read_deploy(folder / "model.json")


@pytest.mark.parametrize(
    "changed",
    [
        {"classes": None},
        {"classes": ["cat"]},
        {"classes": ["cat", 3]},
        {"classes": ["cat", "cat"]},
        {"classes": "ab"},
        {"threshold": 1.5},
        {"threshold": [0.5, 0.5, 0.5]},
        {"threshold": "high"},
        {"threshold": [0.5]},
        {"threshold": [0.5, True]},
        {"temperature": 0},
        {"temperature": "warm"},
        {"temperature": None},
        {"temperature": float("inf")},
        {"img_size": "64"},
        {"img_size": -1},
        {"resize": "crop"},
        {"precision": "int4"},
        {"files": None},
        {"files": {"model.json": 10}},
        {"files": {"model.json": {"bytes": "10"}}},
        {"model": None},
        {"format": "new"},
    ],
    ids=str,
)
def test_damage_is_told(folder, changed):
    change(folder, {**json.loads((folder / "deploy.json").read_text()), **changed})
    with pytest.raises(UserError, match="deploy.json is damaged"):
        read_deploy(folder / "model.json")


@pytest.mark.parametrize("content", ["[]", "3", "{}", '"text"'])
def test_other_json_is_told(folder, content):
    change(folder, content)
    with pytest.raises(UserError, match="deploy.json is damaged"):
        read_deploy(folder / "model.json")


def test_a_newer_format_is_told(folder):
    change(folder, {"format": 99})
    with pytest.raises(UserError, match="format 99"):
        read_deploy(folder / "model.json")


def test_files_that_do_not_belong_to_it(folder):
    (folder / "other.onnx").write_bytes(b"x")
    with pytest.raises(UserError, match=r"is about model.json, model.pdiparams, not other.onnx"):
        read_deploy(folder / "other.onnx")
    (folder / "model.pdiparams").write_bytes(b"x" * 9)  # a copy that broke off
    with pytest.raises(UserError, match="9 bytes"):
        read_deploy(folder / "model.json", folder / "model.pdiparams")
    with pytest.raises(UserError, match="9 bytes"):  # weights count although they were not named
        read_deploy(folder / "model.json")


@pytest.mark.parametrize("gone", ["model.json", "deploy.json", "model.pdiparams"])
def test_missing_files(folder, gone):
    (folder / gone).unlink()
    with pytest.raises(UserError, match=gone):
        read_deploy(folder / "model.json")


def test_either_name_of_paddle_s_graph(folder, capsys):  # fault 33
    assert find_model(folder / "model.json") == folder / "model.json"
    assert capsys.readouterr().out == ""
    assert find_model(folder / "model.pdmodel") == folder / "model.json"
    assert "model.json is: taking it" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"model\.h5 .* make one of a checkpoint: export_model\.py"):
        find_model(folder / "model.h5")
    with pytest.raises(UserError, match="name the model in it"):
        find_model(folder)
