"""A model of ours to files that run without this code."""

import numpy as np
import paddle
import paddle.nn.functional as F

from models import normalize


class Deployed(paddle.nn.Layer):
    """Photos as bytes (B, S, S, 3) uint8 -> probabilities (B, C): normalisation and sigmoid are inside."""

    def __init__(self, model, mean, std):
        super().__init__()
        self.model = model
        self.mean = mean
        self.std = std

    def forward(self, photos):
        return F.sigmoid(self.model(normalize(photos, self.mean, self.std)))


def export_paddle(model, description, folder):
    """Write Paddle's files for any batch size to a folder; return their paths, the model first.

    What Paddle at hand writes: model.json (3.x) or model.pdmodel (2.6), and model.pdiparams.
    """
    size = description["img_size"]
    deployed = Deployed(model, **description["normalization"])
    deployed.eval()
    photos = paddle.static.InputSpec([None, size, size, 3], "uint8", "photos")
    static = paddle.jit.to_static(deployed, input_spec=[photos], full_graph=True)
    paddle.jit.save(static, str(folder / "model"))
    (folder / "model.pdiparams.info").unlink(missing_ok=True)  # only for fine-tuning
    graph = next(path for path in (folder / "model.json", folder / "model.pdmodel") if path.exists())
    return [graph, folder / "model.pdiparams"]


def check_photos(size):
    """Two photos (2, size, size, 3) uint8: slopes of grey to colour with noise on them."""
    rng = np.random.default_rng(0)
    slope = np.linspace(0, 192, size, dtype=np.uint8)[:, None, None]
    noise = rng.integers(0, 64, (2, size, size, 3), dtype=np.uint8)
    noise[1, :, :, rng.integers(3)] //= 4
    return np.stack([slope + noise[0], slope.transpose(1, 0, 2) + noise[1]])
