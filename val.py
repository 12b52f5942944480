"""Evaluate a checkpoint: mAP, and precision, recall and F1 per class (CP ...) and over all labels (OP ...).

python val.py --load_from checkpoint/resnet101/best.pdparams --out results
With attention for a model trained without (--lam 0):  python val.py --load_from FILE --test_time_lam 0.2
A page, beside another run:  python val.py --load_from FILE --report DIR --compare OTHER/metrics.json
"""

from pathlib import Path

import utils  # noqa: F401  # isort: skip (first: it tells what is not installed)
import numpy as np

from datasets.loader import Loader, Share
from datasets.records import read_split
from datasets.spec import classes_apart, load_spec
from models.csra import attend_at_test_time
from utils.checkpoint import load_checkpoint, save_tuned
from utils.device import choose_device
from utils.distributed import join_processes
from utils.errors import UserError, run_script
from utils.evaluation.calibration import calibrate
from utils.evaluation.compare import read_other
from utils.evaluation.metrics import resolve_ignored
from utils.evaluation.page import check_report
from utils.evaluation.pointing import pointing_lines
from utils.evaluation.report import figure_lines, named_figures
from utils.evaluation.thresholds import goal_name
from utils.files import write_json, write_saved
from utils.options import make_parser
from utils.pointing_game import boxes_of, play_pointing_game
from utils.run_report import compare_lines, report_run
from utils.scoring import score_split, split_figures
from utils.thresholds import choose_thresholds, write_thresholds
from utils.tuning import tune


def parse_args(argv=None):
    parser = make_parser(
        __doc__,
        from_checkpoint=True,
        model="load_from model num_heads lam test_time_lam test_time_heads",
        data="dataset data_dir split num_cls test_aug img_size batch_size num_workers",
        evaluation="ap difficult threshold thresholds tune_thresholds tune_temperature tuned pointing_game",
        run="report compare seed device",
    )
    parser.add_argument("--out", metavar="DIR", help="write metrics.json and scores.npz to this folder")
    return parser.parse_args(argv)


def main(args):
    tuned = where_tuned_goes(args)
    if args.report:
        check_report(args.report)
    choose_device(args.device)
    processes = join_processes()
    model, description = load_checkpoint(
        args.load_from, args.model, args.num_heads, args.lam, args.num_cls, args.img_size, args.dataset
    )
    said = apply_test_time_attention(args, model, description)
    threshold, temperature = choose_thresholds(
        args.threshold, args.thresholds, description, description["classes"]
    )
    spec, records = evaluation_split(args, description)
    records.labels = resolve_ignored(records.labels, args.difficult)
    if args.pointing_game:
        boxes_of(records)  # an error now, not after all photos were scored
    other = read_other(args.compare, records.paths, records.labels, spec.classes) if args.compare else None
    size, normalization = description["img_size"], description["normalization"]
    share = Share(processes.rank, processes.world)
    loader = Loader(
        records,
        size,
        args.batch_size,
        args.test_aug,
        seed=args.seed,
        num_workers=args.num_workers,
        share=share,
    )
    print(
        f"Test on {args.load_from}: {len(records)} photos of {spec.name}, {args.split} split, {size} px{said}"
    )
    raw = score_split(model, loader, normalization, processes)
    if not processes.first:
        return
    scores = calibrate(raw, temperature)
    figures = split_figures(scores, records.labels, spec, threshold, args.ap)
    print("\n".join(figure_lines(figures, spec.classes)))
    results = {**named_figures(figures, spec.classes), "temperature": temperature}
    if args.pointing_game:
        results["pointing_game"] = play_pointing_game(model, whole(loader), normalization, spec.classes)
        print("\n".join(pointing_lines(results["pointing_game"])))
    if other:
        print("\n".join(compare_lines(scores, records.labels, records.paths, other, args.ap)))
    if tuned:
        goal, fit = args.tune_thresholds, args.tune_temperature
        found = tune(raw, records, spec, threshold, temperature, goal, fit)
        write_tuned(args, tuned, description, len(records), *found)
    results |= {"checkpoint": description, "options": vars(args)}
    if args.out:
        write_results(Path(args.out), results, records, scores)
    if args.report:
        report_run(args.report, model, description, spec, records, scores, figures, results, other)


def where_tuned_goes(args):
    """The file that what is tuned goes to, None where nothing is; UserError where that is not said."""
    if not (args.tune_thresholds or args.tune_temperature):
        if args.tuned:
            raise UserError("--tuned needs --tune_thresholds or --tune_temperature")
        return None
    if not (args.tuned or args.out):
        raise UserError("say where the thresholds go: --tuned FILE.json or FILE.pdparams, or --out DIR")
    path = Path(args.tuned or Path(args.out, "thresholds.json"))
    if args.test_time_lam is not None and path.suffix != ".json":
        raise UserError(
            f"--tuned {path}: thresholds of attention at test time do not fit a model without; give a .json, "
            "which val.py --test_time_lam takes with --thresholds"
        )
    return path


def whole(loader):
    """The loader of all photos, whatever this process had to score."""
    loader.share = Share()
    return loader


def write_tuned(args, path, description, photos, threshold, temperature):
    """Write what was tuned on so many photos to a thresholds.json or a copy of the checkpoint."""
    goal = goal_name(args.tune_thresholds) if args.tune_thresholds else None
    about = {"checkpoint": args.load_from, "split": args.split, "photos": photos}
    if args.test_time_lam is not None:
        about |= {"test_time_lam": args.test_time_lam, "test_time_heads": args.test_time_heads}
    if path.suffix == ".json":
        write_thresholds(path, description["classes"], threshold, temperature, goal, about)
    else:
        save_tuned(path, args.load_from, description, threshold, temperature, goal, about)
    print(f"wrote {path}")


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
        ours, theirs = classes_apart(known, spec.classes)
        raise UserError(
            f"{args.load_from} knows other classes ({ours}) than data set {spec.name} ({theirs}); name its "
            "own data set with --dataset"
        )
    return spec, read_split(spec, folder, args.split)


def write_results(folder, results, records, scores):
    """metrics.json, and scores.npz with paths (N,), scores (N, C) and labels (N, C; -1 ignored)."""
    write_json(folder / "metrics.json", results, indent=1)
    arrays = {"paths": records.paths, "scores": scores, "targets": records.labels}
    write_saved(folder / "scores.npz", lambda file: np.savez_compressed(file, **arrays))
    print(f"wrote {folder / 'metrics.json'} and {folder / 'scores.npz'}")


if __name__ == "__main__":
    run_script(main, parse_args)
