"""The command line: names and defaults of the seed, real booleans and lists, one-line complaints."""

import os
import runpy
from pathlib import Path

import pytest

import export_model
import predict
import train
import val
from datasets.spec import SPECS, load_spec

REPO = Path(__file__).resolve().parents[2]
PARSERS = {
    "train": (train.parse_args, []),
    "val": (val.parse_args, ["--load_from", "x.pdparams"]),
    "predict": (predict.parse_args, ["--load_from", "x.pdparams"]),
}


@pytest.fixture
def rejected(capsys):
    """A function: the one line on standard error with which a command line ends, exit code 2."""

    def run(argv, parse=train.parse_args):
        with pytest.raises(SystemExit) as stop:
            parse(argv)
        assert stop.value.code == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.startswith("error: ")
        assert told.err.count("\n") == 1
        return told.err

    return run


# --- names and defaults


def test_defaults_of_train_are_the_seed_s():
    seed = {
        "model": "resnet101",
        "num_heads": 1,
        "lam": 0.1,
        "save_dir": "checkpoint",
        "dataset": "voc07",
        "num_cls": None,  # the data set's, below
        "train_aug": None,  # the data set's, below
        "test_aug": [],
        "img_size": 448,
        "batch_size": 16,
        "lr": 0.01,
        "poly_decay": False,
        "momentum": 0.9,
        "w_d": 1e-4,
        "warmup_epoch": 2,
        "total_epoch": 30,
        "tranval": True,
        "print_freq": 100,
    }
    args = vars(train.parse_args([]))
    assert {name: args[name] for name in seed} == seed
    spec, _ = load_spec(args["dataset"])
    assert len(spec.classes) == 20
    assert spec.train_aug == ("randomflip", "resizedcrop")
    assert [SPECS[name].step_size for name in ("voc07", "coco", "wider")] == [4, 5, 5]


def test_defaults_of_train_beside_the_seed_s():
    args = train.parse_args([])
    assert (args.seed, args.device, args.keep, args.threshold) == (0, "auto", None, 0.5)  # fault 34: device
    assert (args.pretrained, args.step_size, args.data_dir) == ("imagenet", None, None)


@pytest.mark.parametrize(
    ("script", "names"),
    [
        ("val", "model num_heads lam load_from dataset num_cls test_aug img_size batch_size out"),
        ("predict", "model num_heads lam load_from img_dir dataset num_cls out"),
    ],
)
def test_val_and_predict_keep_the_seed_s_names(script, names):
    parse, needed = PARSERS[script]
    args = vars(parse(needed))
    assert set(names.split()) <= set(args)
    for name in ("model", "num_heads", "lam", "num_cls", "dataset", "img_size"):
        assert args[name] is None  # the checkpoint says


def test_batch_size_is_that_of_training_and_the_checkpoint_says_the_threshold():
    for script, (parse, needed) in PARSERS.items():
        threshold = 0.5 if script == "train" else None
        assert (parse(needed).batch_size, parse(needed).threshold) == (16, threshold)


def test_the_checkpoint_must_be_named(rejected):  # fault 42
    assert "--load_from" in rejected([], val.parse_args)
    assert "--model_path" in rejected([], export_model.parse_args)


@pytest.mark.parametrize(("cores", "most"), [(1, 1), (2, 2), (64, 8), (None, 1)])
def test_no_more_workers_than_cores(monkeypatch, cores, most):  # fault 16
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores or 1)), raising=False)
    options = runpy.run_path(str(REPO / "utils/options.py"))["OPTIONS"]
    assert options["num_workers"]["default"] == most


@pytest.mark.parametrize("script", PARSERS)
def test_help(script, capsys):
    with pytest.raises(SystemExit) as stop:
        PARSERS[script][0](["--help"])
    assert stop.value.code == 0
    assert "--num_heads" in capsys.readouterr().out


# --- booleans (fault 8)


@pytest.mark.parametrize("option", ["poly_decay", "tranval"])
@pytest.mark.parametrize(
    ("text", "value"),
    [(text, True) for text in ("True", "true", "TRUE", "1", "yes", "Yes")]
    + [(text, False) for text in ("False", "false", "FALSE", "0", "no", "No")],
)
def test_booleans(option, text, value):
    assert getattr(train.parse_args([f"--{option}", text]), option) is value
    assert getattr(train.parse_args([f"--{option}={text}"]), option) is value


@pytest.mark.parametrize("text", ["", "on", "2", "Tru", "None", "-1"])
def test_junk_is_no_boolean(rejected, text):
    assert "--poly_decay" in rejected([f"--poly_decay={text}"])


# --- lists (fault 8)


def test_lists():
    assert train.parse_args(["--train_aug", "randomflip", "colorjitter"]).train_aug == [
        "randomflip",
        "colorjitter",
    ]
    assert train.parse_args(["--train_aug=randomflip"]).train_aug == ["randomflip"]
    assert train.parse_args(["--test_aug", "RandomFlip", "--lr", "1"]).test_aug == ["randomflip"]
    assert train.parse_args(["--train_aug"]).train_aug == []
    assert train.parse_args(["--train_aug", "--lr", "1"]).train_aug == []
    assert predict.parse_args(["--load_from", "x", "--img_dir", "a", "b"]).img_dir == ["a", "b"]


@pytest.mark.parametrize("junk", ["flip", "r", "randomflip,resizedcrop", ""])
def test_junk_in_a_list_names_the_valid_ones(rejected, junk):
    for option in ("--train_aug", "--test_aug"):
        assert "randomflip resizedcrop colorjitter" in rejected([option, "randomflip", junk])


# --- values


def test_space_and_equals_sign_are_the_same():
    given = {"model": "resnet18", "lam": 0.2, "num_heads": 4, "lr": 1e-3, "seed": 7}
    spaced = train.parse_args([word for name, value in given.items() for word in (f"--{name}", str(value))])
    joined = train.parse_args([f"--{name}={value}" for name, value in given.items()])
    assert spaced == joined
    assert {name: getattr(spaced, name) for name in given} == given


@pytest.mark.parametrize("option", ["lam", "warmup_epoch", "w_d", "momentum", "num_workers", "lr", "seed"])
def test_zero_where_it_means_something(option):
    assert getattr(train.parse_args([f"--{option}", "0"]), option) == 0


@pytest.mark.parametrize("option", ["lr", "lam", "momentum", "w_d", "threshold"])
@pytest.mark.parametrize("text", ["-1", "-1e-9", "nan", "NaN", "inf", "-inf", "1e999", "x", ""])
def test_no_number_of_that_kind(rejected, option, text):
    assert f"--{option}" in rejected([f"--{option}={text}"])


@pytest.mark.parametrize(
    "option", ["batch_size", "total_epoch", "print_freq", "step_size", "keep", "num_cls"]
)
@pytest.mark.parametrize("text", ["0", "-3", "1.5", "nan", "1e2", "x", "", "²", "+-1"])
def test_no_count(rejected, option, text):
    assert f"--{option}" in rejected([f"--{option}={text}"])


@pytest.mark.parametrize("option", ["seed", "warmup_epoch", "num_workers"])
def test_no_count_from_zero(rejected, option):
    for text in ("-1", "0.5", "x"):
        assert f"--{option}" in rejected([f"--{option}", text])


def test_values_out_of_range(rejected):
    assert "momentum" in rejected(["--momentum", "1.1"])
    assert "threshold" in rejected(["--threshold", "1.1"])
    assert "img_size" in rejected(["--img_size", "16"])


def test_choices_are_listed(rejected):
    text = rejected(["--device", "tpu"])
    assert all(name in text for name in ("auto", "cpu", "gpu"))
    text = rejected(["--load_from", "x", "--split", "validation"], val.parse_args)
    assert all(name in text for name in ("train", "test"))


# --- misspelled


@pytest.mark.parametrize(
    ("argument", "near"),
    [("--num_head", "--num_heads"), ("--batchsize=4", "--batch_size"), ("--tranvall", "--tranval")],
)
def test_misspelled_option_suggests_the_near_one(rejected, argument, near):
    text = rejected([argument, "1"])
    assert argument.split("=")[0] in text
    assert f"did you mean {near}?" in text


def test_misspelled_beyond_recognition(rejected):
    assert "--xyzzy" in rejected(["--xyzzy"])
    assert "did you mean" not in rejected(["--xyzzy"])


def test_options_are_not_abbreviated(rejected):
    assert "--mod" in rejected(["--mod", "resnet18"])


def test_a_value_too_many(rejected):
    assert "stray" in rejected(["--lr", "0.1", "stray"])


@pytest.mark.parametrize(
    ("given", "model"), [("vit_B16_224", "vit_b16"), ("vit_L16_224", "vit_l16"), ("vit_b16", "vit_b16")]
)
def test_the_original_s_names_of_vits(given, model):
    assert train.parse_args(["--model", given]).model == model


def test_format_means_one_thing_in_each_script(rejected):
    """Of standard output in predict, of the model in export_model; --out goes by the suffix."""
    for form in ("text", "json", "jsonl", "csv"):
        assert predict.parse_args(["--format", form]).format == form
        assert f"'{form}'" in rejected(["--model_path", "x", "--format", form], export_model.parse_args)
    assert predict.parse_args([]).format == "text"
    assert export_model.parse_args(["--model_path", "x"]).format == "paddle"
    assert "'onnx'" in rejected(["--format", "onnx"], predict.parse_args)
    for name in ("x.json", "x.jsonl", "x.csv"):
        assert predict.parse_args(["--out", name]).out == name
    assert ".jsonl" in rejected(["--out", "x.text"], predict.parse_args)


def test_k_is_a_whole_number_of_at_least_1(rejected):
    assert predict.parse_args(["--topk", "3"]).topk == 3
    for text in ("0", "-1", "2.5", "all"):
        assert text in rejected(["--topk", text], predict.parse_args)
