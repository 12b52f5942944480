"""Evaluate a checkpoint: mAP, and precision, recall and F1 per class (CP ...) and over all labels (OP ...).

python val.py --load_from checkpoint/resnet101/best.pdparams --out results
With attention for a model trained without (--lam 0):  python val.py --load_from FILE --test_time_lam 0.2
"""

import io
from pathlib import Path

import numpy as np

from datasets.loader import Loader, Share
from datasets.records import read_split
from datasets.spec import load_spec
from models.csra import attend_at_test_time
from utils.checkpoint import load_checkpoint
from utils.device import choose_device
from utils.distributed import join_processes
from utils.errors import UserError, run_script
from utils.evaluation.report import figure_lines, named_figures
from utils.files import atomic_path, write_json
from utils.options import make_parser
from utils.scoring import evaluate_split


def parse_args(argv=None):
    parser = make_parser(
        __doc__,
        from_checkpoint=True,
        model="load_from model num_heads lam test_time_lam test_time_heads",
        data="dataset data_dir split num_cls test_aug img_size batch_size num_workers",
        run="threshold seed device",
    )
    parser.add_argument("--out", metavar="DIR", help="write metrics.json and scores.npz to this folder")
    return parser.parse_args(argv)


def main(args):
    choose_device(args.device)
    processes = join_processes()
    model, description = load_checkpoint(
        args.load_from, args.model, args.num_heads, args.lam, args.num_cls, args.img_size, args.dataset
    )
    said = apply_test_time_attention(args, model, description)
    spec, records = evaluation_split(args, description)
    loader = Loader(
        records,
        description["img_size"],
        args.batch_size,
        args.test_aug,
        seed=args.seed,
        num_workers=args.num_workers,
        share=Share(processes.rank, processes.world),
    )
    size = description["img_size"]
    print(
        f"Test on {args.load_from}: {len(records)} photos of {spec.name}, {args.split} split, {size} px{said}"
    )
    scores, figures = evaluate_split(
        model, loader, description["normalization"], spec, args.threshold, processes
    )
    print("\n".join(figure_lines(figures, spec.classes)))
    if args.out and processes.first:
        results = {**named_figures(figures, spec.classes), "checkpoint": description, "options": vars(args)}
        write_results(Path(args.out), results, records, scores)


def apply_test_time_attention(args, model, description):
    """Do what --test_time_lam and --test_time_heads ask for; returns what to say of it."""
    lam, num_heads = args.test_time_lam, args.test_time_heads
    if lam is None and num_heads is None:
        return ""
    if lam is None:
        raise UserError("--test_time_heads needs --test_time_lam, the weight of the attention")
    if description["lam"] != 0:
        raise UserError(
            f"--test_time_lam is for models trained with lambda 0; {args.load_from} has {description['lam']}"
        )
    try:
        model.classifier = attend_at_test_time(model.classifier, lam, num_heads)
    except ValueError as error:
        raise UserError(f"--test_time_heads {num_heads}: {error}; leave it out") from None
    return f", attention at test time: lambda {lam:g}, heads {len(model.classifier.multi_head)}"


def evaluation_split(args, description):
    """(spec, records) of the data set named, or else of the one that the checkpoint was trained on."""
    same = args.dataset is None
    dataset = description["dataset"] if same else args.dataset
    data_dir = args.data_dir or (description["data_dir"] if same else None)
    spec, folder = load_spec(dataset, data_dir)
    known = description["classes"]
    if list(spec.classes) != known:
        raise UserError(
            f"{args.load_from} knows other classes ({len(known)}: {known[0]}, ...) than data set {spec.name} "
            f"({len(spec.classes)}: {spec.classes[0]}, ...); name its own data set with --dataset"
        )
    return spec, read_split(spec, folder, args.split)


def write_results(folder, results, records, scores):
    """metrics.json, and scores.npz with paths (N,), scores (N, C) and labels (N, C; -1 ignored)."""
    write_json(folder / "metrics.json", results, indent=1)
    content = io.BytesIO()
    np.savez_compressed(content, paths=records.paths, scores=scores, targets=records.labels)
    with atomic_path(folder / "scores.npz") as temporary:
        temporary.write_bytes(content.getvalue())
    print(f"wrote {folder / 'metrics.json'} and {folder / 'scores.npz'}")


if __name__ == "__main__":
    run_script(main, parse_args)
