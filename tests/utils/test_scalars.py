"""What VisualDL's board gets to see of a run, read back as VisualDL reads it."""

import sys

import pytest

from utils.errors import UserError
from utils.evaluation.report import SIX
from utils.scalars import Scalars


def epoch_line(epoch, **metrics):
    figures = {"mAP": 0.5 + epoch / 10, **dict.fromkeys(SIX, 0.25), "ap": {"50 % off": 0.1}, "photos": 8}
    return {"epoch": epoch, "loss": 1 / epoch, "lr": 0.01, "time": 2.5, "metrics": {**figures, **metrics}}


@pytest.fixture
def curves(tmp_path):
    """curves(*lines): write the lines; return {tag: [(epoch, value), ...]} as they lie on disk."""
    visualdl = pytest.importorskip("visualdl", reason="needs visualdl")

    def write(*lines):
        scalars = Scalars(tmp_path / "board")
        for line in lines:
            scalars.write(line)
        (path,) = (tmp_path / "board").iterdir()
        reader = visualdl.LogReader(file_path=str(path))  # while the writer is still open
        curves = [reader.get_data("scalar", tag) for tag in reader.get_tags()["scalar"]]
        return {values[0].tag: [(value.id, value.value) for value in values] for values in curves}

    return write


def test_every_epoch_is_on_disk_at_once(curves):
    found = curves(epoch_line(1), epoch_line(2))
    train = {"train/loss", "train/lr", "train/time"}
    assert set(found) == train | {f"test/{name}" for name in ("mAP", *SIX)}
    assert found["train/loss"] == [(1, 1.0), (2, 0.5)]
    assert found["test/mAP"] == [(1, pytest.approx(0.6)), (2, pytest.approx(0.7))]
    assert found["test/OF1"] == [(1, 0.25), (2, 0.25)]


def test_figures_that_are_not_there_are_left_out(curves):
    found = curves(epoch_line(1, mAP=None), {**epoch_line(2), "metrics": None}, epoch_line(3))
    assert found["test/mAP"] == [(3, pytest.approx(0.8))]
    assert [epoch for epoch, _ in found["test/CP"]] == [1, 3]
    assert [epoch for epoch, _ in found["train/loss"]] == [1, 2, 3]


def test_averaged_weights_have_curves_of_their_own(curves):
    found = curves({**epoch_line(1), "metrics_averaged": {"mAP": 0.75}})
    assert found["test/mAP"] == [(1, pytest.approx(0.6))]
    assert found["test_averaged/mAP"] == [(1, 0.75)]


def test_a_folder_that_cannot_be_is_an_error(tmp_path):
    pytest.importorskip("visualdl", reason="needs visualdl")
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file/board"):
        with pytest.raises(
            UserError, match=f"cannot write {folder}.*: Not a directory; choose another --log_dir"
        ):
            Scalars(folder)


def test_without_visualdl_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "visualdl", None)
    with pytest.raises(UserError, match="needs visualdl, which is not installed: pip install visualdl"):
        Scalars(tmp_path / "board")
    assert not list(tmp_path.iterdir())
