"""Curves of runs: what is drawn, under which names, and what a log that is none gets."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from utils.errors import UserError
from utils.plot_log import main, parse_args, plot_runs, read_log, run_names

REPO = Path(__file__).resolve().parents[2]
FIRST = {"options": {"lr": 0.01}, "versions": {}, "photos": 16}


def epoch_line(epoch, mAP=None, averaged=None, lr=None):
    line = {"epoch": epoch, "loss": 0.5 / epoch, "lr": 0.1**epoch if lr is None else lr, "time": 2.0}
    line["metrics"] = None if mAP is None else {"mAP": mAP, "ap": {"cat": None}}
    return line if averaged is None else {**line, "metrics_averaged": {"mAP": averaged}}


@pytest.fixture
def make_run(tmp_path):
    """make_run(name, *lines, end): a run's folder, with the lines (dicts) in its log.jsonl and then `end`."""

    def make(name, *lines, end=""):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        text = "".join(json.dumps(line) + "\n" for line in (FIRST, *lines)) + end
        (folder / "log.jsonl").write_text(text)
        return str(folder)

    return make


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """drawn(logs): the figure that plot_runs draws of them; it lands in tmp_path/curves.png, too."""
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: [figures.append(self), save(self, *a, **k)])

    def draw(logs):
        plot_runs(logs, tmp_path / "curves.png")
        return figures[-1]

    return draw


def labels_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


# --- the picture


def test_a_run_is_drawn_in_three_panels(drawn, tmp_path):
    figure = drawn({"resnet18": [epoch_line(1, 0.4), epoch_line(2, None), epoch_line(4, 0.6)]})
    assert [panel.get_title() for panel in figure.axes] == ["loss", "learning rate of the trunk", "mAP"]
    assert {panel.get_xlabel() for panel in figure.axes} == {"epoch"}
    expected = [[0.5, 0.25, 0.125], [0.1, 0.01, 0.0001], [0.4, np.nan, 0.6]]
    for panel, values in zip(figure.axes, expected, strict=True):
        (line,) = panel.lines
        np.testing.assert_allclose(line.get_xdata(), [1, 2, 4])
        np.testing.assert_allclose(line.get_ydata(), values)
    assert labels_of(figure) == ["resnet18"]
    picture = Image.open(tmp_path / "curves.png")
    assert picture.format == "PNG"
    assert picture.width > 1000
    assert len(picture.convert("RGB").getcolors(10**6)) > 10


def test_averaged_weights_are_a_dashed_line_in_the_color_of_their_run(drawn):
    figure = drawn({"a": [epoch_line(1, 0.4, 0.3), epoch_line(2, 0.5, 0.6)], "b": [epoch_line(1, 0.7)]})
    weights, averaged, other = figure.axes[2].lines
    assert averaged.get_ydata().tolist() == [0.3, 0.6]
    assert [line.get_linestyle() for line in (weights, averaged, other)] == ["-", "--", "-"]
    assert weights.get_color() == averaged.get_color() != other.get_color()
    assert labels_of(figure) == ["a", "a, averaged weights", "b"]


def test_many_runs_have_different_colors_and_whole_names(drawn):
    names = [f"run{number}" for number in range(12)] + ["_a", "$x_1$"]
    figure = drawn({name: [epoch_line(1, 0.5), epoch_line(2, 0.6)] for name in names})
    colors = np.array([line.get_color()[:3] for line in figure.axes[0].lines])
    distances = np.abs(colors[:, None] - colors).max(axis=2)
    assert (distances + np.eye(len(names)) > 0.1).all()
    assert labels_of(figure) == names


def test_the_rate_has_a_logarithmic_scale_unless_it_reaches_0(drawn):
    assert drawn({"a": [epoch_line(1), epoch_line(2)]}).axes[1].get_yscale() == "log"
    assert drawn({"a": [epoch_line(1), epoch_line(2, lr=0)]}).axes[1].get_yscale() == "linear"


def test_a_run_without_evaluation_says_so(drawn):
    texts = drawn({"a": [epoch_line(1), epoch_line(2)]}).axes[2].texts
    assert [text.get_text() for text in texts] == ["not evaluated"]
    assert not drawn({"a": [epoch_line(1)], "b": [epoch_line(1, 0.5)]}).axes[2].texts


def test_epochs_are_whole_numbers(drawn):
    for count in (1, 3, 40):
        for panel in drawn({"a": [epoch_line(n, 0.5) for n in range(1, count + 1)]}).axes:
            assert all(tick == int(tick) for tick in panel.get_xticks())


def test_a_picture_appears_whole_or_not_at_all(tmp_path):
    (tmp_path / "curves.png").write_text("the picture of the epoch before")

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # what a full disk does to a writer
    try:
        with pytest.raises(UserError, match="cannot write .*curves.png: File too large"):
            plot_runs({"a": [epoch_line(1)]}, tmp_path / "curves.png")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["the picture of the epoch before"]


def test_without_matplotlib_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UserError, match="pip install matplotlib"):
        plot_runs({"a": [epoch_line(1)]}, tmp_path / "curves.png")
    assert not list(tmp_path.iterdir())


# --- names


def test_runs_are_told_apart_by_as_many_folders_as_it_takes(tmp_path):
    assert run_names(["checkpoint/resnet101/"]) == ["resnet101"]
    assert run_names(["a/resnet101", "a/resnet101.1/log.jsonl"]) == ["resnet101", "resnet101.1"]
    assert run_names(["a/vit", "b/vit/log.jsonl", "c.jsonl"]) == ["a/vit", "b/vit", f"{Path.cwd().name}/c"]
    assert run_names(["x/a/vit", "y/a/vit"]) == ["x/a/vit", "y/a/vit"]


@pytest.mark.parametrize("second", ["a/vit", "a/b/../vit/log.jsonl"])
def test_a_run_given_twice_is_an_error(second):
    with pytest.raises(UserError, match="a/vit is given twice"):
        run_names(["a/vit", "b/vit", second])


# --- the log


def test_a_log_is_its_lines_of_epochs(make_run):
    lines = [epoch_line(1, 0.5), epoch_line(2, 0.6, 0.7)]
    run = make_run("run", *lines, {"summary": {"best": 2}})
    assert read_log(run) == read_log(f"{run}/log.jsonl") == lines


@pytest.mark.parametrize(
    "half", ['{"epoch": 2, "loss": 0.1, "lr"', '{"epoch": 2, "loss": 0.1, "lr": 0.1}', "{"]
)
def test_a_last_line_that_was_cut_off_is_left_out(make_run, half):
    assert read_log(make_run("run", epoch_line(1), end=half)) == [epoch_line(1)]


BROKEN = [
    "no JSON\n",
    "\n",
    "[1]\n",
    "5\n",
    "null\n",
    "[" * 10**5 + "\n",
    '{"epoch": 1, "loss": 0.1}\n',
    '{"loss": 0.1, "lr": 0.1}\n',
    '{"epoch": 1, "loss": "low", "lr": 0.1}\n',
    '{"epoch": [1], "loss": 0.1, "lr": 0.1}\n',
    '{"epoch": 1, "loss": 0.1, "lr": 0.1, "metrics": [0.5]}\n',
    '{"epoch": 1, "loss": 0.1, "lr": 0.1, "metrics": {"mAP": {}}}\n',
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda text: text[:70])
def test_a_line_that_is_none_of_a_log_is_named(make_run, broken):
    run = make_run("run", epoch_line(1), end=broken + json.dumps(epoch_line(2)) + "\n")
    with pytest.raises(UserError, match=r"run/log.jsonl, line 3, is none of a run's log"):
        read_log(run)


def test_a_run_without_a_whole_epoch_is_an_error(make_run):
    with pytest.raises(UserError, match="has no whole epoch"):
        read_log(make_run("run", end='{"epoch": 1, "loss": 0.1, "lr": 0.1}'))


@pytest.mark.parametrize("name", ["gone", "gone.jsonl", "empty", "picture.png", "nul\0", "x" * 300])
def test_what_is_no_log_is_named(tmp_path, make_photo, name):
    make_photo("picture.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no log of a run at .*" + name[:3]):
        read_log(f"{tmp_path}/{name}")


# --- the script


def test_it_runs_from_any_folder(make_run, tmp_path):
    runs = [make_run("a/resnet18", epoch_line(1, 0.5)), make_run("b/resnet18", epoch_line(1), epoch_line(2))]
    script = [sys.executable, REPO / "utils/plot_log.py"]
    done = subprocess.run([*script, *runs], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "wrote curves.png: 1 epochs of a/resnet18, 2 epochs of b/resnet18\n"
    assert Image.open(tmp_path / "curves.png").format == "PNG"
    failed = subprocess.run(
        [*script, *runs, "gone", "--out", "b.png"], cwd=tmp_path, capture_output=True, text=True
    )
    assert failed.returncode == 2
    assert failed.stderr == "error: no log of a run at gone; give a run's folder, with its log.jsonl\n"
    assert not (tmp_path / "b.png").exists()


def test_the_pictures_name_must_fit(make_run, capsys):
    with pytest.raises(SystemExit) as stop:
        main(parse_args([make_run("run", epoch_line(1)), "--out", "curves.pdf"]))
    assert stop.value.code == 2
    assert "'curves.pdf' must end in .png" in capsys.readouterr().err
