"""Export a checkpoint to files that run without this code: infer.py runs them.

python export_model.py --model_path checkpoint/resnet101/best.pdparams --save_dir output
"""

import tempfile
from importlib.util import find_spec
from pathlib import Path

import utils  # noqa: F401  # isort: skip (first: it tells what is not installed)
import numpy as np

from utils.checkpoint import load_checkpoint, versions
from utils.deploy import NAME, describe
from utils.device import choose_device
from utils.engines import open_engine
from utils.errors import UserError, run_script
from utils.export import (
    check_packages,
    check_photos,
    export_paddle,
    onnx_to_int8,
    onnx_to_openvino,
    paddle_to_onnx,
)
from utils.files import staged, write_json
from utils.options import make_parser
from utils.photos import find_photos
from utils.predictions import read_pixels
from utils.scoring import score_batch

KINDS = ("paddle", "onnx", "openvino")
TOLERANCE = 1e-4  # between the scores of the exported model and of the checkpoint


def parse_args(argv=None):
    parser = make_parser(
        __doc__,
        from_checkpoint=True,
        changes={
            "save_dir": dict(default="output", help="folder of the exported model"),
            "format": dict(default="paddle", choices=KINDS, help="of the exported model"),
        },
        model="model_path model num_heads lam num_cls img_size dataset",
        export="save_dir format int8 calib",
    )
    return parser.parse_args(argv)


def main(args):
    kind = "int8" if args.int8 else args.format
    if args.int8 and args.format != "openvino":
        raise UserError("--int8 is for --format openvino")
    if args.int8 != bool(args.calib):
        raise UserError("--int8 and --calib go together: the photos that the integers are calibrated on")
    packages = check_packages(kind)
    photos = find_photos(args.calib, "--calib") if args.int8 else []
    choose_device("cpu")
    model, description = load_checkpoint(
        args.model_path, args.model, args.num_heads, args.lam, args.num_cls, args.img_size, args.dataset
    )
    print("Loaded trained params of model successfully.")
    with staged(Path(args.save_dir)) as stage, tempfile.TemporaryDirectory(dir=stage) as scratch:
        files = export(kind, model, description, Path(scratch), stage, photos)
        said = check(model, description, files[0], kind, args.model_path, photos)
        about = describe(
            description, args.model_path, kind if args.int8 else "fp32", files, {**versions(), **packages}
        )
        write_json(stage / NAME, about, indent=1)
    print(f"wrote {', '.join(file.name for file in files)} and {NAME}")
    print(said)
    print(f"Model is saved in {args.save_dir}.")


def export(kind, model, description, scratch, stage, photos):
    """Write the model to the folder `stage`, by way of `scratch`; return its files, the graph first."""
    if kind == "paddle":
        return export_paddle(model, description, stage)
    onnx_file = (stage if kind == "onnx" else scratch) / "model.onnx"
    paddle_to_onnx(export_paddle(model, description, scratch), onnx_file)
    if kind == "openvino":
        return onnx_to_openvino(onnx_file, stage / "model.xml")
    if kind == "int8":
        return onnx_to_int8(onnx_file, stage / "model.xml", description, photos)
    return [onnx_file]


def check(model, description, model_file, kind, source, photos):
    """Run the exported model beside the checkpoint; say how far its scores are from the checkpoint's.

    Raises UserError when they differ by more than TOLERANCE, save for int8, which is
    compared on photos that it was calibrated on.
    """
    size = description["img_size"]
    batch = np.stack([read_pixels(path, size) for path in photos[:16]]) if photos else check_photos(size)
    expected = score_batch(model, batch, description["normalization"])  # (B, C)
    try:
        engine = checking_engine(model_file, kind)
    except (RuntimeError, ValueError, OSError) as error:  # Paddle does not notice that the disk is full
        raise UserError(
            f"the exported model cannot be read again ({error}); free some space or choose another --save_dir"
        ) from None
    if engine is None:
        return "NOT compared with the checkpoint: neither onnxruntime nor openvino is installed"
    difference = np.abs(engine.run(batch) - expected)
    if kind == "int8":
        return f"int8 and checkpoint differ by {difference.mean():.4f} (at most {difference.max():.4f})"
    if not difference.max() <= TOLERANCE:
        raise UserError(
            f"the exported model's scores differ by {difference.max():.1e} from those of {source}, "
            f"more than {TOLERANCE}; nothing was written"
        )
    return f"scores equal the checkpoint's within {difference.max():.1e} ({engine.name})"


def checking_engine(model_file, kind):
    """The engine that checks an export; for an .onnx ONNX Runtime, else OpenVINO, None without both."""
    if kind != "onnx":
        return open_engine(model_file)
    installed = [name for name in ("onnxruntime", "openvino") if find_spec(name)]
    return open_engine(model_file, engine=installed[0]) if installed else None


if __name__ == "__main__":
    run_script(main, parse_args)
