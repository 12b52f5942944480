"""Export a checkpoint to files that run without this code: infer.py runs them.

python export_model.py --model_path checkpoint/resnet101/best.pdparams --save_dir output
"""

from pathlib import Path

import numpy as np

from utils.checkpoint import load_checkpoint, versions
from utils.deploy import NAME, describe
from utils.device import choose_device
from utils.engines import open_engine
from utils.errors import UserError, run_script
from utils.export import check_photos, export_paddle
from utils.files import staged, write_json
from utils.options import make_parser
from utils.scoring import score_batch

TOLERANCE = 1e-4  # between the scores of the exported model and of the checkpoint


def parse_args(argv=None):
    parser = make_parser(
        __doc__,
        from_checkpoint=True,
        changes={"save_dir": dict(default="output", help="folder of the exported model")},
        model="model_path model num_heads lam num_cls img_size dataset",
        export="save_dir format",
    )
    return parser.parse_args(argv)


def main(args):
    choose_device("cpu")
    model, description = load_checkpoint(
        args.model_path, args.model, args.num_heads, args.lam, args.num_cls, args.img_size, args.dataset
    )
    print("Loaded trained params of model successfully.")
    with staged(Path(args.save_dir)) as stage:
        files = export_paddle(model, description, stage)
        difference = compare(model, description, files[0])
        if not difference <= TOLERANCE:
            raise UserError(
                f"the exported model's scores differ by {difference:.1e} from those of {args.model_path}, "
                f"more than {TOLERANCE}; nothing was written"
            )
        write_json(stage / NAME, describe(description, args.model_path, "fp32", files, versions()), indent=1)
    print(f"wrote {', '.join(file.name for file in files)} and {NAME}")
    print(f"scores of the exported model and of the checkpoint differ by at most {difference:.1e}")
    print(f"Model is saved in {args.save_dir}.")


def compare(model, description, model_file):
    """Largest difference between the checkpoint's scores and the exported model's, on two drawn photos."""
    photos = check_photos(description["img_size"])
    expected = score_batch(model, photos, description["normalization"])  # (2, C)
    return float(np.abs(open_engine(model_file).run(photos) - expected).max())


if __name__ == "__main__":
    run_script(main, parse_args)
