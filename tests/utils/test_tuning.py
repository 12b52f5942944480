"""What val.py tunes: thresholds that are not found go on to predict what they did."""

import numpy as np
import pytest

from datasets.records import Records
from datasets.spec import Spec
from utils.evaluation.calibration import calibrate
from utils.tuning import tune

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 2, (200, 3))
LABELS = (RNG.random(LOGITS.shape) < 1 / (1 + np.exp(-LOGITS))).astype("int8")
LABELS[:, 2] = 0
RAW = (1 / (1 + np.exp(-2 * LOGITS))).astype("float32")  # twice too sure
RECORDS = Records([f"{row}.jpg" for row in range(200)], LABELS, [None] * 200)
SPEC = Spec("drawn", ("cat", "dog", "cow"), None, None)


@pytest.mark.parametrize("before", [1.0, 0.5])
@pytest.mark.parametrize("threshold", [0.3, [0.3, 0.6, 0.9]])
def test_a_temperature_alone_moves_the_thresholds(before, threshold, capsys):
    found, temperature = tune(RAW, RECORDS, SPEC, threshold, before, fit=True)
    assert temperature > 1
    assert (np.abs(found - threshold) > 0.01).all()
    said, was = calibrate(RAW, temperature) >= found, calibrate(RAW, before) >= threshold
    assert (said == was).all()
    assert "thresholds" not in capsys.readouterr().out


def test_a_class_that_cannot_be_tuned_goes_on_as_it_was(capsys):
    found, temperature = tune(RAW, RECORDS, SPEC, 0.3, 1.0, ("f1", None), fit=True)
    assert found[2] == pytest.approx(calibrate(np.float32(0.3), temperature))
    assert "kept: cow" in capsys.readouterr().out
    again, same = tune(RAW, RECORDS, SPEC, 0.3, 1.0, ("f1", None))
    assert (again[2], same) == (0.3, 1)
    assert (calibrate(RAW, temperature)[:, :2] >= found[:2]).sum() == (RAW[:, :2] >= again[:2]).sum()
