"""A model of ours to files that run without this code."""

import os
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np
import paddle
import paddle.nn.functional as F

from models import normalize
from utils.errors import UserError
from utils.home import new_home
from utils.predictions import read_pixels

OPSET = 17  # of ONNX
CALIBRATION = 300  # photos, the number that NNCF's makers advise
NEEDED = {  # format -> packages that it takes beside Paddle
    "paddle": (),
    "onnx": ("paddle2onnx",),
    "openvino": ("paddle2onnx", "openvino"),
    "int8": ("paddle2onnx", "openvino", "nncf"),
}


class Deployed(paddle.nn.Layer):
    """Photos as bytes (B, S, S, 3) uint8 -> probabilities (B, C): normalisation and sigmoid are inside.

    Temperature and thresholds are not: deploy.json carries them, and infer.py applies them after the model.
    """

    def __init__(self, model, mean, std):
        super().__init__()
        self.model = model
        self.mean = mean
        self.std = std

    def forward(self, photos):
        return F.sigmoid(self.model(normalize(photos, self.mean, self.std)))


def check_packages(kind):
    """{package: version} that a kind of export takes; UserError when one is not installed."""
    missing = [name for name in NEEDED[kind] if not find_spec(name)]
    if missing:
        raise UserError(
            f"this export needs {' and '.join(missing)}: pip install -r requirements-deploy.txt "
            "(paddle2onnx is for Python up to 3.12)"
        )
    return {name: version(name) for name in NEEDED[kind]}


def export_paddle(model, description, folder):
    """Write Paddle's files for any batch size to a folder; return their paths, the model first.

    What Paddle at hand writes: model.json (3.x) or model.pdmodel (2.6), and model.pdiparams.
    """
    return save_paddle(Deployed(model, **description["normalization"]), description["img_size"], folder)


def save_paddle(layer, size, folder):
    """Write a layer that takes photos (B, size, size, 3) uint8 as Paddle's two files; see export_paddle."""
    try:
        os.fspath(folder).encode()
    except UnicodeEncodeError:
        raise UserError(f"Paddle cannot write to {folder}, whose name is no UTF-8; choose another") from None
    layer.eval()
    photos = paddle.static.InputSpec([None, size, size, 3], "uint8", "photos")
    with new_home(folder):  # into which Paddle writes the layer's code
        static = paddle.jit.to_static(layer, input_spec=[photos], full_graph=True)
        paddle.jit.save(static, str(folder / "model"))
    (folder / "model.pdiparams.info").unlink(missing_ok=True)  # only for fine-tuning
    graph = next(path for path in (folder / "model.json", folder / "model.pdmodel") if path.exists())
    return [graph, folder / "model.pdiparams"]


def paddle_to_onnx(files, target):
    """Paddle's files to one .onnx. In a process of its own: paddle2onnx aborts on what it does not know."""
    code = (
        "import sys, paddle2onnx; "
        f"paddle2onnx.export(sys.argv[1], sys.argv[2], sys.argv[3], opset_version={OPSET})"
    )
    command = [sys.executable, "-c", code, *map(str, files), str(target)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode or not target.exists():
        said = [line for line in (done.stdout + done.stderr).splitlines() if "rror" in line]
        raise UserError(f"paddle2onnx failed: {' '.join(said[:1]) or done.stderr[-200:]}")
    return [target]


def onnx_to_openvino(onnx_file, target):
    """An .onnx to OpenVINO's .xml and .bin, in float32."""
    import openvino

    openvino.save_model(openvino.Core().read_model(str(onnx_file)), str(target), compress_to_fp16=False)
    return [target, target.with_suffix(".bin")]


def onnx_to_int8(onnx_file, target, description, photos):
    """An .onnx to an OpenVINO model in 8-bit integers, calibrated on photos, of which CALIBRATION are enough.

    The heads stay in float: they are a thousandth of the arithmetic and decide the scores.
    """
    os.environ.setdefault("NNCF_CI", "1")  # else it reports its use to its makers
    import nncf
    import openvino

    model = openvino.Core().read_model(str(onnx_file))
    convolutions = [op for op in model.get_ordered_ops() if op.get_type_name() == "Convolution"]
    heads = [op.get_friendly_name() for op in convolutions[-description["num_heads"] :]]
    paths = photos[:: -(-len(photos) // CALIBRATION)]
    dataset = nncf.Dataset(paths, lambda path: read_pixels(path, description["img_size"])[None])
    scope = nncf.IgnoredScope(names=heads)
    quantized = nncf.quantize(model, dataset, subset_size=len(paths), ignored_scope=scope)
    openvino.save_model(quantized, str(target), compress_to_fp16=False)
    return [target, target.with_suffix(".bin")]


def check_photos(size):
    """Two photos (2, size, size, 3) uint8: slopes of grey to colour with noise on them."""
    rng = np.random.default_rng(0)
    slope = np.linspace(0, 192, size, dtype=np.uint8)[:, None, None]
    noise = rng.integers(0, 64, (2, size, size, 3), dtype=np.uint8)
    return np.stack([slope + noise[0], slope.transpose(1, 0, 2) + noise[1] // np.uint8([1, 2, 4])])
