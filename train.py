"""Train a multi-label classifier with class-specific residual attention.

VOC 2007 as in the paper, on one GPU:   python train.py --num_heads 1 --lam 0.1
Without residual attention (baseline):  python train.py --lam 0
Own classes, on a CPU in minutes:  python train.py --dataset DIR --model efficientnet_lite0 --freeze_backbone
Go on where the last run was ended:     python train.py --resume auto, and the options that it had
Several GPUs (docs/distributed.md):     python -m paddle.distributed.launch train.py

The run goes to SAVE_DIR/MODEL: log.jsonl, curves.png, epoch_N.pdparams, last.pdparams, best.pdparams.
"""

import json
from functools import partial
from pathlib import Path

from datasets.records import read_split
from datasets.spec import load_spec
from models import build_model, normalization_of
from models.loading import load_strict
from models.pretrained import init_heads
from models.recompute import recompute_blocks
from utils.checkpoint import versions
from utils.data_checks import warn_of
from utils.device import choose_device
from utils.distributed import join_processes, sync_batch_norm
from utils.errors import UserError, run_script
from utils.files import read_json
from utils.learner import Learner, Precision, make_optimizer
from utils.losses import choose_loss
from utils.options import make_parser
from utils.plot_log import can_draw, draw_run
from utils.resume import find_state
from utils.run_folder import RunFolder, summary
from utils.scalars import Scalars
from utils.schedule import learning_rate
from utils.training import Training
from utils.training_data import feature_loaders, photo_loaders, training_augmentations

RESUME = dict(
    type=str,
    nargs=None,
    const=None,
    default=None,
    metavar="auto|FILE",
    help="go on with the run in SAVE_DIR/MODEL: from its newest checkpoint, or from one that is named",
)


def parse_args(argv=None):
    return make_parser(
        __doc__,
        model="model num_heads lam pretrained init_heads freeze_backbone save_dir",
        data="dataset data_dir num_cls train_aug test_aug img_size batch_size num_workers cache",
        loss="loss pos_weight",
        optimizer="lr scale_lr poly_decay momentum w_d warmup_epoch total_epoch step_size grad_clip ema",
        machine="device amp amp_dtype accum_steps recompute sync_bn",
        run="tranval print_freq keep save_every resume log_dir threshold seed",
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
    loss = choose_loss(args.loss, args.pos_weight, train_records.labels)
    processes = join_processes()
    if processes.first:
        warn_of(spec.classes, train_records, test_records, folder)
    check_machine(args, device, processes)
    model = make_model(args, spec)
    normalization = normalization_of(model, spec)
    description = describe(args, spec, folder, normalization)

    board = Scalars(args.log_dir) if args.log_dir and processes.first else None
    run = RunFolder(Path(args.save_dir) / args.model, args.keep, args.resume) if processes.first else None
    found = processes.from_first(find_state(args.resume, run, description) if run and args.resume else None)
    if found:
        load_strict(model, found.weights, found.path)
    learner = make_learner(args, model, normalization, loss, processes, device)
    if found:
        learner.set_state(found.state, found.about, found.path)
    records = (train_records, test_records)
    if args.freeze_backbone:
        loaders = feature_loaders(args, model, normalization, *records, augmentations, device)
    else:
        loaders = photo_loaders(args, *records, augmentations, processes)
    if found:
        found.check_step(loaders[0].step_size)
    if run:
        begin(run, found, args.resume, board)
        about = {"versions": versions(), "photos": len(train_records), "processes": processes.world}
        run.log({"options": vars(args), **about})
    settings = (args.threshold, args.print_freq, args.save_every)
    training = Training(model, learner, description, spec, *loaders, run, processes, *settings)
    start, *begun = found.next_step() if found else (1,)
    for epoch in range(start, args.total_epoch + 1):
        line = training.epoch(epoch, rates(args, spec, len(loaders[0]), epoch, processes), *begun)
        begun = ()
        if run and can_draw():
            draw_run(run.folder)
        if board:
            board.write(line)
    if run:
        lines, values = summary(run)
        run.log(values)
        print("\n".join([*lines, json.dumps(values)]))


def check_machine(args, device, processes):
    """UserError for options that the device, or the number of processes, cannot do."""
    for name in ("amp", "sync_bn"):
        if getattr(args, name) and device == "cpu":
            raise UserError(f"--{name} needs a GPU, Paddle has nothing for it on a CPU; leave it out")
    for name in ("recompute", "sync_bn", "cache"):
        if args.freeze_backbone and getattr(args, name):
            raise UserError(f"--{name} does nothing for --freeze_backbone; leave one of them out")
    if args.freeze_backbone and processes.world > 1:
        raise UserError("--freeze_backbone trains in one process; start it without paddle.distributed.launch")


def make_model(args, spec):
    """The model as it starts, with what --init_heads, --sync_bn and --recompute ask for."""
    model = build_model(
        args.model, len(spec.classes), args.num_heads, args.lam, args.pretrained, args.img_size
    )
    if args.init_heads:
        numbers = read_json(args.init_heads)
        init_heads(model.classifier, list(spec.classes), numbers, args.model, args.pretrained)
    if args.sync_bn:
        model = sync_batch_norm(model)
    if args.recompute:
        recompute_blocks(model.backbone)
    return model


def make_learner(args, model, normalization, loss, processes, device):
    """What learns: the model, or its heads alone, which take feature maps of the frozen trunk."""
    trained = model.classifier if args.freeze_backbone else model
    return Learner(
        trained,
        make_optimizer(trained, args.momentum, args.w_d),
        None if args.freeze_backbone else normalization,
        loss,
        Precision(args.amp, args.amp_dtype),
        args.grad_clip,
        args.ema,
        processes,
        averaged_after=args.recompute or device == "cpu",
    )


def begin(run, found, resume, board):
    """Make the run folder ready to go on from `found`, or for a new run; the board gets what was logged."""
    if found:
        run.go_on(*(found.about[name] for name in ("epoch", "iteration", "last", "best")))
        epoch, done, _ = found.next_step()
        moment = f"in epoch {epoch} after {done} iterations" if done else f"after epoch {epoch - 1}"
        print(f"going on {moment}, from {found.path}")
    elif resume:
        run.start_anew()
        print(f"nothing to go on with in {run.folder}: a new run")
    if board:
        for line in run.epochs():
            board.write(line)
    if not can_draw():
        print("curves.png is not drawn without matplotlib: pip install matplotlib")


def rates(args, spec, iterations, epoch, processes):
    """The trunk's learning rate in this epoch as a function of the iteration."""
    scale = processes.world * args.accum_steps if args.scale_lr else 1
    return partial(
        learning_rate,
        epoch,
        base_lr=args.lr * scale,
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


if __name__ == "__main__":
    run_script(main, parse_args)
