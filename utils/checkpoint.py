"""Checkpoints that describe themselves.

A `.pdparams` of ours is what paddle.load opens: a flat dict parameter name -> tensor,
with one entry more, "csra": a JSON text with everything that val, predict and
export need (see `describe` in train.py). Files with tensors alone are read too.
"""

import math
import os
import platform
import subprocess
from pathlib import Path

import numpy as np
import paddle
import PIL

from datasets.spec import load_spec
from models import build_model, normalization_of
from models.csra import TEMPERATURES
from models.loading import load_strict
from models.vit import PATCH
from utils.errors import UserError
from utils.evaluation.metrics import THRESHOLD
from utils.options import LARGEST, OPTIONS
from utils.thresholds import is_temperature, is_threshold, tuned_values
from utils.weights import read_weights, write_weights

FORMAT = 1
SHIPPED = (
    Path(__file__).parents[1] / "data/weights/efficientnet_lite2_csra_voc12.pdparams"
)  # see the README there


def save_checkpoint(path, model, description, dtype="float32"):
    """Write the weights of `model` and their description (a dict of plain values), whole or not at all.

    dtype "float16" halves the file; UserError where a weight is beyond it.
    """
    with np.errstate(over="ignore"):  # told below
        tensors = {
            name: value.astype("float32").numpy().astype(dtype, copy=False)  # NumPy has no bfloat16
            for name, value in model.state_dict().items()
        }
    if dtype != "float32" and not all(np.isfinite(value).all() for value in tensors.values()):
        raise UserError(f"{path} cannot be written in {dtype}: some weights are too large for it")
    write_weights(path, tensors, {"format": FORMAT, **description, "versions": versions()})


def save_tuned(path, source, description, threshold, temperature, goal=None, tuned_on=None):
    """Write a copy of the checkpoint `source` that holds thresholds and a temperature, whole or not at all.

    description: what load_checkpoint said of it; the copy says it too. threshold: a number or (C,);
    goal and tuned_on: see thresholds.json (utils/thresholds.py). Weights stay to the bit, in the file's type.
    """
    said = {"format": FORMAT, "versions": versions(), **description}  # bare tensors say neither
    tuned = tuned_values(description["classes"], threshold, temperature)
    about = {"goal": goal, "tuned_on": tuned_on or {}}
    write_weights(path, read_weights(source).tensors, {**said, **tuned, "tuned": about})


def read_checkpoint(path):
    """Return (tensors, description) of a file; the description is None for bare tensors."""
    weights = read_weights(path)
    if weights.left_out:
        print(f"{path}: left out, since the model has no use for it: {weights.left_out}")
    description = weights.description
    if description is None:
        return weights.tensors, None
    try:
        newer = description["format"] > FORMAT
        fits = newer or _is_complete(description)
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError):
        newer = fits = False
    if not fits:
        raise UserError(f"{path}: its description is damaged; take another checkpoint of the run") from None
    if newer:
        raise UserError(
            f"{path} was written by a newer version (format {description['format']}); update the code"
        )
    return weights.tensors, description


def load_checkpoint(path, model=None, num_heads=None, lam=None, num_cls=None, img_size=None, dataset=None):
    """Build the model that a checkpoint describes and fill it: returns (model, description).

    What is given must agree with the description (UserError naming both), save img_size
    and dataset, which say how and on what to use the model. For a file of bare tensors
    the description is made of what its heads show, of what is given, and of the defaults
    of utils/options.py, which are then stated. Loading is strict.
    """
    given = {"model": model, "num_heads": num_heads, "lam": lam, "num_cls": num_cls}
    tensors, description = read_checkpoint(path)
    if description is None:
        description = _describe_bare(path, tensors, given, img_size, dataset)
    for name, value in given.items():
        if value is not None and value != description[name]:
            raise UserError(
                f"--{name} {value} contradicts {path}, which says {description[name]}; leave it out"
            )
    if img_size is not None:
        description["img_size"] = img_size
    name, *heads = (description[key] for key in ("model", "num_cls", "num_heads", "lam"))
    net = build_model(name, *heads, img_size=description["img_size"])
    load_strict(net, tensors, path)
    if "normalization" not in description:  # bare tensors
        description["normalization"] = normalization_of(net, load_spec(description["dataset"])[0])
    net.eval()
    return net, description


def versions():
    """Versions of everything that shapes a result, as a dict of texts."""
    return {
        "python": platform.python_version(),
        "paddle": paddle.__version__,
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "git": git_revision(),
    }


def git_revision():
    """The revision of this code, with "+" when files differ from it; None outside a git checkout."""
    try:
        revision = _git("rev-parse", "--short=12", "HEAD")
        return revision + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*words):
    """What git says of this code; without the locks that are optional it writes nothing."""
    command, environment = ["git", "-C", str(Path(__file__).parent), *words], {"GIT_OPTIONAL_LOCKS": "0"}
    settings = dict(capture_output=True, text=True, check=True, env={**os.environ, **environment})
    return subprocess.run(command, **settings).stdout.strip()


def _is_complete(description):
    """Whether everything that val, predict and export rely on is there, of its kind and within bounds."""
    classes, normalization = description["classes"], description["normalization"]
    places = [description["dataset"], description["data_dir"] or ""]
    numbers = [*normalization["mean"], *normalization["std"], description["lam"]]
    return (
        all(type(name) is str and name.isprintable() for name in [description["model"], *classes])
        and all(type(place) is str for place in places)
        and all(type(number) in (int, float) and math.isfinite(number) for number in numbers)
        and type(classes) is list
        and type(description["num_cls"]) is int
        and description["num_cls"] == len(set(classes)) == len(classes) > 0
        and type(description["num_heads"]) is int
        and description["num_heads"] in TEMPERATURES
        and description["lam"] >= 0
        and type(description["img_size"]) is int
        and 32 <= description["img_size"] <= LARGEST
        and set(normalization) == {"mean", "std"}
        and len(normalization["mean"]) == len(normalization["std"]) == 3
        and all(normalization["std"])
        and is_threshold(description.get("threshold", THRESHOLD), len(classes))
        and is_temperature(description.get("temperature", 1.0))
    )


def _describe_bare(path, tensors, given, img_size, dataset):
    heads = [value for name, value in tensors.items() if name.startswith("classifier.multi_head.")]
    if not heads:
        raise UserError(
            f"{path} has no heads (classifier.multi_head.0.head.weight): it is no CSRA model; "
            "a trunk alone can start a training: train.py --pretrained"
        )
    shown = {"num_heads": len(heads), "num_cls": len(heads[0]) if heads[0].ndim else 0}
    grid = tensors.get("backbone.pos_embed", np.zeros(()))  # (1, 1 + positions, D): a ViT shows its size
    if img_size is None and grid.ndim == 3:
        img_size = PATCH * math.isqrt(max(grid.shape[1] - 1, 0))
    told = {"model": given["model"], "lam": given["lam"], "img_size": img_size, "dataset": dataset}
    assumed = {name: OPTIONS[name]["default"] for name, value in told.items() if value is None}
    if assumed:
        print(f"{path} does not say {', '.join(f'{k} (taken: {v})' for k, v in assumed.items())}")
    description = {**told, **assumed, **shown}
    spec, _ = load_spec(description["dataset"])
    if len(spec.classes) != shown["num_cls"]:
        raise UserError(
            f"{path} has {shown['num_cls']} classes, but data set {spec.name} has {len(spec.classes)}; "
            "name the data set of the weights with --dataset"
        )
    return {
        **description,
        "classes": list(spec.classes),
        "data_dir": None,
    }
