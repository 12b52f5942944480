"""Convert weights between PyTorch (.pth), Paddle (.pdparams) and .safetensors, and check the result.

python utils/convert_weights.py resnet101_csra.pth resnet101_csra.pdparams --lam 0.5
python utils/convert_weights.py checkpoint/resnet101/best.pdparams best.safetensors --verify

What IN is, is told by its content; OUT by its suffix. A .safetensors has PyTorch's names
and layout, and our description as metadata; a .pth has no place for the description and
is written by torch, which must be installed for that alone.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import utils  # noqa: F401  # isort: skip (first: it tells what is not installed)
import numpy as np

from utils.checkpoint import load_checkpoint, save_checkpoint
from utils.device import choose_device
from utils.errors import UserError, run_script
from utils.options import make_parser
from utils.scoring import score_batch
from utils.weights import read_weights

TOLERANCE = {"float32": 1e-6, "float16": 0.02}  # of scores; equal weights in one layout give equal scores


def parse_args(argv=None):
    parser = make_parser(
        __doc__, from_checkpoint=True, model="model num_heads lam num_cls float16", data="dataset img_size"
    )
    parser.add_argument("source", metavar="IN", help="the weights to convert: a model with CSRA heads")
    parser.add_argument("target", metavar="OUT", help="FILE.pdparams, FILE.safetensors or FILE.pth")
    parser.add_argument("--verify", action="store_true", help="also compare the scores of both on a batch")
    return parser.parse_args(argv)


def main(args):
    choose_device("cpu")
    if os.path.realpath(args.source) == os.path.realpath(args.target):
        raise UserError(f"IN and OUT are the same file, {args.source}; give OUT another name")
    told = (args.model, args.num_heads, args.lam, args.num_cls, args.img_size, args.dataset)
    model, description = load_checkpoint(args.source, *told)  # checks all names and shapes
    dtype = "float16" if args.float16 else "float32"
    save_checkpoint(Path(args.target), model, description, dtype)
    compare_weights(model, args.target, dtype)
    print(
        f"wrote {args.target}: {len(model.state_dict())} tensors of {description['model']}, read back equal"
    )
    if args.verify:
        names = ("model", "num_heads", "lam", "num_cls", "img_size", "dataset")
        other, _ = load_checkpoint(args.target, **{name: description[name] for name in names})
        difference = compare_scores(model, other, description, TOLERANCE[dtype])
        print(f"scores of 2 random pictures differ by {difference:.1e} at most")


def compare_weights(model, path, dtype="float32"):
    """Raise RuntimeError unless the file holds exactly the parameters of the model, rounded to `dtype`."""
    tensors = read_weights(path).tensors
    for name, value in model.state_dict().items():
        if name not in tensors or not np.array_equal(value.numpy().astype(dtype), tensors[name]):
            raise RuntimeError(f"{path} was written, but {name} reads back differently")


def compare_scores(model, other, description, tolerance):
    """The largest difference between the scores of two models; RuntimeError above `tolerance`."""
    size = description["img_size"]
    photos = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype="uint8")
    scores = [score_batch(net, photos, description["normalization"]) for net in (model, other)]
    difference = float(np.abs(scores[0] - scores[1]).max())
    if not difference <= tolerance:
        raise RuntimeError(f"the scores of both files differ by {difference}")
    return difference


if __name__ == "__main__":
    run_script(main, parse_args)
