"""Options."""

from benchmarks.bad_input.row import bad
from benchmarks.bad_input.things import data_set, photo, train


@bad("train", "an option misspelled", "unknown argument --batchsize; did you mean --batch_size?; see --help")
def misspelled(folder):
    return ["--batchsize", "4"]


@bad("train", "one dash in place of two", "unknown argument -lr; did you mean --lr?; see --help")
def one_dash(folder):
    return ["-lr", "0.1"]


@bad(
    "predict",
    "one dash, which could be read as `-h` and more",
    "unknown argument -heatmap; did you mean --heatmap?; see --help",
)
def one_dash_h(folder):
    return ["-heatmap", "maps"]


@bad(
    "infer",
    "one dash, which could be read as `-b atch_size`",
    "unknown argument -batch_size; did you mean --batch_size?; see --help",
)
def one_dash_b(folder):
    return ["-batch_size", "4"]


@bad("val", "three dashes", "unknown argument ---load_from; did you mean --load_from?; see --help")
def three_dashes(folder):
    return ["---load_from", "model.pdparams"]


@bad(
    "val",
    "a long dash, as copied from a text",
    "unknown argument –load_from; did you mean --load_from?; see --help",
)
def long_dash(folder):
    return ["\u2013load_from", "model.pdparams"]


@bad("predict", "the name of a checkpoint without its option", "unknown argument model.pdparams; see --help")
def no_option(folder):
    return ["model.pdparams", "--img_dir", photo("a.png")]


@bad("train", "an option without its value", "argument --dataset: expected one argument; see --help")
def no_value(folder):
    return ["--dataset"]


@bad("val", "no checkpoint named", "the following arguments are required: --load_from; see --help")
def no_checkpoint(folder):
    return []


@bad("train", "words in place of a number", "argument --lr: 'fast' is not a number of at least 0; see --help")
def no_number(folder):
    return ["--lr", "fast"]


@bad("train", "NaN as a learning rate", "argument --lr: 'nan' is not a number of at least 0; see --help")
def nan(folder):
    return ["--lr", "nan"]


@bad(
    "train", "no photos a step", "argument --batch_size: '0' is not a whole number of at least 1; see --help"
)
def zero(folder):
    return ["--batch_size", "0"]


@bad(
    "train",
    "neither yes nor no",
    "argument --poly_decay: 'maybe' is neither True/1/yes nor False/0/no; see --help",
)
def no_boolean(folder):
    return ["--poly_decay", "maybe"]


@bad(
    "train",
    "an augmentation that is not there",
    "argument --train_aug: 'cutmix' is unknown; choose from randomflip resizedcrop colorjitter; see --help",
)
def augmentation(folder):
    return ["--train_aug", "randomflip", "cutmix"]


@bad("predict", "a threshold of 50", "argument --threshold: '50' is not a number of 0 to 1; see --help")
def threshold(folder):
    return ["--threshold", "50"]


@bad(
    "predict",
    "a threshold for all and thresholds by class",
    "--threshold and --thresholds contradict each other; give one of them",
)
def two_thresholds(folder):
    return ["--img_dir", photo("a.png"), "--threshold", "0.3", "--thresholds", "t.json", "--device", "cpu"]


@bad(
    "predict",
    "a table of a kind that is not written",
    "argument --out: 'scores.xlsx' must end in .json, .jsonl or .csv; see --help",
)
def table(folder):
    return ["--img_dir", photo("a.png"), "--out", "scores.xlsx"]


@bad(
    "train",
    "a trunk that is not there",
    "unknown model 'resnet19'; choose from resnet18, resnet34, resnet50, resnet101, resnet152, "
    "efficientnet_lite0, efficientnet_lite1, efficientnet_lite2, vit_b16, vit_l16",
)
def trunk(folder):
    return ["--dataset", data_set(), *train("--model", "resnet19")]


@bad(
    "train",
    "a number of heads that the paper does not have",
    "unknown number of heads 3; choose from 1, 2, 4, 6, 8",
)
def heads(folder):
    return ["--dataset", data_set(), *train("--num_heads", "3")]


@bad(
    "train",
    "another number of classes than the data set's",
    "--num_cls 20, but data has 3 classes; leave it out",
)
def number_of_classes(folder):
    return ["--dataset", data_set(), *train("--num_cls", "20")]


@bad(
    "val",
    "nowhere for tuned thresholds to go",
    "say where the thresholds go: --tuned FILE.json or FILE.pdparams, or --out DIR",
)
def tuned_nowhere(folder):
    return ["--load_from", "model.pdparams", "--tune_thresholds", "f1"]


@bad(
    "val",
    "a goal of tuning that is not there",
    "argument --tune_thresholds: 'accuracy' is none of f1, precision=0.9 and recall=0.9; see --help",
)
def goal(folder):
    return ["--load_from", "model.pdparams", "--tune_thresholds", "accuracy"]


@bad("export_model", "integers of a format that has none", "--int8 is for --format openvino")
def int8(folder):
    return ["--model_path", "model.pdparams", "--int8"]


@bad(
    "infer",
    "going on without a table to go on with",
    "--resume goes on with a table of scores; name it with --out",
)
def resume(folder):
    return ["--model_file", "model.json", "--input_file", photo("a.png"), "--resume"]


@bad(
    "app",
    "a port that no machine has",
    "argument --port: '99999' is not a whole number of 1 to 65535; see --help",
)
def port(folder):
    return ["--port", "99999"]


@bad(
    "utils/prepare/download",
    "a data set that is not on offer",
    "argument dataset: invalid choice: 'imagenet' (choose from ...); see --help",
)
def data_set_to_download(folder):
    return ["imagenet"]


@bad(
    "utils/prepare/prepare_voc",
    "a path in place of a year",
    "--year '../2007' is a path; give the 2007 of a folder VOC2007",
)
def year(folder):
    return ["--year", "../2007"]


@bad(
    "utils/prepare/make_shapes",
    "pictures too large to draw",
    "--size 5000: give a longest side of at most 1024 pixels",
)
def too_large(folder):
    return ["--out_dir", "out", "--size", "5000"]


@bad(
    "utils/convert_weights",
    "IN and OUT are one file",
    "IN and OUT are the same file, model.pdparams; give OUT another name",
)
def same_file(folder):
    return ["model.pdparams", "./model.pdparams"]


@bad(
    "predict",
    "classes of heat maps, and no folder for these",
    "--heatmap_classes needs --heatmap, the folder for heat maps",
)
def heatmap_classes_alone(folder):
    return ["--img_dir", photo("a.png"), "--heatmap_classes", "dog"]
