"""Which engine runs which file, and what is asked of Paddle Inference."""

import sys
from types import SimpleNamespace

import pytest

from utils import engines
from utils.engines import choose_engine
from utils.errors import UserError


@pytest.fixture
def installed(monkeypatch):
    """installed(names): only these packages can be found."""

    def only(*names):
        monkeypatch.setattr(engines, "find_spec", lambda name: name if name in names else None)

    return only


@pytest.mark.parametrize(
    ("file", "packages", "engine"),
    [
        ("model.json", ["paddle", "openvino"], "paddle"),
        ("model.pdmodel", ["paddle"], "paddle"),
        ("model.onnx", ["paddle", "onnxruntime", "openvino"], "openvino"),
        ("model.onnx", ["paddle", "onnxruntime"], "onnxruntime"),
        ("model.xml", ["openvino"], "openvino"),
    ],
)
def test_auto(installed, file, packages, engine):
    installed(*packages)
    assert choose_engine(file) == engine
    assert choose_engine(file, engine) == engine


@pytest.mark.parametrize(
    ("file", "engine", "told"),
    [
        ("model.onnx", "paddle", "openvino or onnxruntime"),
        ("model.json", "onnxruntime", "paddle"),
        ("model.xml", "onnxruntime", "openvino"),
        ("model.xml", "auto", "pip install openvino"),
        ("model.onnx", "auto", "pip install openvino"),
        ("model.onnx", "onnxruntime", "pip install onnxruntime"),
    ],
)
def test_what_cannot_be(installed, file, engine, told):
    installed("paddle")
    with pytest.raises(UserError, match=told):
        choose_engine(file, engine)


class Config:
    """Notes what is asked of a paddle.inference.Config."""

    def __init__(self):
        self.asked = {}

    def __getattr__(self, name):
        return lambda *given, **named: self.asked.update({name: (*given, *named.values())})


KINDS = SimpleNamespace(PrecisionType=SimpleNamespace(Float32="32", Half="16", Bfloat16="b16"))


@pytest.mark.parametrize(("precision", "kind"), [("fp32", "32"), ("fp16", "16"), ("bf16", "b16")])
@pytest.mark.parametrize("tensorrt", [False, True])
def test_precision_on_a_gpu_needs_no_tensorrt(precision, kind, tensorrt):  # fault 32
    config = Config()
    engines._use_gpu(KINDS, config, precision, tensorrt, 500)
    assert config.asked["enable_use_gpu"] == (500, 0, kind)
    assert ("enable_tensorrt_engine" in config.asked) == tensorrt


def test_each_process_of_a_launch_has_its_gpu(monkeypatch):
    config = Config()
    monkeypatch.setenv("PADDLE_LOCAL_RANK", "3")
    engines._use_gpu(KINDS, config, "fp32", False, 500)
    assert config.asked["enable_use_gpu"][1] == 3


@pytest.mark.parametrize("onednn", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_cpu(onednn, precision):
    config = Config()
    engines._use_cpu(config, precision, 3, onednn)
    assert config.asked["set_cpu_math_library_num_threads"] == (3,)
    assert ("enable_mkldnn" in config.asked) == onednn
    assert ("disable_mkldnn" in config.asked) != onednn
    assert ("enable_mkldnn_bfloat16" in config.asked) == (onednn and precision == "bf16")


def test_precisions_are_had_or_told(monkeypatch):  # fault 32
    monkeypatch.setattr(engines, "has_bfloat16", lambda: True)
    assert engines._paddle_precision("bf16", gpu=False, onednn=True) == ("bf16", [])
    assert engines._paddle_precision("fp16", gpu=True, onednn=True) == ("fp16", [])
    for precision, onednn in [("fp16", True), ("bf16", False)]:
        found, (told,) = engines._paddle_precision(precision, gpu=False, onednn=onednn)
        assert found == "fp32"
        assert f"--precision {precision}" in told


def test_saving_memory_is_a_capability():  # fault 33
    """Paddle 3 raises for its own new format; another error is not hidden."""

    def creating(error):
        def create(config):
            if config == error[0]:
                raise error[1]("no such pass")
            return "predictor"

        return SimpleNamespace(create_predictor=create)

    def configure(reuse_memory):
        return "saving" if reuse_memory else "plain"

    assert engines._create(creating(("none", ValueError)), configure) == ("predictor", "saving", True)
    assert engines._create(creating(("saving", ValueError)), configure) == ("predictor", "plain", False)
    with pytest.raises(RuntimeError):
        engines._create(creating(("saving", RuntimeError)), configure)


def test_standard_output_is_for_results(capfd):
    with engines._stdout_to_stderr():
        print("noise", flush=True, file=sys.__stdout__)
    print("result", flush=True)
    found = capfd.readouterr()
    assert found.out == "result\n"
