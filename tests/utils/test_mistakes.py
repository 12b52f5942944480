"""Pictures for a report: each photo with the map of the class that asked for it."""

import numpy as np

from datasets.records import Records
from tests.utils.colour_model import PIXELS, SIZE, colour_model, save_coloured
from utils import mistakes
from utils.mistakes import picture_source


def test_a_photo_runs_once_and_each_class_gets_its_map(tmp_path, monkeypatch, capsys):
    paths = [
        save_coloured(tmp_path / "wide.png", (400, 200), (0, 0, 200, 200), (200, 0, 200, 200)),
        str(tmp_path / "absent.png"),
    ]
    calls = []
    real = mistakes.score_maps
    monkeypatch.setattr(mistakes, "score_maps", lambda *args: calls.append(args[1].shape) or real(*args))
    records = Records(paths, np.zeros((2, 2), np.int8), [None, None])
    about = {"img_size": SIZE, "normalization": PIXELS}
    shown = picture_source(colour_model(), about, records)([(0, 0), (1, 0), (0, 1)])
    assert calls == [(1, SIZE, SIZE, 3)]
    assert set(shown) == {(0, 0), (0, 1)}
    assert "not shown in the report" in capsys.readouterr().err
    for c, side in ((0, slice(0, 60)), (1, slice(100, 160))):
        photo, drawn = shown[0, c]
        assert photo.size == drawn.size == (160, 80)
        red, _, blue = np.moveaxis(np.asarray(drawn).astype(int), -1, 0)
        assert (red - blue)[:, side].mean() > 100  # red where the class is seen
        other = slice(100, 160) if c == 0 else slice(0, 60)
        assert abs((red - blue)[:, other].mean()) < 20


def test_a_line_of_pixels_has_its_pictures(tmp_path):
    records = Records(
        [save_coloured(tmp_path / "a.png", (700, 1), (0, 0, 9, 1))], np.zeros((1, 2), np.int8), [None]
    )
    about = {"img_size": SIZE, "normalization": PIXELS}
    ((photo, drawn),) = picture_source(colour_model(), about, records)([(0, 0)]).values()
    assert photo.size == drawn.size == (160, 1)
