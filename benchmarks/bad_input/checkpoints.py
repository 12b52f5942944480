"""Checkpoints."""

import os
import pickle
import zipfile

import numpy as np

from benchmarks.bad_input.row import bad
from benchmarks.bad_input.things import (
    MODEL,
    changed_checkpoint,
    checkpoint,
    data_set,
    forbidden,
    photo,
    small_checkpoint,
    train,
    without,
    write,
)
from utils.weights import read_weights


def predict(path):
    return ["--load_from", path, "--img_dir", photo("a.png"), "--out", "out/scores.json", "--device", "cpu"]


def bare(name, tensors):
    """Write tensors without a description; the file's name."""
    with open(name, "wb") as file:
        pickle.dump(tensors, file)
    return name


@bad("predict", "a checkpoint that is not there", "cannot read best.pdparams: No such file or directory")
def missing(folder):
    return predict("best.pdparams")


@bad(
    "predict",
    "an empty file",
    "x.pdparams is damaged or no checkpoint (...)",
)
def empty(folder):
    open("x.pdparams", "w").close()
    return predict("x.pdparams")


@bad("predict", "half a checkpoint", "model.pdparams is damaged or no checkpoint (...)")
def truncated(folder):
    os.truncate(checkpoint(), 1_000_000)
    return predict("model.pdparams")


@bad(
    "predict",
    "one bit of a checkpoint changed",
    "model.pdparams is damaged: its checksum does not fit; take another checkpoint of the run",
)
def changed(folder):
    with open(checkpoint(), "r+b") as file:
        file.seek(5_000_000)
        byte = file.read(1)[0]
        file.seek(5_000_000)
        file.write(bytes([byte ^ 1]))
    return predict("model.pdparams")


@bad(
    "predict",
    "a folder in place of a file",
    "checkpoint is a folder; name the file in it, such as a run's last.pdparams",
)
def is_folder(folder):
    os.mkdir("checkpoint")
    return predict("checkpoint")


@bad(
    "predict",
    "a checkpoint that may not be read",
    "cannot read model.pdparams: Permission denied",
    forbidden("model.pdparams"),
)
def unreadable(folder):
    return predict(checkpoint())


@bad(
    "predict",
    "a photo in place of weights",
    "b.png is refused: it uses the pickle opcode PERSID; only tensors, numbers and text are read (a "
    "state dict alone)",
)
def is_photo(folder):
    return predict(photo("b.png"))


@bad(
    "predict",
    "a pickle that would run a command",
    "x.pdparams is refused: it names os.system; only tensors, numbers and text are read (a state dict alone)",
)
def hostile(folder):
    with open("x.pdparams", "wb") as file:
        file.write(b"\x80\x04cos\nsystem\n\x8c\x0dtouch stranger\x85R.")
    return predict("x.pdparams")


@bad(
    "predict",
    "a whole model of PyTorch, not its weights",
    "x.pth is refused: it names models.resnet.ResNet; only tensors, numbers and text are read (a "
    "state dict alone)",
)
def whole_model(folder):
    with zipfile.ZipFile("x.pth", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02cmodels.resnet\nResNet\n)\x81}b.")
    return predict("x.pth")


@bad(
    "predict",
    "a compressed archive in place of a `.pth`",
    "x.pth is refused: it holds compressed records, which torch.save never writes (a TorchScript "
    "program?); only tensors, numbers and text are read (a state dict alone)",
)
def compressed(folder):
    with zipfile.ZipFile("x.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10_000_000)
    return predict("x.pth")


@bad("predict", "numbers of another kind", "x.pdparams holds no dict of tensors, but an object of type list")
def wrong_type(folder):
    with open("x.pdparams", "wb") as file:
        pickle.dump([1, 2, 3], file)
    return predict("x.pdparams")


def first(value):
    """A change of tensors: the first number of the first is another."""

    def change(tensors):
        tensors["backbone.conv_stem.weight"].flat[0] = value

    return change


@bad(
    "predict",
    "NaN among the weights",
    "model.pdparams has values that are not finite: backbone.conv_stem.weight",
)
def nan(folder):
    return predict(changed_checkpoint(first(np.nan)))


@bad(
    "export_model",
    "Inf among the weights",
    "model.pdparams has values that are not finite: backbone.conv_stem.weight",
)
def inf(folder):
    return ["--model_path", changed_checkpoint(first(np.inf)), "--save_dir", "out"]


@bad(
    "val",
    "a tensor of another shape",
    "model.pdparams does not fit the model: wrong shape: classifier.multi_head.0.head.weight is [3, "
    "9, 1, 1], not [3, 1280, 1, 1]; is it another --model?",
)
def wrong_shape(folder):
    def change(tensors):
        tensors["classifier.multi_head.0.head.weight"] = np.ones((3, 9, 1, 1), "float32")

    data_set()
    return ["--load_from", changed_checkpoint(change), "--device", "cpu"]


@bad(
    "predict",
    "a tensor that is missing",
    "model.pdparams does not fit the model: missing: classifier.multi_head.0.head.weight; is it "
    "another --model?",
)
def missing_tensor(folder):
    return predict(changed_checkpoint(lambda tensors: tensors.pop("classifier.multi_head.0.head.weight")))


@bad(
    "predict",
    "a trunk without heads",
    "trunk.pdparams has no heads (classifier.multi_head.0.head.weight): it is no CSRA model; a trunk"
    " alone can start a training: train.py --pretrained",
)
def trunk(folder):
    return predict(bare("trunk.pdparams", {"conv1.weight": np.ones(2, "float32")}))


@bad(
    "predict",
    "another trunk than the checkpoint's",
    "--model resnet101 contradicts model.pdparams, which says efficientnet_lite0; leave it out",
)
def other_model(folder):
    return [*predict(checkpoint()), "--model", "resnet101"]


@bad(
    "predict",
    "a description that is damaged",
    "small.pdparams: its description is damaged; take another checkpoint of the run",
)
def description(folder):
    return predict(small_checkpoint(classes=[]))


@bad(
    "predict",
    "a checkpoint of a newer version",
    "small.pdparams was written by a newer version (format 2); update the code",
)
def newer(folder):
    return predict(small_checkpoint(format=2))


@bad(
    "predict",
    "an exported model in place of a checkpoint",
    "output/model.json is of an exported model, which infer.py runs; give the checkpoint it is from",
)
def exported_model(folder):
    return predict("output/model.json")


@bad(
    "predict",
    "the state of an optimizer in place of weights",
    "epoch_1.pdopt holds the state of an optimizer, not weights; give the .pdparams beside it",
)
def optimizer(folder):
    return predict("epoch_1.pdopt")


@bad(
    "train",
    "weights to start from that fit another trunk",
    "--pretrained model.pdparams is of --model efficientnet_lite0, not resnet18; give the one or the other",
)
def pretrained(folder):
    return ["--dataset", data_set(), *train("--pretrained", checkpoint(), "--model", "resnet18")]


@bad(
    "train",
    "going on with a checkpoint that is damaged",
    "save/efficientnet_lite0/epoch_1.pdparams is damaged or no checkpoint (...)",
    leaves=("save",),
)
def resume(folder):
    os.makedirs(f"save/{MODEL}")
    open(f"save/{MODEL}/epoch_1.pdparams", "w").close()
    resumed = ["--save_dir", "save", "--resume", f"save/{MODEL}/epoch_1.pdparams"]
    return ["--dataset", data_set(), *train(*resumed)]


@bad(
    "train",
    "`--init_heads` with a class that is not there",
    "--init_heads: the data set has no class 'purple'; it has red, green, blue",
)
def init_heads(folder):
    numbers = write("heads.json", {"purple": [1]})
    path = checkpoint()
    with_classifier = bare(
        "trunk.pdparams", {**read_weights(path).tensors, "fc.weight": np.ones((1280, 1000), "f4")}
    )
    return ["--dataset", data_set(), *train("--init_heads", numbers, "--pretrained", with_classifier)]


@bad(
    "utils/convert_weights",
    "a checkpoint that is not there",
    "cannot read best.pth: No such file or directory",
)
def convert_missing(folder):
    return ["best.pth", "best.pdparams"]


@bad("utils/convert_weights", "a link to itself", "cannot read best.pth: Too many levels of symbolic links")
def convert_loop(folder):
    os.symlink("best.pth", "best.pth")
    return ["best.pth", "best.pdparams"]


@bad(
    "utils/convert_weights",
    "NaN among the weights",
    "model.pdparams has values that are not finite: backbone.conv_stem.weight",
)
def convert_nan(folder):
    return [changed_checkpoint(first(np.nan)), "best.safetensors"]


@bad(
    "utils/convert_weights",
    "an ending that names no format",
    "best.onnx must end in .pdparams, .safetensors, .pth",
)
def convert_suffix(folder):
    return [checkpoint(), "best.onnx"]


@bad(
    "utils/convert_weights",
    "a weight beyond float16",
    "half.pdparams cannot be written in float16: some weights are too large for it",
)
def convert_float16(folder):
    return [changed_checkpoint(first(1e30)), "half.pdparams", "--float16"]


@bad(
    "utils/convert_weights",
    "a `.safetensors` without the package for it",
    "this needs safetensors, which is not installed: pip install safetensors",
    without("safetensors"),
)
def convert_package(folder):
    return [checkpoint(), "best.safetensors"]


@bad("app", "half a checkpoint", "model.pdparams is damaged or no checkpoint (...)", needs=("gradio",))
def app_truncated(folder):
    os.truncate(checkpoint(), 1_000_000)
    return ["--load_from", "model.pdparams", "--port", "17860", "--device", "cpu"]
