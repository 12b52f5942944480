"""The options that scripts share: name, default, help and check, each in one place."""

import argparse
import difflib
import itertools
import math
import os
import sys
from pathlib import Path

from datasets.transforms import AUGMENTATIONS
from utils.evaluation.metrics import AP_KINDS, IGNORED_RULES, THRESHOLD
from utils.rows import FORMATS

DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212"  # what word processors make of two hyphens


class Parser(argparse.ArgumentParser):
    """argparse whose complaints are one line `error: ...` with exit code 2."""

    def __init__(self, doc):
        super().__init__(
            description=doc, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
        )

    def error(self, message):
        self.exit(2, f"error: {message}; see --help\n")

    def parse_args(self, args=None, namespace=None):
        args = sys.argv[1:] if args is None else args
        self._check_dashes(args)
        namespace, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self._unknown(unknown[0])
        return namespace

    def _check_dashes(self, args):
        """Tell of a misspelled option itself: argparse reads -heatmap as -h, and tells of others first."""
        for word in itertools.takewhile(lambda word: word != "--", args):
            name = word.split("=")[0]
            bare = name.lstrip(DASHES)
            known = name in self._option_string_actions or name == bare
            if not known and (f"--{bare}" in self._option_string_actions or name.startswith("--")):
                self._unknown(word)

    def _unknown(self, word):
        name = word.split("=")[0]
        bare = name.lstrip(DASHES)
        meant = name if name == bare else f"--{bare}"
        near = difflib.get_close_matches(meant, self._option_string_actions, 1)
        self.error(f"unknown argument {word}" + (f"; did you mean {near[0]}?" if near else ""))


def boolean(text):
    """True/False/1/0/yes/no in any case."""
    values = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"'{text}' is neither True/1/yes nor False/0/no")
    return values[text.lower()]


def whole(least, most=math.inf):
    """A check for whole numbers in least..most."""

    def check(text):
        """The whole number that `text` says; argparse's error for anything else."""
        if not text.lstrip("+-").isdigit() or not least <= int(text) <= most:
            limits = f"at least {least}" if most == math.inf else f"{least} to {most}"
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of {limits}")
        return int(text)

    return check


def number(least, most=math.inf):
    """A check for finite numbers in least..most."""

    def check(text):
        """The number that `text` says, a float; argparse's error for anything else."""
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (least <= value <= most and math.isfinite(value)):
            limits = f"at least {least}" if most == math.inf else f"{least} to {most}"
            raise argparse.ArgumentTypeError(f"'{text}' is not a number of {limits}")
        return value

    return check


def goal(text):
    """What to tune thresholds for: "f1" -> ("f1", None), "precision=0.9" -> ("precision", 0.9), or recall."""
    name, _, value = text.partition("=")
    if name == "f1" and not value:
        return name, None
    if name not in ("precision", "recall") or not value:
        raise argparse.ArgumentTypeError(f"'{text}' is none of f1, precision=0.9 and recall=0.9")
    return name, number(0, 1)(value)


def tuned(text):
    """The name of a file for what was tuned."""
    if Path(text).suffix not in (".json", ".pdparams"):
        raise argparse.ArgumentTypeError(f"'{text}' must end in .json or .pdparams")
    return text


def augmentation(text):
    """One of AUGMENTATIONS, in any case."""
    if text.lower() not in AUGMENTATIONS:
        raise argparse.ArgumentTypeError(f"'{text}' is unknown; choose from {' '.join(AUGMENTATIONS)}")
    return text.lower()


def trunk(text):
    """A name of models.TRUNKS; the names of the original's ViTs are accepted."""
    return {"vit_B16_224": "vit_b16", "vit_L16_224": "vit_l16"}.get(text, text)


def table(text):
    """The name of a table of scores."""
    if Path(text).suffix[1:] not in FORMATS[1:]:
        raise argparse.ArgumentTypeError(f"'{text}' must end in .json, .jsonl or .csv")
    return text


PHOTOS = "photos, folders of photos, patterns like 'photos/*.jpg', - for a list on standard input"
LARGEST = 4096  # side of photos in pixels; the position embedding of a ViT grows with its square

OPTIONS = {
    # model
    "model": dict(default="resnet101", type=trunk, help="trunk: resnet18, 34, 50, 101 or 152, vit_b16 or "
                  "vit_l16, efficientnet_lite0, 1 or 2"),
    "num_heads": dict(default=1, type=whole(1), help="heads H: 1, 2, 4, 6 or 8"),
    "lam": dict(default=0.1, type=number(0), help="weight of the attention; 0 is plain average pooling"),
    "test_time_lam": dict(default=None, type=number(0), help="attention of this weight for a model trained "
                          "with lambda 0, without training"),
    "test_time_heads": dict(default=None, type=whole(1), help="with --test_time_lam: temperatures that the "
                            "one trained head gets, 1, 2, 4, 6 or 8"),
    "num_cls": dict(default=None, type=whole(1), help="number of classes, as the data set has"),
    "pretrained": dict(default="imagenet", help="weights the trunk starts from: imagenet, none or a file"),
    "init_heads": dict(default=None, metavar="FILE", help="JSON {class: [ImageNet class numbers]}: heads "
                       "start from the classifier that the trunk was trained with; for few photos a class"),
    "freeze_backbone": dict(default=False, type=boolean, nargs="?", const=True,
                            help="train the heads alone: the trunk runs once per photo, minutes on a CPU"),
    "load_from": dict(default=None, required=True, help="checkpoint: .pdparams, .safetensors or .pth"),
    "float16": dict(default=False, type=boolean, nargs="?", const=True, help="write halves: half the size"),
    # data
    "dataset": dict(default="voc07", help="voc07, coco, wider, or a folder with classes.json"),
    "data_dir": dict(default=None, help="folder of the label files (default: data/DATASET)"),
    "split": dict(default="test", choices=("test", "train"), help="which label file"),
    "train_aug": dict(default=None, nargs="*", type=augmentation, help="augmentations in training, of "
                      + " ".join(AUGMENTATIONS) + " (voc07: randomflip resizedcrop)"),
    "test_aug": dict(default=[], nargs="*", type=augmentation, help="the same at evaluation (default: none)"),
    "img_size": dict(default=448, type=whole(32, LARGEST), help="side of the square photos become, pixels"),
    "batch_size": dict(default=16, type=whole(1), help="photos a step, in each process"),
    "cache": dict(default=None, choices=("ram",), help="keep decoded photos in memory, for small sets"),
    "num_workers": dict(default=min(8, os.cpu_count() or 1), type=whole(0), help="threads that read photos"),
    "img_dir": dict(default=["images/"], nargs="+", help=PHOTOS),
    # optimizer
    "lr": dict(default=0.01, type=number(0), help="learning rate of the trunk; the heads take 10 times it"),
    "momentum": dict(default=0.9, type=number(0, 1), help="SGD momentum"),
    "w_d": dict(default=0.0001, type=number(0), help="weight decay, on all parameters"),
    "warmup_epoch": dict(default=2, type=whole(0), help="epochs of linear warm-up"),
    "total_epoch": dict(default=30, type=whole(1), help="epochs"),
    "step_size": dict(default=None, type=whole(1), help="epochs between decays (coco, wider: 5, others: 4)"),
    "poly_decay": dict(default=False, type=boolean, help="True: decay as (1 - progress) ** 0.9 instead"),
    "scale_lr": dict(default=False, type=boolean, nargs="?", const=True,
                     help="multiply --lr by the number of processes and by --accum_steps"),
    "accum_steps": dict(default=1, type=whole(1), help="batches whose gradients make one step together"),
    "grad_clip": dict(default=None, type=number(0), help="largest norm of the gradients of a step"),
    "ema": dict(default=None, type=number(0, 1), metavar="DECAY", help="also average the weights, by 0.999 "
                "or so a step; both are evaluated and saved"),
    "loss": dict(default="bce", choices=("bce", "asl", "focal"), help="binary cross-entropy, asymmetric or "
                 "focal loss"),
    "pos_weight": dict(default=None, choices=("auto",), help="auto: weigh the positives of a class by its "
                       "negatives per positive"),
    # machine
    "amp": dict(default=None, choices=("O1", "O2"), help="mixed precision: O1 keeps the weights in float32"),
    "amp_dtype": dict(default="float16", choices=("float16", "bfloat16"), help="of --amp"),
    "recompute": dict(default=False, type=boolean, nargs="?", const=True,
                      help="less memory for big images: compute the trunk's inner values twice"),
    "sync_bn": dict(default=False, type=boolean, nargs="?", const=True,
                    help="batch norm over the photos of all GPUs"),
    # run
    "save_every": dict(default=None, type=whole(1), metavar="N", help="also save within an epoch, after "
                       "every N iterations"),
    "log_dir": dict(default=None, metavar="DIR", help="write curves for VisualDL to this folder"),
    "save_dir": dict(default="checkpoint", help="the run goes to SAVE_DIR/MODEL"),
    "tranval": dict(default=True, type=boolean, help="evaluate after each epoch"),
    "print_freq": dict(default=100, type=whole(1), help="iterations between two printed lines"),
    "keep": dict(default=None, type=whole(1), help="checkpoints of how many epochs to keep (default: all)"),
    "threshold": dict(default=THRESHOLD, type=number(0, 1), help="scores from this on are predicted"),
    "thresholds": dict(default=None, nargs="?", const="", metavar="FILE", help="thresholds by class, and a "
                       "temperature, from val.py --tune_thresholds; without FILE: the model's own, required"),
    "seed": dict(default=0, type=whole(0, 2**32 - 1), help="of weights, order and augmentation"),
    "device": dict(default="auto", choices=("auto", "cpu", "gpu"), help="auto: the GPU where there is one"),
    "out": dict(default=None, type=table, help="also write all scores to this file, .json, .jsonl or "
                ".csv"),
    # evaluation
    "ap": dict(default=AP_KINDS[0], choices=AP_KINDS, help="how average precision is defined"),
    "difficult": dict(default=IGNORED_RULES[0], choices=IGNORED_RULES, help="what objects marked difficult "
                      "count as"),
    "tune_thresholds": dict(default=None, type=goal, metavar="GOAL", help="find a threshold for each class: "
                            "f1, precision=0.9 or recall=0.9"),
    "tune_temperature": dict(default=False, type=boolean, nargs="?", const=True,
                             help="find the temperature that makes scores probabilities"),
    "tuned": dict(default=None, type=tuned, metavar="FILE", help="where what was tuned goes: a "
                  ".json, or a copy of the checkpoint, .pdparams (default: OUT/thresholds.json)"),
    "report": dict(default=None, metavar="DIR", help="write a page to look at to this folder"),
    "compare": dict(default=None, metavar="METRICS", help="metrics.json of another run on the same photos, "
                    "for the difference and its interval"),
    "pointing_game": dict(default=False, type=boolean, nargs="?", const=True,
                          help="how often a class's score map peaks in a box of that class"),
    # predictions
    "topk": dict(default=None, type=whole(1), metavar="K", help="labels are the K best, the best first (more "
                 "than there are: all); with a threshold given too, those of them that reach it"),
    "format": dict(default="text", choices=FORMATS, help="of standard output; other than text: all scores, "
                   "a row a photo, and notes go to standard error"),
    "annotated": dict(default=None, metavar="DIR", help="write the photos with their labels and scores drawn "
                      "on them to this folder, .jpg"),
    "heatmap": dict(default=None, metavar="DIR", help="write where each class is seen in each photo to this "
                    "folder"),
    "heatmap_classes": dict(default=None, nargs="+", metavar="CLASS", help="names of classes, or predicted "
                            "(the default), or all"),
    # export
    "model_path": dict(default=None, required=True, help="checkpoint: .pdparams, .safetensors or .pth"),
    "int8": dict(default=False, type=boolean, nargs="?", const=True,
                 help="8-bit integers, calibrated on --calib; needs --format openvino"),
    "calib": dict(default=None, nargs="+", help=f"{PHOTOS}, to calibrate int8 on"),
    # inference
    "input_file": dict(default=None, required=True, nargs="+", help=PHOTOS),
    "model_file": dict(default=None, required=True, help="exported model: .json, .pdmodel, .onnx or .xml"),
    "params_file": dict(default=None, help="its weights (default: the .pdiparams beside it)"),
    "engine": dict(default="auto", choices=("auto", "paddle", "openvino", "onnxruntime"),
                   help="auto: what the file and the machine allow"),
    "use_gpu": dict(default=True, type=boolean, help="where there is one"),
    "precision": dict(default=None, choices=("fp32", "fp16", "bf16", "int8"),
                      help="of the arithmetic, where the processor has it (default: as exported)"),
    "ir_optim": dict(default=True, type=boolean, help="let Paddle Inference rewrite the graph"),
    "use_tensorrt": dict(default=False, type=boolean, help="TensorRT, on a GPU"),
    "gpu_mem": dict(default=8000, type=whole(1), help="memory to take on the GPU at first, MB"),
    "enable_mkldnn": dict(default=True, type=boolean, help="oneDNN, on a CPU"),
    "cpu_threads": dict(default=None, type=whole(1), help="threads of the arithmetic (default: all cores, "
                        "shared among the processes of a launch)"),
    "enable_benchmark": dict(default=False, type=boolean, help="measure, and print AutoLog's block"),
    "resume": dict(default=False, type=boolean, nargs="?", const=True,
                   help="go on with an --out that was interrupted"),
}  # fmt: skip

# what a checkpoint says itself
DESCRIBED = ("model", "num_heads", "lam", "num_cls", "img_size", "dataset", "threshold")


def make_parser(doc, from_checkpoint=False, changes=None, **groups):
    """A parser with groups of shared options: make_parser(__doc__, model="num_heads lam", run="seed").

    changes: {name: settings} that a script has otherwise; `short` there is a second name.
    With `from_checkpoint` the options in DESCRIBED are None unless given: the checkpoint
    knows them, and the defaults count only for a file that holds bare tensors.
    """
    parser = Parser(doc)
    for title, names in groups.items():
        group = parser.add_argument_group(title)
        for name in names.split():
            settings = {**OPTIONS[name], **(changes or {}).get(name, {})}
            names_given = [f"--{name}", *filter(None, [settings.pop("short", None)])]
            default = settings["default"]
            if from_checkpoint and name in DESCRIBED:
                settings.update(default=None, help=settings["help"] + " (default: as the checkpoint says)")
            elif default not in (None, []):
                shown = " ".join(default) if isinstance(default, list) else default
                settings["help"] += f" (default: {shown})"
            if "choices" not in settings:
                settings.setdefault("metavar", name.upper())
            group.add_argument(*names_given, **settings)
    return parser
