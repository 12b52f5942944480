"""deploy.json: what an exported model says about itself, and all that infer.py needs to know."""

import hashlib
import os
from pathlib import Path

from utils.errors import UserError
from utils.evaluation.metrics import THRESHOLD
from utils.files import read_json
from utils.thresholds import is_temperature, is_threshold

NAME = "deploy.json"
FORMAT = 1
RESIZE = "squash to img_size x img_size, Pillow bilinear"  # datasets/transforms.py without augmentations
AFTER = [  # utils/evaluation/calibration.py, utils/predictions.py
    "sigmoid(logit(score) / temperature), where the temperature is not 1",
    "a class is predicted where its score >= threshold (one for all or one for each class)",
]
PRECISIONS = ("fp32", "int8")
SISTERS = {".json": ".pdmodel", ".pdmodel": ".json"}  # the model file of Paddle 3 and of Paddle 2


def describe(description, checkpoint, precision, files, versions):
    """The content of deploy.json. description: a checkpoint's; files: paths of the exported model."""
    size = description["img_size"]
    return {
        "format": FORMAT,
        **{name: description[name] for name in ("model", "num_heads", "lam", "num_cls", "classes")},
        "img_size": size,
        "resize": RESIZE,
        "input": {"name": "photos", "shape": [None, size, size, 3], "dtype": "uint8", "color": "RGB"},
        "normalization": description["normalization"],
        "output": {"shape": [None, description["num_cls"]], "dtype": "float32"},
        "inside_the_model": ["pixels / 255", "normalization", "sigmoid"],
        "after_the_model": AFTER,
        "temperature": description.get("temperature", 1.0),
        "threshold": description.get("threshold", THRESHOLD),
        "precision": precision,
        "files": {path.name: _identity(path) for path in files},
        "checkpoint": {
            "path": str(checkpoint),
            **{name: description.get(name) for name in ("dataset", "epoch", "metrics", "versions")},
        },
        "versions": versions,
    }


def find_model(model_file):
    """The path of an exported model; of Paddle's .json and .pdmodel, the one that is there counts."""
    path = Path(model_file)
    sister = path.with_suffix(SISTERS.get(path.suffix, path.suffix))
    if path.suffix not in (*SISTERS, ".onnx", ".xml"):
        remedy = (
            "name the model in it" if os.path.isdir(path) else "make one of a checkpoint: export_model.py"
        )
        raise UserError(f"--model_file {path} is none of .json, .pdmodel, .onnx and .xml; {remedy}")
    if not os.path.isfile(path) and os.path.isfile(sister):
        print(f"{path} is not there, {sister} is: taking it")
        return sister
    return path


def read_deploy(model_file, params_file=None):
    """The deploy.json beside an exported model, checked against the files of that model.

    The model's scores are raw: "temperature" (old files have none: 1) comes after it, then "threshold".
    Raises UserError when something is missing, damaged, of a newer version or of another export.
    """
    path = Path(model_file).parent / NAME
    for needed in (Path(model_file), path):
        if not os.path.isfile(needed):
            raise UserError(f"no file {needed}; make it with export_model.py")
    content = read_json(path, "export the model again")
    try:
        newer = content["format"] > FORMAT
        fits = newer or _is_complete(content)
    except (AttributeError, TypeError, ValueError, LookupError):
        newer = fits = False
    if not fits:
        raise UserError(f"{path} is damaged; export the model again")
    if newer:
        raise UserError(
            f"{path} was written by a newer version (format {content['format']}); update the code"
        )
    others = [params_file] if params_file else [path.with_name(name) for name in content["files"]]
    for file in (model_file, *others):
        _check_file(Path(file), content["files"], path)
    return content


def _identity(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return {"bytes": os.path.getsize(path), "sha256": digest.hexdigest()}


def _check_file(file, known, path):
    if not os.path.isfile(file):
        raise UserError(f"no file {file}; make it with export_model.py")
    if file.name not in known:
        raise UserError(
            f"{path} is about {', '.join(known)}, not {file.name}; export each to a folder of its own"
        )
    ours, size = known[file.name], os.path.getsize(file)
    if size != ours["bytes"]:
        raise UserError(f"{file} has {size} bytes, but {path} says {ours['bytes']}; export or copy it again")
    if _identity(file)["sha256"] != ours["sha256"]:  # engines end the process, or compute something else
        raise UserError(f"{file} is damaged, its checksum is not that in {path}; export or copy it again")


def _is_complete(content):
    """Whether everything that infer relies on is there and of its kind."""
    classes = content["classes"]
    return (
        isinstance(content["model"], str)
        and isinstance(classes, list)
        and content["num_cls"] == len(set(classes)) == len(classes) > 0
        and all(isinstance(name, str) for name in classes)
        and is_threshold(content["threshold"], len(classes))
        and is_temperature(content.get("temperature", 1.0))  # files of old do not say it
        and type(content["img_size"]) is int
        and content["img_size"] > 0
        and content["resize"] == RESIZE
        and content["precision"] in PRECISIONS
        and all(type(file["bytes"]) is int for file in content["files"].values())
        and all(isinstance(file["sha256"], str) for file in content["files"].values())
        and all(name and Path(name).name == name for name in content["files"])
    )
