"""What a run was, from a metrics.json that may hold anything."""

from hypothesis import given
from hypothesis import strategies as st

from utils.evaluation.about import about_run

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)
KEYS = (
    "checkpoint options threshold temperature ignored ap_definition top3 model lam versions split test_aug "
    "epoch"
)
NAMES = st.sampled_from(KEYS.split())


@given(st.dictionaries(NAMES, VALUES | st.dictionaries(NAMES, VALUES)))
def test_nothing_in_a_file_makes_it_fail(metrics):
    assert all(isinstance(text, str) and text for text in about_run(metrics).values())


def test_a_run_in_words():
    metrics = {
        "checkpoint": {"model": "resnet101", "num_heads": 1, "lam": 0.1, "img_size": 448, "epoch": 30,
                       "averaged": True, "versions": {"paddle": "3.3.1", "git": "abc"}},
        "options": {"load_from": "best.pdparams", "dataset": "voc07", "split": "test",
                    "difficult": "negative",
                    "test_time_lam": None},
        "threshold": [0.25, 0.5], "temperature": 1.5, "ap_definition": "interpolated", "ignored": 0,
        "top3": {"CP": 0.5},
    }  # fmt: skip
    assert about_run(metrics) == {
        "checkpoint": "best.pdparams",
        "model": "resnet101, 1 heads, lambda 0.1, 448 px, epoch 30, averaged weights",
        "data": "voc07, test split",
        "AP": "interpolated: area under the envelope (VOC 2010 and later)",
        "difficult or unknown": "counted as negative",
        "threshold": "one for each class, 0.250 to 0.500",
        "temperature": "1.5",
        "top-3": "CP 50.0",
        "checkpoint by": "paddle 3.3.1",
    }
    assert "temperature" not in about_run({"temperature": 1.0})
    assert about_run({"threshold": 0.5, "ignored": 7}) == {
        "difficult or unknown": "left out (7 labels)",
        "threshold": "0.5 for all classes",
    }
