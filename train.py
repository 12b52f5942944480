"""Train a multi-label classifier with class-specific residual attention.

VOC 2007 as in the paper, on one GPU:   python train.py --num_heads 1 --lam 0.1
Without residual attention (baseline):  python train.py --lam 0
Own classes, on a CPU in minutes:  python train.py --dataset DIR --model efficientnet_lite0 --freeze_backbone

The run goes to SAVE_DIR/MODEL: log.jsonl, epoch_N.pdparams, last.pdparams, best.pdparams.
"""

from functools import partial
from pathlib import Path

from datasets.features import FeatureLoader
from datasets.loader import Loader
from datasets.records import read_split
from datasets.spec import load_spec
from models import build_model, normalization_of
from models.pretrained import init_heads
from utils.checkpoint import versions
from utils.device import choose_device
from utils.errors import UserError, run_script
from utils.evaluation.report import figure_lines, named_figures
from utils.features import cached_features
from utils.files import read_json
from utils.options import make_parser
from utils.resume import resume, save_state
from utils.run_folder import RunFolder
from utils.schedule import learning_rate
from utils.scoring import evaluate_split
from utils.training import make_optimizer, train_epoch

RESUME = dict(
    type=str,
    nargs=None,
    const=None,
    default=None,
    metavar="auto|FILE",
    help="go on with the run in SAVE_DIR/MODEL: after its newest whole epoch, or from an epoch_N.pdparams",
)


def parse_args(argv=None):
    return make_parser(
        __doc__,
        model="model num_heads lam pretrained init_heads freeze_backbone save_dir",
        data="dataset data_dir num_cls train_aug test_aug img_size batch_size num_workers",
        optimizer="lr poly_decay momentum w_d warmup_epoch total_epoch step_size",
        run="tranval print_freq keep resume threshold seed device",
        changes={"resume": RESUME},
    ).parse_args(argv)


def main(args):
    spec, folder = load_spec(args.dataset, args.data_dir)
    if args.num_cls not in (None, len(spec.classes)):
        raise UserError(
            f"--num_cls {args.num_cls}, but {spec.name} has {len(spec.classes)} classes; leave it out"
        )
    augmentations = training_augmentations(args, spec)
    train_records = read_split(spec, folder, "train")
    test_records = read_split(spec, folder, "test") if args.tranval else None
    device = choose_device(args.device, args.seed)
    model = build_model(
        args.model, len(spec.classes), args.num_heads, args.lam, args.pretrained, args.img_size
    )
    if args.init_heads:
        numbers = read_json(args.init_heads)
        init_heads(model.classifier, list(spec.classes), numbers, args.model, args.pretrained)
    normalization = normalization_of(model, spec)

    run = RunFolder(Path(args.save_dir) / args.model, args.keep, args.resume)
    trained = model.classifier if args.freeze_backbone else model
    optimizer = make_optimizer(trained, args.momentum, args.w_d)
    description = describe(args, spec, folder, normalization)
    done = resume(args.resume, run, model, trained, optimizer, description) if args.resume else 0
    if args.freeze_backbone:
        model.backbone.eval()
        inputs = None  # the heads take feature maps, of the trunk that resume() may have set
        loaders = feature_loaders(
            args, model, normalization, train_records, test_records, augmentations, device
        )
    else:
        inputs = normalization
        loaders = photo_loaders(args, train_records, test_records, augmentations)
    train_loader, test_loader = loaders
    run.log({"options": vars(args), "versions": versions(), "photos": len(train_records)})
    for epoch in range(done + 1, args.total_epoch + 1):
        rate = rates(args, spec, len(train_loader), epoch)
        figures = train_epoch(trained, train_loader, optimizer, rate, inputs, epoch, args.print_freq)
        print(epoch_line(epoch, figures))
        metrics = None
        if test_loader:
            print(f"Test on Epoch {epoch}")
            _, test_figures = evaluate_split(trained, test_loader, inputs, spec, args.threshold)
            print("\n".join(figure_lines(test_figures, spec.classes)))
            metrics = named_figures(test_figures, spec.classes)
        run.log({"epoch": epoch, **figures, "metrics": metrics})
        whole = {**description, "epoch": epoch, "metrics": metrics}
        run.save(epoch, model, whole, metrics and metrics["mAP"], partial(save_state, trained, optimizer))
    print("\n".join(summary(run)))


def training_augmentations(args, spec):
    """Augmentations in training; with a frozen trunk those that feature maps allow. UserError for others."""
    given = spec.train_aug if args.train_aug is None else args.train_aug
    if not args.freeze_backbone:
        return given
    beyond = [*(name for name in args.train_aug or () if name != "randomflip"), *args.test_aug]
    if beyond:
        raise UserError(f"--freeze_backbone sees each photo once: no {beyond[0]}; give randomflip or nothing")
    return [name for name in given if name == "randomflip"]


def photo_loaders(args, train_records, test_records, augmentations):
    """Loaders of the training split and of the evaluation split (None without its records)."""
    common = {"seed": args.seed, "num_workers": args.num_workers}
    train = Loader(train_records, args.img_size, args.batch_size, augmentations, shuffle=True, **common)
    if test_records is None:
        return train, None
    return train, Loader(test_records, args.img_size, args.batch_size, args.test_aug, **common)


def feature_loaders(args, model, normalization, train_records, test_records, augmentations, device):
    """The same of feature maps, from the cache in SAVE_DIR/features."""

    def maps(records, *views):
        folder = Path(args.save_dir) / "features"
        gpu = device == "gpu"
        return cached_features(
            model.backbone, normalization, records, args.img_size, folder, views, gpu, args.num_workers
        )

    common = {"batch_size": args.batch_size, "seed": args.seed}
    views = ["plain", "mirrored"] if augmentations else ["plain"]
    train = FeatureLoader(train_records, *maps(train_records, *views), shuffle=True, **common)
    return train, FeatureLoader(
        test_records, *maps(test_records, "plain"), **common
    ) if test_records else None


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
