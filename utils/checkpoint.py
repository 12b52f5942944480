"""Checkpoints that describe themselves.

A `.pdparams` of ours is what paddle.load opens: a flat dict parameter name -> tensor,
with one entry more, "csra": a JSON text with everything that val, predict and
export need (see `description` in train.py). Files with tensors alone are read too.
"""

import json
import math
import platform
import subprocess
from pathlib import Path

import numpy as np
import paddle
import PIL

from datasets.spec import load_spec
from models import build_model
from models.csra import TEMPERATURES
from models.loading import load_strict
from utils.errors import UserError
from utils.files import atomic_path
from utils.options import OPTIONS
from utils.safe_pickle import read_state_dict

FORMAT = 1
ENTRY = "csra"


def save_checkpoint(path, model, description):
    """Write the weights of `model` and their description (a dict of plain values), whole or not at all."""
    content = {name: value.numpy() for name, value in model.state_dict().items()}
    content[ENTRY] = json.dumps({"format": FORMAT, **description, "versions": versions()}, allow_nan=False)
    with atomic_path(path) as temporary:
        paddle.save(content, str(temporary))


def read_checkpoint(path):
    """Return (tensors, description) of a file; the description is None for bare tensors."""
    tensors, content = read_state_dict(path)
    if ENTRY not in content:
        return tensors, None
    try:
        description = json.loads(content[ENTRY])
        newer = description["format"] > FORMAT
        fits = newer or _is_complete(description)
    except (TypeError, ValueError, LookupError, ArithmeticError, RecursionError):
        newer = fits = False
    if not fits:
        raise UserError(f"{path}: its description is damaged; take another checkpoint of the run") from None
    if newer:
        raise UserError(
            f"{path} was written by a newer version (format {description['format']}); update the code"
        )
    return tensors, description


def load_checkpoint(path, model=None, num_heads=None, lam=None, num_cls=None, img_size=None, dataset=None):
    """Build the model that a checkpoint describes and fill it: returns (model, description).

    What is given must agree with the description (UserError naming both), save img_size
    and dataset, which say how and on what to use the model. For a file of bare tensors
    the description is made of what is given and the defaults of utils/options.py.
    Loading is strict.
    """
    given = {"model": model, "num_heads": num_heads, "lam": lam, "num_cls": num_cls}
    tensors, description = read_checkpoint(path)
    if description is None:
        description = _describe_bare(given, img_size, dataset)
        tensors = _without_fc(tensors, path)
    for name, value in given.items():
        if value is not None and value != description[name]:
            raise UserError(
                f"--{name} {value} contradicts {path}, which says {description[name]}; leave it out"
            )
    if img_size is not None:
        description["img_size"] = img_size
    net = build_model(*(description[name] for name in ("model", "num_cls", "num_heads", "lam")))
    load_strict(net, tensors, path)
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
    command = [
        "git",
        "-C",
        str(Path(__file__).parent),
        "describe",
        "--always",
        "--abbrev=12",
        "--dirty=+",
        "--exclude=*",
    ]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _is_complete(description):
    """Whether everything that val, predict and export rely on is there and of its kind."""
    classes, normalization = description["classes"], description["normalization"]
    return (
        isinstance(description["model"], str)
        and description["num_heads"] in TEMPERATURES
        and 0 <= description["lam"] < math.inf
        and type(description["num_cls"]) is int
        and description["num_cls"] == len(classes) > 0
        and all(isinstance(name, str) for name in classes)
        and type(description["img_size"]) is int
        and description["img_size"] > 0
        and all(
            len(normalization[name]) == 3 and all(math.isfinite(value) for value in normalization[name])
            for name in ("mean", "std")
        )
        and {"dataset", "data_dir"} <= set(description)
    )


def _describe_bare(given, img_size, dataset):
    spec, _ = load_spec(dataset or OPTIONS["dataset"]["default"])
    defaults = {name: OPTIONS[name]["default"] for name in ("model", "num_heads", "lam")}
    description = {
        **defaults,
        "num_cls": len(spec.classes),
        **{k: v for k, v in given.items() if v is not None},
    }
    if description["num_cls"] != len(spec.classes):
        raise UserError(
            f"--num_cls {description['num_cls']}, but data set {spec.name} has {len(spec.classes)} classes; "
            "name the data set of the weights with --dataset"
        )
    return {
        **description,
        "classes": list(spec.classes),
        "img_size": img_size or OPTIONS["img_size"]["default"],
        "normalization": {"mean": spec.mean, "std": spec.std},
        "dataset": dataset or spec.name,
        "data_dir": None,
    }


def _without_fc(tensors, path):
    """Older ports keep the trunk's 1000-way classifier, which nothing uses."""
    unused = [name for name in tensors if name.startswith("backbone.fc.")]
    if unused:
        print(f"{path}: left out, since the model has no use for it: {', '.join(unused)}")
    return {name: value for name, value in tensors.items() if name not in unused}
