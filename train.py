"""Train a multi-label classifier with class-specific residual attention.

VOC 2007 as in the paper, on one GPU:   python train.py --num_heads 1 --lam 0.1
Without residual attention (baseline):  python train.py --lam 0
Own classes, no download:               python train.py --dataset DIR --pretrained none

The run goes to SAVE_DIR/MODEL: log.jsonl, epoch_N.pdparams, last.pdparams, best.pdparams.
"""

from functools import partial
from pathlib import Path

from datasets.loader import Loader
from datasets.records import read_split
from datasets.spec import load_spec
from models import build_model, normalization_of
from utils.checkpoint import versions
from utils.device import choose_device
from utils.errors import UserError, run_script
from utils.evaluation.report import figure_lines, named_figures
from utils.options import make_parser
from utils.run_folder import RunFolder
from utils.schedule import learning_rate
from utils.scoring import evaluate_split
from utils.training import make_optimizer, train_epoch


def parse_args(argv=None):
    return make_parser(
        __doc__,
        model="model num_heads lam pretrained save_dir",
        data="dataset data_dir num_cls train_aug test_aug img_size batch_size num_workers",
        optimizer="lr poly_decay momentum w_d warmup_epoch total_epoch step_size",
        run="tranval print_freq keep threshold seed device",
    ).parse_args(argv)


def main(args):
    spec, folder = load_spec(args.dataset, args.data_dir)
    if args.num_cls not in (None, len(spec.classes)):
        raise UserError(
            f"--num_cls {args.num_cls}, but {spec.name} has {len(spec.classes)} classes; leave it out"
        )
    train_loader, test_loader = make_loaders(args, spec, folder)
    choose_device(args.device, args.seed)
    model = build_model(
        args.model, len(spec.classes), args.num_heads, args.lam, args.pretrained, args.img_size
    )
    optimizer = make_optimizer(model, args.momentum, args.w_d)

    run = RunFolder(Path(args.save_dir) / args.model, args.keep)
    run.log({"options": vars(args), "versions": versions(), "photos": len(train_loader.records)})
    normalization = normalization_of(model, spec)
    description = describe(args, spec, folder, normalization)
    for epoch in range(1, args.total_epoch + 1):
        figures = train_epoch(
            model,
            train_loader,
            optimizer,
            rates(args, spec, len(train_loader), epoch),
            normalization,
            epoch,
            args.print_freq,
        )
        print(epoch_line(epoch, figures))
        metrics = None
        if test_loader:
            print(f"Test on Epoch {epoch}")
            _, test_figures = evaluate_split(model, test_loader, normalization, spec, args.threshold)
            print("\n".join(figure_lines(test_figures, spec.classes)))
            metrics = named_figures(test_figures, spec.classes)
        run.save(
            epoch, model, {**description, "epoch": epoch, "metrics": metrics}, metrics and metrics["mAP"]
        )
        run.log({"epoch": epoch, **figures, "metrics": metrics})
    print("\n".join(summary(run)))


def make_loaders(args, spec, folder):
    """Loaders of the training split and, with --tranval, of the evaluation split (else None)."""
    train_aug = spec.train_aug if args.train_aug is None else args.train_aug
    common = {"seed": args.seed, "num_workers": args.num_workers}
    train = Loader(
        read_split(spec, folder, "train"), args.img_size, args.batch_size, train_aug, shuffle=True, **common
    )
    if not args.tranval:
        return train, None
    return train, Loader(
        read_split(spec, folder, "test"), args.img_size, args.batch_size, args.test_aug, **common
    )


def rates(args, spec, iterations, epoch):
    """The trunk's learning rate in this epoch as a function of the iteration."""
    return partial(
        learning_rate,
        epoch,
        base_lr=args.lr,
        iterations=iterations,
        total_epoch=args.total_epoch,
        step_size=args.step_size or spec.step_size,
        warmup_epoch=args.warmup_epoch,
        poly_decay=args.poly_decay,
    )


def describe(args, spec, folder, normalization):
    """What a checkpoint says about itself, save epoch and metrics (utils/checkpoint.py adds the versions)."""
    return {
        "model": args.model,
        "num_heads": args.num_heads,
        "lam": args.lam,
        "num_cls": len(spec.classes),
        "classes": list(spec.classes),
        "img_size": args.img_size,
        "normalization": normalization,
        "dataset": args.dataset,
        "data_dir": str(folder),
        "averaged": False,
    }


def epoch_line(epoch, figures):
    return (
        f"Epoch {epoch} training ends, total {figures['time']:.2f}s, loss:{figures['loss']:.5f}, "
        f"lr:{figures['lr']:.3e}, head lr:{figures['head_lr']:.3e}, batch time:{figures['batch_time']:.4f}, "
        f"data time:{figures['data_time']:.4f}, {figures['photos_per_second']:.1f} images/s"
    )


def summary(run):
    """The closing lines: last and best side by side, and where they are."""
    epoch, mAP = run.last
    lines = [
        f"last: epoch {epoch}"
        + ("" if mAP is None else f", mAP {mAP:.6f}")
        + f", {run.folder / 'last.pdparams'}"
    ]
    if run.best:
        epoch, mAP = run.best
        lines.append(
            f"best on the evaluation split: epoch {epoch}, mAP {mAP:.6f}, {run.folder / 'best.pdparams'}"
        )
    return lines


if __name__ == "__main__":
    run_script(main, parse_args)
